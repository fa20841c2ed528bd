"""Column types, JSON members in SQL, and the names of tables and constraints.

The Python value of identifiers, instants and JSON documents is text, spelled as in JSON responses, so a row needs no
conversion. Each database stores them in its best native type and converts them itself.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import CHAR, JSON, DateTime, MetaData, String, Text, literal_column
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

NAMING_CONVENTION = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


def make_metadata(prefix: str) -> MetaData:
    """Return a MetaData for tables whose full names are `prefix` plus their own name (see `name_table`)."""
    return MetaData(naming_convention=NAMING_CONVENTION, info={"prefix": prefix})


def name_table(metadata: MetaData, name: str) -> str:
    """Return the full name of the table `name`."""
    return f"{metadata.info['prefix']}{name}"


class _AsText(FunctionElement[str]):
    """A column's value as text; the column itself if the database stores text."""

    inherit_cache = True
    type = String()


class _AsInstant(_AsText):
    """An instant as text, ``2025-02-10T16:30:00.000000Z``, independent of the session's time zone."""

    inherit_cache = True


@compiles(_AsText)
def _compile_as_text(element: _AsText, compiler: Any, **options: Any) -> str:
    return str(compiler.process(next(iter(element.clauses)), **options))


@compiles(_AsText, "postgresql")
def _compile_as_text_on_postgresql(element: _AsText, compiler: Any, **options: Any) -> str:
    return f"{_compile_as_text(element, compiler, **options)}::text"


@compiles(_AsInstant)
def _compile_as_instant(element: _AsInstant, compiler: Any, **options: Any) -> str:
    return _compile_as_text(element, compiler, **options)


@compiles(_AsInstant, "postgresql")
def _compile_as_instant_on_postgresql(element: _AsInstant, compiler: Any, **options: Any) -> str:
    column = _compile_as_text(element, compiler, **options)
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


class _TextType(TypeDecorator[str]):
    """Base of types that are text in Python: `native` on PostgreSQL, `plain` elsewhere."""

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


class Identifier(_TextType):
    """A UUID in its canonical, lower-case form."""

    cache_ok = True
    native = postgresql.UUID(as_uuid=False)
    plain = CHAR(36)


class Instant(_TextType):
    """A point in time in UTC with microseconds: ``2025-02-10T16:30:00.000000Z``."""

    cache_ok = True
    native = DateTime(timezone=True)
    plain = String(27)

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return _AsInstant(column)


class _JsonType(_TextType):
    """Base of the JSON types. SQLAlchemy's own types would encode the text a second time."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return json.loads(value) if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return value if value is None or isinstance(value, str) else json.dumps(value)


class JsonDocument(_JsonType):
    """A JSON document whose members can be queried (``jsonb`` on PostgreSQL)."""

    cache_ok = True
    native = postgresql.JSONB(none_as_null=True)


class JsonText(_JsonType):
    """A JSON document that is stored verbatim and read as a whole (``json`` on PostgreSQL)."""

    cache_ok = True
    native = JSON(none_as_null=True)


def ordered_text(length: int) -> String:
    """Return a text type that compares by code point on every database, for sorting, prefixes and keys."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


#: Number of characters of a member that are compared: an index entry, with a partner and a name, cannot hold more.
MAX_MEMBER_LENGTH = 100


class JsonMember(FunctionElement[str]):
    """The scalar member `name` (letters, digits and ``_``) of a column's JSON object; NULL if there is none.

    The name is part of the statement's text, because a database matches an expression with an index by its text. Only
    the first `MAX_MEMBER_LENGTH` characters count on PostgreSQL, which refuses to index a long text.
    """

    inherit_cache = True
    type = String()

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        super().__init__(column, literal_column(name))


class JsonScalar(FunctionElement[str]):
    """A scalar given as JSON text (``"eu"``, ``5``, ``true``), in the form in which `JsonMember` returns it."""

    inherit_cache = True
    type = String()


@compiles(JsonMember)
def _compile_member(element: JsonMember, compiler: Any, **options: Any) -> str:
    column, name = element.clauses
    return f"json_extract({compiler.process(column, **options)}, '$.\"{name}\"')"


@compiles(JsonMember, "postgresql")
def _compile_member_on_postgresql(element: JsonMember, compiler: Any, **options: Any) -> str:
    column, name = element.clauses
    return f"(left({compiler.process(column, **options)} ->> '{name}', {MAX_MEMBER_LENGTH}))"


@compiles(JsonScalar)
def _compile_scalar(element: JsonScalar, compiler: Any, **options: Any) -> str:
    return f"json_extract({compiler.process(*element.clauses, **options)}, '$')"


@compiles(JsonScalar, "postgresql")
def _compile_scalar_on_postgresql(element: JsonScalar, compiler: Any, **options: Any) -> str:
    return f"(CAST({compiler.process(*element.clauses, **options)} AS json) #>> '{{}}')"
