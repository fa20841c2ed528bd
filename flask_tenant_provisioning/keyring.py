"""Secrets at rest: sealed with AES-256-GCM, each bound to the row that it belongs to.

A sealed text names the key that opens it: ``1.<key id>.<base64url of nonce, ciphertext and tag>``. Several keys can be
in use, so that a new one takes over while what older ones sealed is still open.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT = "1"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_ID = re.compile(r"[0-9a-f]{12}")
#: What is derived from a key: its use, and how many bytes that takes.
_DERIVED = ((b"flask-tenant-provisioning keyring id", 6), (b"flask-tenant-provisioning keyring key", 32))


class Unsealable(Exception):
    """A sealed text cannot be opened; the message says why, and `key_id` which key is missing, where that is why."""

    def __init__(self, reason: str, *, key_id: str | None = None) -> None:
        super().__init__(reason)
        self.key_id = key_id


class _Key(NamedTuple):
    id: str
    cipher: AESGCM


class Keyring:
    """Seals with the first of `keys` and opens with any of them.

    A key is any text that is hard to guess, such as 32 random bytes in hex: the cipher's key is derived from it by
    HKDF-SHA256 (RFC 5869), which does not make a weak one strong. `nonce` gives that many random bytes.
    Raises `ValueError` where there is no key.
    """

    def __init__(self, keys: Sequence[str], nonce: Callable[[int], bytes] = os.urandom) -> None:
        if isinstance(keys, str) or not keys:
            raise ValueError("A keyring needs a list of at least one key.")
        derived = [_derive(key) for key in keys]
        self._first = derived[0]
        self._ciphers = dict(derived)
        self._nonce = nonce

    def seal(self, text: str, bound_to: str) -> str:
        """`text`, encrypted; it opens only with the same `bound_to`, such as ``webhook:<id>``."""
        nonce = self._nonce(_NONCE_BYTES)
        sealed = nonce + self._first.cipher.encrypt(nonce, text.encode(), _bound(self._first.id, bound_to))
        return f"{_FORMAT}.{self._first.id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, bound_to: str) -> str:
        """The text in `sealed`.

        Raises `Unsealable` where its key is not on this ring, where any bit of it has changed, and where it was bound
        to something else.
        """
        key_id, data = _taken_apart(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            reason = f"It was sealed with the key {key_id}, which PROVISIONING_ENCRYPTION_KEYS no longer holds."
            raise Unsealable(reason, key_id=key_id)
        try:
            return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(key_id, bound_to)).decode()
        except InvalidTag:
            raise Unsealable(f"It was changed after it had been sealed, or is not that of {bound_to}.") from None

    def is_current(self, sealed: str) -> bool:
        """Whether the first key sealed it; what another one sealed is to be sealed anew before that key goes."""
        return sealed.startswith(f"{_FORMAT}.{self._first.id}.")


def _derive(key: str) -> _Key:
    id, secret = (HKDF(SHA256(), length, None, use).derive(key.encode()) for use, length in _DERIVED)
    return _Key(id.hex(), AESGCM(secret))


def _bound(key_id: str, bound_to: str) -> bytes:
    return f"{_FORMAT}.{key_id}.{bound_to}".encode()


def _taken_apart(sealed: str) -> tuple[str, bytes]:
    form, _, rest = sealed.partition(".")
    key_id, _, text = rest.partition(".")
    try:
        data = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        data = b""
    canonical = base64.urlsafe_b64encode(data).decode() == text
    if form != _FORMAT or not canonical or len(data) < _NONCE_BYTES + _TAG_BYTES or not _ID.fullmatch(key_id):
        raise Unsealable("It is no sealed text.")
    return key_id, data
