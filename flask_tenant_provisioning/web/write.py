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
#: Methods of requests that may have an Idempotency-Key.
_METHODS_WITH_KEY = ("POST", "PATCH")


class Result(NamedTuple):
    """Result of a write: the response's status, JSON `document` (None for no body) and headers.

    A document with a `secret` is encrypted when it is stored for repeated requests.
    """

    status: int
    document: Any
    headers: dict[str, str]
    secret: bool = False


def execute(
    call: Request,
    work: Work[T],
    render: Callable[[T], Result],
    *,
    body: Any = None,
    validate_only: bool = False,
    single_statement_of: str | None = None,
    shows_secret: bool = False,
) -> Response:
    """Run `work` in one transaction and return ``render(work(session))`` as a response.

    `body` is the request's JSON, which an Idempotency-Key is bound to. With `validate_only`, the transaction is rolled
    back. `single_statement_of` names the operation of a `work` that is a single statement unless a reaction to that
    operation takes part: then it needs no transaction. With `shows_secret`, the key is also bound to the caller's
    permissions, which decide who may receive the secret in a stored response. Raises the errors of `work` and of
    `idempotency.claim_key`.
    """
    storage = call.mount.storage
    key = None
    if request.method in _METHODS_WITH_KEY and "HTTP_IDEMPOTENCY_KEY" in request.environ:
        key = read_key(call.principal, body, validate_only=validate_only, binds_permissions=shows_secret)
    if validate_only:
        return _execute_dry_run(call, key, work, render)
    if key is not None:
        return _execute_once(call, key, work, render)
    if single_statement_of is not None and not storage.reactions_to(single_statement_of):
        result = storage.run_autocommit(work)
    else:
        result = storage.transaction(work)
    return _make_response(_to_stored_response(render(result)))


def _execute_dry_run(
    call: Request, key: IdempotencyKey | None, work: Work[T], render: Callable[[T], Result]
) -> Response:
    """Run `work` and roll back. If the key has a stored response, return that, as the write would."""

    def unit(session: Session) -> tuple[StoredResponse, bool]:
        session.is_discarded = True
        if key is not None:
            stored = claim_key(session, key, call.mount.config.idempotency_hours)
            if stored is not None:
                return stored, True
        return _to_stored_response(render(work(session))), False

    response, replayed = call.mount.storage.transaction(unit)
    return _respond_stored(call, key, response, replayed=replayed)


def _execute_once(call: Request, key: IdempotencyKey, work: Work[T], render: Callable[[T], Result]) -> Response:
    """Run `work` unless the key has a stored response. The response is stored in the same transaction."""

    def unit(session: Session) -> tuple[StoredResponse, bool]:
        stored = claim_key(session, key, call.mount.config.idempotency_hours)
        if stored is not None:
            return stored, True
        response = _run_in_savepoint(call, session, work, render)
        sealed = seal_response(response, key, call.mount.keyring) if response.has_secret else response
        save_response(session, key, sealed)
        return response, False

    stored, replayed = call.mount.storage.transaction(unit)
    return _respond_stored(call, key, stored, replayed=replayed)


def _respond_stored(call: Request, key: IdempotencyKey | None, stored: StoredResponse, *, replayed: bool) -> Response:
    """Return a stored response, with ``Idempotency-Replayed`` if an earlier request created it (`replayed`)."""
    if key is not None and stored.is_sealed:
        stored = open_response(stored, key, call.mount.keyring)
    return _make_response(stored, **({"Idempotency-Replayed": "true"} if replayed else {}))


def _run_in_savepoint(call: Request, session: Session, work: Work[T], render: Callable[[T], Result]) -> StoredResponse:
    """Run `work` and return its response.

    If it fails with one of `FINAL_STATUSES`, roll it back and return the problem as the response.
    """
    try:
        with session.savepoint():
            result = render(work(session))
            return _to_stored_response(result)._replace(tenant_id=_find_tenant_id(result))
    except ProvisioningError as error:
        if error.status not in FINAL_STATUSES or not error.is_replayable:
            raise
        headers = {"Content-Type": PROBLEM_MEDIA_TYPE, **error.headers}
        document = build_problem_document(error, call.mount.problem_type_prefix())
        return StoredResponse(error.status, headers, encoding.dump_json(document))


def _to_stored_response(result: Result) -> StoredResponse:
    body = "" if result.document is None else encoding.dump_json(result.document)
    headers = {"Content-Type": JSON, **result.headers} if body else result.headers
    return StoredResponse(result.status, headers, body, result.secret)


def _find_tenant_id(result: Result) -> str | None:
    """Return the id of the tenant in the result, else the one in the request's path; None if there is neither."""
    in_document = result.document.get("tenant") if isinstance(result.document, dict) else None
    in_path: str | None = (request.view_args or {}).get("tenant_id")
    return in_document or (in_path and in_path.lower())


def _make_response(stored: StoredResponse, **headers: str) -> Response:
    response = Response(stored.body, stored.status, headers=[*stored.headers.items(), *headers.items()])
    if not stored.body:
        response.headers.remove("Content-Type")
    return response
