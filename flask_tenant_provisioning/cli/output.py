"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from ..web.json import render
from .text import cut, folded, padded, printable, width

GAP = "  "
NOTHING = "-"
NARROWEST = 6

#: Where a command's context says that its output is for programs.
IS_JSON = "flask_tenant_provisioning.json"


def _remember(context: click.Context, _option: click.Parameter, as_json: bool) -> bool:
    context.meta[IS_JSON] = as_json
    return as_json


json_option = click.option(
    "--json", "as_json", is_flag=True, is_eager=True, callback=_remember, help="As JSON, for programs."
)


def coloured(text: str, colour: str, *, err: bool = False) -> str:
    """`text` in a colour, where it goes to a terminal that wants colours: NO_COLOR (no-color.org) is respected."""
    stream = sys.stderr if err else sys.stdout
    wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return click.style(text, fg=colour) if wanted else text


def say(text: str, *, err: bool = False) -> None:
    """Print `text`; what the terminal's encoding lacks is escaped."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), err=err)


def say_json(*documents: Any) -> None:
    """Print each document on a line of its own, in UTF-8 whatever the locale (RFC 8259 §8.1)."""
    click.echo("\n".join(map(render, documents)).encode())


def say_one(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a document: what it says to people, and whole to programs."""
    if as_json:
        say_json(document)
    else:
        say("\n".join(described(document, room())))


def room() -> int | None:
    """How many columns there are; None where the output goes to no terminal and is shown whole."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return None


def cell(value: Any) -> str:
    """One value, on one line."""
    return NOTHING if value is None else printable(value if isinstance(value, str) else render(value))


class Table:
    """Aligned columns, whose widths the first rows decide; later ones are cut to fit where there is a terminal."""

    def __init__(self, names: Sequence[str], columns: int | None) -> None:
        self._names = names
        self._room = columns
        self._widths: list[int] = []

    def lines(self, documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """The rows for these documents, below a heading the first time."""
        rows = [[cell(document[name]) for name in self._names] for document in documents]
        if not self._widths:
            rows.insert(0, list(self._names))
            natural = [max(map(width, column)) for column in zip(*rows, strict=True)]
            self._widths = natural if self._room is None else fitted(natural, self._room)
        return map(self._line, rows)

    def _line(self, row: Sequence[str]) -> str:
        cells = zip(row, self._widths, strict=False)
        return GAP.join(padded(text if self._room is None else cut(text, most), most) for text, most in cells).rstrip()


def fitted(widths: Sequence[int], columns: int) -> list[int]:
    """`widths` that fit into `columns`: the widest give way, never the first, and the last are left out at worst."""
    found = list(widths)
    while len(found) > 1 and _total([found[0], *(min(one, NARROWEST) for one in found[1:])]) > columns:
        found.pop()
    while len(found) > 1 and _total(found) > columns:
        found[max(range(1, len(found)), key=found.__getitem__)] -= 1
    return found


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def described(document: Mapping[str, Any], columns: int | None) -> Iterator[str]:
    """A line for each member, those of an object each on its own; long values go on below their beginning."""
    pairs = list(_flat(document))
    left = max(width(name) for name, _ in pairs)
    right = None if columns is None else max(columns - left - len(GAP), NARROWEST)
    for name, text in pairs:
        for number, line in enumerate([text] if right is None else folded(text, right)):
            yield f"{padded('' if number else name, left)}{GAP}{line}"


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from ((f"{name}.{printable(key)}", cell(below)) for key, below in value.items())
        else:
            yield name, NOTHING if value == {} else cell(value)
