"""Execution of a write: as a dry run, once for each Idempotency-Key, or directly."""

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
#: Statuses of errors that are stored and returned to a repeated request.
FINAL_STATUSES = frozenset({404, 409, 412})
_IDEMPOTENT_METHODS = ("POST", "PATCH")


class Result(NamedTuple):
    """Result of a write: the response's status, JSON `document` (None for no body) and headers.

    A document with a `secret` is encrypted when it is stored for repeated requests.
    """

    status: int
    document: Any
    headers: dict[str, str]
    secret: bool = False


class _DryRunFinished(Exception):
    """Raised to roll back the unit of work of a dry run."""

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
    """Run `work` in one transaction and return ``answer(work(session))`` as a response.

    `body` is the request's JSON, which an Idempotency-Key is bound to. With `validate_only`, the transaction is rolled
    back. With `alone`, `work` is a single statement and may run in autocommit mode. Raises the errors of `work` and of
    `idempotency.claim_key`.
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
    """Run `work` and roll back. If the key has a stored response, return that, as the write would."""

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
    raise AssertionError("unreachable")


def _execute_once(call: Request, identity: IdempotencyKey, work: Work[T], answer: Callable[[T], Result]) -> Response:
    """Run `work` unless the key has a stored response. The response is stored in the same transaction."""

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
    """Return a stored response, with ``Idempotency-Replayed`` if an earlier request created it (`replayed`)."""
    if identity is not None and kept.sealed:
        kept = open_response(kept, identity, call.mount.keyring)
    return _make_response(kept, **({"Idempotency-Replayed": "true"} if replayed else {}))


def _attempt(call: Request, session: Session, work: Work[T], answer: Callable[[T], Result]) -> StoredResponse:
    """Run `work` and return its response. If it fails finally, roll it back and return the problem as the response."""
    try:
        with session.savepoint():
            found = answer(work(session))
            return _to_stored_response(found)._replace(tenant=_find_tenant(found))
    except ProvisioningError as error:
        if error.status not in FINAL_STATUSES or not error.lasting:
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
    """Return the id of the tenant in the result, else the one in the request's path; None if there is neither."""
    shown = answer.document.get("tenant") if isinstance(answer.document, dict) else None
    named: str | None = (request.view_args or {}).get("tenant_id")
    return shown or (named and named.lower())


def _make_response(kept: StoredResponse, **more: str) -> Response:
    sent = Response(kept.body, kept.status, headers=[*kept.headers.items(), *more.items()])
    if not kept.body:
        sent.headers.remove("Content-Type")
    return sent
