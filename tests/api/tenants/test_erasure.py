"""Erasure after a purge: no stored value identifies the tenant, and the remaining rows are intact."""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from marshmallow import Schema, fields
from sqlalchemy import MetaData, select

from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.tenants import erasure as erasures
from flask_tenant_provisioning.workers.maintenance import Maintenance, erase_due
from tests.support.bulk import Bulk
from tests.support.callers import Caller, tenant_path
from tests.support.clock import DAY, LONG_LIVED_TOKENS, Clock
from tests.support.commands import run_command
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.events import read_feed
from tests.support.hosts import get_mount
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS, Receiver, open_receiver as receiver_of
from tests.support.workers.step_hosts import StepHost

#: A value for everything that a tenant has; none stands in another, and all look alike in JSON, CSV and SQL.
PLANTED = {
    "external_id": "planted-external-id",
    "client_name": "Planted Client Name",
    "email": "planted-email@example.com",
    "phone_number": "+49 30 1234567",
    "industry": "planted-industry",
    "plan": "planted-plan",
}
#: Values of what else it has, and of what it had before.
MORE = (
    "planted-metadata-key", "planted-metadata-value", "planted-own-field", "planted-setting", "planted-secret",
    "planted-reason", "earlier-email@example.com", "planted-step-error", "planted-row-note",
    "planted-later-setting",
)  # fmt: skip
VALUES = (*PLANTED.values(), *MORE)
HOUR = 3600.0
#: The columns that hold something of a tenant that lives.
KEEPING = {
    f"provisioning_{place}"
    for place in (
        "tenants.email", "tenants.fields", "events.data", "events.changes", "idempotency.body",
        "settings.document", "settings_history.document", "settings_history.changes", "steps.memory",
        "attempts.answer", "bulk_chunks.payload", "bulk_chunks.results",
    )
}  # fmt: skip


class Mail(Schema):
    sender = fields.String()
    password = fields.String(metadata={"secret": True})


class Own(Schema):
    note = fields.String()


def dump_database(app: Any) -> dict[str, str]:
    """All that the database holds, as text by table and column: of every table that there is, ours or not."""
    engine, metadata = get_storage(app).engine, MetaData()
    metadata.reflect(engine)
    texts: dict[str, str] = {}
    with engine.connect() as connection:
        for table in metadata.tables.values():
            for row in connection.execute(select(table)).mappings():
                for name, value in row.items():
                    place = f"{table.name}.{name}"
                    texts[place] = texts.get(place, "") + "\n" + as_text(value)
    return texts


def as_text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return zlib.decompress(bytes(value)).decode()
    return json.dumps(value, ensure_ascii=False, default=str)


def places(app: Any, values: tuple[str, ...] = VALUES) -> dict[str, set[str]]:
    """Return the places of each value."""
    texts = dump_database(app)
    return {value: {place for place, text in texts.items() if value in text} for value in values}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A partner's server that answers with what it was sent."""
    with receiver_of() as new_receiver:
        new_receiver.status, new_receiver.echoes = 200, True
        yield new_receiver


class Life:
    """A host with everything that is kept about tenants, and one tenant that lives through all of it."""

    def __init__(self, url: str, **config: Any) -> None:
        self.house = StepHost(url, **LOCAL_WEBHOOKS, **config)
        provisioning = self.house.provisioning
        provisioning.tenant_fields(Own)
        provisioning.settings("mail", Mail)
        self.fails = True

        @provisioning.step("bucket", retries=0)
        def bucket(context: Any, tenant: Any) -> None:
            context.save({"name": tenant["client_name"]})
            if self.fails:
                raise RuntimeError("planted-step-error")

        @provisioning.step("close", phase="deprovisioning")
        def close(context: Any, tenant: Any) -> None:
            context.save({"name": tenant["client_name"]})

        self.partner = self.house.open()
        self.app = self.house.app
        self.admin = Caller(self.app, "host", ["provisioning-admin"])

    def write(self, caller: Caller, method: str, path: str, key: str, status: int, **body: Any) -> Any:
        """Send a request with an `Idempotency-Key`; returns what it answers."""
        response = caller(method, path, json=body, headers={"Idempotency-Key": key})
        assert response.status_code == status, response.text
        return response.get_json()

    def upload(self, caller: Caller, rows: list[Any], query: str = "", state: str | None = None) -> str:
        """Have rows done; returns the id of the job."""
        response = caller("POST", f"/bulk-jobs{query}", json=rows)
        assert response.status_code == 202, response.text
        job: str = response.get_json()["job"]
        self.house.work()
        if state is not None:
            assert caller("GET", f"/bulk-jobs/{job}").get_json()["state"] == state
        return job

    def live(self, receiver: Receiver) -> str:
        """Let a tenant do all that there is; returns its id."""
        partner, note = self.partner, "planted-row-note"
        assert partner("POST", "/webhooks", json={"url": receiver.url}).status_code == 201
        first = {**PLANTED, "email": "earlier-email@example.com", "note": "planted-own-field"}
        metadata = {"planted-metadata-key": "planted-metadata-value"}
        self.upload(partner, [{**first, "email": "nobody"}], state="failed")
        tenant: str = self.write(partner, "POST", "/tenants", "create", 201, **first, metadata=metadata)["tenant"]
        at = f"/tenants/{tenant}"
        self.house.work()
        self.fails = False
        self.write(partner, "POST", f"{at}/provisioning/retry", "retry", 202)
        self.house.work()
        self.write(partner, "PATCH", at, "change", 200, email=PLANTED["email"])
        self.write(self.admin, "PATCH", at, "admin", 200, metadata={"planted-metadata-key": "planted-metadata-value 2"})
        setting = {"mail": {"sender": "planted-setting", "password": "planted-secret"}}
        self.write(partner, "PATCH", f"{at}/settings", "setting", 200, **setting)
        self.write(partner, "PATCH", f"{at}/settings", "later", 200, mail={"sender": "planted-later-setting"})
        self.write(partner, "POST", f"{at}/suspend", "suspend", 200, reason="planted-reason")
        self.write(partner, "POST", f"{at}/reactivate", "reactivate", 200)
        self.jobs(tenant, note)
        self.write(partner, "POST", "/tenants", "again", 409, **PLANTED)
        self.house.work()
        return tenant

    def jobs(self, tenant: str, note: str) -> None:
        """Rows of every kind that may mean the tenant."""
        mine = {name: PLANTED[name] for name in ("external_id", "email", "client_name")}
        partner, new = self.partner, {"client_name": "Another", "email": "another@example.com"}
        self.upload(partner, [{**PLANTED, "idempotency_key": "row", "note": note}], "?operation=upsert", "succeeded")
        self.upload(partner, [{**mine, "note": note}, new], "?operation=create", "partial")
        self.upload(partner, [{"tenant": tenant.upper(), "phone_number": note}], "?operation=update", "failed")
        self.upload(partner, [{**mine, "note": note}, {"email": "no"}], "?operation=upsert&mode=atomic", "failed")
        self.upload(partner, [{**mine, "note": note}], "?operation=upsert&validate_only=true", "succeeded")
        waits = partner("POST", "/bulk-jobs?operation=upsert", json=[{**mine, "note": note}]).get_json()["job"]
        assert partner("POST", f"/bulk-jobs/{waits}/cancel").status_code == 200

    def purge(self, tenant: str) -> None:
        """Remove the tenant for good, by the steps of its end."""
        assert self.admin("DELETE", f"/tenants/{tenant}?purge=true").status_code == 202
        self.house.work()
        assert self.admin("GET", f"/tenants/{tenant}").status_code == 404


@pytest.fixture
def make_life(database_url: str) -> Iterator[Any]:
    lives: list[Life] = []

    def make(**config: Any) -> Life:
        lives.append(Life(database_url, **config))
        return lives[-1]

    yield make
    for life in lives:
        life.house.close()


def test_no_row_identifies_a_purged_tenant(make_life: Any, receiver: Receiver) -> None:
    life = make_life(PROVISIONING_IDEMPOTENCY_HOURS=24 * 30)
    tenant = life.live(receiver)
    before = places(life.app)
    assert [value for value, places_of in before.items() if not places_of] == ["planted-secret", "planted-step-error"]
    assert {place for places_of in before.values() for place in places_of} >= KEEPING
    life.purge(tenant)
    feed = [(event["id"], event["type"]) for event in read_feed(life.partner)]

    life.house.work(7 * DAY - HOUR)
    assert places(life.app)["planted-email@example.com"]
    life.house.work(HOUR)

    assert {value: places_of for value, places_of in places(life.app).items() if places_of} == {}
    assert [(event["id"], event["type"]) for event in read_feed(life.partner)] == feed


def test_rows_of_the_former_partner_are_erased_too(make_life: Any, receiver: Receiver) -> None:
    life = make_life(PROVISIONING_ERASURE_DAYS=0)
    other = Caller(life.app, "globex")
    other("GET", "/tenants")
    tenant = life.live(receiver)
    life.write(life.admin, "POST", f"/tenants/{tenant}/move", "move", 200, partner="globex")
    life.write(other, "PATCH", f"/tenants/{tenant}", "theirs", 200, industry="planted-industry 2")
    assert "provisioning_events.data" in places(life.app)["planted-own-field"]
    life.purge(tenant)
    life.house.work()
    theirs = read_feed(life.partner, tenant=tenant)
    assert [event["data"] for event in theirs if "erased" not in event["data"]] == []
    assert theirs[-1]["type"] == "tenant.moved"

    assert {value: places_of for value, places_of in places(life.app).items() if places_of} == {}


def test_events_of_a_purged_tenant_are_anonymous(make_app: Any) -> None:
    clock = Clock()
    app = make_app(mount={"clock": clock}, PROVISIONING_ERASURE_DAYS=0, **LONG_LIVED_TOKENS)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    tenant = partner.create(**PLANTED, metadata={"a": "b"})
    partner("PATCH", tenant_path(tenant), json={"industry": "Retail", "external_id": "E-2"})
    partner("POST", f"{tenant_path(tenant)}/suspend", json={"reason": "unpaid"})
    before = read_feed(partner)
    admin("DELETE", f"{tenant_path(tenant)}?purge=true")
    clock.now += 1
    assert run_command(app, "purge").out.endswith("and the traces of 1 purged tenant.\n")

    kept = ("tenant", "partner", "status", "version", "created_at", "updated_at", "deleted_at", "purge_at")
    events = read_feed(partner)
    assert [event["type"] for event in events] == [
        "tenant.created", "tenant.updated", "tenant.suspended", "tenant.purged",
    ]  # fmt: skip
    for event, old in zip(events, before, strict=False):
        assert event["data"] == {**{name: old["data"][name] for name in kept}, "erased": True}
        assert {**event, "data": None, "changes": None} == {**old, "data": None, "changes": None}
    assert [event["changes"] for event in events] == [
        {}, {}, {"status": {"previous": "active", "new": "suspended"}}, {},
    ]  # fmt: skip


def test_a_request_repeated_after_the_erasure_takes_no_effect(make_app: Any) -> None:
    app = make_app(PROVISIONING_ERASURE_DAYS=0)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    keyed: dict[str, Any] = {
        "json": {"client_name": "A", "email": "a@example.com"},
        "headers": {"Idempotency-Key": "k"},
    }
    tenant = partner("POST", "/tenants", **keyed).get_json()
    admin("DELETE", f"{tenant_path(tenant)}?purge=true")
    run_command(app, "purge")

    response = partner("POST", "/tenants", **keyed)
    assert (response.status_code, response.headers["Idempotency-Replayed"]) == (201, "true")
    assert response.get_json() == {"tenant": tenant["tenant"], "erased": True}
    assert partner("GET", "/tenants").get_json()["items"] == []


def test_a_row_repeated_after_the_erasure_takes_no_effect(make_app: Any) -> None:
    app = make_app(PROVISIONING_ERASURE_DAYS=0)
    bulk = Bulk(app, Caller(app))
    row = {"client_name": "A", "email": "a@example.com", "external_id": "E-1", "idempotency_key": "k"}
    (result,) = bulk.do("create", [row])
    Caller(app, roles=["provisioning-admin"])("DELETE", f"/tenants/{result.tenant}?purge=true")
    run_command(app, "purge")

    (again,) = bulk.do("create", [row])
    assert (again.state, again.status, again.tenant, again.external_id) == ("unchanged", 201, result.tenant, None)


def test_erasure_leaves_other_tenants_untouched(make_life: Any, receiver: Receiver) -> None:
    life = make_life(PROVISIONING_ERASURE_DAYS=0)
    life.fails = False
    stays = life.partner.create(client_name="Stays", email="stays@example.com", external_id="stays")
    life.house.work()
    life.fails = True
    tenant = life.live(receiver)
    job = life.upload(
        life.partner, [{"external_id": "stays", "email": "no"}, {"tenant": tenant, "plan": 5}], "?operation=update"
    )
    life.purge(tenant)
    life.house.work(2 * HOUR)

    assert life.partner("GET", tenant_path(stays)).get_json()["client_name"] == "Stays"
    assert [event["data"]["client_name"] for event in read_feed(life.partner, tenant=stays["tenant"])][:1] == ["Stays"]
    theirs, erased = life.partner("GET", f"/bulk-jobs/{job}/items").get_json()["items"]
    assert theirs["problem"]["errors"][0]["pointer"] == "#/email"
    assert (erased["problem"]["code"], erased["problem"]["detail"]) == ("validation-error", "Erased with the tenant.")
    table = life.partner("GET", f"/bulk-jobs/{job}/items", headers={"Accept": "text/csv"}).text
    assert "stays,no" in table.replace("\r\n", "\n")


def test_rows_that_took_effect_are_dropped_with_it(make_app: Any) -> None:
    """Only what failed can be corrected and sent again; a rehearsal did nothing, and all of it can."""
    app = make_app()
    bulk = Bulk(app, Caller(app))
    good, bad = {"client_name": "Good", "email": "good@example.com"}, {"client_name": "Bad", "email": "bad"}
    bulk.do("create", [good, bad], dry_run=True)
    bulk.do("create", [good, bad])
    bulk.do("create", [{**good, "email": "better@example.com"}])
    payloads = [as_text(chunk["payload"]) for chunk in fetch_rows(app, "bulk_chunks")]

    assert ["Good" in text for text in payloads] == [True, False, False]
    assert ["Bad" in text for text in payloads] == [True, True, False]


def test_an_answer_that_comes_after_the_erasure_is_erased_an_hour_later(make_app: Any) -> None:
    """Whatever was under way at the first round, such as a webhook, may have written something since."""
    clock = Clock()
    app = make_app(mount={"clock": clock}, PROVISIONING_ERASURE_DAYS=0, **LONG_LIVED_TOKENS)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    tenant = partner.create()
    admin("DELETE", f"{tenant_path(tenant)}?purge=true")
    assert "the traces of 1 purged tenant" in run_command(app, "purge").out
    record = {
        "partner_id": partner.partner,
        "key": "late",
        "fingerprint": "",
        "expires_at": format_instant(clock.now, days=9),
    }
    with get_storage(app).engine.begin() as connection:
        table = get_storage(app).table("idempotency")
        connection.execute(
            table.insert(), {**record, "tenant_id": tenant["tenant"], "body": '{"email":"late@x.example"}'}
        )
    clock.now += HOUR - 1
    run_command(app, "purge")
    assert places(app, ("late@x.example",))["late@x.example"]
    clock.now += 1
    assert "traces" not in run_command(app, "purge").out
    assert places(app, ("late@x.example",)) == {"late@x.example": set()}
    assert fetch_rows(app, "erasures") == []


def test_an_erasure_that_is_interrupted_is_done_by_the_next(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(PROVISIONING_ERASURE_DAYS=0)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    for number in range(3):
        tenant = partner.create(client_name=f"planted {number}")
        admin("DELETE", f"{tenant_path(tenant)}?purge=true")
    storage, transactions = get_storage(app), itertools.count()
    whole = storage.transaction

    def die_at_work(work: Any) -> Any:
        if next(transactions) == 2:
            raise KeyboardInterrupt
        return whole(work)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "transaction", die_at_work)
        with pytest.raises(KeyboardInterrupt):
            erase_due(storage, get_mount(app).config)
    assert places(app, ("planted",))["planted"]
    assert erase_due(storage, get_mount(app).config) == 3
    assert places(app, ("planted",)) == {"planted": set()}


def test_dry_run_of_a_purge_counts_the_traces(make_app: Any) -> None:
    clock = Clock()
    app = make_app(mount={"clock": clock}, **LONG_LIVED_TOKENS)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    admin("DELETE", f"{tenant_path(partner.create())}?purge=true")
    clock.now += 7 * DAY - 1
    assert json.loads(run_command(app, "purge", "--dry-run", "--json").out)["erased_tenants"] == 0
    clock.now += 1
    assert json.loads(run_command(app, "purge", "--dry-run", "--json").out)["erased_tenants"] == 1
    assert json.loads(run_command(app, "purge", "--json").out)["erased_tenants"] == 1
    assert json.loads(run_command(app, "purge", "--json").out)["erased_tenants"] == 0


def test_a_worker_erases_a_few_tenants_at_a_time(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows left after some seconds wait for the worker's next turn, and no longer."""
    app = make_app(PROVISIONING_ERASURE_DAYS=0)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    for number in range(3):
        tenant = partner.create(client_name=f"planted {number}")
        admin("DELETE", f"{tenant_path(tenant)}?purge=true")
    monkeypatch.setattr(erasures, "ERASURE_BATCH", 1)
    seconds = itertools.count(step=3)
    chores = Maintenance(get_mount(app), monotonic=lambda: float(next(seconds)))
    turns = 0
    while places(app, ("planted",))["planted"]:
        chores.run_if_due()
        turns += 1
        assert turns < 50
    assert turns >= 3


def test_traces_do_not_outlive_the_events(make_app: Any) -> None:
    """The events tell by which emails the tenant is known elsewhere: without them nothing could be found any more."""
    clock = Clock()
    app = make_app(mount={"clock": clock}, PROVISIONING_EVENT_RETENTION_DAYS=1, **LONG_LIVED_TOKENS)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    admin("DELETE", f"{tenant_path(partner.create())}?purge=true")
    clock.now += DAY - 1
    assert "traces" not in run_command(app, "purge").out
    clock.now += 1
    assert "the traces of 1 purged tenant" in run_command(app, "purge").out
