"""What a refused caller is told, to the last member."""

from __future__ import annotations

from typing import Any

from werkzeug.test import TestResponse

from flask_tenant_provisioning.errors import iter_problem_classes
from tests.world import PREFIX, problem

#: Why an If-Match does not hold: another version, a tag that a proxy has weakened, and a header without a tag.
STALE = "The resource has another version than If-Match names."
WEAK_TAG = (
    "If-Match names this version by a weak tag (W/), which never matches (RFC 9110 §13.1.1): a proxy or the "
    "application has compressed the answer and weakened its ETag. Send it without W/."
)
NO_TAG = "If-Match holds no entity tag: send the resource's ETag as it was answered, with its quotes."
_TITLES = {kind.code: kind.title for kind in iter_problem_classes()}


def refused(answer: TestResponse, status: int, code: str, detail: str, **members: Any) -> None:
    """Assert that `answer` is this problem document, and no member more."""
    assert answer.status_code == status, answer.text
    assert problem(answer) == {
        "type": f"{_root(answer)}{PREFIX}/problems/{code}",
        "title": _TITLES.get(code),
        "status": status,
        "code": code,
        "detail": detail,
        "instance": answer.request.path,
        "request_id": answer.headers["X-Request-ID"],
        **members,
    }


def _root(answer: TestResponse) -> str:
    """The path below which the app was asked."""
    root, prefix, _ = answer.request.path.partition(PREFIX)
    return root if prefix else ""


def invalid(answer: TestResponse, *errors: tuple[str, str, str]) -> None:
    """Assert a `validation-error` of exactly these (pointer, code, detail)."""
    refused(answer, 400, "validation-error", _counted(errors, "field"), errors=_entries(errors))


def invalid_parameter(answer: TestResponse, *errors: tuple[str, str, str]) -> None:
    """Assert an `invalid-parameter` of exactly these (pointer, code, detail)."""
    refused(answer, 400, "invalid-parameter", _counted(errors, "query parameter"), errors=_entries(errors))


def _counted(errors: tuple[tuple[str, str, str], ...], what: str) -> str:
    return f"1 {what} is invalid." if len(errors) == 1 else f"{len(errors)} {what}s are invalid."


def _entries(errors: tuple[tuple[str, str, str], ...]) -> list[dict[str, str]]:
    return [{"pointer": pointer, "code": code, "detail": detail} for pointer, code, detail in errors]
