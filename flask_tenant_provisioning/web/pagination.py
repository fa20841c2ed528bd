"""Pages of a list: page size, cursor, and the link to the next page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from marshmallow import fields

from ..errors import Fault, InvalidParameter
from ..responses import get_request_path
from ..validation import describe, make_entry, make_field_error
from .request import Request


def open_cursor(call: Request, query: Mapping[str, Any], question: str) -> str | None:
    """Return the position in the ``cursor`` parameter, None without one. Raises `InvalidCursor`.

    It is the `end` that `render_page` was given for the same `question`.
    """
    return call.mount.cursors.open(query["cursor"], question) if "cursor" in query else None


def render_page(call: Request, items: Sequence[Mapping[str, Any]], end: str | None, question: str) -> Response:
    """Return one page as JSON, with a ``Link`` to the next.

    `end` is the position of the page's last item, None if no other page follows.
    """
    cursor = None if end is None else call.mount.cursors.seal(end, question)
    return call.json_response({"items": items, "next": cursor}, {} if cursor is None else _make_link_header(cursor))


def _make_link_header(cursor: str) -> dict[str, str]:
    query = urlencode({**request.args.to_dict(), "cursor": cursor})
    return {"Link": f'<{get_request_path()}?{query}>; rel="next"'}


MAX_PAGE_SIZE = 1000


#: The metadata of what the queries and the pages of all lists have in common.
PAGE_SIZE = describe("The number of items per page, from 1. A number above 1000 means 1000. By default 50.", 50)
JSON_PAGE_SIZE = describe(
    "The number of items per page of JSON, from 1. A number above 1000 means 1000. By default 50.", 50
)
CURSOR = describe("The `next` of the page before, unchanged; absent for the first page.", "eyJwIjoiMDE5NGYwYjIifQ")
NEXT_CURSOR = describe(
    "The cursor of the next page, to send as `cursor` with the same filters and sort; null on the last page.",
    "eyJwIjoiMDE5NGYwYjIifQ",
)


class PageSizeField(fields.Field):  # type: ignore[type-arg]
    """Number of items per page, at least 1; numbers above 1000 mean 1000."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        digits = value.lstrip("0") if value.isascii() and value.isdigit() else ""
        if not digits:
            raise make_field_error(Fault("invalid-limit", "Must be a whole number from 1 on."))
        return int(digits) if len(digits) < 4 else MAX_PAGE_SIZE


NO_PAGES = Fault("not-for-streams", "Only pages of JSON have it: this is all in one.")


def reject_page_parameters(query: dict[str, Any]) -> None:
    """Raise `InvalidParameter` for the parameters of pages on a route that streams all items."""
    if errors := [make_entry(NO_PAGES, name) for name in ("cursor", "limit") if name in query]:
        raise InvalidParameter("A stream has no pages.", errors=errors)
