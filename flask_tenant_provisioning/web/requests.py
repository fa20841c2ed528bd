"""What the routes of several features have in common: whom a request may mean, and what can be wrong with it."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from flask import request

from ..problems import (
    BodyTooLarge,
    BodyTooSlow,
    Fault,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    InvalidInput,
    InvalidParameter,
    MalformedJSON,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    ServerBusy,
    TooManyLongRequests,
    UnsupportedMediaType,
)
from .call import Call
from .preconditions import require_match

#: The problems that routes of a kind have in common.
LONG = (TooManyLongRequests, ServerBusy)
WITH_BODY = (BodyTooLarge, BodyTooSlow, MalformedJSON, UnsupportedMediaType, InvalidInput, *LONG)
REPEATABLE = (InvalidIdempotencyKey, IdempotencyInProgress, IdempotencyKeyReused)
CONDITIONAL = (InvalidParameter, PreconditionFailed, PreconditionRequired)

NOT_UTF8 = Fault("invalid-text", "Must be UTF-8.")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def fence(call: Call) -> str | None:
    """The partner whose resources the caller sees; None means everybody's."""
    return None if call.principal.sees_every_partner else call.principal.partner


def identified(text: str, absent: type[NotFound]) -> str:
    """An id in its canonical form. Raises `absent` for what cannot be one."""
    found = text.lower()
    if not _ID.fullmatch(found):
        raise absent
    return found


def is_path_utf8() -> bool:
    """Return whether the request's path is UTF-8. Other bytes read as U+FFFD: two names could be taken for one."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeError:
        return False
    return True


def expectation(call: Call) -> Any:
    """What looks at a version and raises where the request's preconditions exclude it."""
    return partial(require_match, demanded=call.mount.settings.require_if_match)
