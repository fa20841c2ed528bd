"""Versions of settings as the API shows them."""

from __future__ import annotations

import json
from typing import Any

from ..database import shown
from .kept import is_declared, is_secret
from .models import Listed
from .state import MASK, State


def revision(state: State, found: Listed) -> dict[str, Any]:
    """One version of the settings in `state`: who set it when, and what changed of what the host declares."""
    changes = {tuple(name.split(".", 1)): change for name, change in json.loads(found.changes).items()}
    return {
        "version": found.version,
        "timestamp": shown(found.at),
        "actor": {"sub": found.actor_subject, "partner": found.actor_partner},
        "request_id": found.request_id,
        "changes": {
            ".".join(path): _masked(change) if is_secret(state.namespaces, path) else change
            for path, change in changes.items()
            if is_declared(state.namespaces, path)
        },
    }


def _masked(change: dict[str, Any]) -> dict[str, Any]:
    """What changed of what was no secret then and is one now."""
    return {name: None if value is None else MASK for name, value in change.items()}
