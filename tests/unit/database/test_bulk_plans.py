"""Lookups of many rows search an index row by row, with and without statistics of the tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from flask_tenant_provisioning.bulk.statements import BulkSQL
from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.database.statements import Statement, encode_rows
from flask_tenant_provisioning.tenants.statements import TenantSQL
from tests.bench.bulk_rows import row
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.database.rows import get_storage

STATEMENTS: dict[str, Callable[[Storage], Statement]] = {
    "lock": lambda storage: storage.once(TenantSQL).lock_many,
    "holders": lambda storage: storage.once(TenantSQL).find_holders,
    "firsts": lambda storage: storage.once(BulkSQL).first_rows,
}
#: The columns of each index that is to be searched by all of them. An id is unique without its partner, and PostgreSQL
#: may choose either of the indexes that begin with it.
KEYS = {
    "lock": [{"email_key", "partner_id", "live"}, {"external_id", "partner_id", "live"}, {"id"}],
    "holders": [{"email_key", "partner_id", "live"}, {"external_id", "partner_id", "live"}],
    "firsts": [{"partner_id", "job_id", "key"}],
}


@pytest.fixture
def bulk(make_app: Callable[..., Flask]) -> Bulk:
    """A partner with ten thousand tenants, all new to the database: of few it may as well read all."""
    app = make_app()
    storage = get_storage(app)
    if storage.engine.dialect.name == "postgresql":
        with storage.engine.begin() as connection:
            for table in ("tenants", "bulk_keys"):
                name = storage.table(table).name
                connection.execute(text(f"ALTER TABLE {name} SET (autovacuum_enabled = false)"))
    uploads = Bulk(app, Caller(app))
    uploads.do("create", map(row, range(10_000)))
    return uploads


@pytest.mark.slow
@pytest.mark.parametrize("name", STATEMENTS)
def test_each_row_lookup_uses_an_index(bulk: Bulk, name: str) -> None:
    storage = get_storage(bulk.app)
    named = [{"external_id": row(n)["external_id"], "email_key": row(n)["email"].lower()} for n in range(500)]
    values = {"partner_id": bulk.partner.partner, "job_id": storage.new_id(), "rows": encode_rows(named)}
    searched = storage.transaction(lambda session: list(_searched_columns(session, STATEMENTS[name](storage), values)))
    indexed = [columns - {"partner_id"} if "id" in columns else columns for columns in searched]
    assert sorted(map(sorted, indexed)) == sorted(map(sorted, KEYS[name]))


def _searched_columns(session: Session, statement: Statement, values: dict[str, Any]) -> Iterator[set[str]]:
    """The columns by which each of our tables is searched."""
    driver: Any = session.orm.connection().connection.dbapi_connection
    if session.storage.engine.dialect.name == "sqlite":
        for *_, plan in driver.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.bind(values)).fetchall():
            if "json_each" not in plan and ("tenants" in plan or "bulk_keys" in plan):
                yield {term.strip(" ()").partition("=")[0] for term in plan.partition("(")[2].split(" AND ")}
        return
    explained = driver.execute(f"EXPLAIN (FORMAT JSON) {statement.text}", statement.bind(values)).fetchone()[0]
    yield from _conditions(explained[0]["Plan"])


def _conditions(plan: dict[str, Any]) -> Iterator[set[str]]:
    """The same of PostgreSQL's plan; nothing for a table that is read and then filtered."""
    if "Relation Name" in plan:
        condition = json.dumps(plan.get("Index Cond", ""))
        yield {
            name
            for name in ("email_key", "external_id", "partner_id", "live", "id", "job_id", "key")
            if _names_column(name, condition)
        }
    for below in plan.get("Plans", ()):
        yield from _conditions(below)


def _names_column(column: str, condition: str) -> bool:
    """Return whether the condition names the table's column: ``((id = …`` or ``(key)::text = …``."""
    return f"({column} =" in condition or f"({column})::text =" in condition
