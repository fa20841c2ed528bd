"""An endpoint's signing secrets as they are kept: sealed, the newest first, the older ones until their time is over.

The column is a JSON list of ``{"sealed", "until"}``, beside which a ``v1a`` key has its ``public`` half in the open:
who only reads an endpoint needs no key of the keyring.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from ..events import compact
from ..keyring import Keyring
from .models import Endpoint
from .signing import Scheme, SigningKey, for_receiver, new_secret, signing_key

#: How many replaced secrets sign at once, at most.
MOST_REPLACED = 10

NewSecret = Callable[[Scheme], str]


class Secret(NamedTuple):
    """A new secret: the column that holds it, and what its owner is shown once (None for ``v1a``)."""

    column: str
    shown: str | None


def make(keyring: Keyring, webhook_id: str, scheme: Scheme, new: NewSecret = new_secret) -> Secret:
    """The first secret of an endpoint."""
    secret = new(scheme)
    return Secret(compact([_sealed(keyring, webhook_id, secret)]), _shown(secret, scheme))


def rotate(
    keyring: Keyring, webhook_id: str, scheme: Scheme, column: str, now: str, until: str, new: NewSecret = new_secret
) -> Secret:
    """A new secret in front of those in `column`, none of which signs longer than to the instant `until`.

    Ten of these stay at most, the newest; those whose time is over are forgotten.
    """
    secret = new(scheme)
    older = [{**one, "until": min(one["until"] or until, until)} for one in json.loads(column)]
    kept = [one for one in older if one["until"] > now][:MOST_REPLACED]
    return Secret(compact([_sealed(keyring, webhook_id, secret), *kept]), _shown(secret, scheme))


def resealed(keyring: Keyring, endpoint: Endpoint) -> str:
    """The column with all of it sealed by the keyring's first key. Raises `Unsealable` where the keyring lacks one."""
    owner, kept = _owner(endpoint.id), json.loads(endpoint.secrets)
    for one in kept:
        if not keyring.is_current(one["sealed"]):
            one["sealed"] = keyring.seal(keyring.open(one["sealed"], owner), owner)
    return compact(kept)


def signing_keys(keyring: Keyring, endpoint: Endpoint, now: str) -> list[SigningKey]:
    """What signs at the instant `now`, the newest first. Raises `Unsealable` where the keyring lacks a key."""
    used = [one for one in json.loads(endpoint.secrets) if one["until"] is None or one["until"] > now]
    return [signing_key(keyring.open(one["sealed"], _owner(endpoint.id))) for one in used]


def public_key(endpoint: Endpoint) -> str | None:
    """The newest ``whpk_`` key; None for ``v1``, which has none."""
    found: str | None = json.loads(endpoint.secrets)[0].get("public")
    return found


def _sealed(keyring: Keyring, webhook_id: str, secret: str) -> dict[str, Any]:
    found = {"sealed": keyring.seal(secret, _owner(webhook_id)), "until": None}
    public = for_receiver(secret)
    return found if public == secret else {**found, "public": public}


def _shown(secret: str, scheme: Scheme) -> str | None:
    return secret if scheme == "v1" else None


def _owner(webhook_id: str) -> str:
    return f"webhook:{webhook_id}"
