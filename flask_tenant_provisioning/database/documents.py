"""What stands inside a JSON document, as SQL compares and indexes it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

#: How many characters of a member are compared: an index entry has no room for more, beside a partner and a name.
LONGEST = 100


class Member(FunctionElement[str]):
    """The scalar called `name` (letters, digits and ``_``) in the JSON object of a column; NULL where there is none.

    The name stands in the text of the statement: an expression is found in an index by its text. PostgreSQL refuses
    to index a long text, which may be there from before anybody compared it: of that, the beginning counts.
    """

    inherit_cache = True
    type = String()

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        super().__init__(column, literal_column(name))


class Scalar(FunctionElement[str]):
    """A scalar given as JSON text (``"eu"``, ``5``, ``true``), as `Member` would give it."""

    inherit_cache = True
    type = String()


@compiles(Member)
def _extracted(element: Member, compiler: Any, **options: Any) -> str:
    column, name = element.clauses
    return f"json_extract({compiler.process(column, **options)}, '$.\"{name}\"')"


@compiles(Member, "postgresql")
def _arrow(element: Member, compiler: Any, **options: Any) -> str:
    column, name = element.clauses
    return f"(left({compiler.process(column, **options)} ->> '{name}', {LONGEST}))"


@compiles(Scalar)
def _read(element: Scalar, compiler: Any, **options: Any) -> str:
    return f"json_extract({compiler.process(*element.clauses, **options)}, '$')"


@compiles(Scalar, "postgresql")
def _cast(element: Scalar, compiler: Any, **options: Any) -> str:
    return f"(CAST({compiler.process(*element.clauses, **options)} AS json) #>> '{{}}')"
