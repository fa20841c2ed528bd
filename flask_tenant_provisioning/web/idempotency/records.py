"""Remember an answer in the very transaction whose answer it is.

The record's unique key is the lock: whoever repeats a request while it runs waits for the first to commit, and
then reads its answer; where the first dies, nothing of it is left, the record neither.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from ...database import LockTimeout, Outdated, Session, Statement, Storage, instant, parameters
from ...problems import IdempotencyInProgress, IdempotencyKeyReused
from .keys import Identity

#: How long a repeated request waits for the first, in seconds.
PATIENCE = 3


class Kept(NamedTuple):
    """A whole answer: status, headers, and the body's text."""

    status: int
    headers: dict[str, str]
    body: str


class RecordSQL:
    """The statements of this feature, built once a storage."""

    def __init__(self, storage: Storage) -> None:
        table, dialect = storage.table("idempotency"), storage.engine.dialect
        t, bound = table.c, parameters(table)
        mine = (t.partner_id == bound["partner_id"]) & (t.key == bound["key"])
        insert = (sqlite if dialect.name == "sqlite" else postgresql).insert(table)
        names = ("partner_id", "key", "fingerprint", "expires_at")
        claimed = insert.values({name: bound[name] for name in names}).on_conflict_do_nothing()
        now = bindparam("now", type_=t.expires_at.type)
        answered = {name: bindparam(f"new_{name}", type_=t[name].type) for name in ("status", "headers", "body")}
        self.claim = Statement(claimed, dialect)
        self.read = Statement(select(t.fingerprint, t.expires_at, t.status, t.headers, t.body).where(mine), dialect)
        self.answer = Statement(table.update().where(mine).values(answered), dialect)
        self.forget = Statement(table.delete().where(mine, t.expires_at <= now), dialect)
        self.sweep = Statement(table.delete().where(t.expires_at <= now), dialect)


def claim(session: Session, identity: Identity, hours: int) -> Kept | None:
    """Take the key for this transaction, or return the answer that it has got already.

    Raises `IdempotencyInProgress` where the first request takes too long, `IdempotencyKeyReused` where it was another.
    """
    storage, sql = session.storage, session.storage.once(RecordSQL)
    where = {"partner_id": identity.partner, "key": identity.key}
    now = storage.clock()
    session.run(sql.forget, {**where, "now": instant(now)})
    row = {**where, "fingerprint": identity.fingerprint, "expires_at": instant(now + hours * 3600)}
    session.wait_for_locks(PATIENCE)
    try:
        if session.run(sql.claim, row).rowcount == 1:
            return None
    except LockTimeout as error:
        raise IdempotencyInProgress(headers={"Retry-After": "1"}) from error
    return _kept(session.run(sql.read, where).fetchone(), identity)


def keep(session: Session, identity: Identity, answer: Kept) -> None:
    """Remember the answer to the request that claimed the key."""
    values = {
        "partner_id": identity.partner,
        "key": identity.key,
        "new_status": answer.status,
        "new_headers": json.dumps(answer.headers),
        "new_body": answer.body or None,
    }
    session.run(session.storage.once(RecordSQL).answer, values)


def forget_expired(session: Session) -> int:
    """Remove every answer whose time is over; returns how many."""
    storage = session.storage
    found: int = session.run(storage.once(RecordSQL).sweep, {"now": instant(storage.clock())}).rowcount
    return found


def _kept(row: tuple[str, str, int, str, str | None] | None, identity: Identity) -> Kept:
    if row is None:
        raise Outdated("the record is gone")
    fingerprint, _, status, headers, body = row
    if fingerprint != identity.fingerprint:
        raise IdempotencyKeyReused
    return Kept(status, json.loads(headers), body or "")
