"""Build OpenAPI operations and links from the declarations of the routes."""

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
from .pages import ASSETS
from .patterns import PARTNER_ID_PATTERNS
from .problem_types import list_problem_classes
from .responses import build_responses, is_rate_limited
from .schemas import derive_input_schema, find_document_schema, get_component_name

_PATH_PARAMETER = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


def get_path_template(route: Route) -> str:
    """Return the route's path as an OpenAPI template, such as ``/tenants/{tenant_id}``."""
    return _PATH_PARAMETER.sub(r"{\1}", route.rule)


def list_path_parameters(route: Route) -> list[str]:
    """Return the names of the parameters in the route's path."""
    return _PATH_PARAMETER.findall(route.rule)


#: The name of the security scheme in the document.
SECURITY_SCHEME = "bearerAuth"
#: The pattern of an idempotency key in its header: bare, or as a structured field string (RFC 8941 §3.3.3).
_IDEMPOTENCY_KEY_PATTERN = (
    rf"^(?:[!#-+\--~][ !#-+\--~]{{0,{MAX_KEY_LENGTH - 1}}}"
    rf'|"(?:[ !#-\[\]-~]|\\["\\]){{1,{MAX_KEY_LENGTH}}}")$'
)
#: The maximum lengths of caller-chosen ids in a path.
_PATH_TEXT_LENGTHS = {"external_id": 128, "partner_id": MAX_NAME_LENGTH}
#: The patterns of caller-chosen ids in a path: an external id has no NUL, a partner id is as in `PartnerIdField`.
_PATH_TEXT_PATTERNS = {"external_id": {"pattern": "^[^\\x00]+$"}, "partner_id": PARTNER_ID_PATTERNS}


def build_operation(route: Route, api: Api) -> dict[str, Any]:
    """Build the Operation Object of `route`."""
    summary, _, details = (route.handler.__doc__ or "").partition("\n")
    permissions = list_permissions(route, api)
    roles = []
    if permissions:
        roles = [role for role, granted in api.config.roles.items() if set(permissions).issubset(granted)]
    paragraphs = [" ".join(details.split()), _describe_permissions(permissions, roles)]
    operation: dict[str, Any] = {
        "operationId": route.endpoint,
        "tags": [get_tag(route)],
        "summary": summary.rstrip("."),
        "description": "\n\n".join(filter(None, paragraphs)),
        "security": [{SECURITY_SCHEME: list(permissions)}] if permissions else [],
        "x-permissions": list(permissions),
        "x-roles": roles,
        **({"x-rate-limit": route.rate_class} if is_rate_limited(route, api) else {}),
        "parameters": _build_parameters(route, api),
        "responses": build_responses(route, api),
    }
    for status, response in route.responses.items():
        links = build_link_references(route, response, api.routes)
        if links:
            operation["responses"][str(status)]["links"] = links
    return operation | _build_request_body(route, api)


def list_permissions(route: Route, api: Api) -> tuple[str, ...]:
    """Return the permissions that a caller needs, none for a public route."""
    return route.required_permissions(api.config.public_docs)


def get_tag(route: Route) -> str:
    """Return the feature that the route belongs to, which is the name of its package."""
    return _get_package(route).rpartition(".")[2]


def build_tags(routes: Iterable[Route]) -> list[dict[str, str]]:
    """Build the tags: the features, each with the first paragraph of its package's docstring."""
    return [
        {"name": name, "description": _summarize_package(package) or name}
        for name, package in {get_tag(route): _get_package(route) for route in routes}.items()
    ]


def build_request_headers() -> dict[str, dict[str, Any]]:
    """Build the parameters of every request header except the token."""
    return {
        "X-Request-ID": _build_header_parameter(
            "The request's id: 1 to 128 characters of `A-Z a-z 0-9 . _ -`. A malformed one is replaced."
        ),
        "If-Match": _build_header_parameter(
            "Write only if the entity tag is one of these (RFC 9110 §13.1.1); 412 otherwise."
        ),
        "If-None-Match": _build_header_parameter(
            "Return the document only if its entity tag is none of these (RFC 9110 §13.1.2); 304 otherwise."
        ),
        "Last-Event-ID": _build_header_parameter(
            "The id of the last event received (HTML §9.2); 204 if nothing follows it."
        ),
        "Idempotency-Key": {
            **_build_header_parameter(
                "Makes the request safe to repeat: it takes effect once, and repetitions return the first response."
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


def _describe_permissions(permissions: tuple[str, ...], roles: list[str]) -> str:
    if not permissions:
        return "Public: no token is needed."
    permission_names = " and ".join(f"`{permission}`" for permission in permissions)
    role_names = ", ".join(f"`{role}`" for role in roles) or "no role"
    return f"Needs {permission_names}; granted to {role_names}."


def _build_parameters(route: Route, api: Api) -> list[Any]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": _build_path_schema(name, api)}
        for name in list_path_parameters(route)
    ]
    query = [{"in": "query", "schema": derive_input_schema(api.schema(route.query))}] if route.query else []
    conditions = {
        "If-Match": PreconditionFailed in route.problems,
        "If-None-Match": 304 in route.responses,
        "Last-Event-ID": _has_event_stream(route),
        "Idempotency-Key": InvalidIdempotencyKey in route.problems,
    }
    return [*path, *query, *(name for name, applies in conditions.items() if applies), "X-Request-ID"]


def _has_event_stream(route: Route) -> bool:
    return any(isinstance(response, Mapping) and EVENT_STREAM in response for response in route.responses.values())


def _build_path_schema(name: str, api: Api) -> dict[str, Any]:
    choices = {"code": [kind.code for kind in list_problem_classes(api)], "asset": list(ASSETS)}
    if name in choices:
        return {"type": "string", "enum": choices[name]}
    if name in _PATH_TEXT_LENGTHS:
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": _PATH_TEXT_LENGTHS[name],
            **_PATH_TEXT_PATTERNS[name],
        }
    return {"type": "string", "format": "uuid"} if name.endswith("_id") else {"type": "string", "minLength": 1}


def _build_request_body(route: Route, api: Api) -> dict[str, Any]:
    if route.body is None:
        return {}
    if not isinstance(route.body, type):
        body = route.body(api)
    else:
        is_patch, in_path = MERGE_PATCH in route.consumes, list_path_parameters(route)
        schema = derive_input_schema(api.schema(route.body), partial=is_patch, in_path=in_path)
        body = dict.fromkeys(route.consumes, schema)
    content = {kind: {"schema": schema} for kind, schema in body.items()}
    return {"requestBody": {"required": route.body_required, "content": content}}


_RESPONSE_BODY = "$response.body#/"
_NEXT_PAGE_DESCRIPTION = "The next page. Repeat the same filters and sort. `next` is null on the last page."
_NEXT_EVENTS_DESCRIPTION = "The following events: available now if `has_more` is true, otherwise later."


def build_link_references(route: Route, response: Any, routes: Iterable[Route]) -> dict[str, dict[str, str]]:
    """Build references to the links of one response of `route`, by the operation that each leads to."""
    names = {target: get_link_name(response, target) for target in _collect_links(route, response, routes)}
    return {target: {"$ref": f"#/components/links/{name}"} for target, name in names.items()}


def build_links(routes: Sequence[Route]) -> dict[str, dict[str, Any]]:
    """Build the Link Objects of all responses of these routes, by component name."""
    links = {}
    for route in routes:
        for response in route.responses.values():
            for target, link in _collect_links(route, response, routes).items():
                links[get_link_name(response, target)] = link
    return links


def get_link_name(response: Any, target: str) -> str:
    """Return the component name of the link from this kind of response to the operation `target`."""
    words = "".join(word.capitalize() for word in target.split("_"))
    return f"{get_component_name(find_document_schema(response))}To{words}"


def _collect_links(route: Route, response: Any, routes: Iterable[Route]) -> dict[str, dict[str, Any]]:
    """Build one Link Object per target operation; none for a response without a schema."""
    document = find_document_schema(response)
    if document is None:
        return {}
    fields = document._declared_fields
    links = {other.endpoint: _build_link(other, fields) for other in routes if other is not route}
    return {target: link for target, link in links.items() if link} | _build_next_page_link(route, fields)


def _build_link(target: Route, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Build the link to `target`; empty if the response's `fields` do not provide all of its path parameters."""
    sources = {name: _find_source(name, fields) for name in list_path_parameters(target)}
    if not sources or not all(sources.values()):
        return {}
    conditions = {"If-Match": "$response.header.ETag"} if _is_conditional(target, fields) else {}
    return {"operationId": target.endpoint, "parameters": {**sources, **conditions}}


def _find_source(parameter: str, fields: Mapping[str, Any]) -> str:
    """Return the runtime expression for a path parameter: the field of its name, with or without ``_id``."""
    for name in (parameter, parameter.removesuffix("_id")):
        if name in fields:
            return f"{_RESPONSE_BODY}{name}"
    return ""


def _is_conditional(target: Route, fields: Mapping[str, Any]) -> bool:
    """Return whether `target` changes the resource whose version `fields` show, not a resource beneath it."""
    return "version" in fields and PreconditionFailed in target.problems and not _has_another_version(target)


def _has_another_version(target: Route) -> bool:
    """Return whether `target` returns a versioned resource other than the one its path names."""
    for response in target.responses.values():
        document = find_document_schema(response)
        fields = {} if document is None else document._declared_fields
        if "version" in fields and not all(_find_source(name, fields) for name in list_path_parameters(target)):
            return True
    return False


def _build_next_page_link(route: Route, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Build the link to the next page of a list or of a feed."""
    if "next" not in fields or route.query is None:
        return {}
    cursor, description = "cursor", _NEXT_PAGE_DESCRIPTION
    if "has_more" in fields:
        cursor, description = "after", _NEXT_EVENTS_DESCRIPTION
    page = {"operationId": route.endpoint, "description": description, "parameters": {cursor: f"{_RESPONSE_BODY}next"}}
    return {route.endpoint: page}
