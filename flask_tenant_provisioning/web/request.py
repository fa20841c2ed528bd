"""A request as a route sees it: the caller, the body, the query, and the response."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any

from flask import Response, after_this_request, request

from .. import encoding
from ..access.principal import Actor, Principal, make_partner_missing
from ..database.session import Session
from ..errors import Fault, Forbidden, NotFound, ProvisioningError
from ..mount import Mount
from ..validation import load_parameters
from .headers import JSON, check_preconditions, require_media_type
from .long_requests import LongRequest, LongRequestLimits, Pace, find_connection, read_body
from .parameters import QuerySchema
from .streaming import LongResponseBody

logger = logging.getLogger(__name__)
#: A function that runs a reading unit of work and returns its result.
Read = Callable[[Callable[[Session], Any]], Any]


@dataclasses.dataclass(slots=True)
class Request:
    """A request after authentication and rate limits. The principal of a public route is `ANONYMOUS`."""

    mount: Mount
    principal: Principal
    id: str

    def actor(self) -> Actor:
        """Return the caller with the request id, address and user agent, for events and hooks.

        Texts from the client are cut to the length of their columns, without NULs, which PostgreSQL cannot store.
        """
        address, user_agent = request.environ.get("REMOTE_ADDR"), request.environ.get("HTTP_USER_AGENT")
        return Actor(
            self.principal,
            self.id,
            address and address[:64].replace("\0", ""),
            user_agent and user_agent[:255].replace("\0", ""),
        )

    def body(self, *media_types: str) -> Any:
        """Read and parse the JSON body. Raises `UnsupportedMediaType`, `MalformedJSON` or an error of `read_body`."""
        require_media_type(*media_types)
        limits = self.mount.once(LongRequestLimits)
        return encoding.parse_json(read_body(self.mount.config, limits, self.principal.partner))

    def start_long_request(self, pace: Pace) -> LongRequest:
        """Return the time limits of this request; it takes one of its partner's slots if it lasts."""
        return LongRequest(pace, self.mount.once(LongRequestLimits).slots.acquire, self.principal.partner)

    def optional_body(self, *media_types: str) -> Any:
        """Return the JSON body as `body` does, or an empty object if there is none."""
        if not request.content_length and "HTTP_TRANSFER_ENCODING" not in request.environ:
            return {}
        return self.body(*media_types)

    def stream(self, parts: Generator[bytes], hold: LongRequest) -> LongResponseBody:
        """Return the body of a streamed response; it holds the slot of `hold` until it ends."""
        watchdog = self.mount.once(LongRequestLimits).watchdog
        return LongResponseBody(parts, hold, watchdog, find_connection(request.environ))

    def read_while_admitted(self, *permissions: str) -> Read:
        """Return a function that runs the reads of a download and checks the caller's token before each.

        It raises the errors of `Guard.readmit` after the token has expired or the partner was suspended.
        """
        guard, storage, partner = self.mount.guard, self.mount.storage, self.principal.partner
        header, address = request.environ.get("HTTP_AUTHORIZATION", ""), request.environ.get("REMOTE_ADDR", "")

        def read(work: Callable[[Session], Any]) -> Any:
            try:
                guard.readmit(header, permissions, address)
            except ProvisioningError as refusal:
                extra = {"partner": partner, "reason": refusal.code, "request_id": self.id}
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

    def query(
        self, kind: type[QuerySchema], may_name: Callable[[str], bool] = lambda _partner: False
    ) -> dict[str, Any]:
        """Return the query parameters, which a schema of this `kind` loads.

        An administrator may name any ``partner``; other callers those for which `may_name` returns True. Raises
        `InvalidParameter`, or `Forbidden` for another partner.
        """
        if not request.query_string:
            return {**kind.defaults()}
        query = load_parameters(self.mount.schema(kind), request.args.to_dict(flat=False))
        if query.get("validate_only"):
            after_this_request(_mark_dry_run)
        if "partner" in query and not (self.principal.sees_every_partner or may_name(query["partner"])):
            self.require_administrator("Only an administrator may name a partner.")
        return query

    def require_partner(self, query: Mapping[str, Any]) -> str:
        """Return the partner that `query` names, else the caller's own.

        Raises `PartnerMissing` for an administrator if neither token nor query names a partner.
        """
        partner: str = query.get("partner") or self.principal.partner
        if not partner:
            raise make_partner_missing(self.mount.config.partner_claim)
        return partner

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
