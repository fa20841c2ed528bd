"""Read the events of a partner."""

from __future__ import annotations

import json
from typing import Any

from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows


def read_feed_page(caller: Caller, **query: Any) -> dict[str, Any]:
    """One page of the feed."""
    response = caller("GET", "/events", query_string=query)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.get_json()
    return document


def read_feed(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    """Every event, page after page."""
    events, page = [], read_feed_page(caller, **query)
    while True:
        events += page["items"]
        if not page["has_more"]:
            return events
        page = read_feed_page(caller, **query, after=page["next"])


def fetch_tenant_events(partner: Caller, tenant: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The type, data and changes of each of a tenant's events."""
    return [
        (row["type"], json.loads(row["data"]), row["changes"] and json.loads(row["changes"]))
        for row in fetch_rows(partner.app, "events", tenant_id=tenant["tenant"])
    ]


def fetch_event_types(partner: Caller, tenant: dict[str, Any]) -> list[str]:
    """The type of each of a tenant's events."""
    return [kind for kind, _, _ in fetch_tenant_events(partner, tenant)]


def list_changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the `changes` of an event from one document to another."""
    shown = [name for name in after if before[name] != after[name] and name not in ("version", "updated_at")]
    return {name: {"previous": before[name], "new": after[name]} for name in shown}
