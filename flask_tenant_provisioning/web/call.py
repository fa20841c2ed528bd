"""One request under the mount, as a route sees it: who calls, what was sent, and how to answer."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, request
from werkzeug.wsgi import get_input_stream

from ..access import Actor, Guard, Principal
from ..config import Settings
from ..database import Storage
from ..licensing import LicenseSource
from ..problems import BodyTooLarge, NotAcceptable, UnsupportedMediaType
from ..problems.rendering import request_id
from . import json
from .cursors import Cursors


@dataclasses.dataclass(eq=False)
class Mount:
    """What one mounted API consists of. Its storage opens at first use: at start where a licence lets it mount.

    `routes` are its declared operations (`web.routing.Route`), `memory` holds what is made once for it.
    """

    name: str
    settings: Settings
    license: LicenseSource
    guard: Guard
    cursors: Cursors
    routes: Sequence[Any]
    open_storage: Callable[[], Storage]
    memory: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def storage(self) -> Storage:
        """The mount's tables."""
        return self.open_storage()

    def base(self) -> str:
        """The mount's path as the caller sees it, behind any ``SCRIPT_NAME``."""
        return f"{request.script_root}{self.settings.url_prefix}"

    def problem_types(self) -> str:
        """What the `type` of each problem begins with."""
        return self.settings.problem_base_uri or f"{self.base()}/problems/"


@dataclasses.dataclass(slots=True)
class Call:
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
        return Actor(self.principal, request_id(), sent.get("REMOTE_ADDR"), sent.get("HTTP_USER_AGENT"))

    def body(self, *media_types: str) -> Any:
        """The request's JSON. Raises `UnsupportedMediaType`, `BodyTooLarge` or `MalformedJSON`."""
        encoding = request.environ.get("HTTP_CONTENT_ENCODING", "identity")
        if request.mimetype not in media_types or encoding.lower() != "identity":
            accepted = ", ".join(media_types)
            raise UnsupportedMediaType(f"Send {accepted}.", accepted=list(media_types), headers={"Accept": accepted})
        return json.parse(self._bytes())

    def _bytes(self) -> bytes:
        """The body; a hook of the host may have read it before."""
        limit, announced = body_limit(self.mount), request.content_length
        if announced is not None and announced > limit:
            raise too_large(limit)
        data = (announced is None and _streamed(limit)) or request.get_data()
        if len(data) > limit:
            raise too_large(limit)
        return data

    def answer(self, document: Any, status: int = 200, **headers: str) -> Response:
        """`document` as JSON; each of `headers` is named with underscores for dashes."""
        answer = Response(json.render(document), status, content_type="application/json")
        for name, value in headers.items():
            answer.headers[name.replace("_", "-")] = value
        return answer


def _streamed(limit: int) -> bytes:
    """A body of unknown length, up to one byte over `limit`; Werkzeug's own wrapper could cut it short unsaid."""
    found: bytes = get_input_stream(request.environ).read(limit + 1)
    return found


def body_limit(mount: Mount) -> int:
    """The largest body in bytes: the mount's limit, or the host's where that is smaller."""
    hosts = request.max_content_length
    return mount.settings.max_body_bytes if hosts is None else min(mount.settings.max_body_bytes, hosts)


def too_large(limit: int) -> BodyTooLarge:
    """The refusal that states the limit."""
    return BodyTooLarge(f"The body is larger than {limit} bytes.", limit=limit)


def require_json_accepted() -> None:
    """Raise `NotAcceptable` where the ``Accept`` header admits no JSON; its absence does (RFC 9110 §12.5.1)."""
    header = request.environ.get("HTTP_ACCEPT")
    if not header or header in ("*/*", "application/json"):
        return
    ranges = [(kind.partition(";")[0].strip().lower(), quality) for kind, quality in request.accept_mimetypes]
    for wanted in ("application/json", "application/*", "*/*"):
        qualities = [quality for kind, quality in ranges if kind == wanted]
        if qualities:
            if max(qualities) > 0:
                return
            break
    raise NotAcceptable
