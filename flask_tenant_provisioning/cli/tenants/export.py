"""`tenants export`: all tenants of a partner, as NDJSON or CSV that `tenants import` can read."""

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
from ...tenants.schemas import ListQuery
from ...validation import load_parameters
from ..options import TEXT, find_mount, mount_option
from ..output import iter_pages, print_text
from ..progress import Progress
from .files import EXPORT_FORMATS, guess_format, open_output

Document = dict[str, Any]


@click.command("export", help="Export all tenants of a partner. `tenants import` can read the output.")
@click.option("--partner", type=TEXT, required=True, help="The partner whose tenants are exported.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    default="-",
    help="File to write to, compressed if it ends with .gz; stdout by default.",
)
@click.option(
    "--format", "format", type=click.Choice(EXPORT_FORMATS), help="By default that of the file's name, else ndjson."
)
@click.option("--include-deleted", is_flag=True, help="Include deleted tenants.")
@click.option(
    "--metadata-key",
    "keys",
    type=TEXT,
    multiple=True,
    metavar="KEY",
    help="Only columns for these metadata keys, in CSV; can be repeated. By default all keys are exported.",
)
@mount_option
@with_appcontext
def export_tenants(
    partner: str, output: str, format: str | None, include_deleted: bool, keys: tuple[str, ...], mount_name: str | None
) -> None:
    """Export tenants page by page, so that memory does not grow with their number."""
    is_table = _resolve_export_format(output, format) == "csv"
    if keys and not is_table:
        raise click.UsageError("--metadata-key goes with --format csv.")
    mount = find_mount(mount_name)
    tenants = TenantDocuments(mount, partner, include_deleted=include_deleted)
    custom_fields = mount.registry.fields
    if is_table:
        columns = keys or collect_metadata_keys(custom_fields, tenants)
        tenant_csv = TenantCSV(custom_fields, columns, is_selection=bool(keys))
        rows = tenant_csv.iter_rows(tenants)
    else:
        tenant_csv, rows = None, iter_ndjson(custom_fields, tenants)
    with open_output(output) as file:
        count = _write_rows(rows, file, Progress() if output != "-" else None)
    _print_summary(count - is_table, output, tenant_csv)


class TenantDocuments:
    """Documents of a partner's tenants, oldest first. Each iteration reads the database again."""

    def __init__(self, mount: Mount, partner: str, *, include_deleted: bool) -> None:
        self._mount = mount
        deleted = {"include_deleted": ["true"]} if include_deleted else {}
        self._query = load_parameters(mount.schema(ListQuery), {"partner": [partner], **deleted})

    def __iter__(self) -> Iterator[Document]:
        for documents, _has_more in iter_pages(self._mount.storage, self._load_page, Document, 0):
            yield from documents

    def _load_page(self, session: Session, limit: int, after: str | None) -> tuple[list[Document], str | None]:
        return listing.load_page(session, self._query["partner"], {**self._query, "limit": limit}, after)


def _resolve_export_format(output: str, option: str | None) -> str:
    format = option or guess_format(output) or EXPORT_FORMATS[0]
    if format not in EXPORT_FORMATS:
        raise click.UsageError(
            f"{output} cannot be written in the format of its name. Use --format: {' or '.join(EXPORT_FORMATS)}."
        )
    return format


def _write_rows(rows: Iterable[bytes], file: BinaryIO, progress: Progress | None) -> int:
    """Write the rows and return their number."""
    count = 0
    for count, row in enumerate(rows, 1):
        file.write(row)
        if progress is not None and count % 1000 == 0 and progress.is_due():
            progress.show(f"{count:,} tenants")
    if progress is not None:
        progress.clear()
    return count


def _print_summary(count: int, output: str, tenant_csv: TenantCSV | None) -> None:
    if not count:
        print_text("There are no such tenants.", err=True)
    elif output != "-":
        print_text(f"{count:,} {'tenant' if count == 1 else 'tenants'} in {output}.")
    if tenant_csv is not None and tenant_csv.empty_texts:
        print_text(
            f"{tenant_csv.empty_texts:,} empty texts are lost when this file is imported; NDJSON keeps them.", err=True
        )


_METADATA = "metadata"
#: Maximum number of columns that an import accepts.
MAX_COLUMNS: int = UploadLimits._field_defaults["max_columns"]


def list_writable_fields(custom_fields: TenantFields | None) -> tuple[str, ...]:
    """Return the names of the fields that a client may write, the app's own last."""
    if custom_fields is None:
        return WRITABLE
    return (*WRITABLE, *(name for name, field in custom_fields.fields.items() if not field.dump_only))


def iter_ndjson(custom_fields: TenantFields | None, documents: Iterable[Document]) -> Iterator[bytes]:
    """Yield a line of NDJSON for each tenant: the fields that a client may write and that are not null."""
    names = list_writable_fields(custom_fields)
    for document in documents:
        yield f"{dump_json({name: document[name] for name in names if document[name] is not None})}\n".encode()


def collect_metadata_keys(custom_fields: TenantFields | None, documents: Iterable[Document]) -> list[str]:
    """Return every metadata key of the tenants. Raises `click.ClickException` if an import takes fewer columns."""
    max_keys, keys = MAX_COLUMNS - len(list_writable_fields(custom_fields)) + 1, set[str]()
    for document in documents:
        keys.update(document[_METADATA])
        if len(keys) > max_keys:
            raise click.ClickException(
                f"There are more metadata keys than the {MAX_COLUMNS:,} columns that an import accepts: "
                "choose some with --metadata-key, or export NDJSON."
            )
    return sorted(keys)


class TenantCSV:
    """Tenants as CSV, with a column for each metadata key of `keys`. Other keys are left out if it `is_selection`.

    `empty_texts` counts the empty texts, which an import of CSV takes for absent values.
    """

    def __init__(self, custom_fields: TenantFields | None, keys: Sequence[str], *, is_selection: bool) -> None:
        self._custom_fields = custom_fields.fields if custom_fields else {}
        self._names = [name for name in list_writable_fields(custom_fields) if name != _METADATA]
        self._keys, self._known_keys = keys, set(keys)
        self._is_selection = is_selection
        self._format_header, self._format_row = make_csv_writer(csv.QUOTE_ALL), make_csv_writer(csv.QUOTE_MINIMAL)
        self.empty_texts = 0

    def iter_rows(self, documents: Iterable[Document]) -> Iterator[bytes]:
        """Yield the header and a row for each tenant, with texts escaped that a spreadsheet would run as formulas.

        The header is quoted, since a key may contain the delimiter. Raises `click.ClickException` for a metadata key
        that was added since `keys` were collected.
        """
        header = [*self._names, *(f"{_METADATA}.{key}" for key in self._keys)]
        yield self._format_header(header)  # no name starts a formula
        for document in documents:
            metadata = document[_METADATA]
            if not self._is_selection and not metadata.keys() <= self._known_keys:
                raise click.ClickException("A tenant has got a new metadata key during the export: export again.")
            values = [
                *(self._format_value(name, document[name]) for name in self._names),
                *map(metadata.get, self._keys),
            ]
            self.empty_texts += values.count("")
            yield self._format_row(map(escape_formula, values))

    def _format_value(self, name: str, value: Any) -> str | None:
        """Return the text of a value; for the app's own fields, the one that an import parses back to it."""
        if value is None or name not in self._custom_fields:
            return value  # type: ignore[no-any-return]
        return json_to_text(self._custom_fields[name], value)
