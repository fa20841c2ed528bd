"""What an operation answers, status by status: its documents, its headers and its problems."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from ..config.rates import CLASSES
from ..problems import (
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
    catalogue,
)
from ..problems.rendering import MEDIA_TYPE, REQUEST_ID
from ..web.api import Api
from ..web.routing import JSON, Route
from .explained import kinds
from .schemas import document_of

#: What every answer bears.
EVERYWHERE = ("X-Request-ID", "Cache-Control", "X-Content-Type-Options")
#: What goes with a problem of this status.
_OF_STATUS = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    405: ("Allow",),
    415: ("Accept", "Accept-Encoding", "Accept-Patch"),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
#: What goes with every answer to a request that was counted.
_OF_LIMITS = ("RateLimit", "RateLimit-Policy")
#: What goes with a success of this status.
_OF_SUCCESS = {201: ["Location"], 202: ["Location", "Retry-After"], 304: ["ETag"]}
#: What shows in a header too, by the field that it stands in.
_OF_FIELD = {"version": "ETag", "next": "Link"}

_ALWAYS = (ProvisioningError, InvalidParameter)
_CHALLENGED = (*catalogue(Unauthenticated), Forbidden, PartnerMissing, PartnerSuspended, PartnerNotRegistered)
_GUARDED = (*_CHALLENGED, NotAcceptable, StorageUnavailable)


def answers(route: Route, api: Api) -> dict[str, Any]:
    """The Responses Object of `route`."""
    more = [*_headers_of_writes(route), *(_OF_LIMITS if limited(route, api) else ())]
    documents = {str(status): _answer(status, answer, more) for status, answer in route.answers.items()}
    problems = {str(found[0].status): component(found) for found in by_status(problems_of(route, api), api)}
    return dict(sorted({**documents, **problems}.items()))


def problems_of(route: Route, api: Api) -> set[type[ProvisioningError]]:
    """Every problem that `route` may answer: those it declares, those of the gate before it, and the host's own."""
    gate = _GUARDED if not route.public else _CHALLENGED if route.needs(api.settings.public_docs) else ()
    hosts = api.hooks.kinds() if any(map(api.hooks.of, route.hooks)) else ()
    counted = (RateLimited,) if limited(route, api) else ()
    return {*route.problems, *_ALWAYS, *gate, *hosts, *counted}


def limited(route: Route, api: Api) -> bool:
    """Whether requests to `route` are counted against rate limits."""
    return route.rate_class is not None and api.limits(route.rate_class)


def by_status(found: Iterable[type[ProvisioningError]], api: Api) -> list[list[type[ProvisioningError]]]:
    """`found` in the catalogue's order, those of one status together."""
    groups: dict[int, list[type[ProvisioningError]]] = defaultdict(list)
    wanted = set(found)
    for kind in kinds(api):
        if kind in wanted:
            groups[kind.status].append(kind)
    return list(groups.values())


def component(group: Iterable[type[ProvisioningError]]) -> str:
    """The name of the Response Object of these problems."""
    return ".".join(kind.code for kind in group)


def problem_answer(group: list[type[ProvisioningError]], api: Api) -> dict[str, Any]:
    """The Response Object of these problems of one status."""
    status = group[0].status
    codes = [kind.code for kind in group]
    bears = [] if any(kind.of_host for kind in group) else [*_OF_STATUS.get(status, ())]
    bears += _OF_LIMITS if status != 401 and any(map(api.limits, CLASSES)) else ()
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    return {
        "description": "\n".join(f"- `{kind.code}`: {kind.title}. {kind.remedy}" for kind in group),
        "headers": _headers(*EVERYWHERE, *bears),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": {code: code for code in codes}}},
    }


def headers(api: Api) -> dict[str, dict[str, Any]]:
    """Every header that an answer may bear."""
    challenge = {"pattern": "^Bearer realm=", "examples": [f'Bearer realm="{api.settings.realm}"']}
    return {
        "X-Request-ID": _header("The request's id: the caller's where it is well formed.", pattern=_whole_id()),
        "Cache-Control": _header("Nobody may keep the answer.", const="no-store"),
        "X-Content-Type-Options": _header("Its media type is not to be guessed.", const="nosniff"),
        "ETag": _header("The entity tag of this version, strong (RFC 9110 §8.8.3).", pattern='^"[0-9]+"$'),
        "Location": _header("The path of what was created, or of what shows how far it is.", format="uri-reference"),
        "Link": _header('The next page: `rel="next"` (RFC 8288). Absent on the last one.', required=False),
        "WWW-Authenticate": _header("The challenge (RFC 6750 §3).", required=False, **challenge),
        "Idempotency-Replayed": _header("The answer is the one of before.", required=False, const="true"),
        "X-Validate-Only": _header("Everything was checked and nothing was written.", required=False, const="true"),
        "Allow": _header("The methods that are possible here."),
        "Accept": _header("The media types that are possible here."),
        "Accept-Encoding": _header("The content codings that are possible here.", required=False),
        "Accept-Patch": _header("The media types of patches that are possible here (RFC 5789).", required=False),
        "Retry-After": _header("Seconds to wait.", pattern="^[0-9]+$"),
    } | (_of_limits() if any(map(api.limits, CLASSES)) else {})


def _of_limits() -> dict[str, dict[str, Any]]:
    """What is allowed and what is left of it; absent where nothing could be counted."""
    left = "What is left: `r` requests, until there are more in `t` seconds (draft-ietf-httpapi-ratelimit-headers)."
    allowed = "What is allowed: `q` requests in `w` seconds, under the name of the policy."
    return {
        "RateLimit": _header(left, required=False, **_listed('"write";r=119;t=60')),
        "RateLimit-Policy": _header(allowed, required=False, **_listed('"write";q=120;w=60')),
    }


def _listed(example: str) -> dict[str, Any]:
    """The schema of a list whose members look like `example`: a text with two numbers (RFC 9651 §3.1)."""
    one = re.sub("[0-9]+", "[0-9]+", example).replace("write", "[a-z0-9-]+")
    return {"pattern": f"^{one}(, {one})*$", "examples": [example]}


def _header(description: str, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": "string", **schema}}


def _whole_id() -> str:
    return f"^{REQUEST_ID.pattern}$"


def _headers(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _headers_of_writes(route: Route) -> list[str]:
    """The headers that say that nothing was written, or that it was written before."""
    replayed = ["Idempotency-Replayed"] if InvalidIdempotencyKey in route.problems else []
    return replayed + ([] if route.method == "GET" else ["X-Validate-Only"])


def _answer(status: int, answer: Any, more: Iterable[str]) -> dict[str, Any]:
    """The Response Object of a success. `answer` is a schema, several media types with theirs, or nothing."""
    content = answer if isinstance(answer, Mapping) else {JSON: answer} if answer is not None else {}
    described = {"content": {kind: {"schema": schema} for kind, schema in content.items()}} if content else {}
    return {
        "description": f"{HTTPStatus(status).phrase}.",
        "headers": _headers(*EVERYWHERE, *_headers_of(status, answer), *more),
        **described,
    }


def _headers_of(status: int, answer: Any) -> list[str]:
    document = document_of(answer)
    fields: Iterable[str] = () if document is None else document._declared_fields
    found = [header for field, header in _OF_FIELD.items() if field in fields]
    return found + _OF_SUCCESS.get(status, [])
