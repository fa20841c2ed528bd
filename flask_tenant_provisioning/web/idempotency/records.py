"""Remember an answer in the very transaction whose answer it is.

The record's unique key is the lock: whoever repeats a request while it runs waits for the first to commit, and
then reads its answer; where the first dies, nothing of it is left, the record neither.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, tuple_

from ...database import SQL, LockTimeout, Outdated, Session, Storage, instant, parameters, renewed
from ...problems import IdempotencyInProgress, IdempotencyKeyReused
from .keys import Identity

#: How long a repeated request waits for the first, in seconds.
PATIENCE = 3
#: How many answers one unit of work removes, or looks through.
SWEEP = 1000
#: What the keys of bulk jobs' rows begin with: no header can hold a line feed.
ROW_PREFIX = "row\n"


class Kept(NamedTuple):
    """A whole answer: status, headers, and the body's text; whether that holds a `secret`; which tenant it is about."""

    status: int
    headers: dict[str, str]
    body: str
    secret: bool = False
    tenant: str | None = None

    @property
    def sealed(self) -> bool:
        """Whether the body is sealed: it then is the JSON of one text, as no answer's is."""
        return self.body.startswith('"')


class RecordSQL(SQL):
    """The statements of this feature, built once a storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        table = storage.table("idempotency")
        t, bound = table.c, parameters(table)
        mine = (t.partner_id == bound["partner_id"]) & (t.key == bound["key"])
        insert = self._insert(table)
        names = ("partner_id", "key", "fingerprint", "expires_at")
        row = {name: bound[name] for name in names}
        now = bindparam("now", type_=t.expires_at.type)
        claimed = insert.values(row).on_conflict_do_update(
            index_elements=[t.partner_id, t.key],
            set_={name: insert.excluded[name] for name in ("fingerprint", "expires_at")},
            where=t.expires_at <= now,
        )
        answered = renewed(t, ("status", "headers", "body", "tenant_id"))
        self.claim = self._compiled(claimed)
        self.read = self._compiled(select(t.fingerprint, t.status, t.headers, t.body).where(mine))
        self.answer = self._compiled(table.update().where(mine).values(answered))
        key = (t.partner_id, t.key)
        expired = select(*key).where(t.expires_at <= now).order_by(t.expires_at).limit(SWEEP)
        self.sweep = self._compiled(table.delete().where(tuple_(*key).in_(expired)))
        behind = tuple_(*key) > tuple_(*(bindparam(f"after_{c.name}", type_=c.type) for c in key))
        page = select(*key, t.tenant_id).where(behind).order_by(*key).limit(SWEEP)
        self.tenants = self._compiled(page)
        self.erase = self._compiled(table.update().where(mine).values(renewed(t, ("body",))))


def claim(session: Session, identity: Identity, hours: int) -> Kept | None:
    """Take the key for this transaction, where it is new or its time is over, or return the answer that it has got.

    Raises `IdempotencyInProgress` where the first request takes too long, `IdempotencyKeyReused` where it was another.
    """
    storage, sql = session.storage, session.storage.once(RecordSQL)
    where = {"partner_id": identity.partner, "key": identity.key}
    now = storage.clock()
    row = {"fingerprint": identity.fingerprint, "expires_at": instant(now + hours * 3600), "now": instant(now)}
    session.wait_for_locks(PATIENCE)
    try:
        if session.run(sql.claim, {**where, **row}).rowcount == 1:
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
        "new_tenant_id": answer.tenant,
    }
    session.run(session.storage.once(RecordSQL).answer, values)


def forget_expired(session: Session) -> int:
    """Remove answers whose time is over, `SWEEP` of them at most; returns how many."""
    storage = session.storage
    found: int = session.run(storage.once(RecordSQL).sweep, {"now": instant(storage.clock())}).rowcount
    return found


def erase_tenants(storage: Storage, tenants: Collection[str]) -> int:
    """Erase what the remembered answers about these tenants say of them; returns how many there were.

    The records stay: a request that is repeated still takes no effect, and is answered with the status of the first
    time. They are looked through by their key, `SWEEP` of them in a unit of work.
    """
    count, after = 0, ("", "")
    while page := storage.read(partial(_page, after=after)):
        after = page[-1][:2]
        if found := [row for row in page if row[2] in tenants]:
            storage.transaction(partial(_erase, rows=found))
            count += len(found)
    return count


def _page(session: Session, after: tuple[str, str]) -> list[tuple[str, str, str | None]]:
    wanted = {"after_partner_id": after[0], "after_key": after[1]}
    found: list[tuple[str, str, str | None]] = session.run(session.storage.once(RecordSQL).tenants, wanted).fetchall()
    return found


def _erase(session: Session, rows: Sequence[tuple[str, str, str | None]]) -> None:
    values = [
        {"partner_id": partner, "key": key, "new_body": json.dumps(_remainder(key, tenant))}
        for partner, key, tenant in rows
    ]
    session.run_many(session.storage.once(RecordSQL).erase, values)


def _remainder(key: str, tenant: str | None) -> Any:
    """Return what stays of an answer about a tenant: its id. Answers to the rows of bulk jobs are lists."""
    return [tenant, None] if key.startswith(ROW_PREFIX) else {"tenant": tenant, "erased": True}


def _kept(row: tuple[str, int, str, str | None] | None, identity: Identity) -> Kept:
    if row is None:
        raise Outdated("the record is gone")
    fingerprint, status, headers, body = row
    if fingerprint != identity.fingerprint:
        raise IdempotencyKeyReused
    return Kept(status, json.loads(headers), body or "")
