"""A job's rows and their results as CSV, to correct and upload again; an upload ignores the ``result.*`` columns."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..encoding import dump_json, escape_formula, make_csv_writer, parse_json
from ..errors import MalformedJSON, NotAcceptable
from ..registry import TenantFields
from ..tenants.custom_fields import json_to_text
from ..tenants.models import WRITABLE
from ..validation import get_field_path
from .models import Chunk
from .results import RowResult, decompress
from .rows.parsing import METADATA, METADATA_PREFIX
from .upload.csv_reader import RESULT_PREFIX
from .upload.limits import UploadLimits

ChunksWithResults = Iterable[tuple[Chunk, list[RowResult]]]
Cells = Mapping[str, str]
#: Formats a cell: unchanged, or escaped for spreadsheets.
ToText = Callable[[str | None], str | None]
_RESULT_COLUMNS = ("row", "line", "state", "status", "tenant", "code", "detail")
#: The most columns that the rows may have: an upload accepts these and the result columns.
_MAX_COLUMNS: int = UploadLimits._field_defaults["max_columns"] - len(_RESULT_COLUMNS)
_MAX_HEADER_SIZE: int = UploadLimits._field_defaults["max_row_bytes"]
#: Columns that come first, in this order.
_LEADING_COLUMNS = ("tenant", *WRITABLE)


def write_results_csv(
    read: Callable[[], ChunksWithResults], custom_fields: TenantFields | None, *, is_foreign: bool = False
) -> Generator[bytes]:
    """Yield the header, then each row with its result. `read` is called twice, the first time to collect the columns.

    With `is_foreign`, for a reader who did not send the rows, texts that a spreadsheet would run as formulas are
    escaped. Raises `NotAcceptable` for more columns than an upload may have.
    """
    columns = _collect_columns(read(), custom_fields)
    return _write_lines(columns, read(), custom_fields, escape_formula if is_foreign else _keep_text)


def explain_problem(problem: Mapping[str, Any]) -> str | None:
    """Return a problem in words: its field errors if it has any, otherwise its detail."""
    sentences = []
    for error in problem.get("errors", ()):
        name = get_field_path(error)
        sentences.append(f"{name}: {error['detail']}" if name else error["detail"])
    return "; ".join(sentences) or problem.get("detail")


def _collect_columns(chunks: ChunksWithResults, custom_fields: TenantFields | None) -> list[str]:
    names: dict[str, None] = {}
    for chunk, results in chunks:
        for _, cells in _pair_rows(chunk, results, custom_fields):
            names.update(dict.fromkeys(cells))
        if len(names) > _MAX_COLUMNS:
            raise NotAcceptable(
                f"The rows have more columns than the {_MAX_COLUMNS} that a table may have. Request another media type."
            )
        if sum(map(len, names)) > _MAX_HEADER_SIZE:
            raise NotAcceptable(
                "The names of the rows' columns are longer than a row may be. Request another media type."
            )
    ranks = {name: rank for rank, name in enumerate(_LEADING_COLUMNS)}
    return sorted(names, key=lambda name: ranks.get(name, len(ranks)))


def _write_lines(
    columns: Sequence[str], chunks: ChunksWithResults, custom_fields: TenantFields | None, to_text: ToText
) -> Generator[bytes]:
    """Yield the header and the lines of each chunk. Names are quoted, since they may contain a delimiter."""
    format_header, format_line = make_csv_writer(csv.QUOTE_ALL), make_csv_writer(csv.QUOTE_MINIMAL)
    yield format_header([*map(to_text, columns), *(f"{RESULT_PREFIX}{name}" for name in _RESULT_COLUMNS)])
    for chunk, results in chunks:
        lines = []
        for result, cells in _pair_rows(chunk, results, custom_fields):
            row_cells = [to_text(cells.get(name)) for name in columns]
            lines.append(format_line([*row_cells, *_make_result_cells(result, to_text)]))
        yield b"".join(lines)


def _keep_text(text: str | None) -> str | None:
    return text


def _pair_rows(
    chunk: Chunk, results: Sequence[RowResult], custom_fields: TenantFields | None
) -> Iterator[tuple[RowResult, Cells]]:
    texts = decompress(chunk.payload).split(b"\n") if results else []
    for result in results:
        text = texts[result.row - chunk.first_row]
        yield result, _make_cells(text, custom_fields) if text else _make_fallback_cells(result)


def _make_fallback_cells(result: RowResult) -> Cells:
    """Return the known cells of a row that took effect or was erased."""
    return {} if result.external_id is None else {"external_id": result.external_id}


def _make_cells(text: bytes, custom_fields: TenantFields | None) -> Cells:
    """Return a row as cells, or none if it is not a JSON object."""
    try:
        row = parse_json(text)
    except MalformedJSON:
        return {}
    return dict(_flatten_row(row, custom_fields)) if isinstance(row, dict) else {}


def _flatten_row(row: Mapping[str, Any], custom_fields: TenantFields | None) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if name == METADATA and value is None:
            continue
        if name == METADATA and isinstance(value, dict):
            yield from ((f"{METADATA_PREFIX}{key}", _format_value(member)) for key, member in value.items())
        elif custom_fields is not None and name in custom_fields.fields and value is not None:
            yield name, json_to_text(custom_fields.fields[name], value)
        else:
            yield name, _format_value(value)


def _format_value(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dump_json(value)


def _make_result_cells(result: RowResult, to_text: ToText) -> list[Any]:
    """Return the cells of `_RESULT_COLUMNS`."""
    problem = result.problem or {}
    code, detail = to_text(problem.get("code")), to_text(explain_problem(problem))
    return [result.row, problem.get("line"), result.state, result.status, result.tenant, code, detail]
