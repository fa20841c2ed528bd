"""Declaration of routes, which the guard, OpenAPI, the rate limits and the tests read."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Response

from ..access.guard import Public, check_permissions
from ..config import ConfigurationError
from ..errors import (
    BodyTooLarge,
    BodyTooSlow,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    InvalidInput,
    InvalidParameter,
    MalformedJSON,
    PreconditionFailed,
    PreconditionRequired,
    ProvisioningError,
    ServerBusy,
    TooManyLongRequests,
    UnsupportedMediaType,
)
from ..mount import Api
from ..validation import StrictSchema
from .headers import JSON
from .parameters import QuerySchema

Handler = Callable[..., Response]
H = TypeVar("H", bound=Handler)
#: Permissions for the API's own documents if they are not public.
DOCUMENTS_PERMISSIONS = ("tenant:read",)
#: A variable in a rule, with its name as a group.
PATH_PARAMETER = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Route:
    """One operation: its path, permissions, input, responses and problems.

    `body` and `query` are the schema classes of the input; for a body of several media types, `body` returns a schema
    for each, for a given `Api`. `responses` maps each status to the schema of its body, or to one for each media type.
    `hooks` are the operations (`hooks.HOOK_OPERATIONS`) on which the host's hooks run. An `always_public` route needs
    no token even if the host does not publish its documents. `rate_limit_class` overrides the class of rate limits,
    which otherwise follows from the method; a public route has none without it, and counts its requests itself.
    `render_error` returns the response to an error where a standard demands another form than a problem. A route that
    `takes_metrics_token` also admits the bearer token of `PROVISIONING_METRICS_TOKEN`.
    """

    method: str
    rule: str
    handler: Handler
    permissions: tuple[str, ...] | Public
    responses: dict[int, Any]
    body: type[StrictSchema] | Callable[[Api], Mapping[str, Any]] | None = None
    consumes: tuple[str, ...] = (JSON,)
    body_required: bool = True
    query: type[QuerySchema] | None = None
    problems: tuple[type[ProvisioningError], ...] = ()
    hooks: tuple[str, ...] = ()
    always_public: bool = False
    rate_limit_class: str | None = None
    takes_metrics_token: bool = False
    render_error: Callable[[ProvisioningError], Response] | None = None

    @property
    def path_template(self) -> str:
        """The path with its variables in braces, such as ``/tenants/{tenant_id}``."""
        return PATH_PARAMETER.sub(r"{\1}", self.rule)

    @property
    def endpoint(self) -> str:
        """Name of the view in the blueprint."""
        return self.handler.__name__

    @property
    def has_several_types(self) -> bool:
        """True if the handler itself evaluates ``Accept``, since it can return other types than JSON."""
        return any(isinstance(response, Mapping) for response in self.responses.values())

    @property
    def public(self) -> bool:
        """True if no token is needed, unless the host does not publish its documents."""
        return isinstance(self.permissions, Public)

    @property
    def rate_class(self) -> str | None:
        """Class of rate limits that count its requests; None for a public route, unless it has its own."""
        if self.public:
            return self.rate_limit_class
        return self.rate_limit_class or ("read" if self.method == "GET" else "write")

    def required_permissions(self, public_docs: bool) -> tuple[str, ...]:
        """Return the permissions that a caller needs; empty if no token is needed."""
        if not isinstance(self.permissions, Public):
            return self.permissions
        return () if public_docs or self.always_public else DOCUMENTS_PERMISSIONS


class Routes(list[Route]):
    """The routes of a feature in the order of their declaration."""

    def add(
        self, method: str, rule: str, *, permissions: tuple[str, ...] | Public | None = None, **details: Any
    ) -> Callable[[H], H]:
        """Return a decorator that declares a route. Raises `ConfigurationError` without `permissions` (or `PUBLIC`)."""
        if permissions is None:
            raise ConfigurationError(f"{method} {rule} declares no permission; say PUBLIC if anybody may call it.")
        needed = permissions if isinstance(permissions, Public) else check_permissions(permissions)

        def declare(handler: H) -> H:
            self.append(Route(method=method, rule=rule, handler=handler, permissions=needed, **details))
            return handler

        return declare


#: Problems that several kinds of routes have in common.
LONG_REQUEST_PROBLEMS = (TooManyLongRequests, ServerBusy)
BODY_PROBLEMS = (BodyTooLarge, BodyTooSlow, MalformedJSON, UnsupportedMediaType, InvalidInput, *LONG_REQUEST_PROBLEMS)
IDEMPOTENCY_PROBLEMS = (InvalidIdempotencyKey, IdempotencyInProgress, IdempotencyKeyReused)
PRECONDITION_PROBLEMS = (InvalidParameter, PreconditionFailed, PreconditionRequired)
