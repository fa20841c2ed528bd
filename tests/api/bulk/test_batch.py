"""The rows of a chunk done together come to what single calls one after the other come to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.bulk.models import Job
from flask_tenant_provisioning.bulk.results import RowResult
from flask_tenant_provisioning.bulk.rows.batch import execute_batch
from flask_tenant_provisioning.bulk.rows.operations import RowContext, RowStrategy, ValidatedRow, validate_row
from flask_tenant_provisioning.bulk.rows.parsing import Row
from flask_tenant_provisioning.bulk.rows.row_by_row import execute_row_by_row
from flask_tenant_provisioning.database.session import Session
from flask_tenant_provisioning.tenants.quotas import Quota, RemainingPlaces, resolve_allowance
from tests.support import custom_fields
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows, update_tenant_row

Body = dict[str, Any]
TENANTS = ("a", "b", "c", "d", "e", "f")
#: How many of them count against a limit.
LIVING = 5
EXAMPLES = settings(
    max_examples=15, phases=[Phase.generate], deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


class Effects(NamedTuple):
    """The effects of rows: the result of each, and the rows and events of the tenants."""

    results: list[Any]
    tenants: list[Any]
    events: list[Any]


class Stage:
    """A partner with tenants of every state, whose ids are told by their names."""

    def __init__(self, app: Flask, operation: str, most: int | None = None) -> None:
        self.app, self.partner = app, Caller(app)
        self.mount = app.extensions["tenant_provisioning"]["provisioning"]
        tenants = {name: self._create_tenant(name) for name in TENANTS}
        self.ids = {name: tenant["tenant"] for name, tenant in tenants.items()}
        self.partner("POST", f"/tenants/{self.ids['b']}/suspend", json={"reason": "unpaid"})
        self.partner("DELETE", f"/tenants/{self.ids['c']}")
        update_tenant_row(app, tenants["d"], status="provisioning")
        update_tenant_row(app, tenants["e"], external_id=None)
        update_tenant_row(app, tenants["f"], fields=None)
        self.ids["stranger"] = Caller(app).create(region="eu")["tenant"]
        job = dict.fromkeys(Job._fields, 0) | {"partner_id": self.partner.partner, "operation": operation}
        self._job = Job(**job | {"id": self.mount.storage.new_id(), "mode": "partial", "chunks": 2})
        limits = {"max_tenants": None if most is None else LIVING + most, "allowed_plans": ["gold"]}
        admin = Caller(app, roles=["provisioning-admin"])
        assert admin("PATCH", f"/partners/{self.partner.partner}", json=limits).status_code == 200
        actor = Actor(Principal("tester", self.partner.partner), "request-1", "192.0.2.1", "curl")
        room = (
            RemainingPlaces()
            if most is None
            else RemainingPlaces(most, Quota(self.partner.partner).make_problem(LIVING + most))
        )
        allowed = dataclasses.replace(resolve_allowance(self.mount, self.partner.partner), places=room)
        self._setting = RowContext(self.mount, actor, self.partner.partner, allowed, room, {})

    def do(self, way: RowStrategy, *chunks: Sequence[Body]) -> Effects:
        """Have rows done, chunk by chunk."""
        count, results = 0, list[RowResult]()
        for bodies in chunks:
            sent = [Row(n, n, self._with_id(body)) for n, body in enumerate(bodies, count + 1)]
            count += len(sent)
            done = [validate_row(self.mount, self._job, row) for row in sent]
            results += self.mount.storage.transaction(partial(self._done, way, done))
        return Effects([self._summarize(result) for result in results], self._tenants(), self._events())

    def _done(self, way: RowStrategy, rows: list[ValidatedRow], session: Session) -> list[RowResult]:
        return way(session, self._setting, self._job, rows)

    def _create_tenant(self, name: str) -> Body:
        more = {"region": "eu", "costCenter": name} if name in "ab" else {"region": "us"}
        return self.partner.create(
            client_name=name, email=f"{name}@example.com", external_id=name, metadata={"of": name, "x": "1"}, **more
        )

    def _with_id(self, body: Body) -> Body:
        return body | ({"tenant": self.ids[body["tenant"]]} if "tenant" in body else {})

    def _names(self) -> dict[str, str]:
        rows = fetch_rows(self.app, "tenants", partner_id=self.partner.partner)
        new = {row["id"]: f"new {row['external_id']} {row['email']}" for row in rows}
        return new | {tenant: name for name, tenant in self.ids.items()}

    def _plain(self, value: Any) -> Any:
        """A value with its ids as names, and without what is different each time."""
        text = json.dumps(value, sort_keys=True, default=str).replace(self.partner.partner, "the partner")
        for tenant, name in self._names().items():
            text = text.replace(tenant, name)
        document = json.loads(text)
        for name in (
            "id",
            "timestamp",
            "created_at",
            "updated_at",
            "deleted_at",
            "purge_at",
            "partner",
            "partner_id",
            "actor_partner",
        ):
            if isinstance(document, dict):
                document.pop(name, None)
        return document

    def _summarize(self, result: RowResult) -> Any:
        return self._plain(result._asdict())

    def _tenants(self) -> list[Any]:
        rows = fetch_rows(self.app, "tenants", partner_id=self.partner.partner)
        named = sorted((self._names()[row["id"]], row) for row in rows)
        return [[name, bool(row["deleted_at"]), self._plain(row)] for name, row in named]

    def _events(self) -> list[Any]:
        events = []
        for row in fetch_rows(self.app, "events", partner_id=self.partner.partner, request_id="request-1"):
            changes = json.loads(row["changes"] or "{}")
            shown = {name: change for name, change in changes.items() if name not in ("deleted_at", "purge_at")}
            told = {**row, "position": None, "changes": shown, "data": self._plain(json.loads(row["data"]))}
            events.append(self._plain(told))
        return sorted(events, key=lambda event: json.dumps(event, sort_keys=True))


@pytest.fixture
def app(database_url: str) -> Flask:
    return custom_fields.make_host(database_url)


def require_same(app: Flask, operation: str, *chunks: Sequence[Body], most: int | None = None) -> Effects:
    """Both ways come to the same; returns what."""
    alone = Stage(app, operation, most).do(execute_row_by_row, *chunks)
    together = Stage(app, operation, most).do(execute_batch, *chunks)
    assert together == alone
    return together


CASES: list[tuple[str, list[Body]]] = [
    ("update", [{"tenant": "a", "email": "z@example.com"}]),
    ("suspend", [{"tenant": "a"}]),
    ("delete", [{"tenant": "a"}]),
    ("upsert", [{"external_id": "x", "client_name": "x", "email": "x@example.com", "region": "eu"}]),
]


@pytest.mark.parametrize(("operation", "sent"), CASES)
def test_cases(app: Flask, operation: str, sent: list[Body]) -> None:
    require_same(app, operation, sent)


names = st.sampled_from(TENANTS)
tenants = st.one_of(
    st.fixed_dictionaries({"tenant": st.sampled_from([*TENANTS, "stranger"])}),
    st.fixed_dictionaries({"external_id": st.sampled_from([*TENANTS, "z"])}),
)
patches = st.fixed_dictionaries(
    {},
    optional={
        "email": st.builds("{}@{}".format, names, st.sampled_from(["example.com", "EXAMPLE.com", "other.org", "bad"])),
        "external_id": st.sampled_from([*TENANTS, "y", None]),
        "client_name": st.sampled_from(["a", "Ä", " "]),
        "plan": st.sampled_from(["gold", "lead", None]),
        "metadata": st.sampled_from([{"x": None}, {"x": "1"}, {"y": 'ü"\\\n'}]),
        "region": st.sampled_from(["us", "eu", "mars"]),
        "seats": st.sampled_from([1, 13]),
        "extra": st.sampled_from([1.5, {"deep": [None, "é"]}, None]),
    },
)
updates = st.builds(lambda named, patch: {**patch, **named}, tenants, patches)
upserts = st.fixed_dictionaries(
    {
        "external_id": st.sampled_from([*TENANTS, "x", "y"]),
        "client_name": st.sampled_from(["a", "b"]),
        "email": st.builds("{}@{}".format, names, st.sampled_from(["example.com", "EXAMPLE.com", "other.org"])),
        "region": st.sampled_from(["us", "eu", "mars"]),
    },
    optional={
        "metadata": st.sampled_from([{"of": "a", "x": "1"}, {}]),
        "costCenter": names,
        "plan": st.sampled_from(["gold", "lead"]),
    },
)
both = st.builds(lambda *named: {**named[0], **named[1]}, tenants, tenants)
ROWS = {
    "update": updates,
    "upsert": upserts,
    "suspend": st.builds(lambda named, reason: {**named, **reason}, both, st.sampled_from([{}, {"reason": "late"}])),
    "reactivate": both,
    "delete": both,
}


@pytest.mark.parametrize("operation", ROWS)
def test_batch_equals_row_by_row(app: Flask, operation: str) -> None:
    room = st.sampled_from([None, 0, 1, 2] if operation == "upsert" else [None])

    @given(st.lists(ROWS[operation], max_size=12), st.lists(ROWS[operation], max_size=4), room)
    @EXAMPLES
    def same(first: list[Body], second: list[Body], most: int | None) -> None:
        require_same(app, operation, first, second, most=most)

    same()
