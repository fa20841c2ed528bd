"""Public keys that others publish as a JSON Web Key Set (RFC 7517): parsed, cached, and fetched again when needed."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jwt import PyJWK, PyJWKClient, PyJWTError

from ..encoding import format_error, parse_json_object

logger = logging.getLogger(__name__)
#: Seconds after which keys are fetched again, so that a withdrawn key is no longer trusted.
KEY_SECONDS = 900.0
#: The shortest interval in seconds between two fetches: for an unknown key id, and after a failure.
FETCH_INTERVAL_SECONDS = 60.0
_FETCH_TIMEOUT_SECONDS = 5.0


class PublicKey(NamedTuple):
    """A published key: its JSON, the key itself, and the only algorithm that it may be used with; None for any."""

    text: str
    key: Any
    algorithm: str | None


PublicKeys = Mapping[str | None, PublicKey]


class KeySet:
    """The keys of one `owner`, a name for the log, as `fetch` returns them.

    Keys are fetched when the first one is looked up, for an unknown key id, and when they are older than `KEY_SECONDS`.
    While `fetch` raises `OSError`, `ValueError` or PyJWT's exceptions, the keys of the last fetch stay valid.
    Thread-safe.
    """

    def __init__(self, owner: str, fetch: Callable[[], PublicKeys], clock: Callable[[], float]) -> None:
        self._owner, self._fetch, self._clock = owner, fetch, clock
        self._keys: PublicKeys = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = threading.Lock()
        #: Whether the last fetch failed.
        self.has_failed = False

    def find(self, kid: Any) -> PublicKey | None:
        """Return the key of this id, or None. Fetches the keys if that is due."""
        if not isinstance(kid, str | None):
            return None
        now = self._clock()
        known = self._keys.get(kid)
        if self._is_due(known, now):
            # One request at a time fetches. The others wait for it, except those whose key is known.
            if self._lock.acquire(blocking=known is None):
                try:
                    if now - self._tried_at >= FETCH_INTERVAL_SECONDS:
                        self._refresh(now)
                finally:
                    self._lock.release()
            known = self._keys.get(kid)
        return known

    def needs_fetch(self, kid: Any) -> bool:
        """Return whether `find` would fetch the keys first, or wait for another request that does."""
        return isinstance(kid, str | None) and self._is_due(self._keys.get(kid), self._clock())

    def _is_due(self, known: PublicKey | None, now: float) -> bool:
        if known is None and self._lock.locked():
            return True
        is_stale = known is None or now - self._fetched_at >= KEY_SECONDS
        return is_stale and now - self._tried_at >= FETCH_INTERVAL_SECONDS

    def _refresh(self, now: float) -> None:
        """Fetch the keys, and keep the old ones if that fails."""
        self._tried_at = now
        try:
            fetched = self._fetch()
        except (OSError, ValueError, PyJWTError) as error:
            self.has_failed = True
            logger.warning(
                "the keys of %s cannot be fetched: %s",
                self._owner,
                format_error(error),
                extra={"owner": self._owner, "error": type(error).__name__},
            )
            return
        self.has_failed, self._fetched_at = False, now
        self._keys = fetched


def fetch_public_keys(location: str) -> PublicKeys:
    """Fetch a JSON Web Key Set from a URL or a file, and return its keys by their ids.

    Raises `OSError`, `ValueError` or PyJWT's exceptions.
    """
    if "://" in location:
        return parse_public_keys(
            PyJWKClient(location, cache_jwk_set=False, timeout=_FETCH_TIMEOUT_SECONDS).fetch_data()
        )
    with open(location, "rb") as file:
        return parse_public_keys(parse_json_object(file.read()))


def parse_public_keys(key_set: Any) -> PublicKeys:
    """Return the public signature keys of a JSON Web Key Set by their ids.

    A set of one key has it under None too, for tokens that name no key. Keys of an unknown kind, private keys and
    malformed ones are left out. Raises `ValueError` if this is no key set.
    """
    entries = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JSON Web Key Set")
    keys: dict[str | None, PublicKey] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        if entry.get("kty") == "oct" or "d" in entry:  # a secret is no longer one once it is published
            continue
        kid, algorithm = entry.get("kid"), entry.get("alg")
        try:
            key = PyJWK(entry).key
        except Exception:  # noqa: S112 - PyJWT raises more than its own errors for a malformed key
            continue
        if isinstance(kid, str | None):
            keys.setdefault(kid, PublicKey(json.dumps(entry, sort_keys=True), key, algorithm))
    if len(keys) == 1:
        keys[None] = next(iter(keys.values()))
    return keys
