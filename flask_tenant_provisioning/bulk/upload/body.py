"""The body of an upload request: read in small parts, within its time limit, and whole or not at all."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from typing import Self

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from ...errors import MalformedUpload, ProvisioningError, UnsupportedMediaType, UploadTooLarge
from ...web.headers import require_media_type
from ...web.long_requests import (
    MAX_EXPOSED_BODY,
    BodyReader,
    LongRequest,
    LongRequestLimits,
    Readable,
    expose_body,
    find_connection,
    make_upload_pace,
    shut_down,
)
from ...web.request import Request
from .reader import ENCODINGS, MEDIA_TYPES

#: Bytes per read.
_READ_SIZE = 64 * 1024
#: A larger upload needs a slot for long requests before it is read.
MAX_BYTES_WITHOUT_SLOT = 1 << 20
_CHARSETS = ("utf-8", "utf8", "us-ascii")


class UploadBody:
    """The body of an upload, iterated inside of its `with` block; `size` and `sha256` cover the bytes read so far.

    Afterwards the host's own hooks find a small body in `request`, and one without rows in place of a large or failed
    upload: reading on would wait for bytes that never come, and a large upload is not kept in memory.
    """

    def __init__(
        self, stream: Readable, content_length: int | None, long_request: LongRequest, empty_body: bytes = b""
    ) -> None:
        self._stream, self._content_length, self._long_request = stream, content_length, long_request
        self._hash = hashlib.sha256()
        #: The bytes read so far; None once they are too many for the host.
        self._buffer: bytes | None = b""
        self._empty_body = empty_body
        self.size = 0

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes read so far, in hexadecimal digits."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self._long_request.release()
        expose_body(self._buffer if self._buffer and failure is None else self._empty_body)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body in parts.

        Raises `MalformedUpload` if it is empty or ends early, and the errors of `BodyReader.read`.
        """
        while part := self._read(_READ_SIZE):
            self._hash.update(part)
            self.size += len(part)
            if self.size > MAX_EXPOSED_BODY:
                self._buffer = None
            if self._buffer is not None:
                self._buffer += part
            yield part
        if self._content_length is not None and self.size < self._content_length:
            raise self._make_truncated_error()
        if not self.size:
            raise MalformedUpload("The body is empty, or the server in front does not pass on chunked bodies.")

    def _read(self, size: int) -> bytes:
        """Read the next bytes. Errors that servers raise for a closed connection become `MalformedUpload`."""
        try:
            return self._stream.read(size)
        except (ProvisioningError, RequestEntityTooLarge):
            raise
        except Exception as error:
            raise self._make_truncated_error() from error

    def _make_truncated_error(self) -> MalformedUpload:
        expected = "" if self._content_length is None else f" of {self._content_length}"
        return MalformedUpload(f"The upload broke off after {self.size}{expected} bytes.")


def open_body(call: Request) -> UploadBody:
    """Return this request's body, ignoring the host's `MAX_CONTENT_LENGTH`.

    Raises `UnsupportedMediaType` and `UploadTooLarge`; `TooManyLongRequests` and `ServerBusy` if no slot is free for an
    upload of this size. Nothing of the body is read then: some servers would wait for all of it before the next
    request.
    """
    require_media_type(*MEDIA_TYPES, encodings=ENCODINGS)
    if request.mimetype_params.get("charset", "utf-8").lower() not in _CHARSETS:
        raise UnsupportedMediaType("Send UTF-8.", accepted=list(MEDIA_TYPES), headers={"Accept": "*/*;charset=utf-8"})
    content_length, config = request.content_length, call.mount.config
    if content_length is not None and content_length > config.bulk_max_bytes:
        raise UploadTooLarge(f"The upload is larger than {config.bulk_max_bytes} bytes.")
    long_request = call.start_long_request(make_upload_pace(config))
    if (content_length or 0) > MAX_BYTES_WITHOUT_SLOT:
        try:
            long_request.acquire_slot()
        except ProvisioningError:
            expose_body(b"[]" if request.is_json else b"")
            shut_down(find_connection(request.environ), socket.SHUT_RD)
            raise
    reader = BodyReader(long_request, call.mount.once(LongRequestLimits).watchdog)
    return UploadBody(reader, content_length, long_request, b"[]" if request.is_json else b"")
