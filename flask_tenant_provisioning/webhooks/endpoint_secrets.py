"""The signing secrets of an endpoint, encrypted by the keyring.

The column is a JSON list of ``{"sealed", "until"}``, the newest secret first, then the replaced ones with the instant
at which they expire. An entry for ``v1a`` also has its ``public`` half unencrypted, so reading an endpoint does not
need the keyring.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from ..encoding import dump_json
from ..keyring import Keyring
from .models import Endpoint
from .signing import Scheme, SigningKey, for_receiver, new_secret, signing_key

#: The maximum number of replaced secrets that still sign.
MAX_REPLACED_SECRETS = 10
MakeSecret = Callable[[Scheme], str]


class SealedSecret(NamedTuple):
    """A new value of the column, and the new secret as its owner is shown it once (None for ``v1a``)."""

    column: str
    secret: str | None


def create_secret(keyring: Keyring, webhook_id: str, scheme: Scheme, new: MakeSecret = new_secret) -> SealedSecret:
    """Create the first secret of an endpoint."""
    secret = new(scheme)
    return SealedSecret(dump_json([_seal(keyring, webhook_id, secret)]), _hide_private_key(secret, scheme))


def rotate_secret(
    keyring: Keyring, webhook_id: str, scheme: Scheme, column: str, now: str, until: str, new: MakeSecret = new_secret
) -> SealedSecret:
    """Put a new secret in front of those in `column`, which expire at the instant `until` at the latest.

    The ten newest unexpired ones are kept; all others are dropped.
    """
    secret = new(scheme)
    replaced = [{**entry, "until": min(entry["until"] or until, until)} for entry in json.loads(column)]
    unexpired = [entry for entry in replaced if entry["until"] > now][:MAX_REPLACED_SECRETS]
    entries = [_seal(keyring, webhook_id, secret), *unexpired]
    return SealedSecret(dump_json(entries), _hide_private_key(secret, scheme))


def reseal_secrets(keyring: Keyring, endpoint: Endpoint) -> str:
    """Return the column with every secret sealed by the first key. Raises `UnsealError` if a key is missing."""
    context, entries = _make_sealing_context(endpoint.id), json.loads(endpoint.secrets)
    for entry in entries:
        if not keyring.is_current(entry["sealed"]):
            entry["sealed"] = keyring.seal(keyring.open(entry["sealed"], context), context)
    return dump_json(entries)


def load_signing_keys(keyring: Keyring, endpoint: Endpoint, now: str) -> list[SigningKey]:
    """Return the keys that sign at the instant `now`, the newest first. Raises `UnsealError` if a key is missing."""
    entries = [entry for entry in json.loads(endpoint.secrets) if entry["until"] is None or entry["until"] > now]
    return [signing_key(keyring.open(entry["sealed"], _make_sealing_context(endpoint.id))) for entry in entries]


def _seal(keyring: Keyring, webhook_id: str, secret: str) -> dict[str, Any]:
    entry = {"sealed": keyring.seal(secret, _make_sealing_context(webhook_id)), "until": None}
    public = for_receiver(secret)
    return entry if public == secret else {**entry, "public": public}


def _hide_private_key(secret: str, scheme: Scheme) -> str | None:
    return secret if scheme == "v1" else None


def _make_sealing_context(webhook_id: str) -> str:
    return f"webhook:{webhook_id}"
