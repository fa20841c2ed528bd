"""``tenants export``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import click
from flask.cli import with_appcontext

from ...database import Session
from ...tenants import listing
from ...tenants.queries import list_query
from ...web.mount import Mount
from ...web.validation import load_parameters
from ..mounts import chosen_mount, mount_option
from ..output import say
from ..paging import pages
from ..problems import told
from ..progress import Progress
from .files import WRITTEN, format_of
from .options import TEXT
from .saving import opened
from .sheets import Sheet, lines, metadata_keys

Document = dict[str, Any]


@click.command("export", help="Write all tenants of a partner as `import` takes them back.")
@click.option("--partner", type=TEXT, required=True, help="Whose tenants.")
@click.option(
    "--output", type=click.Path(dir_okay=False), default="-", help="Write to this file, packed where it ends with .gz."
)
@click.option("--format", "format", type=click.Choice(WRITTEN), help="By default as the file's name says, else ndjson.")
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
    partner: str, output: str, format: str | None, include_deleted: bool, keys: tuple[str, ...], mount: str | None
) -> None:
    """Reads page by page, so that a million tenants take no more memory than a thousand."""
    is_table = _format(output, format) == "csv"
    if keys and not is_table:
        raise click.UsageError("--metadata-key goes with --format csv.")
    chosen = chosen_mount(mount)
    with told():
        tenants = Tenants(chosen, partner, include_deleted=include_deleted)
        own = chosen.hooks.fields
        if is_table:
            sheet = Sheet(own, keys or metadata_keys(own, tenants), is_selection=bool(keys))
            rows = sheet.rows(tenants)
        else:
            sheet, rows = None, lines(own, tenants)
        with opened(output) as file:
            count = _written(rows, file, Progress() if output != "-" else None)
    _say_end(count - is_table, output, sheet)


class Tenants:
    """The documents of a partner's tenants, the oldest first; each iteration reads them anew."""

    def __init__(self, mount: Mount, partner: str, *, include_deleted: bool) -> None:
        self._mount = mount
        deleted = {"include_deleted": ["true"]} if include_deleted else {}
        self._asked = load_parameters(list_query(mount), {"partner": [partner], **deleted})

    def __iter__(self) -> Iterator[Document]:
        for found, _more in pages(self._mount.storage, self._page, Document, 0):
            yield from found

    def _page(self, session: Session, limit: int, after: str | None) -> tuple[list[Document], str | None]:
        return listing.page(session, self._asked["partner"], {**self._asked, "limit": limit}, after)


def _format(output: str, told: str | None) -> str:
    found = told or format_of(output) or WRITTEN[0]
    if found not in WRITTEN:
        raise click.UsageError(f"Say with --format what {output} is to hold: {' or '.join(WRITTEN)}.")
    return found


def _written(rows: Iterable[bytes], file: BinaryIO, progress: Progress | None) -> int:
    """How many rows have been written."""
    count = 0
    for count, row in enumerate(rows, 1):
        file.write(row)
        if progress is not None and count % 1000 == 0 and progress.is_due():
            progress.show(f"{count:,} tenants")
    if progress is not None:
        progress.clear()
    return count


def _say_end(count: int, output: str, sheet: Sheet | None) -> None:
    if not count:
        say("There are no such tenants.", err=True)
    elif output != "-":
        say(f"{count:,} {'tenant' if count == 1 else 'tenants'} in {output}.")
    if sheet is not None and sheet.emptied:
        say(f"{sheet.emptied:,} empty texts are absent when this is imported; NDJSON keeps them.", err=True)
