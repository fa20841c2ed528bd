"""What every problem code means, and a document as a client would get it: one text for the page and for OpenAPI."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from ..limiting.spending import exhausted
from ..problems import InvalidState, ProvisioningError, catalogue
from ..tenants.conflicts import taken
from ..tenants.inputs import load_tenant
from ..tenants.queries import list_query
from ..web import json
from ..web.api import Api
from ..web.bodies import too_large
from ..web.validation import load_parameters
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


def kinds(api: Api) -> tuple[type[ProvisioningError], ...]:
    """Every class of problem, the host's own too, by status."""
    return tuple(sorted([*catalogue(), *api.hooks.kinds()], key=lambda kind: kind.status))


def explanations(api: Api, base: str) -> dict[str, Explanation]:
    """Every code, explained for callers who see the API at `base`."""
    types, provoked = api.settings.problem_base_uri or f"{base}/problems/", _provoked(api)
    return {
        kind.code: Explanation(kind, types + kind.code, _example(provoked.get(kind.code) or kind(), types, base))
        for kind in kinds(api)
    }


def _example(error: ProvisioningError, types: str, base: str) -> dict[str, Any]:
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


def _provoked(api: Api) -> dict[str, ProvisioningError]:
    """Errors that say more than their title does, as the code itself raises them."""
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: load_tenant(api, {**NEW_TENANT, "email": "nobody"}),
        lambda: load_parameters(list_query(api), {"limit": ["0"]}),
        lambda: json.parse(b'{"client_name": "Example Corp", "client_name": ""}'),
    )
    made = (
        taken("email", TENANT["tenant"]),
        too_large(api.settings.max_body_bytes),
        InvalidState("A deleted tenant cannot be changed.", tenant_status="deleted"),
        exhausted("write", most=120, window=60, wait=17),
    )
    return {error.code: error for error in (*_raised(attempts), *made)}


def _raised(attempts: tuple[Callable[[], Any], ...]) -> Iterator[ProvisioningError]:
    for attempt in attempts:
        try:
            attempt()
        except ProvisioningError as error:
            yield error
