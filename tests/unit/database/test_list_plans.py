"""Every filter and sort of a list is served by an index: a page reads little, wherever it lies.

The tenants are as a list finds them at worst: values that most have and values that hardly any has, and all that are
suspended, deleted or on some plan side by side.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import create_engine, text

from flask_tenant_provisioning.database import migration
from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.database.statements import Statement
from flask_tenant_provisioning.tables import build_metadata
from flask_tenant_provisioning.tenants import listing, models
from flask_tenant_provisioning.tenants.models import STATUSES
from flask_tenant_provisioning.tenants.schemas import SORT_ORDERS, ListQuery
from flask_tenant_provisioning.validation import load_parameters
from tests.bench import depth, target
from tests.support.database.query_plans import (
    NOW,
    PREFIX,
    TENANTS,
    Cost,
    Page,
    make_database_url,
    measure_costs,
    read_page,
)
from tests.support.database.tenant_rows import START, STEP, creation_time, insert_rows, make_row

pytestmark = pytest.mark.slow

BY_TIME, BY_NAME = SORT_ORDERS[:2], SORT_ORDERS[2:]
EVERYBODY = None


class Question(NamedTuple):
    """A list query, and the orders in which an index alone bounds its reads."""

    query: str
    sorts: tuple[str, ...] = SORT_ORDERS


#: One index serves the filter and the order, for a partner and for all of them.
SERVED = {
    "nothing": Question(""),
    **{status: Question(f"status={status}") for status in STATUSES},
    "include_deleted": Question("include_deleted=true"),
    "email": Question("email=u30003@example.com"),
    "email, a status": Question("email=u30003@example.com&status=active"),
    "email, a deleted tenant's": Question("email=u7001@example.com&include_deleted=true"),
    "external_id": Question("external_id=x30003"),
    "external_id, nobody's": Question("external_id=x"),
    **{f"{name}, {value}": Question(f"{name}={value}", BY_TIME)
       for name, value in (("plan", "pro"), ("plan", "rare"), ("plan", "none"),
                           ("industry", "retail"), ("industry", "mining"), ("industry", "none"))},
    "a plan's suspended": Question("plan=pro&status=suspended", BY_TIME),
    "created_after": Question(f"created_after={creation_time(55_000)}", BY_TIME),
    "created_before": Question(f"created_before={creation_time(8_000)}", BY_TIME),
    "created between": Question(
        f"created_after={creation_time(30_000)}&created_before={creation_time(30_200)}", BY_TIME
    ),
    "q, rare": Question("q=zeta", BY_NAME),
    "q, most": Question("q=client", BY_NAME),
    "q, none": Question("q=nobody", BY_NAME),
    "updated_before": Question(f"updated_before={creation_time(50_000)}", ("created_at",)),
}  # fmt: skip

#: The same, for a partner.
SERVED_FOR_A_PARTNER = {
    name: Question(served.query, BY_NAME)
    for name, served in SERVED.items()
    if name.startswith(("plan", "industry", "a plan"))
}

#: Two orders meet. PostgreSQL knows which one leaves less to read; SQLite takes either.
WEIGHED = {
    "updated_after, lately": Question(f"updated_after={creation_time(TENANTS + 59_000)}"),
    "updated_after, ever": Question(f"updated_after={creation_time(0)}"),
    "updated_before": Question(f"updated_before={creation_time(50_000)}"),
    "updated between": Question(
        f"updated_after={creation_time(TENANTS + 20_000)}&updated_before={creation_time(TENANTS + 21_000)}"
    ),
    "q, rare": Question("q=zeta", BY_TIME),
    "q, most": Question("q=client", BY_TIME),
    "q, none": Question("q=nobody", BY_TIME),
    "plan, pro": Question("plan=pro", BY_NAME),
    "plan, rare": Question("plan=rare", BY_NAME),
    "industry, mining": Question("industry=mining", BY_NAME),
    "created between": Question(
        f"created_after={creation_time(30_000)}&created_before={creation_time(30_200)}", BY_NAME
    ),
}


def tenant(n: int) -> dict[str, Any]:
    word, share = ("Zeta" if n % 600 == 7 else "Client"), n % 10
    return make_row(
        n,
        partner_id="big" if n % 20 < 13 else "middle" if n % 20 < 19 else "small",
        client_name=f"{word} {n * 7919 % TENANTS:05}",
        external_id=f"x{n}" if n % 2 else None,
        plan="rare" if n >= 59_000 and n % 50 == 0 else "pro" if share < 6 else "free" if share < 9 else None,
        industry="mining" if n % 3000 == 1 else "retail" if n % 7 < 5 else None,
        **({"version": 2, "updated_at": creation_time(TENANTS + n)} if n % 20 == 3 else {}),
        **_state(n),
    )


def _state(n: int) -> dict[str, Any]:
    if 6_000 <= n < 9_300:
        over = creation_time(NOW + (1 if n < 9_000 else -1))
        return {"status": "deleted", "live": None, "deleted_at": creation_time(TENANTS), "purge_at": over}
    if n < 6_000:
        return {"status": "suspended"}
    return {"status": "failed" if n % 997 == 0 else "provisioning" if n % 991 == 0 else "active"}


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
    yield Storage(engine, build_metadata(PREFIX), clock=lambda: (START + NOW * STEP).timestamp())
    engine.dispose()


def load_query(query: str, sort: str) -> dict[str, Any]:
    pairs = (pair.split("=") for pair in f"{query}&sort={sort}".strip("&").split("&"))
    query_values: dict[str, Any] = load_parameters(ListQuery(), {name: [value] for name, value in pairs})
    return query_values


@functools.cache
def find_matches(query: str, partner: str | None) -> list[dict[str, Any]]:
    query_values = load_query(query, "created_at")
    return [row for row in tenants() if partner in (None, row["partner_id"]) and _matches(row, query_values)]


def _matches(row: dict[str, Any], query_values: dict[str, Any]) -> bool:
    status = row["status"]
    wanted = (
        status == query_values["status"]
        if "status" in query_values
        else status != "deleted" or query_values["include_deleted"]
    )
    return (
        wanted
        and (status != "deleted" or row["purge_at"] > creation_time(NOW))
        and all(row[name] == query_values.get(name, row[name]) for name in ("external_id", "plan", "industry"))
        and row["email_key"] == query_values.get("email", row["email_key"])
        and all(query_values.get(f"{time}_after", "") < row[f"{time}_at"] < query_values.get(f"{time}_before", "9")
                for time in ("created", "updated"))
        and row["name_key"].startswith(query_values.get("q", ""))
    )  # fmt: skip


def pages(question: Question, partner: str | None) -> Iterator[Page]:
    """The first page in each order, and one after 90 % of all."""
    for sort in question.sorts:
        key = "name_key" if sort in BY_NAME else "created_at"
        matches = sorted(find_matches(question.query, partner), key=lambda row: (row[key], row["id"]))
        matches = matches[::-1] if sort.startswith("-") else matches
        for before in {0, len(matches) * 9 // 10}:
            place = f"{matches[before - 1][key]}\n{matches[before - 1]['id']}" if before else None
            expected = [row["id"] for row in matches[before : before + 50]]
            yield Page(load_query(question.query, sort), place, expected)


def check(storage: Storage, question: Question, partner: str | None, allowed: Callable[[Cost], bool]) -> None:
    """Every page of `question` shows the tenants it should, at a cost that is `allowed`."""
    for page in pages(question, partner):
        rows, watched = read_page(storage, partner, page)
        assert rows == page.expected
        for cost in measure_costs(storage.engine, watched):
            assert allowed(cost), (page.asked, page.place, cost.plan)


def test_data_match_every_question_that_expects_rows() -> None:
    counts = {name: len(find_matches(question.query, "big")) for name, question in {**SERVED, **WEIGHED}.items()}
    empty = {"plan, none", "industry, none", "external_id, nobody's", "q, none"}
    assert {name for name, count in counts.items() if not count} == empty
    assert set(models.LIVING_STATUSES) == set(STATUSES) - {"deleted"}


@pytest.mark.parametrize("partner", ["big", "small", EVERYBODY])
@pytest.mark.parametrize("name", SERVED)
def test_page_reads_little_at_any_depth(storage: Storage, name: str, partner: str | None) -> None:
    check(storage, SERVED[name], partner, lambda cost: cost.little and not cost.scans)


@pytest.mark.parametrize("partner", ["big", "small"])
@pytest.mark.parametrize("name", SERVED_FOR_A_PARTNER)
def test_a_partners_page_by_name_reads_little_too(storage: Storage, name: str, partner: str) -> None:
    check(storage, SERVED_FOR_A_PARTNER[name], partner, lambda cost: cost.little and not cost.scans)


@pytest.mark.parametrize("partner", ["big", EVERYBODY])
@pytest.mark.parametrize("name", WEIGHED)
def test_index_serves_the_filter_or_the_order(storage: Storage, name: str, partner: str | None) -> None:
    weighs = storage.engine.dialect.name == "postgresql"
    check(storage, WEIGHED[name], partner, lambda cost: not cost.scans and (cost.little or not weighs))


@pytest.mark.parametrize("name", ["nothing", "include_deleted", "plan, pro", "created_before", "q, most"])
def test_nothing_is_sorted_that_an_index_has_in_order(storage: Storage, name: str) -> None:
    check(storage, SERVED[name], "big", lambda cost: not cost.sorts or storage.engine.dialect.name != "sqlite")


@pytest.mark.postgresql
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("query", "planned"),
    [
        ("", "once"),
        ("status=suspended", "once"),
        ("include_deleted=true", "once"),
        (f"created_after={creation_time(55_000)}", "once"),
        ("limit=49", "for its values"),
        ("plan=rare", "for its values"),
        ("q=zeta", "for its values"),
        (f"updated_after={creation_time(TENANTS + 59_000)}", "for its values"),
    ],
)
def test_postgresql_plans_value_independent_statements_once(storage: Storage, query: str, planned: str) -> None:
    ours = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE position('name_key' IN statement) > 0"
    statement = Statement(text(ours), storage.engine.dialect)
    storage.engine.dispose()

    def work(session: Session) -> list[tuple[int, int]]:
        for _ in range(20):
            listing.load_page(session, "big", load_query(query, "created_at"), None)
        counts: list[tuple[int, int]] = session.run(statement, {}).fetchall()
        return counts

    [(generic, custom)] = storage.read(work)
    assert ("once" if generic > custom else "for its values") == planned


@pytest.fixture(scope="module")
def many_tenants(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Storage]:
    """200,000 tenants of one partner, behind the app of the bench."""
    depth.prepare(make_database_url(request, database, tmp_path_factory), 200_000)
    big_storage: Storage = target.app.extensions["tenant_provisioning"]["provisioning"].storage
    yield big_storage
    big_storage.engine.dispose()


@pytest.mark.parametrize("sort", SORT_ORDERS)
def test_a_page_of_200_000_reads_as_much_at_99_percent(many_tenants: Storage, sort: str) -> None:
    first, deep = (
        [
            cost.read
            for cost in measure_costs(
                many_tenants.engine, read_page(many_tenants, target.PARTNER, Page(load_query("", sort), place, []))[1]
            )
        ]
        for place in (None, depth.place(200_000, sort, 0.99))
    )
    assert max(deep) <= 1.15 * min(first)


@pytest.mark.alone("a ratio of times")
@pytest.mark.parametrize("sort", SORT_ORDERS)
def test_a_page_of_200_000_takes_as_long_at_99_percent(many_tenants: Storage, sort: str) -> None:
    first, deep = depth.measure([depth.query(200_000, sort, share) for share in (0, 0.99)], 100)
    assert deep.over(first).wall < 1.5
