"""Invitations of tenants' administrators, or the refusals of a host that sends none."""

from __future__ import annotations

from typing import Any

import pytest

from flask_tenant_provisioning.testing.callers import TENANTS, Caller, get_tenant_path

ADMIN = {"email": "admin@example.com", "name": "Conformance", "locale": "en"}
INVITATION = {
    "invitation", "tenant", "partner", "admin", "state", "attempts", "error", "next_attempt_at", "sent_at",
    "expires_at", "ended_at", "version", "created_at", "updated_at",
}  # fmt: skip


def require_inviting(partner: Caller) -> None:
    """Skip the test if the host sends no invitations: it would send mails to addresses that nobody has."""
    if partner.api.mount.registry.invite is None:
        pytest.skip("this host sends no invitations")


def test_an_admin_is_validated(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body(admin={"email": "nobody"})
    response = provisioning_partner("POST", f"{TENANTS}?validate_only=true", json=body)
    response.problem(400, "validation-error")
    pointers = [error["pointer"] for error in response.json()["errors"]]
    response.require(
        pointers in (["#/admin/email"], ["#/admin"]), "point at #/admin/email, or at #/admin if it sends no invitations"
    )


def test_a_host_that_invites_nobody_says_so(provisioning_partner: Caller) -> None:
    if provisioning_partner.api.mount.registry.invite is not None:
        pytest.skip("this host sends invitations")
    response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body(admin=ADMIN))
    response.problem(400, "validation-error")
    codes = [error["code"] for error in response.json()["errors"]]
    response.require(codes == ["invitations-unavailable"], "name the code invitations-unavailable")
    tenant = provisioning_partner.create()
    path = f"{get_tenant_path(tenant)}/invitations"
    provisioning_partner("POST", path, json={"admin": ADMIN}).problem(409, "invitations-unavailable")
    page = provisioning_partner("GET", path)
    page.require(page.document()["items"] == [], "show no invitation")


def test_a_dry_run_shows_the_invitation_and_sends_none(provisioning_partner: Caller) -> None:
    require_inviting(provisioning_partner)
    tenant = provisioning_partner.create()
    path = f"{get_tenant_path(tenant)}/invitations"
    response = provisioning_partner("POST", f"{path}?validate_only=true", json={"admin": ADMIN})
    shown: dict[str, Any] = response.document(201)
    response.require({*shown} == INVITATION, f"show {', '.join(sorted(INVITATION))}")
    response.require(shown["admin"] == ADMIN, "show the administrator as sent")
    page = provisioning_partner("GET", path)
    page.require(page.document()["items"] == [], "show no invitation after a dry run")


def test_an_unknown_invitation_is_absent(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    path = f"{get_tenant_path(tenant)}/invitations/01890000-0000-7000-8000-000000000000"
    provisioning_partner("GET", path).problem(404, "invitation-not-found")
    provisioning_partner("POST", f"{path}/revoke").problem(404, "invitation-not-found")
