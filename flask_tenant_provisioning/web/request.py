"""A request as a route sees it: the caller, the body, the query, and the response.

A body is read to its end, within a time, and never further than the limit for its size. Flask keeps what is read
through `request`; what is read from the server directly would be missing there, and a hook of the host's that reads the
body would wait for bytes that never come. So `request` gets a stream of its own.
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
#: Runs what reads in a unit of work.
Read = Callable[[Callable[[Session], Any]], Any]


@dataclasses.dataclass(slots=True)
class Request:
    """A request that passed the gate. `principal` is None on a public route."""

    mount: Mount
    admitted: Principal | None

    @property
    def principal(self) -> Principal:
        """Who calls. Raises `RuntimeError` on a public route."""
        if self.admitted is None:
            raise RuntimeError("a public route has no principal")
        return self.admitted

    def actor(self) -> Actor:
        """Who calls, by which request and from where."""
        sent = request.environ
        return Actor(self.principal, get_request_id(), sent.get("REMOTE_ADDR"), sent.get("HTTP_USER_AGENT"))

    def body(self, *media_types: str) -> Any:
        """The request's JSON. Raises `UnsupportedMediaType`, `MalformedJSON` and what `read_body` raises."""
        require_media_type(*media_types)
        settings = self.mount.settings
        return encoding.parse_json(
            read_body(get_body_limit(settings), self.hold(make_body_pace(settings)), self.mount.once(make_watchdog))
        )

    def hold(self, pace: Pace) -> LongRequest:
        """Return what limits the time of this request, and takes one of its partner's seats where it lasts."""
        return LongRequest(pace, self.mount.once(make_slots).take, self.principal.partner)

    def optional_body(self, *media_types: str) -> Any:
        """The same; an empty object where nothing was sent."""
        if not request.content_length and "HTTP_TRANSFER_ENCODING" not in request.environ:
            return {}
        return self.body(*media_types)

    def lasting(self, parts: Generator[bytes], hold: LongRequest) -> LongResponseBody:
        """The body of an answer that lasts, on the seat that `hold` has taken."""
        return LongResponseBody(parts, hold, self.mount.once(make_watchdog), find_connection(request.environ))

    def read_while_admitted(self, *permissions: str) -> Read:
        """Return what runs the reads of a download, each only while this request would still be admitted.

        Each read raises what `Guard.readmit` raises once the token is over or the partner is suspended.
        """
        guard, storage, partner = self.mount.guard, self.mount.storage, self.principal.partner
        header, id = request.environ.get("HTTP_AUTHORIZATION", ""), get_request_id()

        def read(work: Callable[[Session], Any]) -> Any:
            try:
                guard.readmit(header, permissions)
            except ProvisioningError as refusal:
                extra = {"partner": partner, "reason": refusal.code, "request_id": id}
                logger.info("a download of partner %r ends before its end: %s", partner, refusal.code, extra=extra)
                raise
            return storage.read(work)

        return read

    def require(self, *permissions: str) -> None:
        """Raise `Forbidden` where the caller lacks one of `permissions`, asked beyond those of the route."""
        self.mount.guard.require_permissions(self.principal, permissions)

    def require_administrator(self, detail: str) -> None:
        """Raise `Forbidden` with this `detail` for whoever sees one partner's tenants alone."""
        if not self.principal.sees_every_partner:
            raise Forbidden(detail, headers=self.mount.guard.challenge("insufficient_scope"))

    def asked(self, schema: QuerySchema, may_name: Callable[[str], bool] = lambda _partner: False) -> dict[str, Any]:
        """The query parameters. Raises `InvalidParameter`; `Forbidden` for a partner that the caller may not name.

        An administrator may name each, and others those that they `may_name`.
        """
        if not request.query_string:
            return {**schema.defaults}
        asked = load_parameters(schema, request.args.to_dict(flat=False))
        if asked.get("validate_only"):
            after_this_request(_mark_dry_run)
        if "partner" in asked and not (self.principal.sees_every_partner or may_name(asked["partner"])):
            self.require_administrator("Only an administrator may name a partner.")
        return asked

    def partner(self, query: Mapping[str, Any]) -> str:
        """The partner that this request is for: the one that its `query` names, else the caller's own.

        Raises `PartnerMissing` for an administrator whose token and query both name none.
        """
        named: str | None = query.get("partner")
        return self.mount.guard.require_partner(self.principal) if named is None else named

    def answer(self, document: Any, headers: Mapping[str, str] | None = None) -> Response:
        """`document` as JSON, with status 200."""
        answer = Response(encoding.dump_json(document), content_type=JSON)
        answer.headers.update(headers or {})
        return answer


def _mark_dry_run(answer: Response) -> Response:
    """Say that nothing was to be written, refused or not."""
    answer.headers["X-Validate-Only"] = "true"
    return answer


INVALID_UTF8 = Fault("invalid-text", "Must be UTF-8.")
_ID_PATTERN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def partner_scope(call: Request) -> str | None:
    """The partner whose resources the caller sees; None means everybody's."""
    return None if call.principal.sees_every_partner else call.principal.partner


def parse_id(text: str, absent: type[NotFound]) -> str:
    """An id in its canonical form. Raises `absent` for what cannot be one."""
    found = text.lower()
    if not _ID_PATTERN.fullmatch(found):
        raise absent
    return found


def is_path_utf8() -> bool:
    """Return whether the request's path is UTF-8. Other bytes read as U+FFFD: two names could be taken for one."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeError:
        return False
    return True


def make_precondition_check(call: Request) -> Any:
    """What looks at a version and raises where the request's preconditions exclude it."""
    return partial(check_preconditions, demanded=call.mount.settings.require_if_match)


#: How many bytes are read at once: from the first few on as many as have come, so that a slow client is looked at soon.
_FIRST_READ_BYTES, _MAX_READ_BYTES = 64, 64 * 1024
#: The largest body, in bytes, that an upload leaves for hooks of the host's.
MAX_EXPOSED_BODY = 64 * 1024


class Readable(Protocol):
    """A source of bytes, of which a read returns `size` at most, and none at its end."""

    def read(self, size: int, /) -> bytes: ...


class BodyReader:
    """This request's body as it comes, `announced` bytes where that is known.

    A hook of the host's may have touched it before: what it left in `request.stream` is read then, and at last what
    it had Flask keep.
    """

    def __init__(self, hold: LongRequest, watchdog: Watchdog) -> None:
        self.announced = request.content_length
        self._hold, self._watchdog = hold, watchdog
        self._touched = "stream" in vars(request)
        self._stream, self._left = self._source()
        self._connection = find_connection(request.environ)
        self._read = 0

    def read(self, most: int) -> bytes:
        """Return `most` bytes at most, none at the end.

        Raises `ClientDisconnected` where fewer came than announced, and the refusal of a client that is too slow.
        """
        if not self._left:
            return b""
        whole = self._connection is not None and self.announced is not None
        size = int(
            min(
                most, self._left, _MAX_READ_BYTES if whole else min(max(self._read, _FIRST_READ_BYTES), _MAX_READ_BYTES)
            )
        )
        if size <= 0:
            return b""
        part = self._read_part(size)
        if not part and not self._touched and self._left != float("inf"):
            raise ClientDisconnected
        if not part and not self._read and self._touched:
            part, self._left = request.get_data(), 0
        self._read += len(part)
        self._left -= len(part)
        return part

    def _read_part(self, size: int) -> bytes:
        hold, connection = self._hold, self._connection
        hold.wait()
        if connection is not None:
            self._watchdog.watch(hold, connection)
        part = b""
        try:
            part = self._stream.read(size)
        except (OSError, ValueError) as error:
            if hold.refusal is None:
                raise ClientDisconnected from error
        finally:
            if connection is not None:
                self._watchdog.forget(hold)
        hold.resume(len(part))
        return part

    def _source(self) -> tuple[Readable, float]:
        """The stream, and how many bytes of it are the body; a body that nothing ends is none (RFC 9112 §6.3)."""
        environ = request.environ
        if self._touched:
            return request.stream, float("inf")
        if self.announced is not None:
            return environ["wsgi.input"], self.announced
        return environ["wsgi.input"], float("inf") if environ.get("wsgi.input_terminated") else 0


def read_body(limit: int, hold: LongRequest, watchdog: Watchdog) -> bytes:
    """The whole body. Raises `BodyTooLarge`, `BodyTooSlow`, `TooManyLongRequests` and `ServerBusy`."""
    parts: list[bytes] = []
    size, left = 0, b"{}" if request.is_json else b""
    try:
        incoming = BodyReader(hold, watchdog)
        if incoming.announced is not None and incoming.announced > limit:
            raise make_body_too_large(limit)
        while part := incoming.read(limit + 1 - size):
            parts.append(part)
            size += len(part)
        if size > limit:
            raise make_body_too_large(limit)
        left = parts[0] if len(parts) == 1 else b"".join(parts)
        return left
    finally:
        hold.release()
        expose_body(left)


def expose_body(data: bytes) -> None:
    """Let `data` be what Flask gives hooks of the host's for the body; what Flask has cached already stays."""
    request.stream = io.BytesIO(data)


def get_body_limit(settings: Config) -> int:
    """The largest body in bytes: the mount's limit, or the host's where that is smaller."""
    hosts = request.max_content_length
    return settings.max_body_bytes if hosts is None else min(settings.max_body_bytes, hosts)


def make_body_too_large(limit: int) -> BodyTooLarge:
    """The refusal that states the limit."""
    return BodyTooLarge(f"The body is larger than {limit} bytes.", limit=limit)
