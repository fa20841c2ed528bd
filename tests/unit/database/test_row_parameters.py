"""Many rows in one parameter, on either database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Column, Integer, MetaData, String, Table, Text, select

from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.database.statements import Statement, encode_rows, select_incoming
from flask_tenant_provisioning.database.types import Identifier, Instant, JsonText
from tests.support.database.rows import get_storage

things = Table(
    "things",
    MetaData(),
    Column("id", Identifier, primary_key=True),
    Column("at", Instant),
    Column("number", Integer),
    Column("name", String(20)),
    Column("document", JsonText),
    Column("text", Text),
)
IDS = [f"0193b5a0-c2d4-7a6e-8f00-11223344556{n}" for n in range(3)]
ROWS: list[dict[str, Any]] = [
    {"id": IDS[0], "at": "2025-02-10T16:30:00.123456Z", "number": -5, "name": 'O\'Neill "x" \\', "text": "ü\n€\t𝄞"},
    {"id": IDS[1], "at": None, "number": None, "name": "", "document": {"b": 1, "a": [None]}, "text": "':x %s ?"},
    {"id": IDS[2]},
]
DOCUMENTS = {IDS[1]: '{"b":1,"a":[null]}'}
EMPTY: dict[str, Any] = dict.fromkeys(column.name for column in things.c)


@pytest.fixture
def storage(make_app: Callable[..., Flask]) -> Storage:
    opened = get_storage(make_app())
    things.metadata.drop_all(opened.engine)
    things.metadata.create_all(opened.engine)
    return opened


def select_things(storage: Storage, *names: str) -> Any:
    return select_incoming(storage.engine.dialect, **{name: things.c[name].type for name in names})


def do(storage: Storage, clause: Any, values: list[dict[str, Any]]) -> int:
    statement = Statement(clause, storage.engine.dialect)
    return storage.transaction(lambda session: _count(session, statement, values))


def _count(session: Session, statement: Statement, values: list[dict[str, Any]]) -> int:
    count: int = session.run(statement, {"rows": encode_rows(values)}).rowcount
    return count


def read_rows(storage: Storage) -> list[dict[str, Any]]:
    with storage.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(things).order_by(things.c.id)).mappings()]


def insert(storage: Storage, values: list[dict[str, Any]]) -> int:
    rows = select_things(storage, *EMPTY)
    return do(storage, things.insert().from_select(list(EMPTY), select(*rows.c)), values)


def test_rows_are_inserted_as_they_are(storage: Storage) -> None:
    assert insert(storage, ROWS) == 3
    assert read_rows(storage) == [EMPTY | row | {"document": DOCUMENTS.get(row["id"])} for row in ROWS]


def test_no_rows_are_no_rows(storage: Storage) -> None:
    assert insert(storage, []) == 0


def test_each_row_changes_its_own_tenant(storage: Storage) -> None:
    insert(storage, ROWS)
    rows = select_things(storage, "id", "number")
    change = things.update().where(things.c.id == rows.c.id).values(number=rows.c.number)
    assert do(storage, change, [{"id": IDS[2], "number": 7}, {"id": IDS[0], "number": None}]) == 2
    assert [row["number"] for row in read_rows(storage)] == [None, None, 7]
