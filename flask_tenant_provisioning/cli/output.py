"""What commands print: tables, fields and lists for people, JSON for programs.

A table is cut to the width of the terminal; East Asian wide characters take two columns (UAX #11).
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import click

from ..database.session import Storage
from ..encoding import dump_json, escape_control_characters
from ..web.pagination import MAX_PAGE_SIZE

COLUMN_GAP = "  "
EMPTY_CELL = "-"
MIN_COLUMN_WIDTH = 6


def add_colour(text: str, colour: str, *, err: bool = False) -> str:
    """`text` in a colour, where it goes to a terminal that wants colours: NO_COLOR (no-color.org) is respected."""
    stream = sys.stderr if err else sys.stdout
    wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text, fg=colour) if wanted else text


def print_text(text: str, *, err: bool = False) -> None:
    """Print `text`; what the terminal's encoding lacks is escaped."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def print_json(*documents: Any) -> None:
    """Print each document on a line of its own, in UTF-8 whatever the locale (RFC 8259 §8.1)."""
    click.echo("\n".join(map(dump_json, documents)).encode())


def print_document(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a document: what it says to people, and whole to programs."""
    if as_json:
        print_json(document)
    else:
        print_text("\n".join(format_fields(document, get_terminal_width())))


def get_terminal_width() -> int | None:
    """How many columns there are; None where the output goes to no terminal and is shown whole."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return None


def format_cell(value: Any) -> str:
    """One value, on one line."""
    return (
        EMPTY_CELL
        if value is None
        else escape_control_characters(value if isinstance(value, str) else dump_json(value))
    )


class Table:
    """Aligned columns, whose widths the first rows decide; later ones are cut to fit where there is a terminal."""

    def __init__(self, names: Sequence[str], columns: int | None) -> None:
        self._names = names
        self._room = columns
        self._widths: list[int] = []

    def lines(self, documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """The rows for these documents, below a heading the first time."""
        rows = [[format_cell(document[name]) for name in self._names] for document in documents]
        if not self._widths:
            rows.insert(0, list(self._names))
            natural = [max(map(measure_width, column)) for column in zip(*rows, strict=True)]
            self._widths = natural if self._room is None else fit_widths(natural, self._room)
        return map(self._line, rows)

    def _line(self, row: Sequence[str]) -> str:
        cells = zip(row, self._widths, strict=False)
        return COLUMN_GAP.join(
            pad(text if self._room is None else truncate(text, most), most) for text, most in cells
        ).rstrip()


def fit_widths(widths: Sequence[int], columns: int) -> list[int]:
    """`widths` that fit into `columns`: the widest give way, never the first, and the last are left out at worst."""
    found = list(widths)
    while len(found) > 1 and _sum_widths([found[0], *(min(one, MIN_COLUMN_WIDTH) for one in found[1:])]) > columns:
        found.pop()
    while len(found) > 1 and _sum_widths(found) > columns:
        found[max(range(1, len(found)), key=found.__getitem__)] -= 1
    return found


def _sum_widths(widths: Sequence[int]) -> int:
    return sum(widths) + len(COLUMN_GAP) * (len(widths) - 1)


def format_fields(document: Mapping[str, Any], columns: int | None) -> Iterator[str]:
    """A line for each member, those of an object each on its own; long values go on below their beginning."""
    pairs = list(_flatten(document))
    left = max(measure_width(name) for name, _ in pairs)
    right = None if columns is None else max(columns - left - len(COLUMN_GAP), MIN_COLUMN_WIDTH)
    for name, text in pairs:
        for number, line in enumerate([text] if right is None else wrap(text, right)):
            yield f"{pad('' if number else name, left)}{COLUMN_GAP}{line}"


def _flatten(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from (
                (f"{name}.{escape_control_characters(key)}", format_cell(below)) for key, below in value.items()
            )
        else:
            yield name, EMPTY_CELL if value == {} else format_cell(value)


T = TypeVar("T")
S = TypeVar("S")
Page = tuple[list[S], bool]


def iter_pages(
    storage: Storage, work: Callable[..., tuple[list[T], str | None]], shown: Callable[[T], S], limit: int
) -> Iterator[Page[S]]:
    """Page after page of what `work` reads, up to `limit` (0: all), each with whether more follows."""
    after, left = None, limit
    while True:
        size = min(left, MAX_PAGE_SIZE) if limit else MAX_PAGE_SIZE
        found, after = storage.read(partial(work, limit=size, after=after))
        left -= len(found)
        yield [shown(one) for one in found], after is not None
        if after is None or (limit and left <= 0):
            return


def print_pages(found: Iterable[Page[dict[str, Any]]], columns: Sequence[str], what: str, *, as_json: bool) -> None:
    """Print lists of `what`, each with whether more follows."""
    table, shown, unfinished = Table(columns, get_terminal_width()), 0, False
    for items, more in found:
        if items and as_json:
            print_json(*items)
        elif items:
            print_text("\n".join(table.lines(items)))
        shown, unfinished = shown + len(items), more
    if as_json:
        return
    if not shown:
        print_text(f"There are no such {what}.", err=True)
    elif unfinished:
        print_text("There are more: --limit 0 lists them all.", err=True)


ELLIPSIS = "…"
_ZERO_WIDTH_CATEGORIES = {"Mn", "Me", "Cf"}


def measure_width(text: str) -> int:
    """How many columns `text` takes: East Asian wide characters two, combining ones none (UAX #11)."""
    return len(text) if text.isascii() else sum(map(_measure_character, text))


def truncate(text: str, most: int) -> str:
    """`text` in `most` columns, with an ellipsis where something is missing."""
    return text if measure_width(text) <= most else _take_columns(text, most - 1) + ELLIPSIS


def pad(text: str, columns: int) -> str:
    """`text` with spaces up to `columns`."""
    return text + " " * (columns - measure_width(text))


def wrap(text: str, most: int) -> Iterator[str]:
    """`text` in lines of `most` columns, 2 or more."""
    while measure_width(text) > most:
        line = _take_columns(text, most)
        yield line
        text = text[len(line) :]
    yield text


def _take_columns(text: str, most: int) -> str:
    """As much of the beginning as fits, with the marks that belong to its last character."""
    taken = 0
    for place, char in enumerate(text):
        taken += _measure_character(char)
        if taken > most:
            return text[:place]
    return text


def _measure_character(char: str) -> int:
    if unicodedata.category(char) in _ZERO_WIDTH_CATEGORIES or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
