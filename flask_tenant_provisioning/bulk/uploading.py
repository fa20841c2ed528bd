"""The body of a request as an upload: read in small pieces, as long as they come, and in whole or not at all."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from flask import request
from werkzeug.wsgi import get_input_stream

from ..config import Settings
from ..problems import MalformedUpload, UnsupportedMediaType, UploadTooLarge, UploadTooSlow
from ..web.media_types import content_coding, require_media_type
from .reading import ENCODINGS, media_types

#: How much is read at once, in bytes: from the first few on as much again as has come, so that nobody who sends
#: little is waited for long; and how much at most.
_FIRST, _MOST = 64, 4096
#: After so many seconds an upload must have come at so many bytes a second.
GRACE, SLOWEST = 30.0, 1024
_CHARSETS = ("utf-8", "utf8", "us-ascii")


class Readable(Protocol):
    """What bytes are read from, so many at most; none at its end."""

    def read(self, size: int, /) -> bytes: ...


class Body:
    """The bytes of a request as they come; `sha256` and `size` are those of what has come so far."""

    def __init__(self, stream: Readable, announced: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._announced, self._clock = stream, announced, clock
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """What tells these bytes from others, in hexadecimal digits."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Raises `UploadTooSlow`, and `MalformedUpload` where it breaks off or there is nothing."""
        begun = self._clock()
        while part := self._read(min(max(self.size, _FIRST), _MOST)):
            self._hash.update(part)
            self.size += len(part)
            _require_pace(self.size, self._clock() - begun)
            yield part
        if self._announced is not None and self.size < self._announced:
            raise self._broken()
        if not self.size:
            raise MalformedUpload("Nothing was sent, or the server in front does not pass on chunked bodies.")

    def _read(self, size: int) -> bytes:
        """What follows; servers have errors of their own for a client that has gone."""
        try:
            return self._stream.read(size)
        except Exception as error:
            raise self._broken() from error

    def _broken(self) -> MalformedUpload:
        whole = "" if self._announced is None else f" of {self._announced}"
        return MalformedUpload(f"The upload broke off after {self.size}{whole} bytes.")


def body(settings: Settings) -> Body:
    """This request's body, however large the host lets bodies be. Raises `UnsupportedMediaType`, `UploadTooLarge`."""
    require_media_type(*media_types(), encodings=ENCODINGS)
    if request.mimetype_params.get("charset", "utf-8").lower() not in _CHARSETS:
        raise UnsupportedMediaType("Send UTF-8.", accepted=list(media_types()), headers={"Accept": "*/*;charset=utf-8"})
    announced = request.content_length
    if announced is not None and announced > settings.bulk_max_bytes:
        raise UploadTooLarge(f"The upload is larger than {settings.bulk_max_bytes} bytes.")
    return Body(_stream(), announced)


def encoding() -> str | None:
    """How the body is packed; None where it is not."""
    return content_coding()


def _stream() -> Readable:
    """What the server hands us; where a hook of the host has read that, what it has read."""
    if "stream" in vars(request):
        return io.BytesIO(request.get_data())
    return get_input_stream(request.environ)


def _require_pace(size: int, seconds: float) -> None:
    if seconds > GRACE and size < seconds * SLOWEST:
        raise UploadTooSlow(f"Only {size} bytes came in {seconds:.0f} seconds.")
