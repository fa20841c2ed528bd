"""The body of a request as an upload: read in small pieces, in its time, and in whole or not at all."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from typing import Self

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from ..problems import MalformedUpload, ProvisioningError, UnsupportedMediaType, UploadTooLarge
from ..web.bodies import KEPT, Incoming, Readable, leave
from ..web.call import Call
from ..web.long_requests import Hold, connection_of, shut_down, upload_pace, watchdog
from ..web.media_types import content_coding, require_media_type
from .reading import ENCODINGS, media_types

#: How many bytes are asked for at once.
_MOST = 64 * 1024
#: An upload of more bytes needs a seat before it is read.
SHORT = 1 << 20
_CHARSETS = ("utf-8", "utf8", "us-ascii")


class Body:
    """The bytes of an upload as they come, inside of its `with` block; `size` and `sha256` are of those so far.

    At its end hooks of the host's find the rows in `request` where they are few. Of more they find none: reading on
    would wait for bytes that never come, and a large upload is held in no memory.
    """

    def __init__(self, stream: Readable, announced: int | None, hold: Hold, nothing: bytes = b"") -> None:
        self._stream, self._announced, self._hold = stream, announced, hold
        self._hash = hashlib.sha256()
        self._kept: bytes | None = b""
        self._nothing = nothing
        self.size = 0

    @property
    def sha256(self) -> str:
        """What tells these bytes from others, in hexadecimal digits."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._hold.release()
        leave(self._kept if self._kept and failure is None else self._nothing)

    def __iter__(self) -> Iterator[bytes]:
        """Raises `MalformedUpload` where it breaks off or is empty, and what `Incoming.read` does."""
        while part := self._read(_MOST):
            self._hash.update(part)
            self.size += len(part)
            self._kept = None if self._kept is None or self.size > KEPT else self._kept + part
            yield part
        if self._announced is not None and self.size < self._announced:
            raise self._broken()
        if not self.size:
            raise MalformedUpload("Nothing was sent, or the server in front does not pass on chunked bodies.")

    def _read(self, size: int) -> bytes:
        """What follows; servers have errors of their own for a client that has gone."""
        try:
            return self._stream.read(size)
        except (ProvisioningError, RequestEntityTooLarge):
            raise
        except Exception as error:
            raise self._broken() from error

    def _broken(self) -> MalformedUpload:
        whole = "" if self._announced is None else f" of {self._announced}"
        return MalformedUpload(f"The upload broke off after {self.size}{whole} bytes.")


def body(call: Call) -> Body:
    """This request's body, however large the host lets bodies be.

    Raises `UnsupportedMediaType`, `UploadTooLarge`; `TooManyLongRequests` and `ServerBusy` where no seat is free for an
    upload of this size. Then nothing of it is read: some servers would wait for all of it before the next request.
    """
    require_media_type(*media_types(), encodings=ENCODINGS)
    if request.mimetype_params.get("charset", "utf-8").lower() not in _CHARSETS:
        raise UnsupportedMediaType("Send UTF-8.", accepted=list(media_types()), headers={"Accept": "*/*;charset=utf-8"})
    announced, settings = request.content_length, call.mount.settings
    if announced is not None and announced > settings.bulk_max_bytes:
        raise UploadTooLarge(f"The upload is larger than {settings.bulk_max_bytes} bytes.")
    hold = call.hold(upload_pace(settings))
    if (announced or 0) > SHORT:
        try:
            hold.take_seat()
        except ProvisioningError:
            leave(b"[]" if request.is_json else b"")
            shut_down(connection_of(request.environ), socket.SHUT_RD)
            raise
    return Body(Incoming(hold, call.mount.once(watchdog)), announced, hold, b"[]" if request.is_json else b"")


def encoding() -> str | None:
    """How the body is packed; None where it is not."""
    return content_coding()
