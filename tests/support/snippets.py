"""The pages of the documentation, and the blocks of code in them.

Every Python block runs, and says what it is by its first line: ``# app.py`` begins a whole app in a file of that name,
anything else continues the page. A shell block runs where a comment ``<!-- run -->`` stands before it.
``<!-- not run: why -->`` is for the few blocks that cannot.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(DOCS.glob("*.md")),
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("examples/*/README.md")),
]

_BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"# (\w+\.py)\n")


@dataclasses.dataclass(frozen=True)
class Snippet:
    """A block of code in a page."""

    page: Path
    line: int
    language: str
    code: str
    note: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that it shows, if it does."""
        match = _FILE.match(self.code) if self.language == "python" else None
        return match[1] if match else None

    @property
    def runs(self) -> bool:
        """Return whether a test runs it."""
        return self.note == "run" if self.language == "sh" else not self.note.startswith("not run")


def find_snippets(language: str, page: Path | None = None) -> list[Snippet]:
    """The blocks in a language, of one page or of all."""
    return [
        snippet
        for path in ([page] if page else PAGES)
        for snippet in _iter_snippets(path)
        if snippet.language == language
    ]


@functools.cache
def read_built_page(page: Path) -> str:
    """A page as it is built, with what the code writes into it; it is read once."""
    text = page.read_text(encoding="utf-8")
    return str(load_reference_extension().fill_places(text)) if page.parent == DOCS else text


def load_reference_extension() -> Any:
    """The Sphinx extension, which writes the reference without Sphinx too."""
    path = str(DOCS / "_ext")
    if path not in sys.path:
        sys.path.insert(0, path)
    return importlib.import_module("provisioning_docs")


def write_files(page: Path, folder: Path) -> None:
    """Write every file that a page shows, and the quickstart's app beside them unless it shows an ``app.py``."""
    quickstart = find_snippets("python", DOCS / "quickstart.md")
    for snippet in [*quickstart, *(snippet for snippet in find_snippets("python", page) if snippet.file)]:
        folder.joinpath(str(snippet.file)).write_text(snippet.code, encoding="utf-8")


def _iter_snippets(page: Path) -> list[Snippet]:
    text = page.read_text(encoding="utf-8")
    return [
        Snippet(page, text.count("\n", 0, match.start()) + 1, match["language"], match["code"], match["note"] or "")
        for match in _BLOCK.finditer(text)
    ]
