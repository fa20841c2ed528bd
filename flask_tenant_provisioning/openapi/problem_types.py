"""Explain every problem code, with an example document, for the HTML pages and for OpenAPI."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from .. import encoding
from ..errors import InvalidState, Mender, ProvisioningError, iter_problem_classes
from ..mount import Api
from ..rate_limits import make_rate_limited_error
from ..tenants.mutations import make_conflict
from ..tenants.schemas import ListQuery, validate_tenant
from ..validation import load_parameters
from ..web.long_requests import make_body_too_large
from .examples import NEW_TENANT, TENANT
from .problem_members import list_members

_MENDER_TEXTS = {
    Mender.PARTNER: "the developer of the partner's integration",
    Mender.PARTNER_ADMINISTRATOR: "the partner's administrator",
    Mender.OPERATOR: "the operator of this API",
}


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The explanation of one problem code."""

    kind: type[ProvisioningError]
    type: str
    example: dict[str, Any]

    @property
    def code(self) -> str:
        """The problem code."""
        return self.kind.code

    @property
    def meaning(self) -> str:
        """The meaning in a sentence or two: the class's own docstring, else its title."""
        return describe_problem(self.kind)

    @property
    def menders(self) -> str:
        """The people who can mend it, as a sentence."""
        text = " or ".join(_MENDER_TEXTS[mender] for mender in self.kind.mended_by)
        return f"{text[0].upper()}{text[1:]}."

    def summarize(self) -> dict[str, Any]:
        """Render the entry of the code in the index."""
        kind = self.kind
        return {
            "type": self.type,
            "code": kind.code,
            "title": kind.title,
            "status": kind.status,
            "meaning": self.meaning,
            "remedy": kind.remedy,
            "mended_by": list(kind.mended_by),
        }

    def render(self) -> dict[str, Any]:
        """Render the whole explanation, with the example."""
        return {**self.summarize(), "example": self.example}


def describe_problem(kind: type[ProvisioningError]) -> str:
    """Return the meaning of a problem in a sentence or two: the class's own docstring, else its title."""
    docstring = vars(kind).get("__doc__")
    return " ".join(docstring.split()) if docstring else f"{kind.title}."


def list_problem_classes(api: Api) -> tuple[type[ProvisioningError], ...]:
    """Return every problem class, including the host's, sorted by status."""
    return tuple(sorted([*iter_problem_classes(), *api.registry.problem_classes()], key=lambda kind: kind.status))


def explain_problems(api: Api, base: str) -> dict[str, Explanation]:
    """Explain every code for callers that reach the API at `base`, by code."""
    types, errors = api.config.problem_base_uri or f"{base}/problems/", _provoke_errors(api)
    explanations = {}
    for kind in list_problem_classes(api):
        example = _build_example(errors.get(kind.code) or kind(), types, base)
        explanations[kind.code] = Explanation(kind, types + kind.code, example)
    return explanations


def _build_example(error: ProvisioningError, types: str, base: str) -> dict[str, Any]:
    """Build the problem document (RFC 9457 §3) of `error` for an example request."""
    document: dict[str, Any] = {
        "type": types + error.code,
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "instance": f"{base}/tenants",
        "request_id": "b1d0c3f6a5e84d7c9f2e6a1b0c3d4e5f",
    }
    if error.errors:
        document["errors"] = error.errors
    if error.errors or error.members:
        return document | error.members
    return document | {name: member.example for name, member in list_members(type(error)).items()}


def _provoke_errors(api: Api) -> dict[str, ProvisioningError]:
    """Collect errors with a specific detail, as the validation code raises them, by code."""
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: validate_tenant(api, {**NEW_TENANT, "email": "nobody"}),
        lambda: load_parameters(api.schema(ListQuery), {"limit": ["0"]}),
        lambda: encoding.parse_json(b'{"client_name": "Example Corp", "client_name": ""}'),
    )
    errors = (
        make_conflict("email", TENANT["tenant"]),
        make_body_too_large(api.config.max_body_bytes),
        InvalidState("A deleted tenant cannot be changed.", tenant_status="deleted"),
        make_rate_limited_error("write", limit=120, window=60, wait=17),
    )
    return {error.code: error for error in (*_catch_errors(attempts), *errors)}


def _catch_errors(attempts: tuple[Callable[[], Any], ...]) -> Iterator[ProvisioningError]:
    for attempt in attempts:
        try:
            attempt()
        except ProvisioningError as error:
            yield error
