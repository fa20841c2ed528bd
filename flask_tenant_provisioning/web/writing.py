"""What every write has in common: it can be rehearsed, and repeated without taking effect twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from flask import Response, request

from ..database import Session
from ..problems import ProvisioningError
from ..problems.rendering import MEDIA_TYPE, document
from . import json
from .call import Call
from .idempotency import Identity, Kept, claim, keep, opened, sealed, sent_key
from .media_types import JSON

T = TypeVar("T")
Work = Callable[[Session], T]

#: The failures that a repeated request meets again; others failed before it ran.
FINAL = frozenset({404, 409, 412})
_REPEATABLE = ("POST", "PATCH")


class Answer(NamedTuple):
    """What a write answers; `document` is None where there is nothing to show.

    One that holds a `secret` is kept for repeated requests as every answer is, but sealed.
    """

    status: int
    document: Any
    headers: dict[str, str]
    secret: bool = False


class _Rehearsed(Exception):
    """Ends a unit of work that is to leave nothing behind."""

    def __init__(self, answer: Kept, *, replayed: bool = False) -> None:
        super().__init__()
        self.answer, self.replayed = answer, replayed


def write(
    call: Call,
    work: Work[T],
    answer: Callable[[T], Answer],
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
    if request.method in _REPEATABLE:
        identity = sent_key(call.principal, body, validate_only=validate_only)
    if validate_only:
        return _rehearse(call, identity, work, answer)
    if identity is not None:
        return _once(call, identity, work, answer)
    return _sent(_kept(answer((storage.statement if alone else storage.transaction)(work))))


def _rehearse(call: Call, identity: Identity | None, work: Work[T], answer: Callable[[T], Answer]) -> Response:
    """Do everything but commit. A key that has an answer answers with it, as it does for the write."""

    def unit(session: Session) -> None:
        if identity is not None:
            before = claim(session, identity, call.mount.settings.idempotency_hours)
            if before is not None:
                raise _Rehearsed(before, replayed=True)
        found = work(session)
        session.flush()
        raise _Rehearsed(_kept(answer(found)))

    try:
        call.mount.storage.transaction(unit)
    except _Rehearsed as rehearsed:
        return _answered(call, identity, rehearsed.answer, replayed=rehearsed.replayed)
    raise AssertionError("a rehearsal does not return")


def _once(call: Call, identity: Identity, work: Work[T], answer: Callable[[T], Answer]) -> Response:
    """Run `work` unless the key has an answer already; the record of it commits with what it did."""

    def unit(session: Session) -> tuple[Kept, bool]:
        before = claim(session, identity, call.mount.settings.idempotency_hours)
        if before is not None:
            return before, True
        found = _attempted(call, session, work, answer)
        keep(session, identity, sealed(found, identity, call.mount.keyring) if found.secret else found)
        return found, False

    kept, replayed = call.mount.storage.transaction(unit)
    return _answered(call, identity, kept, replayed=replayed)


def _answered(call: Call, identity: Identity | None, kept: Kept, *, replayed: bool) -> Response:
    """Send an answer, which is said to be `replayed` where a request before got it first."""
    if identity is not None and kept.sealed:
        kept = opened(kept, identity, call.mount.keyring)
    return _sent(kept, **({"Idempotency-Replayed": "true"} if replayed else {}))


def _attempted(call: Call, session: Session, work: Work[T], answer: Callable[[T], Answer]) -> Kept:
    """The answer to `work`; where it fails for good, it leaves nothing and its problem is the answer."""
    try:
        with session.savepoint():
            found = answer(work(session))
            return _kept(found)._replace(tenant=_tenant(found))
    except ProvisioningError as error:
        if error.status not in FINAL or not error.lasting:
            raise
        headers = {"Content-Type": MEDIA_TYPE, **error.headers}
        return Kept(error.status, headers, json.render(document(error, call.mount.problem_types())))


def _kept(answer: Answer) -> Kept:
    body = "" if answer.document is None else json.render(answer.document)
    headers = {"Content-Type": JSON, **answer.headers} if body else answer.headers
    return Kept(answer.status, headers, body, answer.secret)


def _tenant(answer: Answer) -> str | None:
    """The id of the tenant that an answer is about: the one that it shows, else the one that the request names."""
    shown = answer.document.get("tenant") if isinstance(answer.document, dict) else None
    named: str | None = (request.view_args or {}).get("tenant_id")
    return shown or (named and named.lower())


def _sent(kept: Kept, **more: str) -> Response:
    sent = Response(kept.body, kept.status, headers=[*kept.headers.items(), *more.items()])
    if not kept.body:
        sent.headers.remove("Content-Type")
    return sent
