"""Settings, webhooks, partners, usage and steps through the client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flask_tenant_provisioning.webhooks import verify
from tenant_provisioning_client import (
    ClientNotFound,
    InvalidState,
    InvitationExists,
    PartnerNotFound,
    PreconditionFailed,
    SettingsVersionNotFound,
    ValidationError,
    WebhookDisabled,
    WebhookNotFound,
    models,
    parse_event,
)
from tests.support.callers import Caller
from tests.support.client.connections import Connections, Time
from tests.support.client.hosts import ClientHost
from tests.support.hosts import PREFIX
from tests.support.servers import serve
from tests.support.webhooks.plain_receiver import Receiver, open_receiver
from tests.support.workers.step_hosts import StepHost


@pytest.fixture
def tenant(client: Any) -> models.Tenant:
    created: models.Tenant = client.tenants.create(client_name="Example Corp", email="admin@example.com")
    return created


@pytest.fixture
def admin(connect: Connections, client_host: ClientHost) -> Any:
    return connect(client_host.url, client_host.make_caller("provisioning-admin").token)


def test_settings_are_changed_and_rolled_back(client: Any, tenant: models.Tenant) -> None:
    first = client.settings.get(tenant)
    assert (first.version, first.effective["mail"]["daily"], first.sources["mail.daily"]) == (0, 100, "default")
    second = client.settings.update(tenant, {"mail": {"daily": 500, "password": "a secret"}}, version=first)
    assert (second.explicit["mail"], second.sources["mail.daily"]) == ({"daily": 500, "password": "********"}, "tenant")
    with pytest.raises(PreconditionFailed):
        client.settings.update(tenant, {"mail": {"daily": 600}}, version=first)
    third = client.settings.replace(tenant.tenant, {"mail": {"daily": 700}}, version=second.version)
    assert third.explicit["mail"] == {"daily": 700}
    newest, older = client.settings.history(tenant, limit=1)
    assert (newest.version, older.changes["mail.daily"].new) == (2, 500)
    assert client.settings.rollback(tenant, older, version=third).explicit["mail"]["daily"] == 500
    assert client.settings.rollback(tenant, 0).explicit == {}
    with pytest.raises(SettingsVersionNotFound):
        client.settings.rollback(tenant, 99)
    with pytest.raises(ValidationError, match="#/mail/daily"):
        client.settings.update(tenant, {"mail": {"daily": 0}})
    assert "mail" in client.settings_schema()["properties"]


def test_partners_are_registered_changed_and_counted(admin: Any, client_host: ClientHost) -> None:
    id = f"{client_host.make_caller().partner}/berlin"
    partner = admin.partners.upsert(id, name="Berlin", max_tenants=3)
    changed = admin.partners.update(partner, max_tenants=None, contact="ops@example.com")
    assert (changed.version, changed.name, changed.max_tenants, changed.contact) == (
        2,
        "Berlin",
        None,
        "ops@example.com",
    )
    with pytest.raises(PreconditionFailed):
        admin.partners.upsert(partner, name="Other")
    assert admin.partners.get(id) == changed
    assert id in [listed.partner for listed in admin.partners.list(limit=3)]
    admin.tenants.create(client_name="Example Corp", email="admin@example.com", partner=id)
    [usage] = admin.usage.list(partner=id)
    assert (usage.partner, usage.tenants.active, usage.max_tenants) == (id, 1, None)
    assert admin.partners.settings.update(id, {"mail": {"daily": 7}}).effective["mail"]["daily"] == 7
    assert admin.partners.settings.rollback(changed, 0).explicit == {}
    assert [version.version for version in admin.partners.settings.history(changed)] == [2, 1]
    with pytest.raises(PartnerNotFound):
        admin.partners.get("nowhere")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as new_receiver:
        yield new_receiver


def test_a_webhook_is_registered_tried_rotated_and_recovered(
    client: Any, tenant: models.Tenant, receiver: Receiver, client_host: ClientHost
) -> None:
    assert len([*client.events.list()]) == 1, "the event before the endpoint, which it has missed"
    webhook = client.webhooks.create(receiver.url, events=["tenant.*"], description="CRM")
    delivery = client.webhooks.test(webhook)
    client_host.work()
    received = [parse_event(verify(body, headers, webhook.secret)) for headers, body in receiver.requests]
    [event] = [event for event in received if isinstance(event, models.WebhookTestEvent)]
    assert (event.id, event.data.webhook) == (delivery.event, webhook.webhook)
    assert [attempt.status for attempt in client.deliveries.get(delivery).history] == [204]
    assert client.deliveries.redeliver(delivery).state == "pending"
    assert [listed.delivery for listed in client.webhooks.deliveries(webhook, state="pending")] == [delivery.delivery]

    rotated = client.webhooks.rotate_secret(webhook, overlap_hours=0)
    assert rotated.secret not in (None, webhook.secret)
    with pytest.raises(PreconditionFailed):
        client.webhooks.update(webhook, enabled=False)
    recovered = client.webhooks.recover(webhook.webhook, datetime.now(UTC) - timedelta(hours=1))
    assert recovered.deliveries == 1
    with pytest.raises(ValueError, match="needs a time zone"):
        client.webhooks.recover(webhook, datetime(2025, 2, 10))

    disabled = client.webhooks.update(rotated, enabled=False, events=["*"])
    assert [*client.webhooks.list()] == [disabled] == [client.webhooks.get(webhook)]
    with pytest.raises(WebhookDisabled, match=r"webhooks\.update\(webhook, enabled=True\)"):
        client.webhooks.test(webhook)
    assert client.webhooks.delete(disabled) is None
    with pytest.raises(WebhookNotFound):
        client.webhooks.get(webhook)


def test_an_api_client_is_created_changed_rotated_and_deleted(client: Any) -> None:
    expiry = datetime(2099, 1, 1, tzinfo=UTC)
    api_client = client.api_clients.create("CRM", ["tenant:read"], networks=["192.0.2.0/24"], expires_at=expiry)
    assert api_client.secret.startswith("ftpsecret_")
    assert (api_client.permissions, api_client.expires_at) == (["tenant:read"], expiry)
    rotated = client.api_clients.rotate_secret(api_client, overlap_seconds=0)
    assert rotated.secret != api_client.secret
    with pytest.raises(PreconditionFailed):
        client.api_clients.update(api_client, name="ERP")
    changed = client.api_clients.update(rotated, name="ERP", expires_at=None, status="disabled")
    assert (changed.name, changed.expires_at, changed.generation) == ("ERP", None, 3)
    assert [*client.api_clients.list()] == [changed] == [client.api_clients.get(api_client.client)]
    assert client.api_clients.delete(changed) is None
    with pytest.raises(ClientNotFound):
        client.api_clients.get(api_client)


def test_administrators_are_invited_again_and_no_more(client: Any, client_host: ClientHost) -> None:
    jo, sam = {"email": "jo@example.com", "name": "Jo Doe"}, {"email": "sam@example.com"}
    tenant = client.tenants.create(client_name="Example Corp", email="admin@example.com", admin=jo)
    client_host.work()
    [first] = client.invitations.list(tenant, state="sent")
    assert (first.admin.email, first.admin.name, first.attempts) == ("jo@example.com", "Jo Doe", 1)
    second = client.invitations.create(tenant, sam)
    with pytest.raises(InvitationExists) as raised:
        client.invitations.create(tenant.tenant, sam)
    assert raised.value.conflicting_invitation == second.invitation
    revoked = client.invitations.revoke(second)
    assert revoked.state == "revoked"
    with pytest.raises(InvalidState):
        client.invitations.resend(second)
    assert client.invitations.resend(first.invitation, tenant=tenant).state == "sending"
    with pytest.raises(PreconditionFailed):
        client.invitations.revoke(first)
    assert client.invitations.get(revoked) == revoked == client.invitations.get(revoked.invitation, tenant=tenant)
    with pytest.raises(TypeError, match="name its tenant"):
        client.invitations.get(first.invitation)


@pytest.fixture
def step_host(tmp_path: Path) -> Iterator[StepHost]:
    """A host with one step."""
    host = StepHost(f"sqlite:///{tmp_path}/steps.sqlite3", PROVISIONING_AUTO_MIGRATE=True)
    host.step("bucket", retries=0)
    yield host
    host.close()


@pytest.fixture
def step_caller(step_host: StepHost) -> Iterator[tuple[Caller, str]]:
    """A partner of that host, and the URL of its API."""
    caller = step_host.open()
    with serve(step_host.app) as (name, port):
        yield caller, f"http://{name}:{port}{PREFIX}"


def test_steps_are_waited_for_retried_and_cancelled(
    step_host: StepHost, step_caller: tuple[Caller, str], connect: Connections
) -> None:
    (caller, url), time = step_caller, Time()
    client = connect(url, caller.token, time=time)
    step_host.broken["bucket"] = OSError("no room")
    tenant = client.tenants.create(client_name="Example Corp", email="admin@example.com")
    time.on_wait = lambda seconds: step_host.work(60)
    states: list[str] = []
    failed = client.steps.wait(tenant, progress=lambda provisioning: states.append(provisioning.state))
    assert (tenant.status, failed.state, states) == ("provisioning", "failed", ["running", "failed"])
    assert failed.steps[0].error.class_ == "OSError"
    step_host.broken.clear()
    assert client.steps.retry(tenant.tenant).round == 2
    assert client.steps.wait(tenant).state == "succeeded"
    assert client.tenants.get(tenant).status == "active"
    other = client.tenants.create(client_name="Other", email="other@example.com")
    assert client.steps.cancel(other).state in ("undoing", "cancelled")
