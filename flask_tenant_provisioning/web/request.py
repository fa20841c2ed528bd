"""A request as a route sees it: the caller, the body, the query, and the response.

A body is read from the server directly, with limits on its size and time. A host's hook that reads the body through
Flask's `request` afterwards would wait for bytes that never come, so `request.stream` is replaced by what was read.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import re
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, Protocol

from flask import Response, after_this_request, request
from werkzeug.exceptions import ClientDisconnected

from .. import encoding
from ..access.principal import Actor, Principal
from ..config import Config
from ..database.session import Session
from ..errors import BodyTooLarge, Fault, Forbidden, NotFound, ProvisioningError
from ..mount import Mount
from ..responses import get_request_id
from ..validation import load_parameters
from .headers import JSON, check_preconditions, require_media_type
from .long_requests import (
    LongRequest,
    LongResponseBody,
    Pace,
    Watchdog,
    find_connection,
    make_body_pace,
    make_slots,
    make_watchdog,
)
from .parameters import QuerySchema

logger = logging.getLogger(__name__)
#: A function that runs a reading unit of work and returns its result.
Read = Callable[[Callable[[Session], Any]], Any]


@dataclasses.dataclass(slots=True)
class Request:
    """A request after authentication and rate limits. A public route has no principal."""

    mount: Mount
    _principal: Principal | None

    @property
    def principal(self) -> Principal:
        """Authenticated caller. Raises `RuntimeError` on a public route."""
        if self._principal is None:
            raise RuntimeError("a public route has no principal")
        return self._principal

    def actor(self) -> Actor:
        """Return the caller with the request id, address and user agent, for events and hooks."""
        environ = request.environ
        return Actor(self.principal, get_request_id(), environ.get("REMOTE_ADDR"), environ.get("HTTP_USER_AGENT"))

    def body(self, *media_types: str) -> Any:
        """Read and parse the JSON body. Raises `UnsupportedMediaType`, `MalformedJSON` or an error of `read_body`."""
        require_media_type(*media_types)
        config = self.mount.config
        hold = self.start_long_request(make_body_pace(config))
        return encoding.parse_json(read_body(get_body_limit(config), hold, self.mount.once(make_watchdog)))

    def start_long_request(self, pace: Pace) -> LongRequest:
        """Return the time limits of this request; it takes one of its partner's slots if it lasts."""
        return LongRequest(pace, self.mount.once(make_slots).acquire, self.principal.partner)

    def optional_body(self, *media_types: str) -> Any:
        """Return the JSON body as `body` does, or an empty object if there is none."""
        if not request.content_length and "HTTP_TRANSFER_ENCODING" not in request.environ:
            return {}
        return self.body(*media_types)

    def stream(self, parts: Generator[bytes], hold: LongRequest) -> LongResponseBody:
        """Return the body of a streamed response; it holds the slot of `hold` until it ends."""
        return LongResponseBody(parts, hold, self.mount.once(make_watchdog), find_connection(request.environ))

    def read_while_admitted(self, *permissions: str) -> Read:
        """Return a function that runs the reads of a download and checks the caller's token before each.

        It raises the errors of `Guard.readmit` after the token has expired or the partner was suspended.
        """
        guard, storage, partner = self.mount.guard, self.mount.storage, self.principal.partner
        header, id = request.environ.get("HTTP_AUTHORIZATION", ""), get_request_id()

        def read(work: Callable[[Session], Any]) -> Any:
            try:
                guard.readmit(header, permissions)
            except ProvisioningError as refusal:
                extra = {"partner": partner, "reason": refusal.code, "request_id": id}
                logger.info("a download of partner %r was stopped: %s", partner, refusal.code, extra=extra)
                raise
            return storage.read(work)

        return read

    def require(self, *permissions: str) -> None:
        """Raise `Forbidden` if the caller lacks one of `permissions`, which come on top of the route's own."""
        self.mount.guard.require_permissions(self.principal, permissions)

    def require_administrator(self, detail: str) -> None:
        """Raise `Forbidden` with this `detail` unless the caller sees every partner's tenants."""
        if not self.principal.sees_every_partner:
            raise Forbidden(detail, headers=self.mount.guard.challenge("insufficient_scope"))

    def query(self, schema: QuerySchema, may_name: Callable[[str], bool] = lambda _partner: False) -> dict[str, Any]:
        """Return the query parameters.

        An administrator may name any ``partner``; other callers those for which `may_name` returns True. Raises
        `InvalidParameter`, or `Forbidden` for another partner.
        """
        if not request.query_string:
            return {**schema.defaults}
        query = load_parameters(schema, request.args.to_dict(flat=False))
        if query.get("validate_only"):
            after_this_request(_mark_dry_run)
        if "partner" in query and not (self.principal.sees_every_partner or may_name(query["partner"])):
            self.require_administrator("Only an administrator may name a partner.")
        return query

    def require_partner(self, query: Mapping[str, Any]) -> str:
        """Return the partner that `query` names, else the caller's own.

        Raises `PartnerMissing` for an administrator if neither token nor query names a partner.
        """
        named: str | None = query.get("partner")
        return self.mount.guard.require_partner(self.principal) if named is None else named

    def json_response(self, document: Any, headers: Mapping[str, str] | None = None) -> Response:
        """Return `document` as a JSON response with status 200."""
        response = Response(encoding.dump_json(document), content_type=JSON)
        response.headers.update(headers or {})
        return response


def _mark_dry_run(response: Response) -> Response:
    """Mark the response to a dry run, also if it is an error."""
    response.headers["X-Validate-Only"] = "true"
    return response


INVALID_UTF8 = Fault("invalid-text", "Must be UTF-8.")
_ID_PATTERN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def partner_scope(call: Request) -> str | None:
    """Return the partner whose resources the caller sees; None for an administrator, who sees all."""
    return None if call.principal.sees_every_partner else call.principal.partner


def parse_id(text: str, absent: type[NotFound]) -> str:
    """Return an id in lower case. Raises `absent` if `text` is not a UUID."""
    id = text.lower()
    if not _ID_PATTERN.fullmatch(id):
        raise absent
    return id


def is_path_utf8() -> bool:
    """Return True if the request's path is UTF-8. Other bytes become U+FFFD, so two names could look the same."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeError:
        return False
    return True


def make_precondition_check(call: Request) -> Any:
    """Return a function that takes a version and raises as `check_preconditions` does for this request."""
    return partial(check_preconditions, demanded=call.mount.config.require_if_match)


#: Size of the first read, which grows with the bytes received, and of the largest, in bytes. With small first reads a
#: slow client is noticed early.
_FIRST_READ_BYTES, _MAX_READ_BYTES = 64, 64 * 1024
#: Maximum size of an upload that stays readable for the host's hooks, in bytes.
MAX_EXPOSED_BODY = 64 * 1024


class Readable(Protocol):
    """A stream of bytes; a read returns at most `size` of them, and none at the end."""

    def read(self, size: int, /) -> bytes: ...


class BodyReader:
    """Reader of the current request's body; `announced` is its ``Content-Length``, None if unknown.

    If a host's hook has accessed `request.stream` before, the rest of that stream is read; if nothing is left, the data
    that Flask has cached.
    """

    def __init__(self, hold: LongRequest, watchdog: Watchdog) -> None:
        self.announced = request.content_length
        self._hold, self._watchdog = hold, watchdog
        self._was_accessed = "stream" in vars(request)
        self._stream, self._bytes_left = self._find_source()
        self._connection = find_connection(request.environ)
        self._bytes_read = 0

    def read(self, max_size: int) -> bytes:
        """Return at most `max_size` bytes, none at the end.

        Raises `ClientDisconnected` if the body ends before its announced size, and `BodyTooSlow`, `UploadTooSlow`,
        `TooManyLongRequests` or `ServerBusy` if the client is too slow.
        """
        if not self._bytes_left:
            return b""
        is_watched = self._connection is not None and self.announced is not None
        read_size = _MAX_READ_BYTES if is_watched else max(self._bytes_read, _FIRST_READ_BYTES)
        size = int(min(max_size, self._bytes_left, read_size, _MAX_READ_BYTES))
        if size <= 0:
            return b""
        part = self._read_part(size)
        if not part and not self._was_accessed and self._bytes_left != float("inf"):
            raise ClientDisconnected
        if not part and not self._bytes_read and self._was_accessed:
            part, self._bytes_left = request.get_data(), 0
        self._bytes_read += len(part)
        self._bytes_left -= len(part)
        return part

    def _read_part(self, size: int) -> bytes:
        hold, connection = self._hold, self._connection
        hold.start_waiting()
        if connection is not None:
            self._watchdog.add(hold, connection)
        part = b""
        try:
            part = self._stream.read(size)
        except (OSError, ValueError) as error:
            if hold.refusal is None:
                raise ClientDisconnected from error
        finally:
            if connection is not None:
                self._watchdog.remove(hold)
        hold.resume(len(part))
        return part

    def _find_source(self) -> tuple[Readable, float]:
        """Return the stream and the body's size, infinite if unknown; without any framing it is 0 (RFC 9112 §6.3)."""
        environ = request.environ
        if self._was_accessed:
            return request.stream, float("inf")
        if self.announced is not None:
            return environ["wsgi.input"], self.announced
        return environ["wsgi.input"], float("inf") if environ.get("wsgi.input_terminated") else 0


def read_body(limit: int, hold: LongRequest, watchdog: Watchdog) -> bytes:
    """Return the whole body. Raises `BodyTooLarge`, `BodyTooSlow`, `TooManyLongRequests` or `ServerBusy`."""
    parts: list[bytes] = []
    size, exposed = 0, b"{}" if request.is_json else b""
    try:
        incoming = BodyReader(hold, watchdog)
        if incoming.announced is not None and incoming.announced > limit:
            raise make_body_too_large(limit)
        while part := incoming.read(limit + 1 - size):
            parts.append(part)
            size += len(part)
        if size > limit:
            raise make_body_too_large(limit)
        exposed = parts[0] if len(parts) == 1 else b"".join(parts)
        return exposed
    finally:
        hold.release()
        expose_body(exposed)


def expose_body(data: bytes) -> None:
    """Make `data` the body that the host's hooks read from Flask. What Flask has cached already stays."""
    request.stream = io.BytesIO(data)


def get_body_limit(config: Config) -> int:
    """Return the maximum body size in bytes: the smaller one of the mount's and the host's limits."""
    host_limit = request.max_content_length
    return config.max_body_bytes if host_limit is None else min(config.max_body_bytes, host_limit)


def make_body_too_large(limit: int) -> BodyTooLarge:
    """Return an error that states the limit, in bytes."""
    return BodyTooLarge(f"The body is larger than {limit} bytes.", limit=limit)
