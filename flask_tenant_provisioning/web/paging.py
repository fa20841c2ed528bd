"""Pages of a list: where the one before ended, and where the next one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from ..problems.addresses import path
from .call import Call


def place(call: Call, asked: Mapping[str, Any], question: str) -> str | None:
    """Where the page before ended, as `paged` was told for the same `question`. Raises `InvalidCursor`."""
    return call.mount.cursors.open(asked["cursor"], question) if "cursor" in asked else None


def paged(call: Call, items: Sequence[Mapping[str, Any]], end: str | None, question: str) -> Response:
    """One page; `end` is where it ends, None where no other follows."""
    cursor = None if end is None else call.mount.cursors.seal(end, question)
    return call.answer({"items": items, "next": cursor}, {} if cursor is None else _link(cursor))


def _link(cursor: str) -> dict[str, str]:
    where = urlencode({**request.args.to_dict(), "cursor": cursor})
    return {"Link": f'<{path()}?{where}>; rel="next"'}
