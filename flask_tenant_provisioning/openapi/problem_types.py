"""Explain every problem code, with an example document: one text for the HTML pages and for OpenAPI."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from .. import encoding
from ..errors import InvalidState, ProvisioningError, iter_problem_classes
from ..mount import Api
from ..rate_limits import make_rate_limited_error
from ..tenants.mutations import make_conflict
from ..tenants.schemas import list_query, validate_tenant
from ..validation import load_parameters
from ..web.request import make_body_too_large
from .examples import NEW_TENANT, TENANT


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One code of an API, for its callers."""

    kind: type[ProvisioningError]
    type: str
    example: dict[str, Any]

    @property
    def code(self) -> str:
        """The stable code."""
        return self.kind.code

    @property
    def meaning(self) -> str:
        """What it means, in a sentence or two."""
        own = vars(self.kind).get("__doc__")
        return " ".join(own.split()) if own else f"{self.kind.title}."

    def short(self) -> dict[str, Any]:
        """The code's entry in the index."""
        kind = self.kind
        named = {"type": self.type, "code": kind.code, "title": kind.title, "status": kind.status}
        return {**named, "meaning": self.meaning, "remedy": kind.remedy}

    def document(self) -> dict[str, Any]:
        """The whole explanation."""
        return {**self.short(), "example": self.example}


def list_problem_classes(api: Api) -> tuple[type[ProvisioningError], ...]:
    """Every class of problem, the host's own too, by status."""
    return tuple(sorted([*iter_problem_classes(), *api.hooks.kinds()], key=lambda kind: kind.status))


def explain_problems(api: Api, base: str) -> dict[str, Explanation]:
    """Every code, explained for callers who see the API at `base`."""
    types, provoked = api.config.problem_base_uri or f"{base}/problems/", _provoke_errors(api)
    return {
        kind.code: Explanation(kind, types + kind.code, _build_example(provoked.get(kind.code) or kind(), types, base))
        for kind in list_problem_classes(api)
    }


def _build_example(error: ProvisioningError, types: str, base: str) -> dict[str, Any]:
    """The problem document (RFC 9457 §3) of `error`, of a request that nobody made."""
    found = {
        "type": types + error.code,
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "instance": f"{base}/tenants",
        "request_id": "b1d0c3f6a5e84d7c9f2e6a1b0c3d4e5f",
    }
    return found | ({"errors": error.errors} if error.errors else {}) | error.members


def _provoke_errors(api: Api) -> dict[str, ProvisioningError]:
    """Errors that say more than their title does, as the code itself raises them."""
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: validate_tenant(api, {**NEW_TENANT, "email": "nobody"}),
        lambda: load_parameters(list_query(api), {"limit": ["0"]}),
        lambda: encoding.parse_json(b'{"client_name": "Example Corp", "client_name": ""}'),
    )
    made = (
        make_conflict("email", TENANT["tenant"]),
        make_body_too_large(api.config.max_body_bytes),
        InvalidState("A deleted tenant cannot be changed.", tenant_status="deleted"),
        make_rate_limited_error("write", most=120, window=60, wait=17),
    )
    return {error.code: error for error in (*_catch_errors(attempts), *made)}


def _catch_errors(attempts: tuple[Callable[[], Any], ...]) -> Iterator[ProvisioningError]:
    for attempt in attempts:
        try:
            attempt()
        except ProvisioningError as error:
            yield error
