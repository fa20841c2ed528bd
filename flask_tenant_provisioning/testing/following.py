"""The feed as its readers follow it, and what the suite demands of an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from .answers import Answer
from .callers import Caller, Document

EVENTS = "/events"
#: What an event says, and of whom it says that they brought it about: to those who may audit, from where too.
FIELDS = {"id", "type", "timestamp", "partner", "tenant", "request_id", "actor", "data", "changes"}
ACTOR, AUDITED = {"sub", "partner"}, {"sub", "partner", "address", "user_agent"}


def read(caller: Caller, **asked: Any) -> Answer:
    """One page of the feed, which is whole."""
    __tracebackhide__ = True
    answer = caller("GET", f"{EVENTS}?{urlencode(asked)}")
    page = answer.document()
    answer.require({*page} == {"items", "next", "has_more"}, "answer items, next and has_more")
    answer.require(isinstance(page["next"], str) and bool(page["next"]), "name what to ask next, whatever it shows")
    for event in page["items"]:
        answer.require({*event} == FIELDS, f"show {', '.join(sorted(FIELDS))} of each event")
    return answer


def pages(caller: Caller, **asked: Any) -> Iterator[Answer]:
    """Page after page, until no more waits."""
    __tracebackhide__ = True
    answer = read(caller, **asked)
    yield answer
    while answer.json()["has_more"]:
        answer = read(caller, **{**asked, "after": answer.json()["next"]})
        yield answer


def followed(caller: Caller, **asked: Any) -> list[Document]:
    """Every event."""
    __tracebackhide__ = True
    return [event for answer in pages(caller, **asked) for event in answer.json()["items"]]


def kinds(events: list[Document]) -> list[str]:
    """The types of `events`, without what a host's steps add."""
    return [event["type"] for event in events if event["type"] != "tenant.provisioned"]
