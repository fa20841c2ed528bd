"""Globs over types of events: ``*``, ``tenant.*``, ``tenant.created``, ``*.deleted``.

Alone, ``*`` means every type. Elsewhere it stands for any part of the segment between two dots that it is in. Changes
of endpoints are meant only by globs that begin with ``webhook.``: who asks for everything wants to hear of tenants,
and would first hear of the very endpoint that was created for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from ..events.schemas import TYPES as OF_EVENTS

EVERYTHING = "*"
#: Every type that an endpoint may hear.
TYPES = (*OF_EVENTS, "webhook.test")
#: Changes of endpoints.
OF_ENDPOINTS = frozenset({"webhook.created", "webhook.updated", "webhook.rotated", "webhook.deleted"})
LONGEST = 64
SHAPE = re.compile(rf"(?=.{{1,{LONGEST}}}\Z)[a-z_*]+(\.[a-z_*]+)*")


def matches(globs: Iterable[str], type: str) -> bool:
    """Whether one of `globs` means the `type` of an event."""
    return any(_matches(glob, type) for glob in globs)


def is_glob(text: str) -> bool:
    """Whether `text` is written as a glob is."""
    return SHAPE.fullmatch(text) is not None


def is_in_vain(glob: str) -> bool:
    """Whether there is no type that `glob` means."""
    return not any(_matches(glob, type) for type in TYPES)


def _matches(glob: str, type: str) -> bool:
    if type in OF_ENDPOINTS and not glob.startswith("webhook."):
        return False
    if glob == EVERYTHING:
        return True
    wanted, found = glob.split("."), type.split(".")
    return len(wanted) == len(found) and all(map(fnmatchcase, found, wanted))
