"""The host's sign-up view: find and accept an invitation by its token, once."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from flask_tenant_provisioning import (
    InvitationAccepted,
    InvitationExpired,
    InvitationRefused,
    InvitationRevoked,
    InvitationUnknown,
    TenantUnavailable,
)
from flask_tenant_provisioning.signals import invitation_accepted
from tests.support.callers import Caller, tenant_path
from tests.support.clock import DAY
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.events import fetch_tenant_events
from tests.support.invitations import ADMIN, InvitationHost, invitation_path, read_invitation
from tests.support.servers import run_concurrently


@pytest.fixture
def partner(host: InvitationHost) -> Caller:
    return host.open()


@pytest.fixture
def tenant(host: InvitationHost, partner: Caller) -> dict[str, Any]:
    """A tenant whose administrator has been invited."""
    created = partner.create(admin=ADMIN)
    host.work()
    return created


@pytest.fixture
def token(host: InvitationHost, tenant: dict[str, Any]) -> str:
    return host.outbox[0].token


def test_token_finds_and_accepts_the_invitation(
    host: InvitationHost, partner: Caller, tenant: dict[str, Any], token: str
) -> None:
    found = host.find(token)
    assert found == host.find(token)
    assert (found.tenant, found.admin) == (tenant, (ADMIN["email"], ADMIN["name"], ADMIN["locale"]))
    before = read_invitation(partner, tenant)
    accepted = host.accept(token)
    assert accepted == found
    after = read_invitation(partner, tenant)
    assert (after["state"], after["version"]) == ("accepted", before["version"] + 1)
    assert after["ended_at"] is not None
    kind, data, changes = fetch_tenant_events(partner, tenant)[-1]
    assert (kind, data) == ("invitation.accepted", after)
    assert set(changes) == {"state", "ended_at"}
    (event,) = fetch_rows(host.app, "events", type="invitation.accepted")
    assert (event["actor_subject"], event["actor_partner"]) == (f"invitation:{found.id}", partner.partner)


def test_token_is_accepted_once(host: InvitationHost, token: str) -> None:
    host.accept(token)
    with pytest.raises(InvitationAccepted) as refusal:
        host.accept(token)
    assert (refusal.value.code, str(refusal.value)) == ("accepted", "This invitation was accepted already.")
    with pytest.raises(InvitationAccepted):
        host.find(token)


def spoil(token: str) -> Iterator[Any]:
    """Texts that are no token of an invitation."""
    raw = base64.urlsafe_b64decode(token)
    yield from (
        "",
        "x",
        None,
        7,
        b"x" * 64,
        token[:-1],
        f"{token}A",
        "é" * 64,
        "\0" * 64,
        "A" * 64,
        "=" * 64,
        token * 20_000,
    )
    for place in (0, 15, 16, 47):
        yield base64.urlsafe_b64encode(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]).decode()


def test_wrong_tokens_are_unknown(host: InvitationHost, token: str) -> None:
    for wrong in spoil(token):
        for call in (host.find, host.accept):
            with pytest.raises(InvitationUnknown) as refusal:
                call(wrong)
            assert refusal.value.code == "unknown"
    assert host.accept(token).admin.email == ADMIN["email"]


def test_hash_from_a_stolen_database_is_no_token(host: InvitationHost, token: str) -> None:
    (row,) = fetch_rows(host.app, "invitations")
    raw = base64.urlsafe_b64decode(token)
    forged = base64.urlsafe_b64encode(raw[:16] + bytes.fromhex(row["token_hash"])).decode()
    for text in (row["token_hash"], forged):
        with pytest.raises(InvitationUnknown):
            host.accept(text)


def test_token_of_another_invitation_accepts_that_one(host: InvitationHost, partner: Caller, token: str) -> None:
    second = partner.create(admin={"email": "second@example.com"})
    host.work()
    first_raw, second_raw = (base64.urlsafe_b64decode(sent.token) for sent in host.outbox)
    crossed = base64.urlsafe_b64encode(first_raw[:16] + second_raw[16:]).decode()
    with pytest.raises(InvitationUnknown):
        host.accept(crossed)
    accepted = host.accept(host.outbox[1].token)
    assert (accepted.tenant, accepted.admin.email) == (second, "second@example.com")
    assert host.find(token).admin.email == ADMIN["email"]


def test_invitation_expires(host: InvitationHost, partner: Caller, tenant: dict[str, Any], token: str) -> None:
    host.clock.now += 7 * DAY - 1
    assert host.find(token).admin.email == ADMIN["email"]
    host.clock.now += 1
    with pytest.raises(InvitationExpired) as refusal:
        host.accept(token)
    assert refusal.value.code == "expired"
    host.work()
    assert read_invitation(partner, tenant)["state"] == "expired"
    assert fetch_tenant_events(partner, tenant)[-1][0] == "invitation.expired"
    with pytest.raises(InvitationExpired):
        host.accept(token)


def test_expiry_is_configured(database_url: str) -> None:
    host = InvitationHost(database_url, PROVISIONING_INVITATION_SECONDS=60)
    host.open().create(admin=ADMIN)
    host.work()
    host.clock.now += 60
    with pytest.raises(InvitationExpired):
        host.accept(host.outbox[0].token)
    host.close()


def test_revoked_invitation_is_refused(
    host: InvitationHost, partner: Caller, tenant: dict[str, Any], token: str
) -> None:
    assert partner("POST", invitation_path(read_invitation(partner, tenant), "revoke")).status_code == 200
    with pytest.raises(InvitationRevoked) as refusal:
        host.accept(token)
    assert refusal.value.code == "revoked"


def test_replaced_token_is_unknown(host: InvitationHost, partner: Caller, tenant: dict[str, Any], token: str) -> None:
    assert partner("POST", invitation_path(read_invitation(partner, tenant), "resend")).status_code == 200
    with pytest.raises(InvitationUnknown):
        host.accept(token)
    host.work()
    assert host.accept(host.outbox[1].token).admin.email == ADMIN["email"]


def test_suspended_tenant_is_unavailable(
    host: InvitationHost, partner: Caller, tenant: dict[str, Any], token: str
) -> None:
    assert partner("POST", f"{tenant_path(tenant)}/suspend").status_code == 200
    for call in (host.find, host.accept):
        with pytest.raises(TenantUnavailable) as refusal:
            call(token)
        assert refusal.value.code == "tenant-unavailable"
    assert partner("POST", f"{tenant_path(tenant)}/reactivate").status_code == 200
    assert host.accept(token).admin.email == ADMIN["email"]


def test_deleted_and_purged_tenants_are_refused(host: InvitationHost, database_url: str) -> None:
    partner = host.open("partner-admin", "provisioning-admin")
    tenant = partner.create(admin=ADMIN)
    host.work()
    token = host.outbox[0].token
    assert partner("DELETE", tenant_path(tenant)).status_code == 200
    with pytest.raises(InvitationRevoked):
        host.accept(token)
    assert partner("DELETE", f"{tenant_path(tenant)}?purge=true").status_code == 204
    with pytest.raises(InvitationUnknown):
        host.accept(token)


def test_accepted_while_it_is_sent_again_is_not_sent(host: InvitationHost, partner: Caller) -> None:
    tenant = partner.create(admin=ADMIN)
    host.failures = [OSError("the connection broke after the mail was taken")]
    host.work()
    host.accept(host.outbox[0].token)
    host.work(3600)
    assert len(host.outbox) == 1
    assert read_invitation(partner, tenant)["state"] == "accepted"


def test_accepting_inside_a_hook_is_part_of_its_transaction(host: InvitationHost) -> None:
    accepted: list[str] = []

    @host.provisioning.hook("tenant.update")
    def accept(tenant: dict[str, Any]) -> None:
        accepted.append(host.provisioning.accept_invitation(host.outbox[0].token).id)
        raise ValueError("no")

    host.provisioning.map_error(ValueError, status=409, code="no-room")
    partner = host.open()
    tenant = partner.create(admin=ADMIN)
    host.work()
    assert partner("PATCH", tenant_path(tenant), json={"industry": "Farming"}).status_code == 409
    assert accepted == [host.outbox[0].id]
    assert read_invitation(partner, tenant)["state"] == "sent"


class SignUpHost(InvitationHost):
    """A host with users in the API's own database, by Flask-SQLAlchemy."""

    def open(self, *roles: str) -> Caller:
        timeout = {"connect_args": {"timeout": 60}} if self._url.startswith("sqlite") else {}
        self.app.config["SQLALCHEMY_DATABASE_URI"] = self._url
        self.app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 60, **timeout}
        self.db = db = SQLAlchemy(self.app)

        class User(db.Model):  # type: ignore[name-defined, misc]
            id = db.Column(db.Integer, primary_key=True)
            email = db.Column(db.String(254), unique=True, nullable=False)
            tenant = db.Column(db.String(36), nullable=False)

        self.users = User
        with self.app.app_context():
            db.create_all()
        self.provisioning.init_app(self.app, db)
        return Caller(self.app, roles=roles or ("partner-admin",))

    def sign_up(self, token: str, *, commits: bool = True) -> str:
        """Accept an invitation and add the user, as a view does. Return the code of a refusal, or ``ok``."""
        with self.app.app_context():
            try:
                invitation = self.provisioning.accept_invitation(token)
            except InvitationRefused as refusal:
                self.db.session.rollback()
                return refusal.code
            user = self.users(email=invitation.admin.email, tenant=invitation.tenant["tenant"])
            self.db.session.add(user)
            if commits:
                self.db.session.commit()
            else:
                self.db.session.rollback()
            return "ok"

    def count_users(self) -> int:
        with self.app.app_context():
            return int(self.db.session.scalar(select(func.count()).select_from(self.users)) or 0)


@pytest.fixture
def sign_up_host(database_url: str) -> Iterator[SignUpHost]:
    host = SignUpHost(database_url)
    yield host
    host.close()


def test_rollback_of_the_host_leaves_the_invitation_open(sign_up_host: SignUpHost) -> None:
    partner = sign_up_host.open()
    tenant = partner.create(admin=ADMIN)
    sign_up_host.work()
    token, heard = sign_up_host.outbox[0].token, []
    with invitation_accepted.connected_to(lambda app, event: heard.append(event["data"]["state"])):
        assert sign_up_host.sign_up(token, commits=False) == "ok"
        assert (read_invitation(partner, tenant)["state"], sign_up_host.count_users(), heard) == ("sent", 0, [])
        assert sign_up_host.sign_up(token) == "ok"
    assert (read_invitation(partner, tenant)["state"], sign_up_host.count_users()) == ("accepted", 1)
    assert heard == ["accepted"]
    assert sign_up_host.sign_up(token) == "accepted"
    assert sign_up_host.count_users() == 1


def test_savepoints_of_the_host_are_no_commit(sign_up_host: SignUpHost) -> None:
    partner = sign_up_host.open()
    tenant = partner.create(admin=ADMIN)
    sign_up_host.work()
    token, heard, session = sign_up_host.outbox[0].token, [], sign_up_host.db.session
    with (
        invitation_accepted.connected_to(lambda app, event: heard.append(event["data"]["state"])),
        sign_up_host.app.app_context(),
    ):
        savepoint = session.begin_nested()
        sign_up_host.provisioning.accept_invitation(token)
        savepoint.rollback()
        session.commit()
        assert (read_invitation(partner, tenant)["state"], heard) == ("sent", [])
        with session.begin_nested():
            sign_up_host.provisioning.accept_invitation(token)
        assert heard == []
        session.commit()
    assert (read_invitation(partner, tenant)["state"], heard) == ("accepted", ["accepted"])


def test_savepoint_that_is_rolled_back_after_the_acceptance_drops_no_signal(sign_up_host: SignUpHost) -> None:
    partner = sign_up_host.open()
    tenant = partner.create(admin=ADMIN)
    sign_up_host.work()
    token, heard, session = sign_up_host.outbox[0].token, [], sign_up_host.db.session
    with (
        invitation_accepted.connected_to(lambda app, event: heard.append(event["data"]["state"])),
        sign_up_host.app.app_context(),
    ):
        sign_up_host.provisioning.accept_invitation(token)
        session.begin_nested().rollback()
        session.commit()
    assert (read_invitation(partner, tenant)["state"], heard) == ("accepted", ["accepted"])


def test_closed_session_of_the_host_sends_no_signal_later(sign_up_host: SignUpHost) -> None:
    partner = sign_up_host.open()
    tenant = partner.create(admin=ADMIN)
    sign_up_host.work()
    token, heard = sign_up_host.outbox[0].token, []
    with (
        invitation_accepted.connected_to(lambda app, event: heard.append(event["data"]["state"])),
        sign_up_host.app.app_context(),
        Session(get_storage(sign_up_host.app).engine) as session,
    ):
        sign_up_host.provisioning.accept_invitation(token, session)
        session.close()
        session.execute(select(1))
        session.commit()
    assert (read_invitation(partner, tenant)["state"], heard) == ("sent", [])


def test_signal_of_an_acceptance_may_use_the_hosts_session(sign_up_host: SignUpHost) -> None:
    partner = sign_up_host.open()
    partner.create(admin=ADMIN)
    sign_up_host.work()
    token, counts, session = sign_up_host.outbox[0].token, [], sign_up_host.db.session
    users = select(func.count()).select_from(sign_up_host.users)
    with invitation_accepted.connected_to(lambda app, event: counts.append(session.scalar(users))):
        assert sign_up_host.sign_up(token) == "ok"
    assert counts == [1]


def test_failing_insert_of_the_host_leaves_the_invitation_open(sign_up_host: SignUpHost) -> None:
    partner = sign_up_host.open()
    tenants = [partner.create(admin=ADMIN) for _ in range(2)]
    sign_up_host.work()
    tokens = {sent.tenant["tenant"]: sent.token for sent in sign_up_host.outbox}
    assert sign_up_host.sign_up(tokens[tenants[0]["tenant"]]) == "ok"
    with pytest.raises(Exception, match=r"(?i)unique"):
        sign_up_host.sign_up(tokens[tenants[1]["tenant"]])
    assert read_invitation(partner, tenants[1])["state"] == "sent"


def test_fifty_who_accept_at_once_have_one_winner(sign_up_host: SignUpHost) -> None:
    partner = sign_up_host.open()
    tenant = partner.create(admin=ADMIN)
    sign_up_host.work()
    token, barrier = sign_up_host.outbox[0].token, threading.Barrier(50)

    def sign_up(_number: int) -> str:
        barrier.wait()
        return sign_up_host.sign_up(token)

    assert Counter(run_concurrently(50, sign_up)) == {"ok": 1, "accepted": 49}
    assert sign_up_host.count_users() == 1
    assert [kind for kind, _, _ in fetch_tenant_events(partner, tenant)].count("invitation.accepted") == 1


def test_session_of_the_hosts_own_is_joined(host: InvitationHost, partner: Caller, tenant: dict[str, Any]) -> None:
    token = host.outbox[0].token
    engine = get_storage(host.app).engine.execution_options(isolation_level="SERIALIZABLE")
    with Session(engine) as session:
        assert host.accept(token, session).admin.email == ADMIN["email"]
        session.rollback()
        assert read_invitation(partner, tenant)["state"] == "sent"
        host.accept(token, session)
        session.commit()
    assert read_invitation(partner, tenant)["state"] == "accepted"


def test_session_in_autocommit_mode_is_refused(host: InvitationHost, token: str, database: str) -> None:
    if database == "sqlite":
        return  # where the call itself begins a transaction
    engine = get_storage(host.app).engine.execution_options(isolation_level="AUTOCOMMIT")
    with Session(engine) as session, pytest.raises(RuntimeError, match="commits each statement"):
        host.accept(token, session)


@pytest.mark.one_database("refused before any statement")
def test_session_on_another_database_is_refused(host: InvitationHost, token: str) -> None:
    with Session(create_engine("sqlite://")) as session, pytest.raises(RuntimeError, match="another database"):
        host.accept(token, session)


@pytest.mark.one_database("outside of an app there is no database")
def test_outside_of_an_app_context_there_is_no_invitation(host: InvitationHost, token: str) -> None:
    with pytest.raises(RuntimeError, match="application context"):
        host.provisioning.accept_invitation(token)


@pytest.mark.one_database("the same on each")
def test_app_without_the_mount_has_no_invitation(host: InvitationHost, token: str) -> None:
    with Flask("another").app_context(), pytest.raises(RuntimeError, match="has no mount"):
        host.provisioning.find_invitation(token)


def test_repr_of_an_invitation_hides_its_token(host: InvitationHost, token: str) -> None:
    accepted = host.accept(token)
    assert token not in repr(accepted) + json.dumps(accepted.tenant)
    assert accepted.token == token
