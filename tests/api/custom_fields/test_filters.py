"""Lists filtered by fields of the host's own: right, validated by the field, bound into cursors, served by an index."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from enum import Enum
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy
from flask import Flask
from marshmallow import Schema, fields
from sqlalchemy import create_engine

from flask_tenant_provisioning.config import Config
from flask_tenant_provisioning.database import migration
from flask_tenant_provisioning.database.session import Storage
from flask_tenant_provisioning.mount import Api
from flask_tenant_provisioning.registry import Registry
from flask_tenant_provisioning.tables import build_metadata
from flask_tenant_provisioning.tenants.custom_field_checks import make_tenant_fields
from flask_tenant_provisioning.tenants.models import make_custom_field_indexes
from flask_tenant_provisioning.tenants.schemas import SORT_ORDERS, ListQuery
from flask_tenant_provisioning.validation import load_parameters
from tests.support import custom_fields
from tests.support.assertions import assert_invalid_parameters, assert_problem
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.database import postgresql
from tests.support.database.query_plans import NOW, PREFIX, Page, measure_costs, read_page
from tests.support.database.rows import get_storage
from tests.support.database.tenant_rows import START, STEP, insert_rows, make_row


class Color(Enum):
    RED = 1
    BLUE = 2


class Kinds(Schema):
    """A field of every kind that lists can be filtered by."""

    text = fields.String()
    number = fields.Integer()
    strict = fields.Integer(strict=True)
    flag = fields.Boolean()
    day = fields.Date()
    moment = fields.AwareDateTime()
    hour = fields.Time()
    uuid = fields.UUID()
    color = fields.Enum(Color)
    shade = fields.Enum(Color, by_value=fields.Integer)
    address = fields.IP()
    camelCase = fields.String()


UUID = "01890000-0000-7000-8000-000000000000"

#: A value as a body holds it, another one, and how a query may say the first.
VALUES: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
    "text": ("é'\"\\% ", "e", ("é'\"\\% ",)),
    "number": (7, 8, ("7", "07", "+7")),
    "strict": (7, -7, ("7",)),
    "flag": (True, False, ("true", "1", "yes")),
    "day": ("2026-02-01", "2026-02-02", ("2026-02-01",)),
    "moment": (
        "2026-02-01T10:00:00+00:00",
        "2026-02-01T11:00:00+00:00",
        ("2026-02-01T10:00:00+00:00", "2026-02-01T10:00:00Z"),
    ),
    "hour": ("10:00:00", "11:00:00", ("10:00:00", "10:00")),
    "uuid": (UUID, UUID.replace("7000", "7001"), (UUID, UUID.replace("-", ""))),
    "color": ("RED", "BLUE", ("RED",)),
    "shade": (1, 2, ("1",)),
    "address": ("192.0.2.1", "192.0.2.2", ("192.0.2.1",)),
    "camelCase": ("7", "true", ("7",)),
}


def make_database_url(request: pytest.FixtureRequest, database: str, factory: pytest.TempPathFactory) -> str:
    """The URL of a database for the tests of this module."""
    if database == "sqlite":
        return f"sqlite:///{factory.mktemp('filters')}/x.sqlite3"
    server = sqlalchemy.make_url(request.getfixturevalue("postgresql_url"))
    return postgresql.create_schema(server).render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    new_app = custom_fields.make_host(make_database_url(request, database, tmp_path_factory), Kinds, tuple(VALUES))
    yield new_app
    get_storage(new_app).engine.dispose()


def list_tenants(caller: Caller, **query: str) -> list[str]:
    response = caller("GET", f"/tenants?{urlencode(query)}")
    assert response.status_code == 200, response.text
    return [tenant["tenant"] for tenant in response.get_json()["items"]]


@pytest.mark.parametrize("name", VALUES)
def test_a_filter_finds_the_tenants_with_that_value(partner: Caller, name: str) -> None:
    value, other, spellings = VALUES[name]
    tenant = partner.create(**{name: value})
    assert tenant[name] == value
    partner.create(**{name: other})
    partner.create()
    for spelling in spellings:
        assert list_tenants(partner, **{name: spelling}) == [tenant["tenant"]]


def test_filters_combine_with_built_in_ones(partner: Caller) -> None:
    tenants = [
        partner.create(text=text, number=number, plan=plan) for text in "ab" for number in (1, 2) for plan in "xy"
    ]
    wanted = [
        tenant["tenant"] for tenant in tenants if (tenant["text"], tenant["number"], tenant["plan"]) == ("a", 2, "y")
    ]
    assert list_tenants(partner, text="a", number="2", plan="y") == wanted
    assert list_tenants(partner, text="a", number="2", plan="y", sort="-client_name", status="active") == wanted
    assert list_tenants(partner, text="a", q="exam", number="3") == []


def test_filter_matches_the_current_value_only(partner: Caller) -> None:
    tenant = partner.create(text="a")
    partner("PATCH", f"/tenants/{tenant['tenant']}", json={"text": "b"})
    assert (list_tenants(partner, text="a"), list_tenants(partner, text="b")) == ([], [tenant["tenant"]])
    partner("PATCH", f"/tenants/{tenant['tenant']}", json={"text": None})
    assert list_tenants(partner, text="b") == []


def test_filter_finds_deleted_tenants_with_include_deleted(partner: Caller) -> None:
    tenant = partner.create(text="a")
    partner("DELETE", f"/tenants/{tenant['tenant']}")
    assert list_tenants(partner, text="a") == []
    assert list_tenants(partner, text="a", include_deleted="true") == [tenant["tenant"]]


def test_other_partners_tenants_are_never_listed(app: Flask, partner: Caller) -> None:
    mine, theirs = partner.create(text="both"), Caller(app).create(text="both")
    assert list_tenants(partner, text="both") == [mine["tenant"]]
    visible = list_tenants(partner.with_roles("provisioning-admin"), text="both", sort="-created_at", limit="1000")
    assert {mine["tenant"], theirs["tenant"]} <= set(visible)
    assert list_tenants(partner.with_roles("provisioning-admin"), text="both", partner=partner.partner) == [
        mine["tenant"]
    ]


@pytest.mark.parametrize("sort", SORT_ORDERS)
def test_pages_follow_each_other_and_cursors_are_bound_to_the_filter(partner: Caller, sort: str) -> None:
    expected = [partner.create(text="a", client_name=f"n{number}")["tenant"] for number in range(5)]
    partner.create(text="b")
    tenants, query = [], {"text": "a", "sort": sort, "limit": "2"}
    while True:
        page = partner("GET", "/tenants", query_string=query).get_json()
        tenants += [tenant["tenant"] for tenant in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert tenants == (expected[::-1] if sort.startswith("-") else expected)
    for other in ({"text": "b"}, {"number": "1"}):
        response = partner("GET", "/tenants", query_string={**query, **other})
        assert_problem(response, 400, "invalid-cursor", "Invalid cursor.")
    del query["text"]
    assert_problem(partner("GET", "/tenants", query_string=query), 400, "invalid-cursor", "Invalid cursor.")


def test_a_value_that_the_field_refuses_is_refused(partner: Caller) -> None:
    invalid = "invalid-field"
    invalid_filters = {
        "number": "x",
        "strict": "1.5",
        "flag": "maybe",
        "day": "2026-02-30",
        "uuid": "1",
        "text": "x" * 101,
    }
    assert_invalid_parameters(
        partner("GET", "/tenants", query_string={**invalid_filters, "limit": "0"}),
        ("#/day", invalid, "Not a valid date."),
        ("#/flag", invalid, "Not a valid boolean."),
        ("#/limit", "invalid-limit", "Must be a whole number from 1 on."),
        ("#/number", invalid, "Not a valid integer."),
        ("#/strict", invalid, "Not a valid integer."),
        ("#/text", invalid, "Must be a string of at most 100 characters, an integer or a boolean."),
        ("#/uuid", invalid, "Not a valid UUID."),
    )
    assert_invalid_parameters(
        partner("GET", "/tenants?text=%00&flag=true&flag=true&own_text=a&number=null"),
        ("#/flag", "duplicate", "Send this parameter once."),
        ("#/number", invalid, "Field may not be null."),
        ("#/own_text", "unknown-field", "There is no such field."),
        ("#/text", "invalid-text", "Must hold no NUL character."),
    )


@pytest.mark.parametrize("text", ["' OR 1=1 --", '"}', "%(partner)s", "?", ":x", "\n", "\N{SNOWMAN}", ""])
def test_a_hostile_value_is_a_value(partner: Caller, text: str) -> None:
    tenant = partner.create(text=text)
    partner.create(text="x")
    assert list_tenants(partner, text=text) == [tenant["tenant"]]


def test_a_field_that_is_not_declared_filterable_is_no_filter(database_url: str) -> None:
    app = custom_fields.make_host(database_url, Kinds, ("text",))
    response = Caller(app)("GET", "/tenants?number=7")
    assert_invalid_parameters(response, ("#/number", "unknown-field", "There is no such field."))
    get_storage(app).engine.dispose()


def test_the_command_line_filters_too(app: Flask, partner: Caller) -> None:
    tenant = partner.create(text="cli", number=1)
    partner.create(text="cli", number=2)
    result = run_command(app, "tenants", "list", "--json", "--where", "text=cli", "--where", "number=1")
    assert [json.loads(line)["tenant"] for line in result.out.splitlines()] == [tenant["tenant"]]
    wrong = run_command(app, "tenants", "list", "--where", "number=x")
    assert (wrong.status, "number: Not a valid integer." in wrong.err) == (1, True)


TENANTS = 16_000
OWN = make_tenant_fields(Kinds, ("text", "number", "flag"))


def tenant(n: int) -> dict[str, Any]:
    """Most are in one region and hardly any in another; half are flagged, and a third has none of it."""
    own = {"text": "rare" if n % 2000 == 5 else "most", "number": n % 7, "flag": n % 2 == 0}
    return make_row(
        n,
        partner_id="big" if n % 4 else "small",
        client_name=f"Client {n * 7919 % TENANTS:05}",
        fields=json.dumps(own) if n % 3 else None,
        **({"status": "suspended"} if n < 1600 else {}),
    )


@functools.cache
def tenants() -> list[dict[str, Any]]:
    return [tenant(n) for n in range(TENANTS)]


@pytest.fixture(scope="module")
def storage(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Storage]:
    engine = create_engine(make_database_url(request, database, tmp_path_factory), isolation_level="AUTOCOMMIT")
    migration.upgrade(engine, PREFIX)
    insert_rows(engine, tenants())
    migration.upgrade(engine, PREFIX, indexes=make_custom_field_indexes(PREFIX, OWN))
    yield Storage(engine, build_metadata(PREFIX), clock=lambda: (START + NOW * STEP).timestamp())
    engine.dispose()


def load_query(query: str, sort: str) -> dict[str, Any]:
    registry = Registry()
    registry.fields = OWN
    api = Api(config=Config.read({}, {}), registry=registry, routes=())
    pairs = (pair.split("=") for pair in f"{query}&sort={sort}".split("&"))
    query_values: dict[str, Any] = load_parameters(api.schema(ListQuery), {name: [value] for name, value in pairs})
    return query_values


def find_matches(partner: str | None, **wanted: Any) -> list[dict[str, Any]]:
    status = wanted.pop("status", None)
    return [
        row
        for row in tenants()
        if partner in (None, row["partner_id"])
        and row["fields"]
        and status in (None, row["status"])
        and wanted.items() <= json.loads(row["fields"]).items()
    ]


QUESTIONS: dict[str, dict[str, Any]] = {
    "text=most": {"text": "most"},
    "text=rare": {"text": "rare"},
    "text=none": {"text": "none"},
    "number=3": {"number": 3},
    "flag=true": {"flag": True},
    "text=most&status=suspended": {"text": "most", "status": "suspended"},
}


#: An administrator's lists by name have an index for the name alone.
SERVED = [(partner, sort) for partner in ("big", "small") for sort in SORT_ORDERS] + [
    (None, sort) for sort in SORT_ORDERS[:2]
]


@pytest.mark.parametrize(("partner", "sort"), SERVED)
@pytest.mark.parametrize("query", QUESTIONS)
def test_page_reads_little_at_any_depth(storage: Storage, partner: str | None, query: str, sort: str) -> None:
    key = "name_key" if sort.endswith("client_name") else "created_at"
    matches = sorted(find_matches(partner, **QUESTIONS[query]), key=lambda row: (row[key], row["id"]))
    matches = matches[::-1] if sort.startswith("-") else matches
    for before in {0, len(matches) * 9 // 10}:
        place = f"{matches[before - 1][key]}\n{matches[before - 1]['id']}" if before else None
        page = Page(load_query(query, sort), place, [row["id"] for row in matches[before : before + 50]])
        ids, watched = read_page(storage, partner, page)
        assert ids == page.expected
        for cost in measure_costs(storage.engine, watched):
            assert cost.little, cost.plan
            assert not cost.scans, cost.plan
            assert "_own_" in cost.plan, cost.plan
