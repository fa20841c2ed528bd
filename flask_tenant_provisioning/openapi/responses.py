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
from .problem_types import list_problem_classes
from .schemas import find_document_schema

#: What every answer bears.
COMMON_HEADERS = ("X-Request-ID", "Cache-Control", "X-Content-Type-Options")
#: What goes with a problem of this status.
_STATUS_HEADERS = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    405: ("Allow",),
    415: ("Accept", "Accept-Encoding", "Accept-Patch"),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
#: What goes with every answer to a request that was counted.
_RATE_LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy")
#: What goes with a success of this status.
_SUCCESS_HEADERS = {201: ["Location"], 202: ["Location", "Retry-After"], 304: ["ETag"]}
#: What shows in a header too, by the field that it stands in.
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
    """The Responses Object of `route`."""
    more = [*_list_write_headers(route), *(_RATE_LIMIT_HEADERS if is_rate_limited(route, api) else ())]
    documents = {
        str(status): _build_success_response(status, answer, more) for status, answer in route.responses.items()
    }
    problems = {
        str(found[0].status): get_response_name(found) for found in group_by_status(collect_problems(route, api), api)
    }
    return dict(sorted({**documents, **problems}.items()))


def collect_problems(route: Route, api: Api) -> set[type[ProvisioningError]]:
    """Every problem that `route` may answer: those it declares, those of the gate before it, and the host's own."""
    gate = (
        _GUARD_PROBLEMS
        if not route.public
        else _AUTHENTICATION_PROBLEMS
        if route.required_permissions(api.config.public_docs)
        else ()
    )
    hosts = api.hooks.kinds() if any(map(api.hooks.of, route.hooks)) else ()
    counted = (RateLimited,) if is_rate_limited(route, api) else ()
    return {*route.problems, *_COMMON_PROBLEMS, *gate, *hosts, *counted}


def is_rate_limited(route: Route, api: Api) -> bool:
    """Whether requests to `route` are counted against rate limits."""
    return route.rate_class is not None and api.has_rate_limit(route.rate_class)


def group_by_status(found: Iterable[type[ProvisioningError]], api: Api) -> list[list[type[ProvisioningError]]]:
    """`found` in the catalogue's order, those of one status together."""
    groups: dict[int, list[type[ProvisioningError]]] = defaultdict(list)
    wanted = set(found)
    for kind in list_problem_classes(api):
        if kind in wanted:
            groups[kind.status].append(kind)
    return list(groups.values())


def get_response_name(group: Iterable[type[ProvisioningError]]) -> str:
    """The name of the Response Object of these problems."""
    return ".".join(kind.code for kind in group)


def build_problem_response(group: list[type[ProvisioningError]], api: Api) -> dict[str, Any]:
    """The Response Object of these problems of one status."""
    status = group[0].status
    codes = [kind.code for kind in group]
    bears = [] if any(kind.of_host for kind in group) else [*_STATUS_HEADERS.get(status, ())]
    bears += _RATE_LIMIT_HEADERS if status != 401 and any(map(api.has_rate_limit, RATE_CLASSES)) else ()
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    return {
        "description": "\n".join(f"- `{kind.code}`: {kind.title}. {kind.remedy}" for kind in group),
        "headers": _build_header_references(*COMMON_HEADERS, *bears),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema, "examples": {code: code for code in codes}}},
    }


def build_headers(api: Api) -> dict[str, dict[str, Any]]:
    """Every header that an answer may bear."""
    challenge = {"pattern": "^Bearer realm=", "examples": [f'Bearer realm="{api.config.realm}"']}
    return {
        "X-Request-ID": _build_header(
            "The request's id: the caller's where it is well formed.", pattern=_build_request_id_pattern()
        ),
        "Cache-Control": _build_header("Nobody may keep the answer.", const="no-store"),
        "X-Content-Type-Options": _build_header("Its media type is not to be guessed.", const="nosniff"),
        "ETag": _build_header("The entity tag of this version, strong (RFC 9110 §8.8.3).", pattern='^"[0-9]+"$'),
        "Location": _build_header(
            "The path of what was created, or of what shows how far it is.", format="uri-reference"
        ),
        "Link": _build_header('The next page: `rel="next"` (RFC 8288). Absent on the last one.', required=False),
        "WWW-Authenticate": _build_header("The challenge (RFC 6750 §3).", required=False, **challenge),
        "Idempotency-Replayed": _build_header("The answer is the one of before.", required=False, const="true"),
        "X-Validate-Only": _build_header(
            "Everything was checked and nothing was written.", required=False, const="true"
        ),
        "Allow": _build_header("The methods that are possible here."),
        "Accept": _build_header("The media types that are possible here."),
        "Accept-Encoding": _build_header("The content codings that are possible here.", required=False),
        "Accept-Patch": _build_header("The media types of patches that are possible here (RFC 5789).", required=False),
        "Retry-After": _build_header("Seconds to wait.", pattern="^[0-9]+$"),
    } | (_build_rate_limit_headers() if any(map(api.has_rate_limit, RATE_CLASSES)) else {})


def _build_rate_limit_headers() -> dict[str, dict[str, Any]]:
    """What is allowed and what is left of it; absent where nothing could be counted."""
    left = "What is left: `r` requests, until there are more in `t` seconds (draft-ietf-httpapi-ratelimit-headers)."
    allowed = "What is allowed: `q` requests in `w` seconds, under the name of the policy."
    return {
        "RateLimit": _build_header(left, required=False, **_build_list_schema('"write";r=119;t=60')),
        "RateLimit-Policy": _build_header(allowed, required=False, **_build_list_schema('"write";q=120;w=60')),
    }


def _build_list_schema(example: str) -> dict[str, Any]:
    """The schema of a list whose members look like `example`: a text with two numbers (RFC 9651 §3.1)."""
    one = re.sub("[0-9]+", "[0-9]+", example).replace("write", "[a-z0-9-]+")
    return {"pattern": f"^{one}(, {one})*$", "examples": [example]}


def _build_header(description: str, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": "string", **schema}}


def _build_request_id_pattern() -> str:
    return f"^{REQUEST_ID_PATTERN.pattern}$"


def _build_header_references(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _list_write_headers(route: Route) -> list[str]:
    """The headers that say that nothing was written, or that it was written before."""
    replayed = ["Idempotency-Replayed"] if InvalidIdempotencyKey in route.problems else []
    return replayed + ([] if route.method == "GET" else ["X-Validate-Only"])


def _build_success_response(status: int, answer: Any, more: Iterable[str]) -> dict[str, Any]:
    """The Response Object of a success. `answer` is a schema, several media types with theirs, or nothing."""
    content = answer if isinstance(answer, Mapping) else {JSON: answer} if answer is not None else {}
    described = {"content": {kind: {"schema": schema} for kind, schema in content.items()}} if content else {}
    return {
        "description": f"{HTTPStatus(status).phrase}.",
        "headers": _build_header_references(*COMMON_HEADERS, *_list_success_headers(status, answer), *more),
        **described,
    }


def _list_success_headers(status: int, answer: Any) -> list[str]:
    document = find_document_schema(answer)
    fields: Iterable[str] = () if document is None else document._declared_fields
    found = [header for field, header in _FIELD_HEADERS.items() if field in fields]
    return found + _SUCCESS_HEADERS.get(status, [])
