"""Many tenants at once: the same as one after the other, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.errors import ProvisioningError, QuotaExceeded, TenantExists
from flask_tenant_provisioning.tenants.bulk_insert import CreateOutcome, create_many
from flask_tenant_provisioning.tenants.models import Tenant
from flask_tenant_provisioning.tenants.quotas import INSTALLATION, Allowance, Quota, RemainingPlaces, resolve_allowance
from flask_tenant_provisioning.tenants.schemas import validate_tenant
from tests.support import custom_fields
from tests.support.callers import EXAMPLE, Caller
from tests.support.custom_fields import NAMES, NO_VALUES
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.events import read_feed

ACTOR = Actor(Principal("tester", "acme"), "request-1", "192.0.2.1", "curl")


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def storage(app: Flask) -> Storage:
    return get_storage(app)


def create(app: Flask, *bodies: dict[str, Any], most: int | None = None) -> list[CreateOutcome]:
    mount = app.extensions["tenant_provisioning"]["provisioning"]
    values = [validate_tenant(mount, body) for body in bodies]
    allowed = resolve_allowance(mount, "acme")
    if most is not None:
        allowed = Allowance(mount.license, (), places=RemainingPlaces(most, Quota(INSTALLATION).make_problem(most)))
    work = partial(create_many, actor=ACTOR, partner="acme", values=values, allowance=allowed)
    outcomes: list[CreateOutcome] = mount.storage.transaction(work)
    return outcomes


def make_tenant(n: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {n}", "email": f"Admin{n}@example.com", **more}


def describe_error(outcome: CreateOutcome) -> Any:
    if isinstance(outcome, Tenant):
        return outcome.client_name
    return outcome.code, outcome.members


def test_each_tenant_equals_a_single_creation(app: Flask) -> None:
    bodies = [
        {**EXAMPLE, "external_id": "e1", "plan": "gold", "metadata": {"tier": "ü\n\"'"}},
        make_tenant(2),
        make_tenant(3, phone_number=None, metadata={}),
    ]
    outcomes = create(app, *bodies)
    partner = Caller(app, partner="acme")
    shown = [partner("GET", f"/tenants/{tenant.id}").get_json() for tenant in outcomes if isinstance(tenant, Tenant)]
    single = Caller(app)
    for body, document in zip(bodies, shown, strict=True):
        like = single("POST", "/tenants", json=body).get_json()
        own = {name: document[name] for name in ("tenant", "partner", "created_at", "updated_at")}
        assert document == {**like, **own}
    events = read_feed(partner)
    assert [event["data"] for event in events] == shown
    assert {(event["type"], event["request_id"], event["actor"]["sub"]) for event in events} == {
        ("tenant.created", "request-1", "tester")
    }


AWKWARD = (
    {"client_name": '%s {0} "quoted" \\ back\\slash', "external_id": "</script>\u2028\U0001f600"},
    {"industry": "a\tb\r\n\x01\x7f", "plan": "", "metadata": {'"': "\\", "%": "\U0001f600\u2029"}},
    {"phone_number": "+1 (555) 010-9999", "email": "Ümlaut@Bücher.de", "client_name": "  Ⅳ ﬁ ß  "},
)


@pytest.mark.parametrize("more", AWKWARD, ids=["name", "metadata", "email"])
def test_event_equals_the_document_member_by_member(app: Flask, more: dict[str, Any]) -> None:
    create(app, make_tenant(1, **more))
    Caller(app, partner="single")("POST", "/tenants", json=make_tenant(1, **more))
    many, alone = (list(read_feed(Caller(app, partner=name))[0]["data"].items()) for name in ("acme", "single"))
    differ = ("tenant", "partner", "created_at", "updated_at")
    assert [(name, value) for name, value in many if name not in differ] == [
        (name, value) for name, value in alone if name not in differ
    ]
    assert [name for name, _ in many] == [name for name, _ in alone]


def test_the_hosts_own_fields_are_in_the_tenant_and_the_event(database_url: str) -> None:
    app = custom_fields.make_host(database_url)
    sent = {"region": "eu", "renewal": "2030-01-31", "limits": {"a": 1}, "extra": ['"', None], "costCenter": "ü"}
    create(app, make_tenant(1, **sent), make_tenant(2, region="us"))
    partner = Caller(app, partner="acme")
    first, second = (event["data"] for event in read_feed(partner))
    assert first == partner("GET", f"/tenants/{first['tenant']}").get_json()
    assert {name: first[name] for name in NAMES} == {**NO_VALUES, **sent, "seats": 1, "badge": "eu/1"}
    assert {name: second[name] for name in NAMES} == {**NO_VALUES, "region": "us", "seats": 1, "badge": "us/1"}
    get_storage(app).engine.dispose()


def test_events_wait_in_the_order_of_the_rows(app: Flask) -> None:
    outcomes = create(app, *(make_tenant(n) for n in range(300)))
    tenants = [event["tenant"] for event in read_feed(Caller(app, partner="acme"))]
    assert tenants == [getattr(tenant, "id", None) for tenant in outcomes] == sorted(tenants)


def test_second_of_two_conflicting_tenants_is_refused(app: Flask) -> None:
    (first,) = create(app, make_tenant(0, external_id="x"))
    assert isinstance(first, Tenant)
    outcomes = create(
        app,
        make_tenant(1, external_id="a"),
        make_tenant(2, external_id="a"),
        make_tenant(1, email="ADMIN1@EXAMPLE.COM"),
        make_tenant(0),
        make_tenant(3, external_id="x"),
        make_tenant(4),
    )
    new = outcomes[0]
    assert isinstance(new, Tenant)
    assert [describe_error(outcome) for outcome in outcomes] == [
        "Client 1",
        ("tenant-exists", {"field": "external_id", "conflicting_tenant": new.id}),
        ("tenant-exists", {"field": "email", "conflicting_tenant": new.id}),
        ("tenant-exists", {"field": "email", "conflicting_tenant": first.id}),
        ("tenant-exists", {"field": "external_id", "conflicting_tenant": first.id}),
        "Client 4",
    ]
    assert len(fetch_rows(app, "tenants")) == len(fetch_rows(app, "events")) == 3


def test_conflict_with_a_failed_row_has_no_effect(app: Flask) -> None:
    create(app, make_tenant(0, external_id="x"))
    outcomes = create(
        app, make_tenant(1, external_id="x"), make_tenant(1, external_id="y"), make_tenant(1, external_id="z")
    )
    assert [isinstance(outcome, Tenant) for outcome in outcomes] == [False, True, False]
    assert isinstance(outcomes[2], TenantExists)
    assert outcomes[2].members == {"field": "email", "conflicting_tenant": getattr(outcomes[1], "id", None)}


def test_a_limit_is_exact_and_goes_to_the_first(app: Flask) -> None:
    create(app, make_tenant(0))
    outcomes = create(app, *(make_tenant(n) for n in (0, 1, 2, 0, 3, 4)), most=2)
    assert [describe_error(outcome) if isinstance(outcome, Tenant) else outcome.code for outcome in outcomes] == [
        "tenant-exists", "Client 1", "Client 2", "quota-exceeded", "quota-exceeded", "quota-exceeded",
    ]  # fmt: skip
    assert isinstance(outcomes[-1], QuotaExceeded)
    assert outcomes[-1].members == {"limit": 2}


def test_empty_batch_does_nothing(app: Flask) -> None:
    assert create(app) == []


def test_failed_batch_leaves_nothing(app: Flask, storage: Storage) -> None:
    mount = app.extensions["tenant_provisioning"]["provisioning"]
    values = [validate_tenant(mount, make_tenant(n)) for n in range(3)]
    allowed = resolve_allowance(mount, "acme")

    def work(session: Session) -> None:
        create_many(session, ACTOR, "acme", values, allowed)
        raise ProvisioningError

    with pytest.raises(ProvisioningError):
        storage.transaction(work)
    assert fetch_rows(app, "tenants") == fetch_rows(app, "events") == []
