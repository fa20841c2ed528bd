"""Tables, fields and bars on a terminal, drawn by Rich (extra ``cli``).

Without Rich, and where output goes to a file, a pipe or a dumb terminal, `open_console` returns None and commands print
plain text. Cells are never read as Rich's markup.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

HEADING_STYLE, NAME_STYLE = "bold", "cyan"
#: The columns whose words have colours.
_STATE_COLUMNS = ("status", "state")
_STATE_STYLES = {
    **dict.fromkeys(("active", "succeeded"), "green"),
    **dict.fromkeys(("failed", "deleted"), "red"),
    **dict.fromkeys(("suspended", "partial", "cancelled"), "yellow"),
    **dict.fromkeys(("provisioning", "pending", "queued", "running", "paused", "undoing"), "blue"),
}


def is_styled(stream: TextIO) -> bool:
    """Return True if `stream` is a terminal that shows styles: NO_COLOR (no-color.org) and TERM=dumb turn them off."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def open_console(stream: TextIO) -> Console | None:
    """Return a console as wide as the terminal `stream`; None if it is no such terminal, or Rich is not installed.

    With NO_COLOR it draws without styles.
    """
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(
        file=stream,
        width=shutil.get_terminal_size().columns,
        force_terminal=True,
        force_jupyter=False,
        color_system="auto" if is_styled(stream) else None,
    )


def draw_table(
    console: Console, names: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int], *, has_heading: bool
) -> list[str]:
    """Return the lines of a table, two columns apart; each cell is cut to the width of its column.

    `names` of columns without a width are left out.
    """
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        show_header=has_heading,
        header_style=HEADING_STYLE,
    )
    shown_names = names[: len(widths)]
    for name, width in zip(shown_names, widths, strict=True):
        table.add_column(name, width=width, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(_make_cell(name, text) for name, text in zip(shown_names, row, strict=False)))
    return _draw(console, table)


def draw_fields(console: Console, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each pair of a name and a text; long texts go on below."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=NAME_STYLE, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in pairs:
        grid.add_row(_make_text(name), _make_cell(name, text))
    return _draw(console, grid)


def draw_bar(console: Console, done: int, total: int, width: int) -> str:
    """Return a progress bar of `width` columns. Without colours, a console shows only its finished part."""
    from rich.progress_bar import ProgressBar

    return _draw(console, ProgressBar(total=max(total, 1), completed=done, width=width))[0]


def _make_cell(name: str, text: str) -> Text:
    return _make_text(text, _STATE_STYLES.get(text, "") if name in _STATE_COLUMNS else "")


def _make_text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(text, style=style)


def _draw(console: Console, renderable: RenderableType) -> list[str]:
    with console.capture() as capture:
        console.print(renderable)
    return [line.rstrip() for line in capture.get().removesuffix("\n").split("\n")]
