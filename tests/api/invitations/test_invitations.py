"""The API of invitations: list, create, read, resend and revoke."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.assertions import assert_invalid_fields, assert_invalid_parameters, assert_problem, check_problem
from tests.support.callers import Caller, tenant_path
from tests.support.clock import DAY
from tests.support.database.rows import fetch_rows
from tests.support.events import fetch_event_types, list_changes, read_feed
from tests.support.invitations import (
    ADMIN,
    InvitationHost,
    invitation_path,
    invite,
    read_invitation,
    read_invitations,
)

WEEK = 7 * DAY
ABSENT = "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"


def test_created_invitation_is_sent(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create()
    response = partner("POST", f"{tenant_path(tenant)}/invitations", json={"admin": ADMIN})
    document = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"].endswith(invitation_path(document))
    assert response.headers["ETag"] == '"1"'
    assert (document["admin"], document["state"], document["tenant"]) == (ADMIN, "sending", tenant["tenant"])
    host.work()

    read = partner("GET", invitation_path(document))
    assert read.headers["ETag"] == f'"{read.get_json()["version"]}"'
    assert read.get_json()["state"] == "sent"
    assert read.get_json()["sent_at"] is not None
    unchanged = partner("GET", invitation_path(document), headers={"If-None-Match": read.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, [("#/admin", "required", "This field is required.")]),
        ([], [("#", "invalid-type", "Must be an object.")]),
        ({"admin": None}, [("#/admin", "invalid-type", "Must be an object.")]),
        ({"admin": {"email": 1}}, [("#/admin/email", "invalid-type", "Must be a text.")]),
        (
            {"admin": ADMIN, "state": "sent", "token": "x"},
            [
                ("#/state", "read-only", "This field is set by the server."),
                ("#/token", "unknown-field", "There is no such field."),
            ],
        ),
    ],
)
def test_invalid_body_is_refused(host: InvitationHost, body: Any, errors: list[tuple[str, str, str]]) -> None:
    partner = host.open()
    tenant = partner.create()
    assert_invalid_fields(partner("POST", f"{tenant_path(tenant)}/invitations", json=body), *errors)
    assert read_invitations(partner, tenant) == []


def test_invitations_are_listed_in_pages(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create()
    invited = [invite(partner, tenant, email=f"a{number}@example.com") for number in range(5)]
    invite(partner, partner.create(), email="other@example.com")
    path, found = f"{tenant_path(tenant)}/invitations?limit=2", []
    while path:
        page = partner("GET", path).get_json()
        found += page["items"]
        path = page["next"] and f"{tenant_path(tenant)}/invitations?limit=2&cursor={page['next']}"
    assert found == invited
    assert partner("POST", invitation_path(invited[1], "revoke")).status_code == 200
    assert [one["invitation"] for one in read_invitations(partner, tenant, "?state=revoked")] == [
        invited[1]["invitation"]
    ]
    assert_invalid_parameters(
        partner("GET", f"{tenant_path(tenant)}/invitations?state=lost"),
        (
            "#/state",
            "invalid-choice",
            "Must be one of: waiting, sending, sent, failed, accepted, revoked, expired.",
        ),
    )


def test_cursor_of_another_tenant_is_refused(host: InvitationHost) -> None:
    partner = host.open()
    first, second = partner.create(), partner.create()
    for number in range(2):
        invite(partner, first, email=f"a{number}@example.com")
    cursor = partner("GET", f"{tenant_path(first)}/invitations?limit=1").get_json()["next"]
    response = partner("GET", f"{tenant_path(second)}/invitations?cursor={cursor}")
    check_problem(response, code="invalid-cursor")


def test_second_open_invitation_of_an_address_is_refused(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create()
    first = invite(partner, tenant)
    response = partner("POST", f"{tenant_path(tenant)}/invitations", json={"admin": {"email": "JO@EXAMPLE.COM"}})
    assert_problem(
        response,
        409,
        "invitation-exists",
        "The tenant has an open invitation for this address.",
        conflicting_invitation=first["invitation"],
    )
    assert partner("POST", invitation_path(first, "revoke")).status_code == 200
    second = invite(partner, tenant)
    refused = partner("POST", invitation_path(first, "resend"))
    assert_problem(
        refused, 409, "invalid-state", "An invitation that was revoked cannot be resent.", invitation_state="revoked"
    )
    invite(partner, partner.create())
    assert second["state"] == "sending"


def test_number_of_open_invitations_is_limited(database_url: str) -> None:
    host = InvitationHost(database_url, PROVISIONING_INVITATION_LIMIT=2)
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    second = invite(partner, tenant, email="second@example.com")
    body = {"admin": {"email": "third@example.com"}}
    refused = partner("POST", f"{tenant_path(tenant)}/invitations", json=body)
    assert_problem(refused, 403, "quota-exceeded", "The limit of 2 open invitations is reached.", limit=2)
    assert partner("POST", invitation_path(second, "revoke")).status_code == 200
    assert partner("POST", f"{tenant_path(tenant)}/invitations", json=body).status_code == 201
    host.close()


def test_resent_invitation_has_a_new_token_and_new_time(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.work()
    before = read_invitation(partner, tenant)
    host.clock.now += DAY
    resent = partner("POST", invitation_path(before, "resend"))
    document = resent.get_json()
    assert (resent.status_code, document["state"], document["sent_at"]) == (200, "sending", None)
    assert document["expires_at"] > before["expires_at"]
    host.work()
    first, second = host.outbox
    assert first.id == second.id
    assert first.token != second.token
    assert first.idempotency_key != second.idempotency_key
    assert host.find(second.token).admin.email == ADMIN["email"]
    with pytest.raises(Exception, match="not valid"):
        host.find(first.token)
    assert fetch_event_types(partner, tenant) == [
        "tenant.created", "invitation.created", "invitation.sent", "invitation.resent", "invitation.sent",
    ]  # fmt: skip


def test_expired_invitation_can_be_resent_where_there_is_a_place(database_url: str) -> None:
    host = InvitationHost(database_url, PROVISIONING_INVITATION_LIMIT=1)
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.work()
    host.work(WEEK)
    expired = read_invitation(partner, tenant)
    assert (expired["state"], expired["ended_at"] is None) == ("expired", False)
    revoked = partner("POST", invitation_path(expired, "revoke"))
    assert_problem(
        revoked, 409, "invalid-state", "An invitation that has expired cannot be revoked.", invitation_state="expired"
    )
    other = invite(partner, tenant, email="other@example.com")
    refused = partner("POST", invitation_path(expired, "resend"))
    assert_problem(refused, 403, "quota-exceeded", "The limit of 1 open invitations is reached.", limit=1)
    assert partner("POST", invitation_path(other, "revoke")).status_code == 200
    again = partner("POST", invitation_path(expired, "resend")).get_json()
    assert (again["state"], again["ended_at"]) == ("sending", None)
    host.close()


def test_revoked_invitation_is_not_sent(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    before = read_invitation(partner, tenant)
    revoked = partner("POST", invitation_path(before, "revoke"))
    again = partner("POST", invitation_path(before, "revoke"))
    assert (revoked.status_code, revoked.get_json()["state"]) == (200, "revoked")
    assert again.get_json() == revoked.get_json()
    host.work()
    assert host.outbox == []
    assert fetch_event_types(partner, tenant) == ["tenant.created", "invitation.created", "invitation.revoked"]


@pytest.mark.parametrize("action", ["resend", "revoke"])
def test_writes_heed_if_match(host: InvitationHost, action: str) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    invitation = read_invitation(partner, tenant)
    stale = partner("POST", invitation_path(invitation, action), headers={"If-Match": '"7"'})
    assert check_problem(stale)["code"] == "precondition-failed"
    current = partner("POST", invitation_path(invitation, action), headers={"If-Match": '"1"'})
    assert (current.status_code, current.headers["ETag"]) == (200, '"2"')


def test_dry_runs_and_repeated_requests_take_no_further_effect(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create()
    path = f"{tenant_path(tenant)}/invitations"
    dry = partner("POST", f"{path}?validate_only=true", json={"admin": ADMIN})
    assert (dry.status_code, dry.headers["X-Validate-Only"]) == (201, "true")
    assert read_invitations(partner, tenant) == []
    key = {"Idempotency-Key": "invite-1"}
    first, second = (partner("POST", path, json={"admin": ADMIN}, headers=key) for _ in range(2))
    assert first.get_json() == second.get_json()
    resends = [
        partner("POST", invitation_path(first.get_json(), "resend"), headers={"Idempotency-Key": "r"}) for _ in "12"
    ]
    assert [resend.get_json()["version"] for resend in resends] == [2, 2]
    host.work()
    assert len(host.outbox) == 1


def test_what_is_stored_and_shown_has_no_token(host: InvitationHost, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.failures = [RuntimeError("the mail server refused https://app.example.com/welcome/{token}")]
    host.failures[0].args = ("refused",)
    host.work()
    key = {"Idempotency-Key": "r"}
    partner("POST", invitation_path(read_invitation(partner, tenant), "resend"), headers=key)
    host.work(60)
    tokens = {invitation.token for invitation in host.outbox}
    assert len(tokens) == 2
    stored = json.dumps({table: fetch_rows(host.app, table) for table in ("invitations", "events", "idempotency")})
    shown = json.dumps([read_feed(partner), read_invitations(partner, tenant)])
    for token in tokens:
        assert token not in stored + shown + caplog.text + repr(host.outbox)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tenants/{tenant}/invitations"),
        ("POST", "/tenants/{tenant}/invitations"),
        ("GET", "/tenants/{tenant}/invitations/{invitation}"),
        ("POST", "/tenants/{tenant}/invitations/{invitation}/resend"),
        ("POST", "/tenants/{tenant}/invitations/{invitation}/revoke"),
    ],
)
def test_another_partners_tenant_looks_absent(host: InvitationHost, method: str, path: str) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    invitation = read_invitation(partner, tenant)
    body = {"json": {"admin": ADMIN}} if method == "POST" and path.endswith("invitations") else {}
    stranger = Caller(host.app)
    theirs = stranger(method, path.format(**{**invitation, "partner": ""}), **body)
    absent = stranger(method, path.format(tenant=ABSENT, invitation=ABSENT), **body)
    assert_problem(theirs, 404, "tenant-not-found", "Tenant not found.")
    assert_problem(absent, 404, "tenant-not-found", "Tenant not found.")
    assert read_invitation(partner, tenant) == invitation


def test_invitation_of_another_tenant_is_absent(host: InvitationHost) -> None:
    partner = host.open()
    first, second = partner.create(admin=ADMIN), partner.create()
    invitation = {**read_invitation(partner, first), "tenant": second["tenant"]}
    for method, action in (("GET", ""), ("POST", "resend"), ("POST", "revoke")):
        response = partner(method, invitation_path(invitation, action))
        assert_problem(response, 404, "invitation-not-found", "Invitation not found.")
    malformed = partner("GET", f"{tenant_path(first)}/invitations/x")
    assert_problem(malformed, 404, "invitation-not-found", "Invitation not found.")


def test_viewers_read_and_do_not_write(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    viewer = partner.with_roles("partner-viewer")
    invitation = read_invitation(viewer, tenant)
    for path in (f"{tenant_path(tenant)}/invitations", invitation_path(invitation, "resend")):
        refused = check_problem(viewer("POST", path, json={"admin": ADMIN}))
        assert (refused["code"], refused["required"]) == ("insufficient-permission", ["invitation:write"])


def test_events_show_invitations_to_those_who_may_read_them(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    before = read_invitation(partner, tenant)
    after = partner("POST", invitation_path(before, "revoke")).get_json()
    created, revoked = [event for event in read_feed(partner) if event["type"].startswith("invitation.")]
    assert (created["data"], created["tenant"]) == (before, tenant["tenant"])
    assert (revoked["data"], revoked["changes"]) == (after, list_changes(before, after))

    reader = Caller(host.app, partner.partner, permissions=["event:read"])
    hidden = [event for event in read_feed(reader) if event["type"].startswith("invitation.")]
    assert [(event["data"], event["changes"]) for event in hidden] == [({"invitation": before["invitation"]}, {})] * 2


def test_host_without_invitations_says_so(database_url: str) -> None:
    host = InvitationHost(database_url, invites=False)
    partner = host.open()
    tenant = partner.create()
    response = partner("POST", f"{tenant_path(tenant)}/invitations", json={"admin": ADMIN})
    assert_problem(response, 409, "invitations-unavailable", "This service sends no invitations.")
    assert read_invitations(partner, tenant) == []
    host.close()


def test_tenant_that_is_not_active_takes_no_invitation(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create()
    path = f"{tenant_path(tenant)}/invitations"
    assert partner("POST", f"{tenant_path(tenant)}/suspend").status_code == 200
    suspended = partner("POST", path, json={"admin": ADMIN})
    assert_problem(
        suspended,
        409,
        "invalid-state",
        "A tenant that is suspended has no invitations.",
        tenant_status="suspended",
    )
    assert partner("DELETE", tenant_path(tenant)).status_code == 200
    deleted = partner("POST", path, json={"admin": ADMIN})
    assert check_problem(deleted)["tenant_status"] == "deleted"
