"""Read the events of a partner."""

from __future__ import annotations

from typing import Any

from tests.world import Caller


def read(caller: Caller, **asked: Any) -> dict[str, Any]:
    """One page of the feed."""
    answer = caller("GET", "/events", query_string=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def followed(caller: Caller, **asked: Any) -> list[dict[str, Any]]:
    """Every event, page after page."""
    found, page = [], read(caller, **asked)
    while True:
        found += page["items"]
        if not page["has_more"]:
            return found
        page = read(caller, **asked, after=page["next"])
