"""``flask provisioning invitations``, and what ``doctor`` says of invitations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from flask_tenant_provisioning import StepFailed
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.database.rows import fetch_rows
from tests.support.invitations import ADMIN, InvitationHost, invite, read_invitation


@pytest.fixture
def host(database_url: str) -> Iterator[InvitationHost]:
    host = InvitationHost(database_url)
    yield host
    host.close()


def run_json(host: InvitationHost, *arguments: str) -> list[dict[str, Any]]:
    """Return the JSON that the command prints."""
    result = run_command(host.app, "invitations", *arguments, "--json")
    assert (result.status, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


def diagnose(host: InvitationHost) -> tuple[str, str, str]:
    """Return what ``doctor`` says of invitations."""
    checks = json.loads(run_command(host.app, "doctor", "--json").out)["checks"]
    (check,) = [check for check in checks if check["check"] == "invitations"]
    return check["status"], check["detail"], check["advice"]


def test_invitations_are_listed_resent_and_revoked(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.work()
    second = invite(partner, tenant, email="second@example.com")
    first = read_first(partner, tenant)
    assert run_json(host, "list", tenant["tenant"]) == [first, second]
    assert run_json(host, "list", tenant["tenant"], "--state", "sent") == [first]
    (resent,) = run_json(host, "resend", first["invitation"])
    assert (resent["state"], resent["version"]) == ("sending", first["version"] + 1)
    (revoked,) = run_json(host, "revoke", second["invitation"])
    assert revoked["state"] == "revoked"
    host.work()
    assert [sent.id for sent in host.outbox] == [first["invitation"]] * 2
    event = fetch_rows(host.app, "events", type="invitation.revoked")[0]
    assert event["actor_partner"] == partner.partner
    table = run_command(host.app, "invitations", "list", tenant["tenant"]).out.splitlines()
    assert table[0].split() == ["invitation", "email", "state", "attempts", "sent_at", "expires_at"]
    assert table[2].split()[:3] == [second["invitation"], "second@example.com", "revoked"]


def read_first(partner: Caller, tenant: dict[str, Any]) -> dict[str, Any]:
    items: list[dict[str, Any]] = partner("GET", f"/tenants/{tenant['tenant']}/invitations").get_json()["items"]
    return items[0]


def test_what_is_not_there_is_reported_in_a_line(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    unknown = run_command(host.app, "invitations", "resend", tenant["tenant"])
    assert (unknown.status, unknown.out) == (1, "")
    assert unknown.err.startswith("Error: Invitation not found.")
    id = read_invitation(partner, tenant)["invitation"]
    other = run_command(host.app, "invitations", "revoke", id, "--partner", "another")
    assert other.status == 1
    assert read_invitation(partner, tenant)["state"] == "sending"


def test_doctor_reports_invitations_that_nobody_sends(host: InvitationHost, database_url: str) -> None:
    partner = host.open()
    partner.create(admin=ADMIN)
    assert diagnose(host) == ("ok", "1 to be sent, 0 sent and open, 0 failed", "")
    without = InvitationHost(database_url, invites=False)
    without.open()
    assert diagnose(without) == (
        "fail",
        "1 to be sent, 0 sent and open, 0 failed, and no function sends them",
        "register one with @provisioning.invite()",
    )
    refused = run_command(without.app, "invitations", "resend", fetch_rows(without.app, "invitations")[0]["id"])
    assert (refused.status, refused.err.splitlines()[0]) == (
        1,
        "Error: Invitations unavailable: The app has no function that sends invitations.",
    )
    without.close()


def test_doctor_warns_of_invitations_that_could_not_be_sent(host: InvitationHost) -> None:
    partner = host.open()
    partner.create(admin=ADMIN)
    host.failures = [StepFailed("no such mailbox", retry=False)]
    host.work()
    assert diagnose(host) == (
        "warn",
        "0 to be sent, 0 sent and open, 1 failed",
        "see the log for the reason, then `flask provisioning invitations resend`",
    )


def test_doctor_names_the_key_without_which_there_is_no_link(database_url: str) -> None:
    host = InvitationHost(database_url, PROVISIONING_INVITATION_URL=None)
    host.open()
    counts = "0 to be sent, 0 sent and open, 0 failed"
    link = "PROVISIONING_INVITATION_URL is not set, so the function makes the links"
    assert diagnose(host) == ("ok", f"{counts}; {link}", "")
    host.close()
