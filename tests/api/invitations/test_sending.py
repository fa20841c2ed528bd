"""How invitations are sent: durably, with one token, while the tenant is active."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from flask import current_app

from flask_tenant_provisioning import ConfigurationError, Invitation, InvitationUnknown, StepFailed, TenantProvisioning
from tests.support.callers import Caller, tenant_path
from tests.support.clock import DAY
from tests.support.database.rows import fetch_rows
from tests.support.events import fetch_event_types
from tests.support.invitations import ADMIN, InvitationHost, invitation_path, read_invitation, read_invitations

HIDDEN = "The invitation could not be sent; the operator's log says why."


def test_failed_attempts_are_repeated_with_the_same_token(
    host: InvitationHost, caplog: pytest.LogCaptureFixture
) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.failures = [OSError("the mail server is away")]
    host.work()
    waiting = read_invitation(partner, tenant)
    assert (waiting["state"], waiting["attempts"]) == ("sending", 1)
    assert waiting["error"] == {"class": "OSError", "message": HIDDEN}
    assert waiting["next_attempt_at"] > waiting["created_at"]
    assert "the mail server is away" in caplog.text
    host.work(5)
    assert len(host.outbox) == 1
    host.work(10)

    first, second = host.outbox
    assert (first.token, first.idempotency_key) == (second.token, second.idempotency_key)
    assert (first.attempt, second.attempt) == (1, 2)
    sent = read_invitation(partner, tenant)
    assert (sent["state"], sent["attempts"], sent["error"], sent["next_attempt_at"]) == ("sent", 2, None, None)


def test_last_failure_ends_the_attempts(host: InvitationHost, caplog: pytest.LogCaptureFixture) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.failures = [OSError("away")] * 3
    for _ in range(5):
        host.work(3600)
    failed = read_invitation(partner, tenant)
    assert (failed["state"], failed["attempts"], failed["next_attempt_at"]) == ("failed", 3, None)
    assert fetch_event_types(partner, tenant)[-1] == "invitation.failed"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.__dict__["invitation"] == failed["invitation"]

    assert partner("POST", invitation_path(failed, "resend")).status_code == 200
    host.work()
    assert read_invitation(partner, tenant)["state"] == "sent"


def test_step_failed_tells_partners_why_and_may_end_the_attempts(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.failures = [StepFailed("There is no such mailbox.", retry=False)]
    host.work()
    failed = read_invitation(partner, tenant)
    assert (failed["state"], failed["error"]["message"]) == ("failed", "There is no such mailbox.")


def test_token_in_an_exception_is_neither_logged_nor_shown(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Invitation] = []
    host = InvitationHost(database_url, invites=False)

    @host.provisioning.invite()
    def send(invitation: Invitation) -> None:
        sent.append(invitation)
        raise StepFailed(f"cannot send {invitation.link}")

    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.work()
    assert read_invitation(partner, tenant)["error"]["message"] == "cannot send https://app.example.com/welcome/***"
    assert sent[0].token not in caplog.text
    assert "StepFailed" in caplog.text
    host.close()


def test_function_runs_in_the_hosts_application_context(database_url: str) -> None:
    names: list[str] = []
    host = InvitationHost(database_url, invites=False)
    host.provisioning.invite()(lambda admin: names.append(current_app.name))
    host.open().create(admin=ADMIN)
    host.work()
    assert names == ["host"]
    host.close()


def test_invitation_without_url_has_no_link(database_url: str) -> None:
    host = InvitationHost(database_url, PROVISIONING_INVITATION_URL=None)
    host.open().create(admin=ADMIN)
    host.work()
    assert host.outbox[0].link is None
    host.close()


def test_worker_that_dies_leaves_the_invitation_to_the_next(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    mount = host.app.extensions["tenant_provisioning"]["provisioning"]
    from flask_tenant_provisioning.workers.kinds import INVITATIONS

    assert INVITATIONS.make_work is not None
    work = INVITATIONS.make_work(mount, None)
    (claimed,) = work.claim(5)
    assert work.claim(5) == []
    host.work(60)
    assert len(host.outbox) == 1
    work.run(claimed)  # the dead worker's attempt ends after all, and its outcome is discarded
    assert read_invitation(partner, tenant)["state"] == "sent"
    assert fetch_event_types(partner, tenant).count("invitation.sent") == 1


def test_attempt_beyond_its_timeout_is_repeated(database_url: str) -> None:
    host, go_on, started = InvitationHost(database_url, invites=False), threading.Event(), threading.Event()

    @host.provisioning.invite(timeout=0.05)
    def send(invitation: Invitation) -> None:
        host.outbox.append(invitation)
        if invitation.attempt == 1:
            started.set()
            go_on.wait(30)

    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.work()
    assert read_invitation(partner, tenant)["error"]["class"] == "TimeoutError"
    host.work(60)
    go_on.set()
    assert [invitation.attempt for invitation in host.outbox] == [1, 2]
    assert read_invitation(partner, tenant)["state"] == "sent"
    host.close()


def test_key_that_was_replaced_still_gives_the_token(database_url: str) -> None:
    old, new = "the old key of the host 1", "the new key of the host 2"
    host = InvitationHost(database_url, PROVISIONING_ENCRYPTION_KEYS=[old])
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.failures = [OSError("away")]
    host.work()
    later = InvitationHost(database_url, PROVISIONING_ENCRYPTION_KEYS=[new, old])
    later.open()
    later.work(60)
    assert later.outbox[0].token == host.outbox[0].token

    resent = partner("POST", invitation_path(read_invitation(partner, tenant), "resend"))
    assert resent.status_code == 200
    without_old = InvitationHost(database_url, PROVISIONING_ENCRYPTION_KEYS=[new])
    without_old.open()
    without_old.work(60)
    assert without_old.find(without_old.outbox[0].token).id == without_old.outbox[0].id
    with pytest.raises(InvitationUnknown):
        without_old.find(later.outbox[0].token)
    for one in (host, later, without_old):
        one.close()


def test_suspension_holds_invitations_back(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    assert partner("POST", f"{tenant_path(tenant)}/suspend").status_code == 200
    host.work(60)
    assert (host.outbox, read_invitation(partner, tenant)["state"]) == ([], "waiting")
    assert partner("POST", f"{tenant_path(tenant)}/reactivate").status_code == 200
    host.work()
    assert (len(host.outbox), read_invitation(partner, tenant)["state"]) == (1, "sent")


def test_deletion_revokes_open_invitations(host: InvitationHost) -> None:
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    assert partner("DELETE", tenant_path(tenant)).status_code == 200
    host.work()
    assert (host.outbox, read_invitation(partner, tenant)["state"]) == ([], "revoked")
    assert partner("POST", f"{tenant_path(tenant)}/restore").status_code == 200
    assert read_invitation(partner, tenant)["state"] == "revoked"


@pytest.mark.parametrize("has_steps", [False, True])
def test_purge_deletes_invitations(host: InvitationHost, has_steps: bool) -> None:
    if has_steps:
        host.step("clean", phase="deprovisioning")
    partner = host.open("partner-admin", "provisioning-admin")
    tenant = partner.create(admin=ADMIN)
    host.work()
    assert partner("DELETE", f"{tenant_path(tenant)}?purge=true").status_code == (202 if has_steps else 204)
    assert fetch_rows(host.app, "invitations") == []
    host.work(60)
    assert fetch_rows(host.app, "tenants") == []


def test_moved_tenant_keeps_its_invitations(host: InvitationHost) -> None:
    partner = host.open()
    other = Caller(host.app)
    other.create()
    tenant = partner.create(admin=ADMIN)
    invitation = read_invitation(partner, tenant)
    admin = Caller(host.app, roles=("provisioning-admin",))
    moved = admin("POST", f"{tenant_path(tenant)}/move", json={"partner": other.partner})
    assert moved.status_code == 200, moved.text
    assert read_invitation(other, tenant) == {**invitation, "partner": other.partner}
    host.work()
    assert len(host.outbox) == 1
    assert host.accept(host.outbox[0].token).tenant["partner"] == other.partner


def test_erasure_leaves_nothing_of_the_admin(database_url: str) -> None:
    host = InvitationHost(database_url, PROVISIONING_ERASURE_DAYS=0)
    partner = host.open("partner-admin", "provisioning-admin")
    response = partner(
        "POST",
        "/tenants",
        json={"client_name": "Gone", "email": "gone@example.com", "admin": ADMIN},
        headers={"Idempotency-Key": "c"},
    )
    tenant = response.get_json()
    host.work()
    resend = invitation_path(read_invitation(partner, tenant), "resend")
    assert partner("POST", resend, headers={"Idempotency-Key": "r"}).status_code == 200
    host.work()
    assert partner("DELETE", f"{tenant_path(tenant)}?purge=true").status_code == 204
    host.work(DAY)
    for table in ("invitations", "events", "idempotency", "tenants"):
        assert "jo@example.com" not in repr(fetch_rows(host.app, table)), table
        assert "Jo Doe" not in repr(fetch_rows(host.app, table)), table


def test_host_that_no_longer_invites_keeps_what_is_due(database_url: str) -> None:
    host = InvitationHost(database_url)
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    later = InvitationHost(database_url, invites=False)
    caller = later.open()
    later.work()
    caller = Caller(later.app, partner.partner)
    waiting = read_invitation(caller, tenant)
    assert waiting["state"] == "sending"
    assert waiting["error"] == {
        "class": "LookupError",
        "message": "The application has no function that sends invitations.",
    }
    host.work(2 * 3600)
    assert (len(host.outbox), read_invitation(partner, tenant)["state"]) == (1, "sent")
    later.close()
    host.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"retries": -1}, "retries from 0"), ({"timeout": 0}, "times above 0"), ({"backoff": -1}, "times above 0")],
)
@pytest.mark.one_database("refused before there is a database")
def test_invite_refuses_invalid_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TenantProvisioning().invite(**options)


@pytest.mark.one_database("refused before there is a database")
def test_invite_refuses_a_second_function_and_what_it_cannot_call() -> None:
    provisioning = TenantProvisioning()
    provisioning.invite()(lambda invitation: None)
    with pytest.raises(ConfigurationError, match="one function sends all invitations"):
        provisioning.invite()(lambda invitation: None)
    with pytest.raises(ConfigurationError, match="available are admin, invitation, tenant"):
        TenantProvisioning().invite()(lambda token: None)

    async def send(invitation: Any) -> None:
        """Never run."""

    with pytest.raises(ConfigurationError, match="async function"):
        TenantProvisioning().invite()(send)


def test_bulk_operations_change_invitations(host: InvitationHost) -> None:
    from tests.support.bulk import Bulk

    partner = host.open()
    tenants = [partner.create(admin=ADMIN) for _ in range(3)]
    bulk = Bulk(host.app, partner)
    results = bulk.do("suspend", [{"tenant": tenants[0]["tenant"]}])
    results += bulk.do("delete", [{"tenant": tenants[1]["tenant"]}])
    assert [result.state for result in results] == ["succeeded"] * 2
    states = [read_invitations(partner, tenant)[0]["state"] for tenant in tenants]
    assert states[0] in ("waiting", "sent")
    assert states[1] == "revoked" or len(host.outbox) == 3
    bulk.do("reactivate", [{"tenant": tenants[0]["tenant"]}])
    bulk.work()
    assert read_invitations(partner, tenants[0])[0]["state"] == "sent"
