"""Merge patches (RFC 7396)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..web.validation import entry, invalid
from .fields import MOST_KEYS, TOO_MANY_KEYS
from .models import Tenant


def merged(target: Any, patch: Any) -> Any:
    """`target` after `patch`, by the algorithm of RFC 7396 §2."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


def patched(tenant: Tenant, patch: dict[str, Any]) -> dict[str, Any]:
    """The values that a valid `patch` gives the tenant. Raises `InvalidInput` where its metadata would overflow."""
    if not patch.get("metadata"):
        return patch
    metadata = merged(json.loads(tenant.metadata), patch["metadata"])
    if len(metadata) > MOST_KEYS:
        raise invalid([entry(TOO_MANY_KEYS, "metadata")])
    return {**patch, "metadata": metadata}
