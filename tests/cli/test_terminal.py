"""Output on a terminal: drawn by Rich if it is installed, else plain text; piped output and JSON never change."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import pytest

from flask_tenant_provisioning.cli.output import Table, make_table, print_document
from flask_tenant_provisioning.cli.progress import Progress
from flask_tenant_provisioning.cli.rich_output import draw_fields, open_console

rich_console = pytest.importorskip("rich.console")
FIRST_PAGE = [
    {"name": "active", "status": "active"},
    {"name": "[red]株式会社[/red]", "status": "suspended"},
]
SECOND_PAGE = [{"name": "a name that is longer than those before", "status": None}]
DOCUMENT = {"name": "[b]" + "x" * 20, "status": "failed", "map": {"status": "active"}, "none": None}
PLAIN_TABLE = """\
name                 status
active               active
[red]株式会社[/red]  suspended
a name that is lon…  -
""".splitlines()
PLAIN_DOCUMENT = """\
name        [b]xxxxxxxxxxxxxxx
            xxxxx
status      failed
map.status  active
none        -
"""


class Terminal(io.TextIOWrapper):
    """A stream to a terminal, which keeps what was written."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="")

    def isatty(self) -> bool:
        return True

    def read_all(self) -> str:
        """Return everything that was written."""
        self.flush()
        written: bytes = self.buffer.getvalue()  # type: ignore[attr-defined]
        return written.decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 30 columns that shows colours."""
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "COLORTERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


def hide_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `import rich.console` fail, as without the extra."""
    monkeypatch.setitem(sys.modules, "rich.console", None)


def make_console(**options: Any) -> Any:
    return rich_console.Console(file=io.StringIO(), width=30, force_terminal=True, **options)


def strip_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def draw_pages(table: Table) -> list[str]:
    return [*table.format_rows(FIRST_PAGE), *table.format_rows(SECOND_PAGE)]


def test_rich_draws_a_rule_below_the_heading_and_keeps_the_widths_of_the_first_page() -> None:
    heading, *rows = PLAIN_TABLE
    lines = draw_pages(Table(("name", "status"), 30, make_console(color_system=None)))
    assert lines == [heading, "─" * 30, *rows]


def test_rich_drops_the_last_columns_of_a_narrow_terminal() -> None:
    table = Table(("tenant", "name", "email"), 30, make_console(color_system=None))
    row = {"tenant": "x" * 20, "name": "Acme", "email": "ops@acme.example"}
    heading, rule, line = table.format_rows([row])
    assert (heading, set(rule), line) == ("tenant                name", {"─"}, f"{'x' * 20}  Acme")


def test_only_states_have_colours() -> None:
    first, second = [*Table(("name", "status"), 30, make_console(color_system="standard")).format_rows(FIRST_PAGE)][2:]
    assert (first.count("\x1b[32mactive"), first.count("active")) == (1, 2)
    assert "\x1b[33msuspended\x1b[0m" in second


def test_rich_draws_long_values_on_several_lines() -> None:
    pairs = [("name", "[b]" + "x" * 20), ("status", "failed"), ("map.status", "active"), ("none", "-")]
    assert draw_fields(make_console(color_system=None), pairs) == PLAIN_DOCUMENT.splitlines()
    assert "\x1b[31mfailed" in draw_fields(make_console(color_system="standard"), pairs)[2]


def test_terminal_output_uses_rich(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        assert draw_pages(make_table(("name", "status")))[1] == "─" * 30
        print_document(DOCUMENT, as_json=False)
    written = terminal.read_all()
    assert "\x1b[31mfailed" in written
    assert [line.rstrip() for line in strip_styles(written).split("\n")] == PLAIN_DOCUMENT.split("\n")


def use_dumb_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")


@pytest.mark.parametrize("arrange", [hide_rich, use_dumb_terminal])
def test_without_rich_or_on_a_dumb_terminal_output_is_plain(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, arrange: Callable[[pytest.MonkeyPatch], None]
) -> None:
    arrange(monkeypatch)
    with redirect_stdout(terminal):
        assert open_console(sys.stdout) is None
        assert draw_pages(make_table(("name", "status"))) == PLAIN_TABLE
        print_document(DOCUMENT, as_json=False)
    assert terminal.read_all() == PLAIN_DOCUMENT


def test_piped_output_is_plain(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert open_console(sys.stdout) is None
    assert [*make_table(("name", "status")).format_rows(SECOND_PAGE)] == [
        "name                                     status",
        "a name that is longer than those before  -",
    ]
    print_document(DOCUMENT, as_json=False)
    assert capsys.readouterr().out.splitlines()[0] == f"name        [b]{'x' * 20}"


def test_no_color_leaves_the_layout_without_styles(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    heading, *rows = PLAIN_TABLE
    with redirect_stdout(terminal):
        assert draw_pages(make_table(("name", "status"))) == [heading, "─" * 30, *rows]
        print_document(DOCUMENT, as_json=False)
    assert terminal.read_all() == PLAIN_DOCUMENT


def test_json_on_a_terminal_is_the_same(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        print_document({"status": "failed", "name": "[b]x"}, as_json=True)
    assert terminal.read_all() == '{"status":"failed","name":"[b]x"}\n'


def draw_progress(terminal: Terminal) -> str:
    """Return the status line of 6 of 24 rows."""
    progress = Progress(terminal)
    progress.show("6 of 24 rows, 3/s, 0:06 left", done=6, total=24)
    return terminal.read_all().removeprefix("\r\x1b[K")


def test_rich_draws_the_bar_of_a_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    line = draw_progress(terminal)
    assert strip_styles(line) == f"{'━' * 6}╺{'━' * 17} 6 of 24 rows,…"
    assert strip_styles(line) != line


@pytest.mark.parametrize("no_color", [True, False])
def test_a_terminal_without_rich_or_colours_has_a_plain_bar(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, no_color: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        hide_rich(monkeypatch)
    assert draw_progress(terminal) == "[######------------------] 6 of 24 rows, 3/s, 0:06 left"


def test_a_narrow_terminal_has_no_bar_of_rich(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert draw_progress(terminal) == "[######-----------…"


def test_a_log_has_no_bar() -> None:
    log = io.StringIO()
    Progress(log).show("6 of 24 rows", done=6, total=24)
    assert log.getvalue() == "6 of 24 rows\n"
