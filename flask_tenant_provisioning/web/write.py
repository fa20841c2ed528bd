"""Run a write: as a dry run, once for each Idempotency-Key, or plainly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from flask import Response, request

from .. import encoding
from ..database.session import Session
from ..errors import ProvisioningError
from ..responses import PROBLEM_MEDIA_TYPE, build_problem_document
from .headers import JSON
from .idempotency import (
    IdempotencyKey,
    StoredResponse,
    claim_key,
    open_response,
    read_key,
    save_response,
    seal_response,
)
from .request import Request

T = TypeVar("T")
Work = Callable[[Session], T]
#: The failures that a repeated request meets again; others failed before it ran.
FINAL_STATUSES = frozenset({404, 409, 412})
_IDEMPOTENT_METHODS = ("POST", "PATCH")


class Result(NamedTuple):
    """What a write answers; `document` is None where there is nothing to show.

    One that holds a `secret` is kept for repeated requests as every answer is, but sealed.
    """

    status: int
    document: Any
    headers: dict[str, str]
    secret: bool = False


class _DryRunFinished(Exception):
    """Ends a unit of work that is to leave nothing behind."""

    def __init__(self, answer: StoredResponse, *, replayed: bool = False) -> None:
        super().__init__()
        self.answer, self.replayed = answer, replayed


def execute(
    call: Request,
    work: Work[T],
    answer: Callable[[T], Result],
    *,
    body: Any = None,
    validate_only: bool = False,
    alone: bool = False,
) -> Response:
    """Run `work` in one transaction and send what `answer` makes of its result.

    `body` is the JSON that was sent. `alone` says that `work` is one statement, which may commit by itself.
    """
    storage = call.mount.storage
    identity = None
    if request.method in _IDEMPOTENT_METHODS:
        identity = read_key(call.principal, body, validate_only=validate_only)
    if validate_only:
        return _execute_dry_run(call, identity, work, answer)
    if identity is not None:
        return _execute_once(call, identity, work, answer)
    return _make_response(_to_stored_response(answer((storage.statement if alone else storage.transaction)(work))))


def _execute_dry_run(
    call: Request, identity: IdempotencyKey | None, work: Work[T], answer: Callable[[T], Result]
) -> Response:
    """Do everything but commit. A key that has an answer answers with it, as it does for the write."""

    def unit(session: Session) -> None:
        if identity is not None:
            before = claim_key(session, identity, call.mount.settings.idempotency_hours)
            if before is not None:
                raise _DryRunFinished(before, replayed=True)
        found = work(session)
        session.flush()
        raise _DryRunFinished(_to_stored_response(answer(found)))

    try:
        call.mount.storage.transaction(unit)
    except _DryRunFinished as rehearsed:
        return _respond_stored(call, identity, rehearsed.answer, replayed=rehearsed.replayed)
    raise AssertionError("a rehearsal does not return")


def _execute_once(call: Request, identity: IdempotencyKey, work: Work[T], answer: Callable[[T], Result]) -> Response:
    """Run `work` unless the key has an answer already; the record of it commits with what it did."""

    def unit(session: Session) -> tuple[StoredResponse, bool]:
        before = claim_key(session, identity, call.mount.settings.idempotency_hours)
        if before is not None:
            return before, True
        found = _attempt(call, session, work, answer)
        save_response(session, identity, seal_response(found, identity, call.mount.keyring) if found.secret else found)
        return found, False

    kept, replayed = call.mount.storage.transaction(unit)
    return _respond_stored(call, identity, kept, replayed=replayed)


def _respond_stored(
    call: Request, identity: IdempotencyKey | None, kept: StoredResponse, *, replayed: bool
) -> Response:
    """Send an answer, which is said to be `replayed` where a request before got it first."""
    if identity is not None and kept.sealed:
        kept = open_response(kept, identity, call.mount.keyring)
    return _make_response(kept, **({"Idempotency-Replayed": "true"} if replayed else {}))


def _attempt(call: Request, session: Session, work: Work[T], answer: Callable[[T], Result]) -> StoredResponse:
    """The answer to `work`; where it fails for good, it leaves nothing and its problem is the answer."""
    try:
        with session.savepoint():
            found = answer(work(session))
            return _to_stored_response(found)._replace(tenant=_find_tenant(found))
    except ProvisioningError as error:
        if error.status not in FINAL_STATUSES or not error.is_replayable:
            raise
        headers = {"Content-Type": PROBLEM_MEDIA_TYPE, **error.headers}
        return StoredResponse(
            error.status, headers, encoding.dump_json(build_problem_document(error, call.mount.problem_types()))
        )


def _to_stored_response(answer: Result) -> StoredResponse:
    body = "" if answer.document is None else encoding.dump_json(answer.document)
    headers = {"Content-Type": JSON, **answer.headers} if body else answer.headers
    return StoredResponse(answer.status, headers, body, answer.secret)


def _find_tenant(answer: Result) -> str | None:
    """The id of the tenant that an answer is about: the one that it shows, else the one that the request names."""
    shown = answer.document.get("tenant") if isinstance(answer.document, dict) else None
    named: str | None = (request.view_args or {}).get("tenant_id")
    return shown or (named and named.lower())


def _make_response(kept: StoredResponse, **more: str) -> Response:
    sent = Response(kept.body, kept.status, headers=[*kept.headers.items(), *more.items()])
    if not kept.body:
        sent.headers.remove("Content-Type")
    return sent
