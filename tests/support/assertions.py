"""Assertions on refusals, to the last member."""

from __future__ import annotations

from typing import Any

from sqlalchemy import make_url as make_url
from werkzeug.test import TestResponse

from flask_tenant_provisioning.errors import iter_problem_classes
from tests.support.hosts import PREFIX

#: Why an If-Match does not hold: another version, a tag that a proxy has weakened, and a header without a tag.
STALE = "The resource has another version than If-Match names."
WEAK_TAG = (
    "If-Match names this version by a weak tag (W/), which never matches (RFC 9110 §13.1.1): a proxy or the "
    "application has compressed the answer and weakened its ETag. Send it without W/."
)
NO_TAG = "If-Match holds no entity tag: send the resource's ETag as it was answered, with its quotes."
_TITLES = {kind.code: kind.title for kind in iter_problem_classes()}


def assert_problem(response: TestResponse, status: int, code: str, detail: str, **members: Any) -> None:
    """Assert that `response` is this problem document, and no member more."""
    assert response.status_code == status, response.text
    assert check_problem(response) == {
        "type": f"{_root(response)}{PREFIX}/problems/{code}",
        "title": _TITLES.get(code),
        "status": status,
        "code": code,
        "detail": detail,
        "instance": response.request.path,
        "request_id": response.headers["X-Request-ID"],
        **members,
    }


def _root(response: TestResponse) -> str:
    """The path below which the app was asked."""
    root, prefix, _ = response.request.path.partition(PREFIX)
    return root if prefix else ""


def assert_invalid_fields(response: TestResponse, *errors: tuple[str, str, str]) -> None:
    """Assert a `validation-error` of exactly these (pointer, code, detail)."""
    assert_problem(response, 400, "validation-error", _describe_count(errors, "field"), errors=_entries(errors))


def assert_invalid_parameters(response: TestResponse, *errors: tuple[str, str, str]) -> None:
    """Assert an `invalid-parameter` of exactly these (pointer, code, detail)."""
    assert_problem(
        response, 400, "invalid-parameter", _describe_count(errors, "query parameter"), errors=_entries(errors)
    )


def _describe_count(errors: tuple[tuple[str, str, str], ...], what: str) -> str:
    return f"1 {what} is invalid." if len(errors) == 1 else f"{len(errors)} {what}s are invalid."


def _entries(errors: tuple[tuple[str, str, str], ...]) -> list[dict[str, str]]:
    return [{"pointer": pointer, "code": code, "detail": detail} for pointer, code, detail in errors]


def check_problem(response: TestResponse, **expected: Any) -> dict[str, Any]:
    """The problem document of `response`, after checking what every one must have."""
    document: dict[str, Any] = response.get_json()
    assert response.content_type == "application/problem+json", response.text
    assert response.headers["Cache-Control"] == "no-store"
    assert document["status"] == response.status_code
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert document["type"].endswith(f"/problems/{document['code']}")
    assert {name: document.get(name) for name in expected} == expected
    return document
