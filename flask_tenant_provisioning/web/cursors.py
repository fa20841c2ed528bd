"""Cursors: where a page ended, sealed and bound to what was asked. A cursor grants nothing."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from ..problems import InvalidCursor

_SEAL_BYTES = 16


class Cursors:
    """Seals and opens cursors with one secret key."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"flask-tenant-provisioning cursor\0" + secret.encode()).digest()

    def seal(self, place: str, question: str) -> str:
        """A cursor for `place`, good only for the same `question` (partner, filters, sort)."""
        data = place.encode()
        return base64.urlsafe_b64encode(self._seal(data, question) + data).rstrip(b"=").decode()

    def open(self, cursor: str, question: str) -> str:
        """The place in `cursor`. Raises `InvalidCursor` for another question, another key or any changed bit."""
        try:
            data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor from error
        seal, place = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
        whole = base64.urlsafe_b64encode(data).rstrip(b"=").decode() == cursor
        if not whole or not hmac.compare_digest(seal, self._seal(place, question)):
            raise InvalidCursor
        return place.decode()

    def _seal(self, data: bytes, question: str) -> bytes:
        return hmac.digest(self._key, b"%d\0%b%b" % (len(data), data, question.encode()), "sha256")[:_SEAL_BYTES]
