"""The body of an upload request: read in small pieces, within its time limit, and whole or not at all."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from typing import Self

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from ...errors import MalformedUpload, ProvisioningError, UnsupportedMediaType, UploadTooLarge
from ...web.headers import get_content_coding, require_media_type
from ...web.long_requests import LongRequest, find_connection, make_upload_pace, make_watchdog, shut_down
from ...web.request import MAX_EXPOSED_BODY, BodyReader, Readable, Request, expose_body
from .reader import ENCODINGS, list_media_types

#: How many bytes are asked for at once.
_READ_SIZE = 64 * 1024
#: An upload of more bytes needs a seat before it is read.
MAX_BYTES_WITHOUT_SEAT = 1 << 20
_CHARSETS = ("utf-8", "utf8", "us-ascii")


class UploadBody:
    """The bytes of an upload as they come, inside of its `with` block; `size` and `sha256` are of those so far.

    At its end hooks of the host's find the rows in `request` where they are few. Of more they find none: reading on
    would wait for bytes that never come, and a large upload is held in no memory.
    """

    def __init__(self, stream: Readable, announced: int | None, hold: LongRequest, nothing: bytes = b"") -> None:
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
        expose_body(self._kept if self._kept and failure is None else self._nothing)

    def __iter__(self) -> Iterator[bytes]:
        """Raises `MalformedUpload` where it breaks off or is empty, and what `Incoming.read` does."""
        while part := self._read(_READ_SIZE):
            self._hash.update(part)
            self.size += len(part)
            self._kept = None if self._kept is None or self.size > MAX_EXPOSED_BODY else self._kept + part
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


def open_body(call: Request) -> UploadBody:
    """This request's body, however large the host lets bodies be.

    Raises `UnsupportedMediaType`, `UploadTooLarge`; `TooManyLongRequests` and `ServerBusy` where no seat is free for an
    upload of this size. Then nothing of it is read: some servers would wait for all of it before the next request.
    """
    require_media_type(*list_media_types(), encodings=ENCODINGS)
    if request.mimetype_params.get("charset", "utf-8").lower() not in _CHARSETS:
        raise UnsupportedMediaType(
            "Send UTF-8.", accepted=list(list_media_types()), headers={"Accept": "*/*;charset=utf-8"}
        )
    announced, settings = request.content_length, call.mount.config
    if announced is not None and announced > settings.bulk_max_bytes:
        raise UploadTooLarge(f"The upload is larger than {settings.bulk_max_bytes} bytes.")
    hold = call.start_long_request(make_upload_pace(settings))
    if (announced or 0) > MAX_BYTES_WITHOUT_SEAT:
        try:
            hold.acquire_slot()
        except ProvisioningError:
            expose_body(b"[]" if request.is_json else b"")
            shut_down(find_connection(request.environ), socket.SHUT_RD)
            raise
    return UploadBody(
        BodyReader(hold, call.mount.once(make_watchdog)), announced, hold, b"[]" if request.is_json else b""
    )


def read_encoding() -> str | None:
    """How the body is packed; None where it is not."""
    return get_content_coding()
