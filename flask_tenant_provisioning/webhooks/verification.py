"""Verification of a received webhook: headers, timestamp, signature, body (Standard Webhooks 1.0.0)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from .signing import ID_PATTERN, InvalidSecret, VerifyingKey, build_signed_content, parse_verifying_key

_HEADER_PATTERNS = {
    "webhook-id": ID_PATTERN,
    "webhook-timestamp": re.compile(r"0|[1-9][0-9]{0,11}"),
    "webhook-signature": re.compile(r"[ -~]{1,4096}"),
}


class WebhookRefused(Exception):
    """The request is not a valid webhook. `reason` is a sentence that contains nothing of the request."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Headers(Protocol):
    """A framework's headers object: pairs of name (in any case) and value, in which names may repeat."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return the pairs of name and value."""


def verify(
    body: bytes,
    headers: Mapping[str, str] | Headers,
    secrets: str | Sequence[str],
    *,
    tolerance: float = 300,
    now: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Verify that a holder of one of the `secrets` sent the request recently, and return the event in `body`.

    `body` is the unmodified request body, and `headers` the request's headers as a framework provides them. A secret is
    a ``whsec_…`` or ``whpk_…`` text; pass the old and the new one during a rotation. The timestamp of the request may
    differ from `now` by `tolerance` seconds. An event may be delivered more than once; use ``webhook-id`` to recognise
    duplicates.

    Raises `WebhookRefused` if the request is not a valid webhook, and `InvalidSecret` if a secret is malformed. The
    latter is a mistake in the receiver's own configuration, so respond with a 5xx status to have the event sent again.
    """
    keys = [parse_verifying_key(secret) for secret in _list_secrets(secrets)]
    if not isinstance(body, bytes):
        raise WebhookRefused(f"The body must be the bytes that were received, not {type(body).__name__}.")
    id, timestamp, signatures = _read_headers(headers)
    _require_recent(int(timestamp), now(), tolerance)
    _require_signature(keys, build_signed_content(id, int(timestamp), body), signatures)
    return _parse_event(body)


def _list_secrets(secrets: str | Sequence[str]) -> Sequence[str]:
    if isinstance(secrets, str):
        return [secrets]
    if not isinstance(secrets, Sequence) or isinstance(secrets, bytes) or not secrets:
        raise InvalidSecret("A secret is needed to verify with: a text, or a list of them.")
    return secrets


def _read_headers(headers: Mapping[str, str] | Headers) -> list[str]:
    """Return the values of the three headers, each of which must occur once and be well-formed."""
    try:
        pairs = [(name.lower(), value) for name, value in headers.items() if isinstance(name, str)]
    except (AttributeError, TypeError, ValueError):
        raise WebhookRefused("The headers must be a mapping of names to values.") from None
    return [_require_single(name, [value for other, value in pairs if other == name]) for name in _HEADER_PATTERNS]


def _require_single(name: str, values: Sequence[str]) -> str:
    if not values:
        raise WebhookRefused(f"The header {name} is missing.")
    if len(values) > 1:
        raise WebhookRefused(f"The header {name} is there more than once.")
    if not isinstance(values[0], str) or not _HEADER_PATTERNS[name].fullmatch(values[0]):
        raise WebhookRefused(f"The header {name} is malformed.")
    return values[0]


def _require_recent(timestamp: int, now: float, tolerance: float) -> None:
    if timestamp < now - tolerance:
        raise WebhookRefused(f"It was sent more than {tolerance:g} seconds ago, by the clock here.")
    if timestamp > now + tolerance:
        raise WebhookRefused(f"It was sent more than {tolerance:g} seconds ahead, by the clock here.")


def _require_signature(keys: Iterable[VerifyingKey], content: bytes, signatures: str) -> None:
    """Raise `WebhookRefused` unless any signature matches any key; signatures of other schemes are ignored."""
    entries = [entry.partition(",") for entry in signatures.split(" ")]
    if not any(
        key.matches(content, signature) for key in keys for scheme, _, signature in entries if scheme == key.scheme
    ):
        raise WebhookRefused("No signature fits the content and a secret.")


def _parse_event(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body.decode())
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise WebhookRefused("The body is no JSON object.")
    return event
