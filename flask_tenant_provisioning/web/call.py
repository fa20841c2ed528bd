"""One request under the mount, as a route sees it: who calls, what was sent, and how to answer."""

from __future__ import annotations

import dataclasses
from typing import Any

from flask import Response, request

from ..access import Actor, Principal
from ..problems.rendering import request_id
from . import json
from .bodies import body_limit, read_body
from .media_types import require_media_type
from .mount import Mount


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
        require_media_type(*media_types)
        return json.parse(read_body(body_limit(self.mount.settings)))

    def answer(self, document: Any, status: int = 200, **headers: str) -> Response:
        """`document` as JSON; each of `headers` is named with underscores for dashes."""
        answer = Response(json.render(document), status, content_type="application/json")
        for name, value in headers.items():
            answer.headers[name.replace("_", "-")] = value
        return answer
