"""The licence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checks import is_text, number, text, texts
from ..declaring import key


def _public_keys(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(map(is_text, [*value, *value.values()])):
        raise ValueError("a mapping of key id to public key, both texts")
    return dict(value)


class LicenseKeys:
    """Where it is, and what it is believed by."""

    license_file: str | None = key(None, "Path of the vendor's signed licence file.", text)
    license: str | None = key(None, "The signed licence itself, where there is no file.", text, secret=True)
    license_public_keys: dict[str, str] = key(
        None, "The vendor's Ed25519 public keys (PEM or base64) by key id.", _public_keys, secret=True
    )
    license_revoked: tuple[str, ...] = key((), "Key ids and licence ids that are no longer trusted.", texts)
    license_reload_seconds: int = key(
        5, "How often, at most, the licence file is looked at for a change.", number(0, 86_400)
    )
    install_id: str | None = key(None, "This installation's id, which a licence may be bound to.", text)
