"""`tenants export`: all tenants of a partner, as NDJSON or CSV that `tenants import` takes back."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import click
from flask.cli import with_appcontext

from ...bulk.upload.limits import UploadLimits
from ...database.session import Session
from ...encoding import dump_json, escape_formula, make_csv_writer
from ...mount import Mount
from ...registry import TenantFields
from ...tenants import listing
from ...tenants.custom_fields import json_to_text
from ...tenants.models import WRITABLE
from ...tenants.schemas import list_query
from ...validation import load_parameters
from ..options import TEXT, find_mount, mount_option
from ..output import iter_pages, print_text
from ..progress import Progress
from .files import EXPORT_FORMATS, guess_format, open_output

Document = dict[str, Any]


@click.command("export", help="Write all tenants of a partner as `import` takes them back.")
@click.option("--partner", type=TEXT, required=True, help="Whose tenants.")
@click.option(
    "--output", type=click.Path(dir_okay=False), default="-", help="Write to this file, packed where it ends with .gz."
)
@click.option(
    "--format", "format", type=click.Choice(EXPORT_FORMATS), help="By default as the file's name says, else ndjson."
)
@click.option("--include-deleted", is_flag=True, help="Deleted ones too.")
@click.option(
    "--metadata-key",
    "keys",
    type=TEXT,
    multiple=True,
    metavar="KEY",
    help="In CSV, a column for this key of the metadata and for no other but those named so; by default for all.",
)
@mount_option
@with_appcontext
def export_tenants(
    partner: str, output: str, format: str | None, include_deleted: bool, keys: tuple[str, ...], mount_name: str | None
) -> None:
    """Reads page by page, so that a million tenants take no more memory than a thousand."""
    is_table = _resolve_export_format(output, format) == "csv"
    if keys and not is_table:
        raise click.UsageError("--metadata-key goes with --format csv.")
    mount = find_mount(mount_name)
    tenants = TenantDocuments(mount, partner, include_deleted=include_deleted)
    own = mount.hooks.fields
    if is_table:
        sheet = TenantCSV(own, keys or collect_metadata_keys(own, tenants), is_selection=bool(keys))
        rows = sheet.rows(tenants)
    else:
        sheet, rows = None, iter_ndjson(own, tenants)
    with open_output(output) as file:
        count = _write_rows(rows, file, Progress() if output != "-" else None)
    _print_summary(count - is_table, output, sheet)


class TenantDocuments:
    """The documents of a partner's tenants, the oldest first; each iteration reads them anew."""

    def __init__(self, mount: Mount, partner: str, *, include_deleted: bool) -> None:
        self._mount = mount
        deleted = {"include_deleted": ["true"]} if include_deleted else {}
        self._asked = load_parameters(list_query(mount), {"partner": [partner], **deleted})

    def __iter__(self) -> Iterator[Document]:
        for found, _more in iter_pages(self._mount.storage, self._page, Document, 0):
            yield from found

    def _page(self, session: Session, limit: int, after: str | None) -> tuple[list[Document], str | None]:
        return listing.load_page(session, self._asked["partner"], {**self._asked, "limit": limit}, after)


def _resolve_export_format(output: str, told: str | None) -> str:
    found = told or guess_format(output) or EXPORT_FORMATS[0]
    if found not in EXPORT_FORMATS:
        raise click.UsageError(f"Say with --format what {output} is to hold: {' or '.join(EXPORT_FORMATS)}.")
    return found


def _write_rows(rows: Iterable[bytes], file: BinaryIO, progress: Progress | None) -> int:
    """How many rows have been written."""
    count = 0
    for count, row in enumerate(rows, 1):
        file.write(row)
        if progress is not None and count % 1000 == 0 and progress.is_due():
            progress.show(f"{count:,} tenants")
    if progress is not None:
        progress.clear()
    return count


def _print_summary(count: int, output: str, sheet: TenantCSV | None) -> None:
    if not count:
        print_text("There are no such tenants.", err=True)
    elif output != "-":
        print_text(f"{count:,} {'tenant' if count == 1 else 'tenants'} in {output}.")
    if sheet is not None and sheet.emptied:
        print_text(f"{sheet.emptied:,} empty texts are absent when this is imported; NDJSON keeps them.", err=True)


_METADATA = "metadata"
#: How many columns an import takes.
MAX_COLUMNS: int = UploadLimits._field_defaults["columns"]


def list_writable_fields(own: TenantFields | None) -> tuple[str, ...]:
    """The names of the fields that a client may write, the app's own last."""
    return (*WRITABLE, *(name for name, field in own.fields.items() if not field.dump_only)) if own else WRITABLE


def iter_ndjson(own: TenantFields | None, documents: Iterable[Document]) -> Iterator[bytes]:
    """NDJSON: what a client may write of each tenant, but for what is null."""
    names = list_writable_fields(own)
    for document in documents:
        yield f"{dump_json({name: document[name] for name in names if document[name] is not None})}\n".encode()


def collect_metadata_keys(own: TenantFields | None, documents: Iterable[Document]) -> list[str]:
    """Every key of the tenants' metadata. Raises `click.ClickException` for more of them than a table has room for."""
    room, found = MAX_COLUMNS - len(list_writable_fields(own)) + 1, set[str]()
    for document in documents:
        found.update(document[_METADATA])
        if len(found) > room:
            raise click.ClickException(
                f"There are more keys of metadata than the {MAX_COLUMNS:,} columns that an import takes: "
                "choose some with --metadata-key, or export NDJSON."
            )
    return sorted(found)


class TenantCSV:
    """A table of tenants, with the metadata's `keys` as columns; a `selection` of them leaves out the others.

    `emptied` counts texts that are empty: a table does not tell them from what is absent.
    """

    def __init__(self, own: TenantFields | None, keys: Sequence[str], *, is_selection: bool) -> None:
        self._own = own.fields if own else {}
        self._names = [name for name in list_writable_fields(own) if name != _METADATA]
        self._keys, self._known = keys, set(keys)
        self._is_selection = is_selection
        self._header, self._row = make_csv_writer(csv.QUOTE_ALL), make_csv_writer(csv.QUOTE_MINIMAL)
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
            yield self._row(map(escape_formula, values))

    def _text(self, name: str, value: Any) -> str | None:
        """The text that stands for a value: of the app's own fields, the one that an import reads as that value."""
        if value is None or name not in self._own:
            return value  # type: ignore[no-any-return]
        return json_to_text(self._own[name], value)
