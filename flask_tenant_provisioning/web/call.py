"""One request under the mount, as a route sees it: who calls, what was sent, and how to answer."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from flask import Response, request

from ..access import Actor, Guard, Principal
from ..config import Settings
from ..database import Storage
from ..licensing import LicenseSource
from ..problems import BodyTooLarge, NotAcceptable, UnsupportedMediaType
from ..problems.rendering import request_id
from . import json
from .cursors import Cursors


@dataclasses.dataclass
class Mount:
    """What one mounted API consists of. Its storage opens at first use: at start where a licence lets it mount."""

    name: str
    settings: Settings
    license: LicenseSource
    guard: Guard
    cursors: Cursors
    open_storage: Callable[[], Storage]

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
        if request.mimetype not in media_types or encoding != "identity":
            accepted = ", ".join(media_types)
            raise UnsupportedMediaType(f"Send {accepted}.", accepted=list(media_types), headers={"Accept": accepted})
        return json.parse(self._bytes())

    def _bytes(self) -> bytes:
        limit = self.mount.settings.max_body_bytes
        if (request.content_length or 0) > limit:
            raise too_large(limit)
        data: bytes = request.stream.read(limit + 1)
        if len(data) > limit:
            raise too_large(limit)
        return data

    def answer(self, document: Any, status: int = 200, **headers: str) -> Response:
        """`document` as JSON; each of `headers` is named with underscores for dashes."""
        answer = Response(json.render(document), status, content_type="application/json")
        for name, value in headers.items():
            answer.headers[name.replace("_", "-")] = value
        return answer


def too_large(limit: int) -> BodyTooLarge:
    """The refusal that states the limit."""
    return BodyTooLarge(f"The body is larger than {limit} bytes.", limit=limit)


def require_json_accepted() -> None:
    """Raise `NotAcceptable` where the ``Accept`` header admits no JSON; its absence does."""
    header = request.environ.get("HTTP_ACCEPT")
    if not header or header in ("*/*", "application/json"):
        return
    if not request.accept_mimetypes.best_match(["application/json", "application/problem+json"]):
        raise NotAcceptable
