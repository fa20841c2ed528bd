"""Build the responses of an operation by status: documents, headers and problems."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from ..config_checks import RATE_CLASSES
from ..errors import (
    Forbidden,
    InvalidIdempotencyKey,
    InvalidParameter,
    NotAcceptable,
    PartnerMissing,
    PartnerNotRegistered,
    PartnerSuspended,
    ProvisioningError,
    RateLimited,
    StorageUnavailable,
    Unauthenticated,
    iter_problem_classes,
)
from ..mount import Api
from ..responses import PROBLEM_MEDIA_TYPE, REQUEST_ID_PATTERN
from ..web.headers import JSON
from ..web.routing import Route
from .examples import EXAMPLE_ID
from .problem_schemas import get_error_name, get_response_name
from .problem_types import list_problem_classes
from .schemas import find_document_schema

#: The headers of every response.
COMMON_HEADERS = ("X-Request-ID", "Cache-Control", "X-Content-Type-Options")
#: Additional headers of a problem response, by status.
_STATUS_HEADERS = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    405: ("Allow",),
    415: ("Accept", "Accept-Encoding", "Accept-Patch"),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
#: The headers of every response to a rate-limited request.
_RATE_LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy")
#: Additional headers of a successful response, by status.
_SUCCESS_HEADERS = {201: ["Location"], 202: ["Location", "Retry-After"], 304: ["ETag"]}
#: Headers that repeat a field of the document, by field.
_FIELD_HEADERS = {"version": "ETag", "next": "Link"}
_COMMON_PROBLEMS = (ProvisioningError, InvalidParameter)
_AUTHENTICATION_PROBLEMS = (
    *iter_problem_classes(Unauthenticated),
    Forbidden,
    PartnerMissing,
    PartnerSuspended,
    PartnerNotRegistered,
)
_GUARD_PROBLEMS = (*_AUTHENTICATION_PROBLEMS, NotAcceptable, StorageUnavailable)


def build_responses(route: Route, api: Api) -> dict[str, Any]:
    """Build the Responses Object of `route`."""
    headers = [*_list_write_headers(route), *(_RATE_LIMIT_HEADERS if is_rate_limited(route, api) else ())]
    responses: dict[str, Any] = {}
    for status, response in route.responses.items():
        tag = ["ETag"] if status == 200 and 304 in route.responses else []
        responses[str(status)] = _build_success_response(status, response, [*tag, *headers])
    for group in group_by_status(collect_problems(route, api), api):
        responses[str(group[0].status)] = get_response_name(group)
    return dict(sorted(responses.items()))


def collect_problems(route: Route, api: Api) -> set[type[ProvisioningError]]:
    """Collect every problem that `route` may return: declared ones, those of the guard, and the host's.

    A route with `render_error` returns none.
    """
    if route.render_error is not None:
        return set()
    guard_problems: Iterable[type[ProvisioningError]] = ()
    if not route.public:
        guard_problems = _GUARD_PROBLEMS
    elif route.required_permissions(api.config.public_docs):
        guard_problems = _AUTHENTICATION_PROBLEMS
    host_problems = api.registry.problem_classes() if any(map(api.registry.hooks_for, route.hooks)) else ()
    rate_limit = (RateLimited,) if is_rate_limited(route, api) else ()
    return {*route.problems, *_COMMON_PROBLEMS, *guard_problems, *host_problems, *rate_limit}


def is_rate_limited(route: Route, api: Api) -> bool:
    """Return whether requests to `route` are rate-limited."""
    return route.rate_class is not None and api.has_rate_limit(route.rate_class)


def group_by_status(problems: Iterable[type[ProvisioningError]], api: Api) -> list[list[type[ProvisioningError]]]:
    """Group problem classes by status, in the order of `list_problem_classes`."""
    groups: dict[int, list[type[ProvisioningError]]] = defaultdict(list)
    selected = set(problems)
    for problem in list_problem_classes(api):
        if problem in selected:
            groups[problem.status].append(problem)
    return list(groups.values())


def build_problem_response(group: list[type[ProvisioningError]], api: Api) -> dict[str, Any]:
    """Build the Response Object of these problems, which share one status."""
    status = group[0].status
    codes = [kind.code for kind in group]
    headers = [] if any(kind.is_host_error for kind in group) else [*_STATUS_HEADERS.get(status, ())]
    headers += _RATE_LIMIT_HEADERS if status != 401 and any(map(api.has_rate_limit, RATE_CLASSES)) else ()
    schema = {"$ref": f"#/components/schemas/{get_error_name(group)}"}
    return {
        "description": "\n".join(f"- `{kind.code}`: {kind.title}. {kind.remedy}" for kind in group),
        "headers": _build_header_references(*COMMON_HEADERS, *headers),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema, "examples": {code: code for code in codes}}},
    }


def build_headers(api: Api) -> dict[str, dict[str, Any]]:
    """Build every header that a response may have."""
    challenge = {"pattern": "^(Bearer|Basic) realm=", "examples": [f'Bearer realm="{api.config.realm}"']}
    return {
        "X-Request-ID": _build_header(
            "The request's id: the caller's if it is well formed, else a new one.",
            pattern=_build_request_id_pattern(),
            examples=["b1d0c3f6a5e84d7c9f2e6a1b0c3d4e5f"],
        ),
        "Cache-Control": _build_header("Caches must not store the response.", const="no-store"),
        "X-Content-Type-Options": _build_header("Browsers must not guess the media type.", const="nosniff"),
        "ETag": _build_header(
            "The strong entity tag of this version (RFC 9110 §8.8.3).", pattern='^"[0-9]+"$', examples=['"3"']
        ),
        "Location": _build_header(
            "The path of the created resource, or of the resource that shows the progress.",
            format="uri-reference",
            examples=[f"/api/v1/provisioning/tenants/{EXAMPLE_ID}"],
        ),
        "Link": _build_header(
            'The next page: `rel="next"` (RFC 8288). Absent on the last page.',
            required=False,
            examples=['</api/v1/provisioning/tenants?cursor=eyJwIjoiMDE5NGYwYjIifQ>; rel="next"'],
        ),
        "WWW-Authenticate": _build_header("The challenge (RFC 6750 §3, RFC 7617 §2).", required=False, **challenge),
        "Idempotency-Replayed": _build_header(
            "The response is a repetition of the first one.", required=False, const="true"
        ),
        "X-Validate-Only": _build_header(
            "The request was validated and nothing was written.", required=False, const="true"
        ),
        "Allow": _build_header("The allowed methods.", examples=["GET, HEAD, OPTIONS, POST"]),
        "Accept": _build_header("The accepted media types.", examples=["application/json"]),
        "Accept-Encoding": _build_header("The accepted content codings.", required=False, examples=["gzip"]),
        "Accept-Patch": _build_header(
            "The accepted media types of patches (RFC 5789).", required=False, examples=["application/merge-patch+json"]
        ),
        "Retry-After": _build_header(
            "The seconds to wait before the next request.", pattern="^[0-9]+$", examples=["2"]
        ),
    } | (_build_rate_limit_headers() if any(map(api.has_rate_limit, RATE_CLASSES)) else {})


def _build_rate_limit_headers() -> dict[str, dict[str, Any]]:
    """Build the rate limit headers, which are optional: they are absent if the count is unavailable."""
    remaining = "`r` requests remain, until more are allowed in `t` seconds (draft-ietf-httpapi-ratelimit-headers)."
    policy = "The policy by name: `q` requests in `w` seconds."
    return {
        "RateLimit": _build_header(remaining, required=False, **_build_list_schema('"write";r=119;t=60')),
        "RateLimit-Policy": _build_header(policy, required=False, **_build_list_schema('"write";q=120;w=60')),
    }


def _build_list_schema(example: str) -> dict[str, Any]:
    """Build the schema of a list of members like `example` (RFC 9651 §3.1)."""
    member = re.sub("[0-9]+", "[0-9]+", example).replace("write", "[a-z0-9-]+")
    return {"pattern": f"^{member}(, {member})*$", "examples": [example]}


def _build_header(description: str, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    examples = {"examples": [schema["const"]]} if "const" in schema else {}
    return {"description": description, "required": required, "schema": {"type": "string", **schema, **examples}}


def _build_request_id_pattern() -> str:
    return f"^{REQUEST_ID_PATTERN.pattern}$"


def _build_header_references(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _list_write_headers(route: Route) -> list[str]:
    """Return the headers of dry runs and of replayed responses that `route` may return."""
    if route.render_error is not None:
        return []
    replayed = ["Idempotency-Replayed"] if InvalidIdempotencyKey in route.problems else []
    return replayed + ([] if route.method == "GET" else ["X-Validate-Only"])


def _build_success_response(status: int, response: Any, headers: Iterable[str]) -> dict[str, Any]:
    """Build the Response Object of a success, or of an error that is no problem.

    `response` is a schema, a mapping of media types to schemas, or None.
    """
    document: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}.",
        "headers": _build_header_references(*COMMON_HEADERS, *_list_success_headers(status, response), *headers),
    }
    if response is not None:
        schemas = response if isinstance(response, Mapping) else {JSON: response}
        document["content"] = {media_type: {"schema": schema} for media_type, schema in schemas.items()}
    return document


def _list_success_headers(status: int, response: Any) -> list[str]:
    document = find_document_schema(response)
    fields: Iterable[str] = () if document is None else document._declared_fields
    headers = [header for field, header in _FIELD_HEADERS.items() if field in fields]
    return [*headers, *_SUCCESS_HEADERS.get(status, ()), *_STATUS_HEADERS.get(status, ())]
