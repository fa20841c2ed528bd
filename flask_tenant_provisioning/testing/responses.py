"""Requests, responses, and assertions about them.

A failed assertion is a sentence with the request, the response, and the likely cause in the host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

import pytest
from werkzeug.test import TestResponse

from ..errors import iter_problem_classes
from ..responses import PROBLEM_MEDIA_TYPE, REQUEST_ID_PATTERN
from ..web.headers import JSON, format_etag

PROBLEM_TITLES = {kind.code: kind.title for kind in iter_problem_classes()}
#: What every tenant shows; a host's own fields come on top.
TENANT_FIELDS = frozenset({
    "tenant", "partner", "external_id", "client_name", "email", "phone_number", "industry", "plan", "metadata",
    "status", "suspended_reason", "version", "created_at", "updated_at", "deleted_at", "purge_at",
})  # fmt: skip
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MAX_SHOWN_BYTES = 2000


class SentRequest(NamedTuple):
    """A request: its path is the one that the caller sees."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def format(self) -> str:
        """The whole request, without its credentials."""
        secret = {"Authorization": "Bearer …"}
        return _format_message(
            str(self), {name: secret.get(name, value) for name, value in self.headers.items()}, self.body
        )


class ApiResponse:
    """A response of the API. A broken promise fails the test."""

    def __init__(self, sent: SentRequest, response: TestResponse, base: str, types: str) -> None:
        self.sent = sent
        self.status = response.status_code
        self.headers = response.headers
        self.body = response.get_data()
        self._line = response.status
        self._base = base
        self._types = types

    def __repr__(self) -> str:
        answered = _format_message(f"→ {self._line}", dict(self.headers.items()), self.body)
        return f"{self.sent.format()}\n{answered}"

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        """The body's media type, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip()

    @property
    def refusal(self) -> str | None:
        """The code, of the host's own, with which one of its hooks refused the request."""
        if self.media_type != PROBLEM_MEDIA_TYPE:
            return None
        try:
            code: str | None = json.loads(self.body).get("code")
        except (ValueError, AttributeError):
            return None
        return None if code in PROBLEM_TITLES else code

    def fail(self, should: str, cause: str = "") -> NoReturn:
        """Fail: this request `should` have done something else. Unless it is given, the answer tells the `cause`."""
        __tracebackhide__ = True
        default_hint = f" {HOOK_HINT}" if self.refusal else make_hint(self.status, self.media_type, self.text)
        hint = f" {cause}" if cause else default_hint
        raise AssertionError(f"{self.sent} should {should}.{hint}\n\n{self!r}")

    def require(self, holds: bool, should: str, cause: str = "") -> None:
        """Fail unless it `holds` that the request did what it `should`; the likely `cause` may be given."""
        __tracebackhide__ = True
        if not holds:
            self.fail(should, cause)

    def expect(self, *statuses: int) -> ApiResponse:
        """Demand one of these statuses, and the common headers. Skips if a hook of the host refuses a change."""
        __tracebackhide__ = True
        if self.status not in statuses:
            self._skip_if_hook_refused(*statuses)
            self.fail(f"answer {' or '.join(map(str, statuses))}, not {self.status}")
        self.require("no-store" in self.headers.get("Cache-Control", ""), "answer with Cache-Control: no-store")
        identified = REQUEST_ID_PATTERN.fullmatch(self.headers.get("X-Request-ID", ""))
        self.require(identified is not None, "answer with the request's X-Request-ID")
        for name in ("Location", "Link"):
            leads = self.headers.get(name, "").lstrip("<")
            self.require(not leads or leads.startswith(f"{self._base}/"), f"name in {name} a path below {self._base}")
        return self

    def header(self, name: str) -> str:
        """The value of a header that must be there."""
        __tracebackhide__ = True
        self.require(name in self.headers, f"answer with the header {name}")
        return self.headers[name]

    def json(self) -> Any:
        """The body as JSON."""
        __tracebackhide__ = True
        try:
            return json.loads(self.body)
        except ValueError:
            self.fail("answer with JSON")

    def document(self, status: int = 200) -> dict[str, Any]:
        """The body: an object in JSON."""
        __tracebackhide__ = True
        self.expect(status)
        self.require(self.media_type == JSON, f"answer with {JSON}, not {self.media_type or 'nothing'}")
        document = self.json()
        self.require(isinstance(document, dict), "answer with an object")
        return dict(document)

    def tenant(self, status: int = 200) -> dict[str, Any]:
        """The tenant that the body shows, with everything that a tenant has, and its `ETag`."""
        __tracebackhide__ = True
        tenant = self.document(status)
        self.require_tenant(tenant)
        self.require(self.header("ETag") == format_etag(tenant["version"]), "answer with the version in the ETag")
        return tenant

    def require_tenant(self, tenant: Mapping[str, Any]) -> None:
        """Demand that `found`, which stands in the body, is a whole tenant."""
        __tracebackhide__ = True
        missing = sorted(TENANT_FIELDS - tenant.keys())
        self.require(not missing, f"show every field of a tenant; it lacks {', '.join(missing)}")
        self.require_id(tenant["tenant"])
        self.require_instants(tenant[name] for name in ("created_at", "updated_at", "deleted_at", "purge_at"))

    def require_id(self, id: str) -> None:
        """Demand that `found`, which stands in the body, is an id."""
        __tracebackhide__ = True
        self.require(_UUID.fullmatch(id) is not None, "show an id that is a UUID in lower case")

    def require_instants(self, instants: Iterable[str | None]) -> None:
        """Demand that `found`, which stand in the body, are times or None."""
        __tracebackhide__ = True
        self.require(
            all(_TIMESTAMP.fullmatch(instant) for instant in instants if instant),
            "show times in UTC, with milliseconds and Z",
        )

    def problem(self, status: int, code: str, **members: Any) -> dict[str, Any]:
        """The problem document in the body, whole, with this code and these members (RFC 9457)."""
        __tracebackhide__ = True
        if self.status != status:
            self.fail(f"answer {status} {code}, not {self.status}")
        self.expect(status)
        self.require(
            self.media_type == PROBLEM_MEDIA_TYPE,
            f"answer with {PROBLEM_MEDIA_TYPE}, not {self.media_type or 'nothing'}",
        )
        problem = self.json()
        self.require(isinstance(problem, dict) and problem.get("code") == code, f"answer with the code {code}")
        wanted = {
            "type": f"{self._types}{code}",
            "title": PROBLEM_TITLES[code],
            "status": status,
            "request_id": self.headers["X-Request-ID"],
            **members,
        }
        for name, value in wanted.items():
            self.require(problem.get(name) == value, f"name the {name} {value!r} in its problem")
        self.require(bool(problem.get("detail")), "say in its problem what happened, as detail")
        path = unquote(urlsplit(self.sent.path).path)
        self.require(unquote(str(problem.get("instance"))) == path, f"name the instance {path!r} in its problem")
        return dict(problem)

    def faults(self, code: str = "validation-error") -> dict[str, str]:
        """The code of each fault that a 400 lists, by pointer."""
        __tracebackhide__ = True
        errors = self.problem(400, code).get("errors")
        complete = isinstance(errors, list) and all({*error} == {"pointer", "code", "detail"} for error in errors)
        self.require(bool(errors) and complete, "list every fault with its pointer, code and detail")
        return {error["pointer"]: error["code"] for error in errors or ()}

    def _skip_if_hook_refused(self, *statuses: int) -> None:
        """A hook may refuse a change, with a code of the host's own. It may not refuse a valid new tenant."""
        if max(statuses) < 300 and 201 not in statuses and self.refusal:
            pytest.skip(f"a hook of this host refuses {self.sent.method}: {self.status} {self.refusal}")


def _format_message(line: str, headers: Mapping[str, str], body: bytes) -> str:
    text = body[:_MAX_SHOWN_BYTES].decode("utf-8", "replace") + ("…" if len(body) > _MAX_SHOWN_BYTES else "")
    return "\n".join(["  " + line, *(f"    {name}: {value}" for name, value in headers.items()), *_indent(text)])


def _indent(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]


REDIRECT_HINT = (
    "Something of the host's redirects, such as a login wall: let a request pass whose blueprint is "
    "provisioning.blueprint.name, or mount the API isolated."
)
CSRF_HINT = "A CSRF wall stands before the API: call csrf.exempt(provisioning.blueprint), or mount the API isolated."
PAGE_HINT = (
    "A page of the host's stands where the API should answer: if a hook or a handler makes it, mount the API isolated."
)
UNAUTHORIZED_HINT = (
    "The app refuses a token of the suite's: override the fixture provisioning_token, so that it signs one that "
    "the app's JWT manager and user lookup know."
)
STORAGE_HINT = "Is the database there, and has `flask provisioning db upgrade` made its tables?"
RATE_LIMIT_HINT = (
    "A rate limit stopped the suite, which sends some hundred requests as one partner: let it run with larger "
    "PROVISIONING_RATE_LIMITS, or without any."
)
COOKIES = (
    "A hook of the host's reads or writes the session: let a request pass whose blueprint is "
    "provisioning.blueprint.name, or mount the API isolated."
)
PACKED = (
    "Something of the host's packs the answer, such as Flask-Compress: leave the API to the proxy in front, or mount "
    "it isolated."
)
BODY_HINT = "Where the host demands more of a tenant, override the fixture provisioning_tenant_body."
HOOK_HINT = (
    "A hook of the host's refuses it: override the fixtures provisioning_tenant_body and provisioning_new_partner, "
    "so that they make what the host takes."
)


def make_hint(status: int, media_type: str, text: str) -> str:
    """A sentence about the likely cause, after a space; empty where there is no telling."""
    hint = _find_hint(status, media_type, text)
    return f" {hint}" if hint else ""


def _find_hint(status: int, media_type: str, text: str) -> str:
    if 300 <= status < 400 and status != 304:
        return REDIRECT_HINT
    if status == 400 and "CSRF" in text:
        return CSRF_HINT
    if media_type == "text/html":
        return PAGE_HINT
    if status == 401 and "invalid-token" in text:
        return UNAUTHORIZED_HINT
    if status == 429:
        return RATE_LIMIT_HINT
    if status == 503:
        return STORAGE_HINT
    return BODY_HINT if status == 400 and "validation-error" in text else ""
