"""Secrets of settings, sealed again: by a new key, or for another place."""

from __future__ import annotations

import json

from ..events import compact
from ..keyring import Keyring
from .kept import Place, flat, nested


def sealed_anew(keyring: Keyring, secrets: str | None, before: Place, after: Place) -> str | None:
    """The column `secrets` of a row at `before` as one at `after` has it, all of it sealed by the keyring's first key.

    What is so already stays to the letter. Raises `Unsealable` where the keyring lacks a key.
    """
    if secrets is None:
        return None
    found = flat(json.loads(secrets))
    for path, text in found.items():
        if before != after or not keyring.is_current(text):
            found[path] = keyring.seal(keyring.open(text, before.bound_to(path)), after.bound_to(path))
    return compact(nested(found))
