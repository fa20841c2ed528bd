"""How a feature declares its routes: the one place that the guard, OpenAPI, the rate limits and the tests read."""

from __future__ import annotations

import dataclasses
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
from .headers import JSON

Handler = Callable[..., Response]
H = TypeVar("H", bound=Handler)
#: What the API's own documents ask for where they are not public.
DOCUMENTS_PERMISSIONS = ("tenant:read",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Route:
    """One operation: where it is, who may call it, what comes in and out, and which problems it answers.

    `body` and `query` make their schema for the API that the route is part of, `body` one for each media type where it
    is not JSON alone; `answers` maps each status to its body's schema, or to several likewise. `hooks` are the
    operations (`hooks.OPERATIONS`) that the host can take part in here. `always_public` says that not even a host that
    keeps its documents to itself asks for a token. `counts_as` is the class of rate limits, where its method does not
    tell that.
    """

    method: str
    rule: str
    handler: Handler
    permissions: tuple[str, ...] | Public
    answers: dict[int, Any]
    body: Callable[[Api], Any] | None = None
    consumes: tuple[str, ...] = (JSON,)
    body_required: bool = True
    query: Callable[[Api], Any] | None = None
    problems: tuple[type[ProvisioningError], ...] = ()
    hooks: tuple[str, ...] = ()
    always_public: bool = False
    counts_as: str | None = None

    @property
    def endpoint(self) -> str:
        """The view's name inside the blueprint."""
        return self.handler.__name__

    @property
    def negotiates(self) -> bool:
        """Whether the handler itself looks at the ``Accept`` header: it answers more than JSON."""
        return any(isinstance(answer, Mapping) for answer in self.answers.values())

    @property
    def public(self) -> bool:
        """Whether anybody may call it, unless the host keeps its documents to itself."""
        return isinstance(self.permissions, Public)

    @property
    def rate_class(self) -> str | None:
        """The class whose rate limits count its requests; None where nobody's do, as it is public."""
        if self.public:
            return None
        return self.counts_as or ("read" if self.method == "GET" else "write")

    def needs(self, public_docs: bool) -> tuple[str, ...]:
        """The permissions that a caller needs; none where anybody may call."""
        if not isinstance(self.permissions, Public):
            return self.permissions
        return () if public_docs or self.always_public else DOCUMENTS_PERMISSIONS


class Routes(list[Route]):
    """A feature's routes, in the order of their declaration."""

    def add(
        self, method: str, rule: str, *, permissions: tuple[str, ...] | Public | None = None, **details: Any
    ) -> Callable[[H], H]:
        """Declare a route. Without `permissions` (or `PUBLIC`) it does not register: raises `ConfigurationError`."""
        if permissions is None:
            raise ConfigurationError(f"{method} {rule} declares no permission; say PUBLIC if anybody may call it.")
        needed = permissions if isinstance(permissions, Public) else check_permissions(permissions)

        def declare(handler: H) -> H:
            self.append(Route(method=method, rule=rule, handler=handler, permissions=needed, **details))
            return handler

        return declare


#: The problems that routes of a kind have in common.
LONG_REQUEST_PROBLEMS = (TooManyLongRequests, ServerBusy)
BODY_PROBLEMS = (BodyTooLarge, BodyTooSlow, MalformedJSON, UnsupportedMediaType, InvalidInput, *LONG_REQUEST_PROBLEMS)
IDEMPOTENCY_PROBLEMS = (InvalidIdempotencyKey, IdempotencyInProgress, IdempotencyKeyReused)
PRECONDITION_PROBLEMS = (InvalidParameter, PreconditionFailed, PreconditionRequired)
