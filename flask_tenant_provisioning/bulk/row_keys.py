"""The idempotency key that a row may have, beside what it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..problems import Fault
from ..tenants.declaration import OF_ROWS
from ..web.idempotency import LONGEST_KEY, fingerprint, is_key
from ..web.validation import entry, invalid

WRONG_KEY = Fault("invalid-idempotency-key", f"Must have 1 to {LONGEST_KEY} printable ASCII characters.")


class RowKey(NamedTuple):
    """The key of a row, and what tells that row from another."""

    key: str
    fingerprint: str


def without_key(operation: str, body: Mapping[str, Any]) -> tuple[RowKey | None, Mapping[str, Any]]:
    """The key of a row, and the rest of it. Raises `InvalidInput` where that is no key."""
    if OF_ROWS not in body:
        return None, body
    rest = {name: value for name, value in body.items() if name != OF_ROWS}
    if body[OF_ROWS] is None:
        return None, rest
    if not is_key(body[OF_ROWS]):
        raise invalid([entry(WRONG_KEY, OF_ROWS)])
    return RowKey(body[OF_ROWS], fingerprint(operation, rest)), rest
