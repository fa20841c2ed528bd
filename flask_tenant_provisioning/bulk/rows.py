"""The rows of a chunk as they were sent: each an object, or the problem that it is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..hooks import TenantFields
from ..problems import Fault, MalformedJSON, ProvisioningError
from ..tenants.own_fields import from_text
from ..web.json import parse
from ..web.validation import NOT_AN_OBJECT, entry, invalid
from .columns import METADATA, METADATA_PREFIX
from .models import Chunk
from .packing import unpacked, unpacked_lines

WRONG_WIDTH = Fault("wrong-number-of-cells", "Must have as many cells as the header has columns.")


class Row(NamedTuple):
    """One row: its number and its line in the upload, both from 1, and what it holds or why that cannot be read."""

    number: int
    line: int
    body: Mapping[str, Any]
    problem: ProvisioningError | None = None

    @property
    def external_id(self) -> str | None:
        """The external id that it names, for whoever looks for it among the results."""
        found = self.body.get("external_id")
        return found if isinstance(found, str) and len(found) <= 128 else None


def read(chunk: Chunk, *, cells: bool, own: TenantFields | None) -> Iterator[Row]:
    """The rows of a chunk; where they came as `cells` of a table, every value is a text."""
    texts = unpacked(chunk.payload).split(b"\n")
    lines = unpacked_lines(chunk.first_line, chunk.rows, chunk.lines)
    for number, (line, text) in enumerate(zip(lines, texts, strict=True), chunk.first_row):
        try:
            body = parse(text)
            yield Row(number, line, _of_cells(body, own) if cells else _object(body))
        except ProvisioningError as error:
            yield Row(number, line, {}, _placed(error))


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise invalid([entry(NOT_AN_OBJECT)])
    return body


def _of_cells(body: Any, own: TenantFields | None) -> dict[str, Any]:
    """What a table's row says: metadata by column, and the host's fields as JSON where they are no texts."""
    if not isinstance(body, dict):
        raise invalid([entry(WRONG_WIDTH)])
    found: dict[str, Any] = {}
    for name, text in body.items():
        if name.startswith(METADATA_PREFIX):
            found.setdefault(METADATA, {})[name.removeprefix(METADATA_PREFIX)] = text
        elif own is not None and name in own.fields:
            found[name] = from_text(own.fields[name], text)
        else:
            found[name] = text
    return found


def _placed(error: ProvisioningError) -> ProvisioningError:
    """A row is one line: where in it the JSON breaks is its column alone."""
    if isinstance(error, MalformedJSON):
        return MalformedJSON(error.detail.replace("The body", "The row").replace("at line 1, column", "at column"))
    return error
