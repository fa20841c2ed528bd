"""Interferences between the API and its callers: their report by `doctor`, and the exchanges that they break.

A test of the conformance suite, or a stop of the walk, fails in such a host if one of its exchanges is broken, and
holds if none is. Which exchanges it has is recorded where nothing comes between: a new test needs no entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from tests.support.recording import Exchange, Outcome

#: What answers before anybody has to be known, and before a body is read.
_DOCUMENTS = ("/openapi.json", "/docs", "/problems", "/health/")
_UNMATCHED = {"not-found", "method-not-allowed"}
_BEFORE_THE_BODY = {
    *_UNMATCHED, "authentication-required", "invalid-token", "token-expired", "forbidden", "insufficient-permission",
    "not-acceptable", "unsupported-media-type", "body-too-large", "upload-too-large", "invalid-parameter",
}  # fmt: skip


class Cause(NamedTuple):
    """Something of a host's, known by the check of `doctor` that finds it and by words of what that says."""

    check: str
    status: str
    says: str
    #: Whether this exchange goes wrong.
    breaks: Callable[[Exchange], bool] = lambda _exchange: False
    #: The tests and stops that look for it in answers which are well otherwise.
    seen_by: frozenset[str] = frozenset()


def _is_admitted(exchange: Exchange) -> bool:
    """Return whether the API had to know the caller, and did."""
    is_request = exchange.authorized and not exchange.path.startswith(_DOCUMENTS)
    return is_request and exchange.status != 401 and exchange.code not in _UNMATCHED


def _is_body_read(exchange: Exchange) -> bool:
    return exchange.size > 0 and exchange.code not in _BEFORE_THE_BODY


CAUSES = {
    "a user lookup that knows no partner": Cause("jwt-users", "fail", "is called for every token", _is_admitted),
    "a wall": Cause("hooks", "fail", " returns 30", lambda _exchange: True),
    "a hook that takes bodies": Cause("hooks", "fail", " consumes the body ", _is_body_read),
    "a CSRF wall": Cause(
        "csrf", "fail", "refuses partners' requests", lambda exchange: exchange.method not in ("GET", "HEAD")
    ),
    "a hook that lets answers be kept": Cause("answers", "fail", "changes the Cache-Control", lambda _exchange: True),
    "a hook that replaces problems": Cause(
        "answers",
        "fail",
        "body where the API returns 404",
        lambda exchange: exchange.status >= 400 and exchange.method != "HEAD",
    ),
    "a session": Cause(
        "sessions",
        "warn",
        "may set cookies on the API's responses",
        seen_by=frozenset({
            "no_cookie_is_needed", "test_response_sets_no_cookie_and_ignores_cookies",
            "test_refusal_sets_no_cookie_and_ignores_cookies",
        }),
    ),
    "compression": Cause(
        "compression",
        "warn",
        "compresses the API's responses",
        seen_by=frozenset({
            "etags_survive_compression", "test_etag_of_a_compressed_response_is_the_version",
        }),
    ),
}  # fmt: skip


def find_cause(check: str, status: str, detail: str) -> str:
    """Return the name of the cause that a finding of `doctor` tells. Raises `LookupError` for one that has no entry."""
    for name, cause in CAUSES.items():
        if (cause.check, cause.status) == (check, status) and cause.says in detail:
            return name
    raise LookupError(f"{check} {status}: {detail}")


def expect_failures(outcomes: Mapping[str, Outcome], names: Iterable[str]) -> set[str]:
    """Return which tests have to fail for these causes, of those that had `outcomes` where nothing came between."""
    causes = [CAUSES[name] for name in names]
    return {test for test, outcome in outcomes.items() if any(_fails(test, outcome, cause) for cause in causes)}


def _fails(test: str, outcome: Outcome, cause: Cause) -> bool:
    name = test.rpartition("::")[2] if "[" not in test else test.partition("[")[0].rpartition("::")[2]
    return name in cause.seen_by or any(map(cause.breaks, outcome.exchanges))
