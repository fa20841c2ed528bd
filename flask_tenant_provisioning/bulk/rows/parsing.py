"""Parse the stored rows of a chunk, and tell which columns a CSV may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ...encoding import parse_json
from ...errors import Fault, MalformedJSON, ProvisioningError
from ...registry import TenantFields
from ...tenants.custom_field_checks import ADMIN, ROW_IDEMPOTENCY_KEY
from ...tenants.custom_fields import text_to_json
from ...tenants.fields import MAX_METADATA_KEY_LENGTH
from ...validation import NOT_AN_OBJECT, make_entry, make_invalid_input
from ..models import OPERATIONS, Chunk
from ..results import decompress, decompress_lines
from ..upload.csv_reader import IsColumn

METADATA = "metadata"
#: The columns that hold a member of the tenant's first administrator.
ADMIN_COLUMNS = frozenset(f"{ADMIN}.{name}" for name in ("email", "name", "locale"))
#: The prefix of columns that hold a member of the tenant's metadata.
METADATA_PREFIX = f"{METADATA}."


def make_column_predicate(operation: str, custom_fields: TenantFields | None) -> IsColumn:
    """Return the predicate for column names that rows of `operation` may have, including the host's `custom_fields`."""
    names = OPERATIONS[operation].columns | {ROW_IDEMPOTENCY_KEY}
    sets_fields = OPERATIONS[operation].creates_tenants or OPERATIONS[operation].updates_tenants
    if OPERATIONS[operation].creates_tenants:
        names |= ADMIN_COLUMNS
    if sets_fields and custom_fields is not None:
        names |= {name for name, field in custom_fields.fields.items() if not field.dump_only}

    def is_column(name: str) -> bool:
        key = name.removeprefix(METADATA_PREFIX)
        return name in names or (sets_fields and key != name and 1 <= len(key) <= MAX_METADATA_KEY_LENGTH)

    return is_column


WRONG_WIDTH = Fault("wrong-number-of-cells", "Must have as many cells as the header has columns.")


class Row(NamedTuple):
    """A row with its number and its line in the upload, both from 1, and its content or the problem with reading it."""

    number: int
    line: int
    body: Mapping[str, Any]
    problem: ProvisioningError | None = None

    @property
    def external_id(self) -> str | None:
        """The external id in the row, so that callers can find its result; None if there is none or it is invalid."""
        value = self.body.get("external_id")
        return value if isinstance(value, str) and len(value) <= 128 else None


def parse_rows(chunk: Chunk, *, is_table: bool, custom_fields: TenantFields | None) -> Iterator[Row]:
    """Yield the rows of a chunk. With `is_table` they came as CSV, where every value is text."""
    texts = decompress(chunk.payload).split(b"\n")
    lines = decompress_lines(chunk.first_line, chunk.rows, chunk.lines)
    for number, (line, text) in enumerate(zip(lines, texts, strict=True), chunk.first_row):
        try:
            body = parse_json(text)
            yield Row(number, line, _parse_cells(body, custom_fields) if is_table else _require_object(body))
        except ProvisioningError as error:
            yield Row(number, line, {}, _drop_line_number(error))


def _require_object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise make_invalid_input([make_entry(NOT_AN_OBJECT)])
    return body


def _parse_cells(body: Any, custom_fields: TenantFields | None) -> dict[str, Any]:
    """Return the cells of a CSV row as a body: metadata and administrator nested, the host's fields as JSON types."""
    if not isinstance(body, dict):
        raise make_invalid_input([make_entry(WRONG_WIDTH)])
    document: dict[str, Any] = {}
    for name, text in body.items():
        if name.startswith(METADATA_PREFIX):
            document.setdefault(METADATA, {})[name.removeprefix(METADATA_PREFIX)] = text
        elif name in ADMIN_COLUMNS:
            document.setdefault(ADMIN, {})[name.removeprefix(f"{ADMIN}.")] = text
        elif custom_fields is not None and name in custom_fields.fields:
            document[name] = text_to_json(custom_fields.fields[name], text)
        else:
            document[name] = text
    return document


def _drop_line_number(error: ProvisioningError) -> ProvisioningError:
    """Return a JSON error with its column only: a row is one line."""
    if isinstance(error, MalformedJSON):
        return MalformedJSON(error.detail.replace("The body", "The row").replace("at line 1, column", "at column"))
    return error
