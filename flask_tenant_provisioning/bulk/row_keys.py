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


def row_key(operation: str, body: Mapping[str, Any], rest: Mapping[str, Any]) -> RowKey | None:
    """The key of a row that has a member for one, and is told from others by the `rest` of it.

    Returns None where that member is null. Raises `InvalidInput` where it is no key.
    """
    key = body[OF_ROWS]
    if key is None:
        return None
    if not is_key(key):
        raise invalid([entry(WRONG_KEY, OF_ROWS)])
    return RowKey(key, fingerprint(operation, rest))
