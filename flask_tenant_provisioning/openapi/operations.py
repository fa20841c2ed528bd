"""Build OpenAPI operations and links; everything in them is read from the routes' declarations."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..access.principal import MAX_NAME_LENGTH
from ..errors import InvalidIdempotencyKey, PreconditionFailed
from ..mount import Api
from ..web.headers import EVENT_STREAM, MERGE_PATCH
from ..web.idempotency import MAX_KEY_LENGTH
from ..web.routing import Route
from .converter import PARTNER_ID_PATTERN
from .pages import ASSETS
from .problem_types import list_problem_classes
from .responses import build_responses, is_rate_limited
from .schemas import derive_input_schema, find_document_schema, get_component_name

_PATH_PARAMETER = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


def get_path_template(route: Route) -> str:
    """The route's path as a template: ``/tenants/{tenant_id}``."""
    return _PATH_PARAMETER.sub(r"{\1}", route.rule)


def list_path_parameters(route: Route) -> list[str]:
    """The names of the variable parts of the route's path."""
    return _PATH_PARAMETER.findall(route.rule)


#: What a mount with `public_docs` off asks for its documents.
SECURITY_SCHEME = "bearerAuth"
#: A key as it may stand in the header: bare, or as a structured field's string (RFC 8941 §3.3.3).
_IDEMPOTENCY_KEY_PATTERN = (
    rf"^(?:[!#-+\--~][ !#-+\--~]{{0,{MAX_KEY_LENGTH - 1}}}"
    rf'|"(?:[ !#-\[\]-~]|\\["\\]){{1,{MAX_KEY_LENGTH}}}")$'
)
#: How long texts of the callers' own are that stand in a path.
_PATH_TEXT_LENGTHS = {"external_id": 128, "partner_id": MAX_NAME_LENGTH}
#: What texts in a path can be: external ids hold no NUL; partners' ids are described by `validation.PartnerIdField`.
_PATH_TEXT_PATTERNS = {"external_id": "^[^\\u0000]+$", "partner_id": PARTNER_ID_PATTERN}


def build_operation(route: Route, api: Api) -> dict[str, Any]:
    """The Operation Object of `route`, one of the API's."""
    summary, _, more = (route.handler.__doc__ or "").partition("\n")
    needed = list_permissions(route, api)
    roles = [role for role, granted in api.config.roles.items() if set(needed).issubset(granted)] if needed else []
    found: dict[str, Any] = {
        "operationId": route.endpoint,
        "tags": [get_tag(route)],
        "summary": summary.rstrip("."),
        "description": "\n\n".join(filter(None, [" ".join(more.split()), _describe_permissions(needed, roles)])),
        "security": [{SECURITY_SCHEME: list(needed)}] if needed else [],
        "x-permissions": list(needed),
        "x-roles": roles,
        **({"x-rate-limit": route.rate_class} if is_rate_limited(route, api) else {}),
        "parameters": _build_parameters(route, api),
        "responses": build_responses(route, api),
    }
    for status, answer in route.responses.items():
        if links := build_link_references(route, answer, api.routes):
            found["responses"][str(status)]["links"] = links
    return found | _build_request_body(route, api)


def list_permissions(route: Route, api: Api) -> tuple[str, ...]:
    """What a caller needs, none for what is public."""
    return route.required_permissions(api.config.public_docs)


def get_tag(route: Route) -> str:
    """The feature that the route belongs to: the folder that it stands in."""
    return _get_package(route).rpartition(".")[2]


def build_tags(routes: Iterable[Route]) -> list[dict[str, str]]:
    """The features, each with the first of its package's own words."""
    return [
        {"name": name, "description": _summarize_package(package) or name}
        for name, package in {get_tag(route): _get_package(route) for route in routes}.items()
    ]


def build_request_headers() -> dict[str, dict[str, Any]]:
    """Every header that a request may bear beside its token."""
    return {
        "X-Request-ID": _build_header_parameter(
            "The request's id, 1 to 128 of `A-Z a-z 0-9 . _ -`; another one is replaced."
        ),
        "If-Match": _build_header_parameter(
            "Write only if the entity tag is one of these (RFC 9110 §13.1.1); 412 otherwise."
        ),
        "If-None-Match": _build_header_parameter(
            "Answer only if the entity tag is none of these (RFC 9110 §13.1.2); 304 otherwise."
        ),
        "Last-Event-ID": _build_header_parameter(
            "The id of the last event that was seen (HTML §9.2): 204 where nothing follows it."
        ),
        "Idempotency-Key": {
            **_build_header_parameter(
                "Makes it safe to repeat the request: it takes effect once, and later ones get the first's answer."
            ),
            "schema": {"type": "string", "pattern": _IDEMPOTENCY_KEY_PATTERN},
        },
    }


def _build_header_parameter(description: str) -> dict[str, Any]:
    return {"description": description, "required": False, "schema": {"type": "string"}}


def _get_package(route: Route) -> str:
    module = route.handler.__module__
    package = module.rpartition(".")[0]
    return package if "." in package else module


def _summarize_package(package: str) -> str:
    return (sys.modules[package].__doc__ or "").partition("\n\n")[0]


def _describe_permissions(needed: tuple[str, ...], roles: list[str]) -> str:
    if not needed:
        return "Anybody may call this, without a token."
    permissions = " and ".join(f"`{permission}`" for permission in needed)
    return f"Needs {permissions}; granted to {', '.join(f'`{role}`' for role in roles) or 'no role'}."


def _build_parameters(route: Route, api: Api) -> list[Any]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": _build_path_schema(name, api)}
        for name in list_path_parameters(route)
    ]
    query = [{"in": "query", "schema": derive_input_schema(route.query(api))}] if route.query else []
    conditions = {
        "If-Match": PreconditionFailed in route.problems,
        "If-None-Match": 304 in route.responses,
        "Last-Event-ID": _has_event_stream(route),
        "Idempotency-Key": InvalidIdempotencyKey in route.problems,
    }
    return [*path, *query, *(name for name, holds in conditions.items() if holds), "X-Request-ID"]


def _has_event_stream(route: Route) -> bool:
    return any(isinstance(answer, Mapping) and EVENT_STREAM in answer for answer in route.responses.values())


def _build_path_schema(name: str, api: Api) -> dict[str, Any]:
    listed = {"code": [kind.code for kind in list_problem_classes(api)], "asset": list(ASSETS)}
    if name in listed:
        return {"type": "string", "enum": listed[name]}
    if name in _PATH_TEXT_LENGTHS:
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": _PATH_TEXT_LENGTHS[name],
            "pattern": _PATH_TEXT_PATTERNS[name],
        }
    return {"type": "string", "format": "uuid"} if name.endswith("_id") else {"type": "string", "minLength": 1}


def _build_request_body(route: Route, api: Api) -> dict[str, Any]:
    if route.body is None:
        return {}
    wanted = route.body(api)
    if not isinstance(wanted, Mapping):
        schema = derive_input_schema(wanted, partial=MERGE_PATCH in route.consumes, in_path=list_path_parameters(route))
        wanted = dict.fromkeys(route.consumes, schema)
    content = {kind: {"schema": schema} for kind, schema in wanted.items()}
    return {"requestBody": {"required": route.body_required, "content": content}}


_RESPONSE_BODY = "$response.body#/"
_NEXT_PAGE_DESCRIPTION = "The next page, asked with the same filters and sort; there is none where `next` is null."
_NEXT_EVENTS_DESCRIPTION = "What follows, at once where `has_more`, later otherwise."


def build_link_references(route: Route, answer: Any, routes: Iterable[Route]) -> dict[str, dict[str, str]]:
    """The references to the links of one answer of `route`, by the operation that each leads to."""
    names = {target: get_link_name(answer, target) for target in _collect_links(route, answer, routes)}
    return {target: {"$ref": f"#/components/links/{name}"} for target, name in names.items()}


def build_links(routes: Sequence[Route]) -> dict[str, dict[str, Any]]:
    """The Link Objects of everything that these routes answer, by the name of their component."""
    answers = [(route, answer) for route in routes for answer in route.responses.values()]
    return {
        get_link_name(answer, target): link
        for route, answer in answers
        for target, link in _collect_links(route, answer, routes).items()
    }


def get_link_name(answer: Any, target: str) -> str:
    """The name of the Link Object that leads from this kind of answer to the operation `target`."""
    return f"{get_component_name(find_document_schema(answer))}.{target}"


def _collect_links(route: Route, answer: Any, routes: Iterable[Route]) -> dict[str, dict[str, Any]]:
    """One Link Object for each operation; none for an answer that no schema describes."""
    if (document := find_document_schema(answer)) is None:
        return {}
    fields = document._declared_fields
    found = {other.endpoint: link for other in routes if other is not route and (link := _build_link(other, fields))}
    return found | _build_next_page_link(route, fields)


def _build_link(target: Route, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The link to an operation on what the answer shows; nothing where `fields` do not lead to its path."""
    sources = {place: source for place in list_path_parameters(target) if (source := _find_source(place, fields))}
    if not sources or len(sources) != len(list_path_parameters(target)):
        return {}
    conditions = {"If-Match": "$response.header.ETag"} if _is_conditional(target, fields) else {}
    return {"operationId": target.endpoint, "parameters": {**sources, **conditions}}


def _find_source(place: str, fields: Mapping[str, Any]) -> str:
    """The expression that fills in `place`: its own field, or the one of the resource whose id it is."""
    return next((f"{_RESPONSE_BODY}{name}" for name in (place, place.removesuffix("_id")) if name in fields), "")


def _is_conditional(target: Route, fields: Mapping[str, Any]) -> bool:
    """Whether `target` changes the very thing whose version `fields` show, and not one beneath it."""
    return "version" in fields and PreconditionFailed in target.problems and not _has_another_version(target)


def _has_another_version(target: Route) -> bool:
    """Whether what `target` answers has a version, and is not what its path names."""
    shown = [
        document._declared_fields
        for response in target.responses.values()
        if (document := find_document_schema(response))
    ]
    return any(
        "version" in fields and not all(_find_source(place, fields) for place in list_path_parameters(target))
        for fields in shown
    )


def _build_next_page_link(route: Route, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The link to the page after a list's, or to what follows in a feed."""
    if "next" not in fields or route.query is None:
        return {}
    cursor, meaning = (
        ("after", _NEXT_EVENTS_DESCRIPTION) if "has_more" in fields else ("cursor", _NEXT_PAGE_DESCRIPTION)
    )
    page = {"operationId": route.endpoint, "description": meaning, "parameters": {cursor: f"{_RESPONSE_BODY}next"}}
    return {route.endpoint: page}
