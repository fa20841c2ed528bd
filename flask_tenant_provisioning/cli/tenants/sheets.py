"""Tenants as rows that an import takes back: NDJSON, and CSV with a column for each key of the metadata."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from ...bulk.reading import Limits
from ...hooks import TenantFields
from ...tenants.models import WRITABLE
from ...tenants.own_fields import to_text
from ...web.json import render
from ...web.sheets import harmless, line_writer

Document = dict[str, Any]

_METADATA = "metadata"
#: How many columns an import takes.
MOST_COLUMNS: int = Limits._field_defaults["columns"]


def writable(own: TenantFields | None) -> tuple[str, ...]:
    """The names of the fields that a client may write, the app's own last."""
    return (*WRITABLE, *(name for name, field in own.fields.items() if not field.dump_only)) if own else WRITABLE


def lines(own: TenantFields | None, documents: Iterable[Document]) -> Iterator[bytes]:
    """NDJSON: what a client may write of each tenant, but for what is null."""
    names = writable(own)
    for document in documents:
        yield f"{render({name: document[name] for name in names if document[name] is not None})}\n".encode()


def metadata_keys(own: TenantFields | None, documents: Iterable[Document]) -> list[str]:
    """Every key of the tenants' metadata. Raises `click.ClickException` for more of them than a table has room for."""
    room, found = MOST_COLUMNS - len(writable(own)) + 1, set[str]()
    for document in documents:
        found.update(document[_METADATA])
        if len(found) > room:
            raise click.ClickException(
                f"There are more keys of metadata than the {MOST_COLUMNS:,} columns that an import takes: "
                "choose some with --metadata-key, or export NDJSON."
            )
    return sorted(found)


class Sheet:
    """A table of tenants, with the metadata's `keys` as columns; a `selection` of them leaves out the others.

    `emptied` counts texts that are empty: a table does not tell them from what is absent.
    """

    def __init__(self, own: TenantFields | None, keys: Sequence[str], *, is_selection: bool) -> None:
        self._own = own.fields if own else {}
        self._names = [name for name in writable(own) if name != _METADATA]
        self._keys, self._known = keys, set(keys)
        self._is_selection = is_selection
        self._header, self._row = line_writer(csv.QUOTE_ALL), line_writer(csv.QUOTE_MINIMAL)
        self.emptied = 0

    def rows(self, documents: Iterable[Document]) -> Iterator[bytes]:
        """The header, then each tenant; no text is a formula to a spreadsheet, and an import takes each back as it was.

        The header is quoted, since a delimiter may stand in a key. Raises `click.ClickException` for a key that has
        come up since the keys were read.
        """
        yield self._header([*self._names, *(f"{_METADATA}.{key}" for key in self._keys)])  # No name begins a formula.
        for document in documents:
            metadata = document[_METADATA]
            if not self._is_selection and not metadata.keys() <= self._known:
                raise click.ClickException("A tenant has got a new key of metadata meanwhile: export again.")
            values = [*(self._text(name, document[name]) for name in self._names), *map(metadata.get, self._keys)]
            self.emptied += values.count("")
            yield self._row(map(harmless, values))

    def _text(self, name: str, value: Any) -> str | None:
        """The text that stands for a value: of the app's own fields, the one that an import reads as that value."""
        if value is None or name not in self._own:
            return value  # type: ignore[no-any-return]
        return to_text(self._own[name], value)
