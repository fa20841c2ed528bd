"""SQL statements of bulk jobs, compiled once per storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    true,
)

from ..database.lease import Lease, is_over
from ..database.session import Storage
from ..database.statements import (
    SQL,
    Statement,
    bind_columns,
    bind_new_values,
    look_up_each,
    match_key,
    select_incoming,
)
from .models import Chunk, Job

#: Columns with the quota reserved for a chunk.
_RESERVED_QUOTA = ("license_room", "partner_room")
#: Columns written when a job ends, and when a chunk is done.
_FINISHED_JOB = ("state", "succeeded", "failed", "unchanged", "finished_at", "due_at")
_FINISHED_CHUNK = ("succeeded", "failed", "unchanged", "results", "payload", "done_at", *_RESERVED_QUOTA)
#: Columns of a chunk to read its results without its rows.
_RESULT_COLUMNS = ("first_row", "rows", "results")


class BulkSQL(SQL):
    """The statements on jobs, chunks and duplicate keys of one storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._jobs, self._chunks = storage.table("bulk_jobs"), storage.table("bulk_chunks")
        self._keys = storage.table("bulk_keys")
        j = self._jobs.c
        self._partner: Any = bindparam("partner_id", type_=j.partner_id.type)
        self._now: Any = bindparam("now", type_=j.due_at.type)
        self._limit: Any = bindparam("limit", type_=Integer)
        self._one_job = and_(j.partner_id == self._partner, j.id == bindparam("job_id", type_=j.id.type))
        self._chunks_of_job = match_key(self._chunks, "partner_id", "job_id")
        self._compile_job_statements()
        self._compile_chunk_statements()
        self._compile_key_statements()

    def _compile_job_statements(self) -> None:
        """Compile the statements on jobs."""
        j = self._jobs.c
        rows = select(*(j[name] for name in Job._fields))
        self.add_job = self._compile(insert(self._jobs).values(bind_columns(self._jobs)))
        self.job = self._compile(rows.where(self._one_job))
        self.job_of_any_partner = self._compile(rows.where(j.id == bindparam("job_id", type_=j.id.type)))
        self.lock_job = self._compile(rows.where(self._one_job).with_for_update())
        self.due_jobs = self._compile(rows.where(j.due_at <= self._now))
        self.finish_job = self._compile(
            self._jobs.update().where(self._one_job).values(bind_new_values(j, _FINISHED_JOB))
        )
        started = {"state": "running", "started_at": func.coalesce(j.started_at, self._now)}
        self.start_job = self._compile(self._jobs.update().where(self._one_job, j.state == "queued").values(started))
        received = {"state": "queued", "due_at": self._now}
        counts = bind_new_values(j, ("rows", "chunks"))
        self.queue_job = self._compile(self._jobs.update().where(self._one_job).values({**received, **counts}))
        open_jobs = select(func.count()).where(j.partner_id == self._partner, j.finished_at.is_(None))
        self.count_open_jobs = self._compile(open_jobs)
        changed = bind_new_values(j, ("state", "finished_at", "due_at"))
        self.change_job = self._compile(self._jobs.update().where(self._one_job).values(changed))
        old = select(j.partner_id, j.id).where(j.created_at < bindparam("before", type_=j.created_at.type))
        ended = or_(j.finished_at.is_not(None), j.state == "receiving")
        self.old_jobs = self._compile(old.where(ended).order_by(j.created_at).limit(self._limit))
        self.abandoned_uploads = self._compile(
            old.where(j.state == "receiving").order_by(j.created_at).limit(self._limit)
        )
        self.remove_job = self._compile(self._jobs.delete().where(self._one_job))

    def _compile_chunk_statements(self) -> None:
        """Compile the statements on chunks."""
        c = self._chunks.c
        self.add_chunk = self._compile(insert(self._chunks).values(bind_columns(self._chunks)))
        is_free = and_(c.done_at.is_(None), is_over(c.leased_until, self._now))
        free_chunks = select(c.number, c.fence, c.claims).where(self._chunks_of_job, is_free)
        self.free_chunks = self._compile(free_chunks.order_by(c.number).limit(self._limit))
        claimed = {"claims": c.claims + 1}
        self.lease = Lease(self._chunks, self._dialect, "leased_until", is_free=is_free, claimed=claimed)
        held = self._chunks.update().where(self.lease.is_held)
        self.invalidate_claim = self._compile(held.where(is_free).values(fence=c.fence + 1))
        finished = bind_new_values(c, _FINISHED_CHUNK)
        self.finish_chunk = self._compile(held.values({**finished, "fence": c.fence + 1}))
        quota = select(*(c[name] for name in _RESERVED_QUOTA))
        self.lock_reserved_quota = self._compile(quota.where(self.lease.is_held).with_for_update())
        self.save_reserved_quota = self._compile(held.values(bind_new_values(c, _RESERVED_QUOTA)))
        abandoned = and_(or_(c.license_room > 0, c.partner_room > 0), is_over(c.leased_until, self._now))
        names = (c.partner_id, c.job_id, c.number, c.fence)
        self.abandoned_quota = self._compile(select(*names).where(abandoned).limit(self._limit))
        one_chunk = match_key(self._chunks, "partner_id", "job_id", "number")
        self.chunk = self._compile(select(*(c[name] for name in Chunk._fields)).where(one_chunk))
        totals = (func.coalesce(func.sum(c[name]), 0) for name in ("succeeded", "failed", "unchanged"))
        processed = func.coalesce(func.sum(case((c.done_at.is_(None), 0), else_=c.rows)), 0)
        self.tally_chunks = self._compile(select(*totals, processed).where(self._chunks_of_job))
        self.unfinished_chunk = self._compile(select(c.number).where(self._chunks_of_job, c.done_at.is_(None)).limit(1))
        last = c.first_row + c.rows > bindparam("first", type_=Integer)
        self._has_results = and_(self._chunks_of_job, last, c.results.is_not(None))
        size = func.coalesce(func.sum(func.length(c.payload) + func.coalesce(func.length(c.results), 0)), 0)
        budget = bindparam("budget", type_=BigInteger)
        self.partners_over_budget = self._compile(select(c.partner_id).group_by(c.partner_id).having(size > budget))
        j = self._jobs.c
        of_job = and_(c.partner_id == j.partner_id, c.job_id == j.id)
        sizes = select(j.id, size).where(j.partner_id == self._partner, j.finished_at.is_not(None), of_job)
        newest_first = (j.finished_at.desc(), j.id.desc())
        self.job_sizes = self._compile(sizes.group_by(j.id, j.finished_at).order_by(*newest_first))
        self.remove_chunks = self._compile(self._chunks.delete().where(self._chunks_of_job))

    def _compile_key_statements(self) -> None:
        """Compile the statements on the keys that detect duplicate rows."""
        k = self._keys.c
        keys_of_job = and_(k.partner_id == self._partner, k.job_id == bindparam("job_id", type_=k.job_id.type))
        one_key = and_(keys_of_job, k.key == bindparam("key", type_=k.key.type))
        self.first_row = self._compile(select(k.row).where(one_key))
        insert = self._insert(self._keys)
        self.add_key = self._compile(insert.values(bind_columns(self._keys)).on_conflict_do_nothing())
        incoming = select_incoming(self._dialect, key=k.key.type, row=k.row.type)
        self.first_rows = self._compile(
            look_up_each(select(k.key, k.row).where(keys_of_job), k.key, incoming, self._dialect)
        )
        job = (self._partner, bindparam("job_id", type_=k.job_id.type))
        added = insert.from_select(list(k), select(*job, incoming.c.key, incoming.c.row).where(true()))
        self.add_keys = self._compile(added.on_conflict_do_nothing())
        self.remove_keys = self._compile(self._keys.delete().where(keys_of_job))

    def select_job_page(self, *, of_partner: bool, in_state: bool, after: bool) -> Statement:
        """Return the statement of a page of jobs, newest first, without jobs that are still being received."""
        return self._once(self._build_job_page, of_partner, in_state, after)

    def select_next_chunk(self, state: str | None, *, all_columns: bool) -> Statement:
        """Return the statement of the first chunk that has results in `state`, or in any state if that is None.

        It selects the first row, the number of rows and the results, or with `all_columns` all columns of the chunk.
        """
        return self._once(self._build_next_chunk, state, all_columns)

    def _build_job_page(self, of_partner: bool, in_state: bool, after: bool) -> Any:
        j = self._jobs.c
        rows = select(*(j[name] for name in Job._fields)).where(j.state != "receiving")
        if of_partner:
            rows = rows.where(j.partner_id == self._partner)
        if in_state:
            rows = rows.where(j.state == bindparam("state", type_=j.state.type))
        if after:
            rows = rows.where(j.id < bindparam("after", type_=j.id.type))
        return rows.order_by(j.id.desc()).limit(self._limit)

    def _build_next_chunk(self, state: str | None, all_columns: bool) -> Any:
        c = self._chunks.c
        names = Chunk._fields if all_columns else _RESULT_COLUMNS
        chunks = select(*(c[name] for name in names)).where(self._has_results)
        if state in ("succeeded", "failed", "unchanged"):
            chunks = chunks.where(c[state] > 0)
        return chunks.order_by(c.number).limit(1)


def has_due_jobs(storage: Storage) -> ColumnElement[bool]:
    """Return the condition that any job is due at the instant `now`."""
    jobs = storage.table("bulk_jobs")
    return select(jobs.c.id).where(jobs.c.due_at <= bindparam("now", type_=jobs.c.due_at.type)).exists()


def select_waiting_jobs(storage: Storage) -> Select[Any]:
    """Select when each job due at the instant `now` was last worked on, or became due, as `since`.

    Only the oldest due job of each partner counts, since the others wait for it. A job whose chunk was claimed counts
    as active until that lease expires, even if the chunk is finished.
    """
    jobs, chunks = storage.table("bulk_jobs"), storage.table("bulk_chunks")
    j, c, older = jobs.c, chunks.c, jobs.alias("older").c
    now: Any = bindparam("now", type_=j.due_at.type)
    of_job = and_(c.partner_id == j.partner_id, c.job_id == j.id)
    claimed = select(func.max(c.leased_until)).where(of_job).scalar_subquery()
    is_first = ~select(older.id).where(older.partner_id == j.partner_id, older.id < j.id, older.due_at <= now).exists()
    waiting = select(j.due_at, claimed.label("claimed")).where(j.due_at <= now, is_first).subquery("waiting")
    since = case((waiting.c.claimed > waiting.c.due_at, waiting.c.claimed), else_=waiting.c.due_at)
    return select(since.label("since")).where(since <= now)


class ErasureSQL(SQL):
    """The statements that erase purged tenants from the jobs of one storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        jobs, chunks = storage.table("bulk_jobs"), storage.table("bulk_chunks")
        j, c = jobs.c, chunks.c
        partner: Any = bindparam("partner_id", type_=j.partner_id.type)
        after = j.id > bindparam("after", type_=j.id.type)
        page = select(*(j[name] for name in Job._fields)).where(j.partner_id == partner, after)
        self.jobs = self._compile(page.order_by(j.id).limit(bindparam("limit", type_=Integer)))
        job_id: Any = bindparam("job_id", type_=c.job_id.type)
        of_job = and_(c.partner_id == partner, c.job_id == job_id)
        one_chunk = and_(of_job, c.number == bindparam("number", type_=Integer))
        self.erase = self._compile(chunks.update().where(one_chunk).values(bind_new_values(c, ("payload", "results"))))
