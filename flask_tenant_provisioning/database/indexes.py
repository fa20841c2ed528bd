"""Indexes that come and go with what a host declares, beside those of the migrations.

They are known by how their names begin. Since a database keeps an expression in a spelling of its own, an index that
is there is the one that is wanted if it has the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import DDL, Column, Connection, Index, MetaData, Table, inspect, text
from sqlalchemy.schema import CreateIndex, DropIndex


class IndexSet(NamedTuple):
    """Which of the indexes of `table` whose names begin with `beginning` there are to be: these and no others."""

    table: Table
    beginning: str
    indexes: Sequence[Index]


def list_index_names(connection: Connection, table: str, beginning: str) -> set[str]:
    """The indexes of `table` whose names begin so."""
    if connection.dialect.name == "sqlite":
        # SQLAlchemy's inspector leaves out those on expressions.
        found = list(connection.scalars(text("SELECT name FROM pragma_index_list(:name)"), {"name": table}))
    else:
        found = [str(index["name"]) for index in inspect(connection).get_indexes(table)]
    return {name for name in found if name.startswith(beginning)}


def diff_indexes(connection: Connection, wanted: IndexSet) -> list[str]:
    """What is missing, as the statement that makes it, and what is there in vain."""
    there = list_index_names(connection, wanted.table.name, wanted.beginning)
    missing = [str(CreateIndex(index).compile(connection)) for index in wanted.indexes if index.name not in there]
    return [f"missing: {statement}" for statement in missing] + [
        f"no longer declared: {name}" for name in sorted(there - {index.name for index in wanted.indexes})
    ]


def sync_indexes(connection: Connection, wanted: IndexSet) -> None:
    """Make what is missing, and drop what is there in vain."""
    there = list_index_names(connection, wanted.table.name, wanted.beginning)
    missing = [index for index in wanted.indexes if index.name not in there]
    for name in sorted(there - {index.name for index in wanted.indexes}):
        drop_index(connection, wanted.table.name, name)
    for index in missing:
        connection.execute(CreateIndex(index))
    if missing and connection.dialect.name == "postgresql":
        # Until then the planner knows nothing about an expression's values.
        connection.execute(DDL("ANALYZE %(table)s").against(wanted.table))  # type: ignore[no-untyped-call]


def drop_index(connection: Connection, table: str, name: str) -> None:
    """Drop the index of this name."""
    column: Column[None] = Column("id")
    Table(table, MetaData(), column)
    connection.execute(DropIndex(Index(name, column)))
