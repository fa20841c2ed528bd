"""One route as an OpenAPI operation; everything in it is read from the route's declaration."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ..access.principal import LONGEST_NAME
from ..problems import InvalidIdempotencyKey, PreconditionFailed
from ..web.api import Api
from ..web.idempotency.keys import LONGEST_KEY
from ..web.routing import EVENT_STREAM, MERGE_PATCH, Route
from .answers import answers, limited
from .assets import ASSETS
from .explained import kinds
from .fields import PARTNER_ID
from .links import leads
from .paths import path_of as path_of, places
from .schemas import incoming

#: What a mount with `public_docs` off asks for its documents.
SECURITY = "bearerAuth"

#: A key as it may stand in the header: bare, or as a structured field's string (RFC 8941 §3.3.3).
_KEY = (
    rf"^(?:[!#-+\--~][ !#-+\--~]{{0,{LONGEST_KEY - 1}}}"
    rf'|"(?:[ !#-\[\]-~]|\\["\\]){{1,{LONGEST_KEY}}}")$'
)

#: How long texts of the callers' own are that stand in a path.
_TEXTS = {"external_id": 128, "partner_id": LONGEST_NAME}
#: What texts in a path can be: external ids hold no NUL; partners' ids are described by `validation.PartnerIdField`.
_IN_PATH = {"external_id": "^[^\\u0000]+$", "partner_id": PARTNER_ID}


def operation(route: Route, api: Api) -> dict[str, Any]:
    """The Operation Object of `route`, one of the API's."""
    summary, _, more = (route.handler.__doc__ or "").partition("\n")
    needed = permissions_of(route, api)
    roles = [role for role, granted in api.settings.roles.items() if set(needed).issubset(granted)] if needed else []
    found: dict[str, Any] = {
        "operationId": route.endpoint,
        "tags": [tag_of(route)],
        "summary": summary.rstrip("."),
        "description": "\n\n".join(filter(None, [" ".join(more.split()), _who(needed, roles)])),
        "security": [{SECURITY: list(needed)}] if needed else [],
        "x-permissions": list(needed),
        "x-roles": roles,
        **({"x-rate-limit": route.rate_class} if limited(route, api) else {}),
        "parameters": _parameters(route, api),
        "responses": answers(route, api),
    }
    for status, answer in route.answers.items():
        if links := leads(route, answer, api.routes):
            found["responses"][str(status)]["links"] = links
    return found | _body(route, api)


def permissions_of(route: Route, api: Api) -> tuple[str, ...]:
    """What a caller needs, none for what is public."""
    return route.needs(api.settings.public_docs)


def tag_of(route: Route) -> str:
    """The feature that the route belongs to: the folder that it stands in."""
    return _package(route).rpartition(".")[2]


def tags(routes: Iterable[Route]) -> list[dict[str, str]]:
    """The features, each with the first of its package's own words."""
    return [
        {"name": name, "description": _meaning(package) or name}
        for name, package in {tag_of(route): _package(route) for route in routes}.items()
    ]


def request_headers() -> dict[str, dict[str, Any]]:
    """Every header that a request may bear beside its token."""
    return {
        "X-Request-ID": _text("The request's id, 1 to 128 of `A-Z a-z 0-9 . _ -`; another one is replaced."),
        "If-Match": _text("Write only if the entity tag is one of these (RFC 9110 §13.1.1); 412 otherwise."),
        "If-None-Match": _text("Answer only if the entity tag is none of these (RFC 9110 §13.1.2); 304 otherwise."),
        "Last-Event-ID": _text("The id of the last event that was seen (HTML §9.2): 204 where nothing follows it."),
        "Idempotency-Key": {
            **_text(
                "Makes it safe to repeat the request: it takes effect once, and later ones get the first's answer."
            ),
            "schema": {"type": "string", "pattern": _KEY},
        },
    }


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "required": False, "schema": {"type": "string"}}


def _package(route: Route) -> str:
    return route.handler.__module__.rpartition(".")[0]


def _meaning(package: str) -> str:
    return (sys.modules[package].__doc__ or "").partition("\n\n")[0]


def _who(needed: tuple[str, ...], roles: list[str]) -> str:
    if not needed:
        return "Anybody may call this, without a token."
    permissions = " and ".join(f"`{permission}`" for permission in needed)
    return f"Needs {permissions}; granted to {', '.join(f'`{role}`' for role in roles) or 'no role'}."


def _parameters(route: Route, api: Api) -> list[Any]:
    path = [{"name": name, "in": "path", "required": True, "schema": _place(name, api)} for name in places(route)]
    query = [{"in": "query", "schema": incoming(route.query(api))}] if route.query else []
    conditions = {
        "If-Match": PreconditionFailed in route.problems,
        "If-None-Match": 304 in route.answers,
        "Last-Event-ID": _streams_events(route),
        "Idempotency-Key": InvalidIdempotencyKey in route.problems,
    }
    return [*path, *query, *(name for name, holds in conditions.items() if holds), "X-Request-ID"]


def _streams_events(route: Route) -> bool:
    return any(isinstance(answer, Mapping) and EVENT_STREAM in answer for answer in route.answers.values())


def _place(name: str, api: Api) -> dict[str, Any]:
    listed = {"code": [kind.code for kind in kinds(api)], "asset": list(ASSETS)}
    if name in listed:
        return {"type": "string", "enum": listed[name]}
    if name in _TEXTS:
        return {"type": "string", "minLength": 1, "maxLength": _TEXTS[name], "pattern": _IN_PATH[name]}
    return {"type": "string", "format": "uuid"} if name.endswith("_id") else {"type": "string", "minLength": 1}


def _body(route: Route, api: Api) -> dict[str, Any]:
    if route.body is None:
        return {}
    wanted = route.body(api)
    if not isinstance(wanted, Mapping):
        schema = incoming(wanted, partial=MERGE_PATCH in route.consumes, in_path=places(route))
        wanted = dict.fromkeys(route.consumes, schema)
    content = {kind: {"schema": schema} for kind, schema in wanted.items()}
    return {"requestBody": {"required": route.body_required, "content": content}}
