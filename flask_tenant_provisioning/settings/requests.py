"""What the routes of settings have in common: how they are read and written, whosever they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response

from ..problems import InvalidCursor, InvalidParameter
from ..web.call import Call
from ..web.json import render
from ..web.paging import paged, place
from ..web.parameters import NO_QUERY, write_query
from ..web.preconditions import etag
from ..web.requests import expectation
from ..web.routing import JSON, MERGE_PATCH
from ..web.writing import Answer, write
from . import actions, documents
from .actions import FindOwner, Shelf
from .kept import Path, is_declared, is_secret
from .schemas import history_query
from .state import State

#: The problems that the histories of settings have in common.
HISTORY = (InvalidParameter, InvalidCursor)


def shelf(call: Call) -> Shelf:
    """How this mount keeps settings."""
    return Shelf(call.mount.keyring, call.mount.settings.settings_history)


def shown(state: State) -> Answer:
    """The answer that shows settings. What counts may change without their version, so nothing is answered by 304."""
    return Answer(200, state.document(), {"ETag": etag(state.version)})


def read(call: Call, find: FindOwner) -> Response:
    """Answer the settings of whom `find` finds."""
    call.asked(NO_QUERY)
    answer = shown(call.mount.storage.read(partial(actions.read, shelf=shelf(call), find=find)))
    return call.answer(answer.document, answer.headers)


def put(call: Call, find: FindOwner) -> Response:
    """Set what was sent and nothing else."""
    return _written(call, find, actions.put, call.asked(write_query()), call.body(JSON))


def patch(call: Call, find: FindOwner) -> Response:
    """Set what a merge patch makes of what is set."""
    return _written(call, find, actions.patch, call.asked(write_query()), call.body(MERGE_PATCH, JSON))


def rollback(call: Call, find: FindOwner) -> Response:
    """Set what was set in a version."""
    return _written(call, find, actions.rollback, call.asked(write_query()), call.body(JSON))


def history(call: Call, find: FindOwner, question: str) -> Response:
    """Answer a page of versions; `question` tells whose from others'."""
    asked = call.asked(history_query())
    after = place(call, asked, question)
    before = None if after is None else int(after)
    work = partial(actions.history, shelf=shelf(call), find=find, limit=asked["limit"], before=before)
    page = call.mount.storage.read(work)
    items = [documents.revision(page.state, one) for one in page.revisions]
    return paged(call, items, None if page.end is None else str(page.end), question)


def _written(call: Call, find: FindOwner, action: Callable[..., State], asked: dict[str, Any], body: Any) -> Response:
    work = partial(action, **_by(call, find), sent=body)
    return write(call, work, shown, body=blinded(call, body), validate_only=asked["validate_only"])


def blinded(call: Call, body: Any) -> Any:
    """`body` as an ``Idempotency-Key`` remembers its digest: by it, who has the database could try out passwords."""
    namespaces, seal = call.mount.hooks.namespaces, call.mount.cursors.seal

    def hidden(path: Path, value: Any) -> Any:
        is_open = value is None or not is_declared(namespaces, path) or not is_secret(namespaces, path)
        return value if is_open else seal(render(value), repr(path))

    if not isinstance(body, dict):
        return body
    return {
        name: {key: hidden((name, key), value) for key, value in values.items()} if isinstance(values, dict) else values
        for name, values in body.items()
    }


def _by(call: Call, find: FindOwner) -> dict[str, Any]:
    return {"actor": call.actor(), "shelf": shelf(call), "find": find, "expected": expectation(call)}
