"""Output of commands: tables, fields and lists for people, JSON for programs.

On a terminal, Rich draws tables and fields if it is installed; otherwise they are plain text. A table is cut to the
width of the terminal; East Asian wide characters take two columns (UAX #11).
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..database.session import Storage
from ..encoding import dump_json, escape_control_characters
from ..web.pagination import MAX_PAGE_SIZE
from .rich_output import draw_fields, draw_table, is_styled, open_console

if TYPE_CHECKING:
    from rich.console import Console

COLUMN_GAP = "  "
EMPTY_CELL = "-"
MIN_COLUMN_WIDTH = 6


def add_colour(text: str, colour: str, *, err: bool = False) -> str:
    """Colour `text` if it goes to a terminal that shows styles."""
    stream = sys.stderr if err else sys.stdout
    return click.style(text, fg=colour) if is_styled(stream) else text


def print_text(text: str, *, err: bool = False) -> None:
    """Print `text`, escaping characters that the terminal's encoding cannot show."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def print_json(*documents: Any) -> None:
    """Print each document on a line of its own, in UTF-8 whatever the locale (RFC 8259 §8.1)."""
    click.echo("\n".join(map(dump_json, documents)).encode())


def print_document(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a document: one field a line for people, or as JSON."""
    if as_json:
        print_json(document)
    else:
        print_fields(document)


def print_fields(document: Mapping[str, Any]) -> None:
    """Print a document, one field a line."""
    console = open_console(sys.stdout)
    if console is None:
        print_text("\n".join(format_fields(document, get_terminal_width())))
    else:
        print_text("\n".join(draw_fields(console, _flatten(document))))


def get_terminal_width() -> int | None:
    """Return the terminal's width in columns, or None if stdout is no terminal and nothing is cut."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return None


def format_cell(value: Any) -> str:
    """Format one value on one line, with control characters escaped."""
    if value is None:
        return EMPTY_CELL
    return escape_control_characters(value if isinstance(value, str) else dump_json(value))


class Table:
    """Aligned columns. The first rows decide the widths; on a terminal, later rows are cut to fit.

    `columns` is the width of the terminal, or None. With a `console`, Rich draws the table.
    """

    def __init__(self, names: Sequence[str], columns: int | None, console: Console | None = None) -> None:
        self._names = names
        self._width = columns
        self._console = console
        self._widths: list[int] = []

    def format_rows(self, documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Return a line for each document, after a heading the first time."""
        rows = [[format_cell(document[name]) for name in self._names] for document in documents]
        has_heading = not self._widths
        if has_heading:
            widths = [max(map(measure_width, column)) for column in zip(self._names, *rows, strict=True)]
            self._widths = widths if self._width is None else fit_widths(widths, self._width)
        if self._console is not None:
            return iter(draw_table(self._console, self._names, rows, self._widths, has_heading=has_heading))
        return map(self._format_row, [self._names, *rows] if has_heading else rows)

    def _format_row(self, row: Sequence[str]) -> str:
        cells = zip(row, self._widths, strict=False)
        return COLUMN_GAP.join(
            pad(text if self._width is None else truncate(text, width), width) for text, width in cells
        ).rstrip()


def make_table(names: Sequence[str]) -> Table:
    """Return a table of the columns `names` for stdout."""
    return Table(names, get_terminal_width(), open_console(sys.stdout))


def fit_widths(widths: Sequence[int], columns: int) -> list[int]:
    """Shrink `widths` to fit into `columns`: the widest first, but never the first; the last are dropped if need be."""
    first, *others = widths
    while others and _sum_widths([first, *(min(width, MIN_COLUMN_WIDTH) for width in others)]) > columns:
        others.pop()
    while others and _sum_widths([first, *others]) > columns:
        widest = others.index(max(others))
        others[widest] -= 1
    return [first, *others]


def _sum_widths(widths: Sequence[int]) -> int:
    return sum(widths) + len(COLUMN_GAP) * (len(widths) - 1)


def format_fields(document: Mapping[str, Any], columns: int | None) -> Iterator[str]:
    """Yield a line for each member, and for each member of a nested object; long values are wrapped."""
    pairs = list(_flatten(document))
    name_width = max(measure_width(name) for name, _ in pairs)
    text_width = None if columns is None else max(columns - name_width - len(COLUMN_GAP), MIN_COLUMN_WIDTH)
    for name, text in pairs:
        for number, line in enumerate([text] if text_width is None else wrap(text, text_width)):
            yield f"{pad('' if number else name, name_width)}{COLUMN_GAP}{line}"


def _flatten(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            for key, member in value.items():
                yield f"{name}.{escape_control_characters(key)}", format_cell(member)
        else:
            yield name, EMPTY_CELL if value == {} else format_cell(value)


T = TypeVar("T")
S = TypeVar("S")
Page = tuple[list[S], bool]


def iter_pages(
    storage: Storage, read_page: Callable[..., tuple[list[T], str | None]], render: Callable[[T], S], limit: int
) -> Iterator[Page[S]]:
    """Yield pages of up to `limit` rendered items in all (0: no limit), each with True if more follow.

    `read_page` is called with a session, `limit` and `after`, and returns items and the next `after`, or None.
    """
    after, remaining = None, limit
    while True:
        size = min(remaining, MAX_PAGE_SIZE) if limit else MAX_PAGE_SIZE
        items, after = storage.read(partial(read_page, limit=size, after=after))
        remaining -= len(items)
        yield [render(item) for item in items], after is not None
        if after is None or (limit and remaining <= 0):
            return


def print_pages(pages: Iterable[Page[dict[str, Any]]], columns: Sequence[str], noun: str, *, as_json: bool) -> None:
    """Print pages as one table, or as JSON lines; `noun` names the items if there are none."""
    table, count, has_more = make_table(columns), 0, False
    for items, is_continued in pages:
        if items and as_json:
            print_json(*items)
        elif items:
            print_text("\n".join(table.format_rows(items)))
        count, has_more = count + len(items), is_continued
    if as_json:
        return
    if not count:
        print_text(f"There are no such {noun}.", err=True)
    elif has_more:
        print_text("There are more: --limit 0 lists them all.", err=True)


ELLIPSIS = "…"
_ZERO_WIDTH_CATEGORIES = {"Mn", "Me", "Cf"}


def measure_width(text: str) -> int:
    """Return the width of `text` in columns: East Asian wide characters take two, combining ones none (UAX #11)."""
    return len(text) if text.isascii() else sum(map(_measure_character, text))


def truncate(text: str, columns: int) -> str:
    """Cut `text` to at most `columns`, ending with an ellipsis if it was cut."""
    return text if measure_width(text) <= columns else _take_columns(text, columns - 1) + ELLIPSIS


def pad(text: str, columns: int) -> str:
    """Fill `text` with spaces up to `columns`."""
    return text + " " * (columns - measure_width(text))


def wrap(text: str, columns: int) -> Iterator[str]:
    """Break `text` into lines of at most `columns`, which must be 2 or more."""
    while measure_width(text) > columns:
        line = _take_columns(text, columns)
        yield line
        text = text[len(line) :]
    yield text


def _take_columns(text: str, columns: int) -> str:
    """Return as much of the beginning as fits, with the combining marks of its last character."""
    width = 0
    for index, char in enumerate(text):
        width += _measure_character(char)
        if width > columns:
            return text[:index]
    return text


def _measure_character(char: str) -> int:
    if unicodedata.category(char) in _ZERO_WIDTH_CATEGORIES or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
