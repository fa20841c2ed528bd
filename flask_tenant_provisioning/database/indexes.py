"""Indexes on a host's custom fields, created and dropped as the host declares them, beside those of the migrations.

They are recognised by a prefix of their names. Two indexes are considered equal if they have the same name, because a
database rewrites an index's expression in its own syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import DDL, Column, Connection, Index, MetaData, Table, inspect, text
from sqlalchemy.schema import CreateIndex, DropIndex


class IndexSet(NamedTuple):
    """Declared indexes of `table` whose names begin with `beginning`. Any other index with that prefix is obsolete."""

    table: Table
    beginning: str
    indexes: Sequence[Index]


def list_index_names(connection: Connection, table: str, beginning: str) -> set[str]:
    """Return the names of the indexes of `table` that begin with `beginning`."""
    if connection.dialect.name == "sqlite":
        # SQLAlchemy's inspector omits indexes on expressions.
        names = list(connection.scalars(text("SELECT name FROM pragma_index_list(:name)"), {"name": table}))
    else:
        names = [str(index["name"]) for index in inspect(connection).get_indexes(table)]
    return {name for name in names if name.startswith(beginning)}


def diff_indexes(connection: Connection, declared: IndexSet) -> list[str]:
    """Return one line for each missing index (its CREATE statement) and for each obsolete one (its name)."""
    existing = list_index_names(connection, declared.table.name, declared.beginning)
    missing = [str(CreateIndex(index).compile(connection)) for index in declared.indexes if index.name not in existing]
    return [f"missing: {statement}" for statement in missing] + [
        f"no longer declared: {name}" for name in sorted(existing - {index.name for index in declared.indexes})
    ]


def sync_indexes(connection: Connection, declared: IndexSet) -> None:
    """Create the missing indexes and drop the obsolete ones."""
    existing = list_index_names(connection, declared.table.name, declared.beginning)
    missing = [index for index in declared.indexes if index.name not in existing]
    for name in sorted(existing - {index.name for index in declared.indexes}):
        drop_index(connection, declared.table.name, name)
    for index in missing:
        connection.execute(CreateIndex(index))
    if missing and connection.dialect.name == "postgresql":
        # The planner has no statistics about an expression's values until ANALYZE has run.
        connection.execute(DDL("ANALYZE %(table)s").against(declared.table))  # type: ignore[no-untyped-call]


def drop_index(connection: Connection, table: str, name: str) -> None:
    """Drop the index `name` of `table`."""
    column: Column[None] = Column("id")
    Table(table, MetaData(), column)
    connection.execute(DropIndex(Index(name, column)))
