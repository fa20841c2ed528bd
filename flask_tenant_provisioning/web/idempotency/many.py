"""Many keys of one partner at once: the keys of a bulk job's rows, apart from those that requests carry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import bindparam, null, select, true

from ...database import SQL, Session, Storage, each, incoming, instant, parameters, renewed
from ...database.incoming import rows
from .records import ROW_PREFIX


class Done(NamedTuple):
    """A row done under a key: `fingerprint` tells it from another, `answer` is JSON about a `tenant`."""

    fingerprint: str
    status: int
    answer: Any
    tenant: str | None = None


class ManyRecordsSQL(SQL):
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        table = storage.table("idempotency")
        t, bound = table.c, parameters(table)
        given = incoming(self._dialect, key=t.key.type)
        mine = t.partner_id == bound["partner_id"]
        insert = self._insert(table)
        values = (bound["partner_id"], given.c.key, bound["fingerprint"], bound["expires_at"])
        claimed = insert.from_select(
            ["partner_id", "key", "fingerprint", "expires_at"], select(*values).where(true()).order_by(given.c.key)
        ).on_conflict_do_update(
            index_elements=[t.partner_id, t.key],
            set_={"expires_at": insert.excluded.expires_at, "status": null()},
            where=t.expires_at <= bindparam("now", type_=t.expires_at.type),
        )
        found = select(t.key, t.fingerprint, t.status, t.body).where(mine, t.status.is_not(None))
        one = mine & (t.key == bound["key"])
        answer = renewed(t, ("fingerprint", "status", "body", "tenant_id"))
        self.claim = self._compiled(claimed)
        self.read = self._compiled(each(found, t.key, given, self._dialect))
        self.answer = self._compiled(table.update().where(one).values(answer))
        self.release = self._compiled(table.delete().where(one))


def claim_many(session: Session, partner: str, keys: Iterable[str], hours: int) -> dict[str, Done]:
    """Take these keys for this transaction; of those that something was done under, return what.

    Whoever takes one of them too waits until this transaction has ended.
    """
    sql, now = session.storage.once(ManyRecordsSQL), session.storage.clock()
    stored = {_stored(key): key for key in keys}
    given = {"partner_id": partner, "rows": rows({"key": key} for key in sorted(stored))}
    times = {"now": instant(now), "expires_at": instant(now + hours * 3600)}
    session.run(sql.claim, {**given, **times, "fingerprint": ""})
    found = session.run(sql.read, given).fetchall()
    return {stored[key]: Done(fingerprint, status, json.loads(body)) for key, fingerprint, status, body in found}


def keep_many(session: Session, partner: str, done: Mapping[str, Done]) -> None:
    """Remember what has been done under keys that this transaction took."""
    sql = session.storage.once(ManyRecordsSQL)
    values = [
        {"partner_id": partner, "key": _stored(key), "new_fingerprint": one.fingerprint, "new_status": one.status}
        | {"new_body": json.dumps(one.answer), "new_tenant_id": one.tenant}
        for key, one in done.items()
    ]
    if values:
        session.run_many(sql.answer, values)


def release_many(session: Session, partner: str, keys: Iterable[str]) -> None:
    """Let others have keys that this transaction took and did nothing under."""
    values = [{"partner_id": partner, "key": _stored(key)} for key in keys]
    if values:
        session.run_many(session.storage.once(ManyRecordsSQL).release, values)


def _stored(key: str) -> str:
    return ROW_PREFIX + hashlib.sha256(key.encode()).hexdigest()
