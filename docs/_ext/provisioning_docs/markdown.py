"""The Markdown elements of the generated pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def lines(*blocks: str) -> str:
    """Join blocks with an empty line between them; leave out empty ones."""
    return "\n\n".join(block for block in blocks if block)


def heading(level: int, text: str, label: str) -> str:
    """Return a heading that other pages can refer to by `label`."""
    return f"({label})=\n{'#' * level} {text}"


def code(text: str) -> str:
    """Return a code span; the text may contain backticks."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def codes(texts: Iterable[str]) -> str:
    """Code spans in a row."""
    return ", ".join(map(code, texts))


def value(content: Any) -> str:
    """A JSON value as a code span."""
    return code(json.dumps(content, ensure_ascii=False))


def fence(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def as_json(content: Any) -> str:
    """A block of JSON."""
    return fence("json", json.dumps(content, indent=2, ensure_ascii=False))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or an empty text for no rows."""
    body = [_row(row) for row in rows]
    return "\n".join([_row(head), _row(["---"] * len(head)), *body]) if body else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def container(name: str, *blocks: str) -> str:
    """Return a block of the CSS class `name`, or an empty text for no content."""
    content = lines(*blocks)
    colons = ":" * max(4, 1 + max((len(run) for run in re.findall(r"^:{3,}", content, re.MULTILINE)), default=0))
    return f"{colons}{{container}} {name}\n\n{content}\n{colons}" if content else ""


def tabs(contents: Mapping[str, str]) -> str:
    """Return a set of tabs by title; choosing one chooses it on the whole site. A single content needs no tab."""
    if len(contents) == 1:
        return next(iter(contents.values()))
    items = (
        f"::::{{tab-item}} {title}\n:sync: {title.lower()}\n\n{content}\n::::" for title, content in contents.items()
    )
    return f":::::{{tab-set}}\n:sync-group: language\n\n{lines(*items)}\n:::::"
