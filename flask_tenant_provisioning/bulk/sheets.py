"""A job's rows and what came of them as CSV, to be corrected and sent again: an upload leaves out ``result.*``."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..hooks import TenantFields
from ..problems import MalformedJSON, NotAcceptable
from ..tenants.models import WRITABLE
from ..tenants.own_fields import to_text
from ..web.json import parse, render
from ..web.sheets import harmless, line_writer
from ..web.validation import field_of
from .columns import METADATA, METADATA_PREFIX
from .models import Chunk
from .packing import unpacked
from .reading import RESULT_PREFIX, Limits
from .results import Result

Outcomes = Iterable[tuple[Chunk, list[Result]]]
Cells = Mapping[str, str]
#: Makes a cell's text of it.
ToText = Callable[[str | None], str | None]

_RESULT = ("row", "line", "state", "status", "tenant", "code", "detail")
#: How many columns of the rows there may be: an upload takes these and ours.
_MOST_COLUMNS: int = Limits._field_defaults["columns"] - len(_RESULT)
_LONGEST_HEADER: int = Limits._field_defaults["row_bytes"]
#: Which columns come first.
_FIRST = ("tenant", *WRITABLE)


def sheet(read: Callable[[], Outcomes], own: TenantFields | None, *, is_foreign: bool = False) -> Generator[bytes]:
    """The header, then each row with its result. `read` is called twice: the columns are looked for first.

    For a reader to whom the rows are `is_foreign` no text is a formula to a spreadsheet. Raises `NotAcceptable` for
    more columns than an upload may have.
    """
    columns = _columns(read(), own)
    return _written(columns, read(), own, harmless if is_foreign else _as_it_is)


def explained(problem: Mapping[str, Any]) -> str | None:
    """What a problem says, in one sentence or several: of each field, where it names some."""
    faults = ((field_of(fault), fault["detail"]) for fault in problem.get("errors", ()))
    return "; ".join(f"{name}: {detail}" if name else detail for name, detail in faults) or problem.get("detail")


def _columns(found: Outcomes, own: TenantFields | None) -> list[str]:
    names: dict[str, None] = {}
    for chunk, some in found:
        for _, cells in _rows(chunk, some, own):
            names.update(dict.fromkeys(cells))
        if len(names) > _MOST_COLUMNS:
            detail = f"The rows have more columns than the {_MOST_COLUMNS} that a table has: ask for another type."
            raise NotAcceptable(detail)
        if sum(map(len, names)) > _LONGEST_HEADER:
            raise NotAcceptable("The names of the rows' columns are longer than a row may be: ask for another type.")
    places = {name: place for place, name in enumerate(_FIRST)}
    return sorted(names, key=lambda name: places.get(name, len(places)))


def _written(columns: Sequence[str], found: Outcomes, own: TenantFields | None, text: ToText) -> Generator[bytes]:
    """The header, whose names are quoted since a delimiter may stand in them, and the lines of each chunk."""
    header, line = line_writer(csv.QUOTE_ALL), line_writer(csv.QUOTE_MINIMAL)
    yield header([*map(text, columns), *(f"{RESULT_PREFIX}{name}" for name in _RESULT)])
    for chunk, some in found:
        lines = (
            line([*(text(cells.get(name)) for name in columns), *_told(result, text)])
            for result, cells in _rows(chunk, some, own)
        )
        yield b"".join(lines)


def _as_it_is(text: str | None) -> str | None:
    return text


def _rows(chunk: Chunk, some: Sequence[Result], own: TenantFields | None) -> Iterator[tuple[Result, Cells]]:
    texts = unpacked(chunk.payload).split(b"\n") if some else []
    for result in some:
        text = texts[result.row - chunk.first_row]
        yield result, _cells(text, own) if text else _known(result)


def _known(result: Result) -> Cells:
    """Return what is still known of a row that took effect, or was erased."""
    return {} if result.external_id is None else {"external_id": result.external_id}


def _cells(text: bytes, own: TenantFields | None) -> Cells:
    """A row as the cells of a table; none of one that is no object."""
    try:
        row = parse(text)
    except MalformedJSON:
        return {}
    return dict(_flat(row, own)) if isinstance(row, dict) else {}


def _flat(row: Mapping[str, Any], own: TenantFields | None) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if name == METADATA and value is None:
            continue
        if name == METADATA and isinstance(value, dict):
            yield from ((f"{METADATA_PREFIX}{key}", _text(one)) for key, one in value.items())
        elif own is not None and name in own.fields and value is not None:
            yield name, to_text(own.fields[name], value)
        else:
            yield name, _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else render(value)


def _told(result: Result, text: ToText) -> list[Any]:
    problem = result.problem or {}
    line, code = problem.get("line"), problem.get("code")
    return [result.row, line, result.state, result.status, result.tenant, text(code), text(explained(problem))]
