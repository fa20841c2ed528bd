"""Idempotency keys of rows: a row with a key takes effect once, in the same upload or in another."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, null, select, true

from ...database.ids import format_instant
from ...database.session import Session, Storage
from ...database.statements import SQL, bind_columns, bind_new_values, encode_rows, look_up_each, select_incoming
from ...errors import IdempotencyKeyReused
from ...web.idempotency import ROW_PREFIX
from ..models import Job
from ..results import RowResult
from .operations import RowContext, RowStrategy, ValidatedRow


def execute_once(
    session: Session, context: RowContext, job: Job, rows: Sequence[ValidatedRow], strategy: RowStrategy
) -> list[RowResult]:
    """Execute `rows` by `strategy`, except those whose idempotency key has taken effect before."""
    keys = {row.idempotency_key.key for row in rows if row.idempotency_key is not None}
    if not keys:
        return strategy(session, context, job, rows)
    earlier_rows = claim_row_keys(session, context.partner, keys, context.api.config.idempotency_hours)
    stored_rows, ordered_results, remaining = dict(earlier_rows), list[RowResult](), deque(rows)
    while remaining:
        replayed_results, new_rows = _take_independent_rows(remaining, stored_rows)
        results = {result.row: result for result in strategy(session, context, job, new_rows)}
        ordered_results += [result for _, result in sorted((replayed_results | results).items())]
        stored_rows |= _make_stored_rows(new_rows, [results[row.number] for row in new_rows])
    save_rows(session, context.partner, {key: row for key, row in stored_rows.items() if key not in earlier_rows})
    release_row_keys(session, context.partner, keys - stored_rows.keys())
    return ordered_results


def _replay_result(row: ValidatedRow, stored_rows: Mapping[str, StoredRow]) -> RowResult | None:
    """Return the stored result for the row's key, a failure if the key belongs to another row, or None if it is new."""
    if row.idempotency_key is None or row.idempotency_key.key not in stored_rows:
        return None
    stored_row = stored_rows[row.idempotency_key.key]
    if stored_row.fingerprint != row.idempotency_key.fingerprint:
        return row.fail(IdempotencyKeyReused("Another row was sent with this key before."))
    tenant, external_id = stored_row.document
    return RowResult(row.number, "unchanged", stored_row.status, tenant, external_id, None)


def _take_independent_rows(
    remaining: deque[ValidatedRow], stored_rows: Mapping[str, StoredRow]
) -> tuple[dict[int, RowResult], list[ValidatedRow]]:
    """Take rows from the beginning of `remaining` until one repeats the key of a row taken before it.

    Returns the results of rows that took effect before, by row number, and the rows to execute.
    """
    replayed_results, new_rows, new_keys = dict[int, RowResult](), list[ValidatedRow](), set[str]()
    while remaining and (remaining[0].idempotency_key is None or remaining[0].idempotency_key.key not in new_keys):
        row = remaining.popleft()
        result = _replay_result(row, stored_rows)
        if result is not None:
            replayed_results[row.number] = result
            continue
        new_rows.append(row)
        if row.idempotency_key is not None:
            new_keys.add(row.idempotency_key.key)
    return replayed_results, new_rows


def _make_stored_rows(rows: Sequence[ValidatedRow], results: Sequence[RowResult]) -> dict[str, StoredRow]:
    """Return the rows to store under their keys; failed rows are left out."""
    return {
        row.idempotency_key.key: StoredRow(
            row.idempotency_key.fingerprint, result.status or 0, [result.tenant, result.external_id], result.tenant
        )
        for row, result in zip(rows, results, strict=True)
        if row.idempotency_key is not None and result.state != "failed"
    }


class StoredRow(NamedTuple):
    """The stored result of a bulk row: the row's fingerprint, the status, and JSON about the tenant."""

    fingerprint: str
    status: int
    document: Any
    tenant_id: str | None = None


class RowKeySQL(SQL):
    """The statements on the keys of rows, which are stored with those of requests."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        table = storage.table("idempotency")
        t, bound = table.c, bind_columns(table)
        incoming = select_incoming(self._dialect, key=t.key.type)
        is_partner = t.partner_id == bound["partner_id"]
        insert = self._insert(table)
        values = (bound["partner_id"], incoming.c.key, bound["fingerprint"], bound["expires_at"])
        claim = insert.from_select(
            ["partner_id", "key", "fingerprint", "expires_at"], select(*values).where(true()).order_by(incoming.c.key)
        ).on_conflict_do_update(
            index_elements=[t.partner_id, t.key],
            set_={"expires_at": insert.excluded.expires_at, "status": null()},
            where=t.expires_at <= bindparam("now", type_=t.expires_at.type),
        )
        rows = select(t.key, t.fingerprint, t.status, t.body).where(is_partner, t.status.is_not(None))
        is_key = is_partner & (t.key == bound["key"])
        result = bind_new_values(t, ("fingerprint", "status", "body", "tenant_id"))
        self.claim = self._compile(claim)
        self.read = self._compile(look_up_each(rows, t.key, incoming, self._dialect))
        self.save = self._compile(table.update().where(is_key).values(result))
        self.release = self._compile(table.delete().where(is_key))


def claim_row_keys(session: Session, partner: str, keys: Iterable[str], hours: int) -> dict[str, StoredRow]:
    """Claim these keys for this transaction, and return the results stored under them by key.

    Another transaction that claims one of them waits until this one ends.
    """
    sql, now = session.storage.once(RowKeySQL), session.storage.clock()
    keys_by_hash = {_hash_key(key): key for key in keys}
    parameters = {"partner_id": partner, "rows": encode_rows({"key": hashed} for hashed in sorted(keys_by_hash))}
    times = {"now": format_instant(now), "expires_at": format_instant(now + hours * 3600)}
    session.run(sql.claim, {**parameters, **times, "fingerprint": ""})
    rows = session.run(sql.read, parameters).fetchall()
    return {
        keys_by_hash[hashed]: StoredRow(fingerprint, status, json.loads(body))
        for hashed, fingerprint, status, body in rows
    }


def save_rows(session: Session, partner: str, rows: Mapping[str, StoredRow]) -> None:
    """Store the results of rows under keys that this transaction claimed."""
    sql = session.storage.once(RowKeySQL)
    values = [
        {"partner_id": partner, "key": _hash_key(key), "new_fingerprint": row.fingerprint, "new_status": row.status}
        | {"new_body": json.dumps(row.document), "new_tenant_id": row.tenant_id}
        for key, row in rows.items()
    ]
    if values:
        session.run_many(sql.save, values)


def release_row_keys(session: Session, partner: str, keys: Iterable[str]) -> None:
    """Release keys that this transaction claimed without a result."""
    values = [{"partner_id": partner, "key": _hash_key(key)} for key in keys]
    if values:
        session.run_many(session.storage.once(RowKeySQL).release, values)


def _hash_key(key: str) -> str:
    return ROW_PREFIX + hashlib.sha256(key.encode()).hexdigest()
