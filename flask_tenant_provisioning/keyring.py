"""Secrets at rest: encrypted with AES-256-GCM and bound to the row that they belong to.

A sealed text names the key that opens it: ``1.<key id>.<base64url of nonce, ciphertext and tag>``. Several keys can be
in use: the first one seals, and the others open what was sealed before it was added.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import Flask

from .config import Config, ConfigurationError
from .encoding import decode_base64url, encode_base64url

_FORMAT = "1"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_ID = re.compile(r"[0-9a-f]{12}")
#: The values derived from a key: HKDF info and length in bytes.
_DERIVATIONS = (
    (b"flask-tenant-provisioning keyring id", 6),
    (b"flask-tenant-provisioning keyring key", 32),
    (b"flask-tenant-provisioning keyring code", 32),
)


class UnsealError(Exception):
    """A sealed text cannot be opened. The message says why; `key_id` is the id of the missing key, if that is the
    reason.
    """

    def __init__(self, reason: str, *, key_id: str | None = None) -> None:
        super().__init__(reason)
        self.key_id = key_id


class _Key(NamedTuple):
    id: str
    cipher: AESGCM
    code_secret: bytes


class Keyring:
    """Seals with the first of `keys` and opens with any of them.

    A key is any text that is hard to guess, such as 32 random bytes in hex. The cipher's key is derived from it by
    HKDF-SHA256 (RFC 5869), which does not make a weak key strong. `nonce` returns that many random bytes. Raises
    `ValueError` if `keys` is empty or a single text.
    """

    def __init__(self, keys: Sequence[str], nonce: Callable[[int], bytes] = os.urandom) -> None:
        if isinstance(keys, str) or not keys:
            raise ValueError("A keyring needs a list of at least one key.")
        derived = [_derive_key(key) for key in keys]
        self._first = derived[0]
        self._code_secrets = [key.code_secret for key in derived]
        self._ciphers = {key.id: key.cipher for key in derived}
        self._nonce = nonce

    def seal(self, text: str, context: str) -> str:
        """Return `text` encrypted, bound to a context such as ``webhook:<id>``; `open` needs the same `context`."""
        nonce = self._nonce(_NONCE_BYTES)
        key = self._first
        ciphertext = key.cipher.encrypt(nonce, text.encode(), _make_associated_data(key.id, context))
        return f"{_FORMAT}.{key.id}.{encode_base64url(nonce + ciphertext, padded=True)}"

    def open(self, sealed: str, context: str) -> str:
        """Return the text in `sealed`.

        Raises `UnsealError` if its key is not on this ring, if it was altered, and if it is bound to another context.
        """
        key_id, data = _parse_sealed(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            reason = f"It was sealed with the key {key_id}, which PROVISIONING_ENCRYPTION_KEYS no longer holds."
            raise UnsealError(reason, key_id=key_id)
        nonce, ciphertext = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, _make_associated_data(key_id, context)).decode()
        except InvalidTag:
            raise UnsealError(f"It was changed after it had been sealed, or is not that of {context}.") from None

    def derive_codes(self, context: str) -> Iterator[bytes]:
        """Iterate over the codes of a context such as ``invitation:<id>``: 32 bytes for each key, in the keys' order.

        A code is the HMAC-SHA256 of the context. Only those who hold the key can derive it, and they can do so again:
        it need not be stored.
        """
        for secret in self._code_secrets:
            yield hmac.digest(secret, context.encode(), "sha256")

    def is_current(self, sealed: str) -> bool:
        """Return whether the first key sealed it. Otherwise it must be sealed again before its key is removed."""
        return sealed.startswith(f"{_FORMAT}.{self._first.id}.")


def _derive_key(key: str) -> _Key:
    id, secret, code_secret = (HKDF(SHA256(), length, None, info).derive(key.encode()) for info, length in _DERIVATIONS)
    return _Key(id.hex(), AESGCM(secret), code_secret)


def _make_associated_data(key_id: str, context: str) -> bytes:
    return f"{_FORMAT}.{key_id}.{context}".encode()


def _parse_sealed(sealed: str) -> tuple[str, bytes]:
    version, _, keyed_text = sealed.partition(".")
    key_id, _, text = keyed_text.partition(".")
    try:
        data = decode_base64url(text, padded=True)
    except ValueError:
        data = b""
    if version != _FORMAT or len(data) < _NONCE_BYTES + _TAG_BYTES or not _KEY_ID.fullmatch(key_id):
        raise UnsealError("It is no sealed text.")
    return key_id, data


def load_keyring(app: Flask, config: Config) -> Keyring:
    """Return the keyring for secrets in the database. Raises `ConfigurationError` if no key is configured."""
    keys = config.encryption_keys
    if not keys:
        secret = get_cursor_secret(app, config)
        keys = (secret,) if secret else ()
    if not keys:
        raise ConfigurationError("Set PROVISIONING_ENCRYPTION_KEYS: it seals the secrets in the database.")
    return Keyring(keys)


def get_cursor_secret(app: Flask, config: Config) -> str | None:
    """Return the secret that signs cursors: the mount's own, else the app's; None if neither is set."""
    secret = config.secret_key or app.secret_key or app.config.get("JWT_SECRET_KEY")
    return secret.hex() if isinstance(secret, bytes) else secret


def require_cursor_secret(app: Flask, config: Config) -> None:
    """Raise `ConfigurationError` if there is no secret to sign cursors."""
    if not get_cursor_secret(app, config):
        raise ConfigurationError("Set PROVISIONING_SECRET_KEY (or SECRET_KEY): it seals the cursors of lists.")
