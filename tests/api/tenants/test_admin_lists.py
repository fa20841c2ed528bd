"""Lists across partners, as an administrator asks them: the same filters, orders and cursors as a partner's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from flask_tenant_provisioning.tenants.schemas import SORT_ORDERS
from tests.support.callers import Caller
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import open_host

PARTNERS = ("acme", "globex", "*")
BEGIN = float(int(time.time()))


def format_seconds_after(seconds: int) -> str:
    """Return the instant so many seconds after the beginning."""
    return datetime.fromtimestamp(BEGIN + seconds, UTC).isoformat()


#: What is asked, and which of each partner's five tenants it means.
FILTERS: dict[str, tuple[dict[str, str], tuple[int, ...]]] = {
    "none": ({}, (0, 1, 2, 3)),
    "status": ({"status": "suspended"}, (1,)),
    "deleted": ({"status": "deleted"}, (4,)),
    "include_deleted": ({"include_deleted": "true"}, (0, 1, 2, 3, 4)),
    "email": ({"email": "ADMIN2@example.com"}, (2,)),
    "external_id": ({"external_id": "e3"}, (3,)),
    "plan": ({"plan": "pro"}, (0, 2)),
    "industry": ({"industry": "Farming"}, (1, 3)),
    "plan and industry": ({"plan": "pro", "industry": "Farming"}, ()),
    "q": ({"q": "NAME 1"}, (1,)),
    "created_after": ({"created_after": format_seconds_after(90)}, (2, 3)),
    "created_before": ({"created_before": format_seconds_after(90)}, (0, 1)),
    "updated_after": ({"updated_after": format_seconds_after(1700)}, (1,)),
    "updated_before": ({"updated_before": format_seconds_after(1700), "plan": "pro"}, (0, 2)),
}

filters = pytest.mark.parametrize(("query", "meant"), FILTERS.values(), ids=FILTERS)


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """A host whose three partners have five tenants each, one a minute; the second is suspended, the last deleted."""
    clock = Clock()
    clock.now = BEGIN
    with open_host(request, database, mount={"clock": clock}, **LONG_LIVED_TOKENS) as app:
        _populate(app, clock)
        yield app


def _populate(app: Flask, clock: Clock) -> None:
    for number in range(5):
        for name in PARTNERS:
            more: dict[str, Any] = {"plan": "pro"} if number in (0, 2, 4) else {"industry": "Farming"}
            tenant = Caller(app, name).create(
                client_name=f"Name {number}", email=f"admin{number}@example.com", external_id=f"e{number}", **more
            )
            if number == 4:
                Caller(app, name)("DELETE", f"/tenants/{tenant['tenant']}")
        clock.now += 60
    clock.now = BEGIN + 1800
    for name in PARTNERS:
        (stored,) = Caller(app, name)("GET", "/tenants?external_id=e1").get_json()["items"]
        Caller(app, name)("POST", f"/tenants/{stored['tenant']}/suspend")


@pytest.fixture
def admin(app: Flask) -> Caller:
    return Caller(app, "us", roles=["provisioning-admin"])


def pages(caller: Caller, filters: dict[str, str], limit: int) -> Iterator[list[dict[str, Any]]]:
    """Page after page."""
    query = {**filters, "limit": str(limit)}
    while True:
        response = caller("GET", f"/tenants?{urlencode(query)}")
        assert response.status_code == 200, response.text
        page = response.get_json()
        yield page["items"]
        if page["next"] is None:
            return
        query["cursor"] = page["next"]


def list_tenants(caller: Caller, query: dict[str, str], limit: int = 1000) -> list[dict[str, Any]]:
    return [tenant for page in pages(caller, query, limit) for tenant in page]


@filters
def test_a_filter_means_every_partner_s_tenants(admin: Caller, query: dict[str, str], meant: tuple[int, ...]) -> None:
    tenants = sorted((tenant["partner"], tenant["external_id"]) for tenant in list_tenants(admin, query))
    assert tenants == sorted((name, f"e{number}") for name in PARTNERS for number in meant)


@filters
@pytest.mark.parametrize("name", PARTNERS)
def test_partner_parameter_lists_the_same_tenants_as_the_partner(
    admin: Caller, name: str, query: dict[str, str], meant: tuple[int, ...]
) -> None:
    listing = list_tenants(admin, {"partner": name, **query})
    assert listing == list_tenants(Caller(admin.app, name), query)
    assert [tenant["external_id"] for tenant in listing] == [f"e{number}" for number in meant]


@filters
@pytest.mark.parametrize("sort", SORT_ORDERS)
@pytest.mark.parametrize("limit", [1, 4])
def test_pages_meet_every_tenant_once_and_in_order(
    admin: Caller, sort: str, limit: int, query: dict[str, str], meant: tuple[int, ...]
) -> None:
    listing = list_tenants(admin, {"sort": sort, **query}, limit)
    assert listing == list_tenants(admin, {"sort": sort, **query})
    keys = [tenant[sort.lstrip("-")] for tenant in listing]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    assert len({tenant["tenant"] for tenant in listing}) == len(listing) == len(PARTNERS) * len(meant)


def test_a_cursor_is_bound_to_the_partner_that_is_named(admin: Caller) -> None:
    acme = Caller(admin.app, "acme")
    whose = {"everybody's": "", "acme's": "&partner=acme", "globex's": "&partner=globex"}
    cursors = {who: admin("GET", f"/tenants?limit=1{query}").get_json()["next"] for who, query in whose.items()}
    for who, cursor in cursors.items():
        for other, query in whose.items():
            response = admin("GET", f"/tenants?limit=1&cursor={cursor}{query}")
            assert response.status_code == (200 if other == who else 400), (who, other)
        response = acme("GET", f"/tenants?limit=1&cursor={cursor}")
        assert response.status_code == (200 if who == "acme's" else 400)


def test_unknown_partner_has_no_tenants(admin: Caller) -> None:
    assert list_tenants(admin, {"partner": "nobody"}) == []
    assert admin("GET", f"/tenants?partner={'x' * 256}").status_code == 400
