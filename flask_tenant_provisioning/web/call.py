"""One request under the mount, as a route sees it: who calls, what was sent, and how to answer."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Generator, Mapping
from typing import Any

from flask import Response, after_this_request, request

from ..access import Actor, Principal
from ..database import Session
from ..problems import Forbidden, ProvisioningError
from ..problems.rendering import request_id
from . import json
from .bodies import body_limit, read_body
from .long_requests import Hold, LongAnswer, Pace, body_pace, connection_of, seats, watchdog
from .media_types import JSON, require_media_type
from .mount import Mount
from .parameters import QuerySchema
from .validation import load_parameters

logger = logging.getLogger(__name__)

#: Runs what reads in a unit of work.
Read = Callable[[Callable[[Session], Any]], Any]


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
        """The request's JSON. Raises `UnsupportedMediaType`, `MalformedJSON` and what `read_body` raises."""
        require_media_type(*media_types)
        settings = self.mount.settings
        return json.parse(read_body(body_limit(settings), self.hold(body_pace(settings)), self.mount.once(watchdog)))

    def hold(self, pace: Pace) -> Hold:
        """Return what limits the time of this request, and takes one of its partner's seats where it lasts."""
        return Hold(pace, self.mount.once(seats).take, self.principal.partner)

    def optional_body(self, *media_types: str) -> Any:
        """The same; an empty object where nothing was sent."""
        if not request.content_length and "HTTP_TRANSFER_ENCODING" not in request.environ:
            return {}
        return self.body(*media_types)

    def lasting(self, parts: Generator[bytes], hold: Hold) -> LongAnswer:
        """The body of an answer that lasts, on the seat that `hold` has taken."""
        return LongAnswer(parts, hold, self.mount.once(watchdog), connection_of(request.environ))

    def read_while_admitted(self, *permissions: str) -> Read:
        """Return what runs the reads of a download, each only while this request would still be admitted.

        Each read raises what `Guard.readmit` raises once the token is over or the partner is suspended.
        """
        guard, storage, partner = self.mount.guard, self.mount.storage, self.principal.partner
        header, id = request.environ.get("HTTP_AUTHORIZATION", ""), request_id()

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
        self.mount.guard.require(self.principal, permissions)

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
            after_this_request(_rehearsed)
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
        answer = Response(json.render(document), content_type=JSON)
        answer.headers.update(headers or {})
        return answer


def _rehearsed(answer: Response) -> Response:
    """Say that nothing was to be written, refused or not."""
    answer.headers["X-Validate-Only"] = "true"
    return answer
