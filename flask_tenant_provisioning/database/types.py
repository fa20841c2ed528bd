"""Column types whose Python value is the text that JSON shows: a row needs no conversion on its way out.

Identifiers, instants and JSON documents go in and come out as text; each database keeps them in its own best
type and turns them into text itself.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import CHAR, JSON, DateTime, String, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class _AsText(FunctionElement[str]):
    """The column's value as text; where the database stores text already, the column itself."""

    inherit_cache = True
    type = String()


class _AsInstant(_AsText):
    """The same for a point in time: ``2025-02-10T16:30:00.000000Z``, whatever the session's time zone is."""

    inherit_cache = True


@compiles(_AsText)
def _plain(element: _AsText, compiler: Any, **options: Any) -> str:
    return str(compiler.process(next(iter(element.clauses)), **options))


@compiles(_AsText, "postgresql")
def _cast(element: _AsText, compiler: Any, **options: Any) -> str:
    return f"{_plain(element, compiler, **options)}::text"


@compiles(_AsInstant)
def _stored(element: _AsInstant, compiler: Any, **options: Any) -> str:
    return _plain(element, compiler, **options)


@compiles(_AsInstant, "postgresql")
def _formatted(element: _AsInstant, compiler: Any, **options: Any) -> str:
    column = _plain(element, compiler, **options)
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


class _Textual(TypeDecorator[str]):
    """Base: `native` on PostgreSQL, plain text elsewhere; text in Python."""

    impl = Text
    cache_ok = True
    native: TypeEngine[Any] = Text()
    plain: TypeEngine[Any] = Text()

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(self.native if dialect.name == "postgresql" else self.plain)

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return _AsText(column)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else str(value)


class Identifier(_Textual):
    """A UUID in its canonical, lower-case form."""

    cache_ok = True
    native = postgresql.UUID(as_uuid=False)
    plain = CHAR(36)


class Instant(_Textual):
    """A point in time in UTC with microseconds: ``2025-02-10T16:30:00.000000Z``."""

    cache_ok = True
    native = DateTime(timezone=True)
    plain = String(27)

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return _AsInstant(column)


class _Json(_Textual):
    """Base of the JSON types: SQLAlchemy's own would wrap the text a second time."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return json.loads(value) if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value if value is None or isinstance(value, str) else json.dumps(value)


class Document(_Json):
    """A JSON document that the database can look into (``jsonb`` on PostgreSQL)."""

    cache_ok = True
    native = postgresql.JSONB(none_as_null=True)


class Record(_Json):
    """A JSON document that is kept to the letter, for reading whole (``json`` on PostgreSQL)."""

    cache_ok = True
    native = JSON(none_as_null=True)


def ordered_text(length: int) -> String:
    """Text that compares by code point on every database, for sorting, prefixes and keys."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
