"""Rows executed together: each row is decided in memory, in order, and then all are written at once.

The results equal those of single calls in sequence. Used only if no hook or step can refuse a row. This fast path
repeats the checks of `tenants.actions`; ``tests/bench/bulk.py`` measures what it gains.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial

from ...database.errors import StaleRead
from ...database.ids import format_instant
from ...database.session import Session
from ...errors import DuplicateRow, ProvisioningError, TenantNotFound
from ...tenants import plans
from ...tenants.bulk_insert import create_many
from ...tenants.bulk_update import SnapshotEntry, lock_snapshot, make_snapshot_entry, update_many
from ...tenants.models import Tenant, Values, build_tenant
from ...tenants.mutations import Transition, UniqueKey, make_conflict
from ...tenants.quotas import Allowance
from ..models import Job
from ..results import RowResult, make_success
from .duplicates import load_first_rows, save_first_rows
from .operations import DecideTransition, RowAction, RowContext, ValidatedRow

logger = logging.getLogger(__name__)
#: Returns the result of a row after all rows are written: until then a new tenant has no id.
DeferredResult = Callable[[], RowResult]


def execute_batch(session: Session, context: RowContext, job: Job, rows: Sequence[ValidatedRow]) -> list[RowResult]:
    """Execute the rows of a chunk. Raises `StaleRead` if a concurrent request changed one of their tenants."""
    batch = _Batch(session, context, job, rows)
    results = [batch.decide_row(row) for row in rows]
    batch.finish()
    return [result() for result in results]


class _Batch:
    """The effects of the rows decided so far, and which of them are not written yet."""

    def __init__(self, session: Session, context: RowContext, job: Job, rows: Sequence[ValidatedRow]) -> None:
        self._session, self._context, self._job = session, context, job
        self._now = session.storage.clock()
        #: Taken in row order, since the event feed is ordered by instant and id.
        self._event_ids = iter(session.storage.make_ids(len(rows)))
        self._snapshot = lock_snapshot(
            session, context.partner, _collect_identifiers(row.action for row in rows if row.action is not None)
        )
        self._first_rows_elsewhere = load_first_rows(session, job, self._snapshot.list_ids()) | context.first_rows
        self._first_rows: dict[SnapshotEntry, int] = {}
        self._quota = context.quota
        self._load_plans = cache(partial(plans.load_allowed_plans, session, context.partner))
        self._changes: list[tuple[Transition, str]] = []
        self._creations: list[tuple[SnapshotEntry, Values, str]] = []
        self._released_keys: set[UniqueKey] = set()

    def decide_row(self, row: ValidatedRow) -> DeferredResult:
        """Decide a row against the state that the rows before it leave."""
        if row.action is None:
            return partial(row.fail, row.problem or ProvisioningError())
        try:
            entry = self._find_entry(row.action)
            if entry is None:
                return self._create(row, row.action.values or {})
            return self._change(row, entry, self._decide_transition(row, row.action.decide, entry.tenant))
        except ProvisioningError as error:
            return partial(row.fail, error)

    def finish(self) -> None:
        """Write the remaining changes, and record the first rows for later chunks."""
        self._write()
        first_rows = {entry.tenant.id: number for entry, number in self._first_rows.items()}
        save_first_rows(self._session, self._job, first_rows)
        self._context.first_rows.update(first_rows)

    def _find_entry(self, action: RowAction) -> SnapshotEntry | None:
        """Return the row's tenant, or None if the row creates one. Raises `TenantNotFound`."""
        if not action.identifiers:
            return None
        if "external_id" in action.identifiers:
            entry = self._snapshot.find_holder(("external_id", action.identifiers["external_id"]))
        else:
            entry = self._snapshot.find(action.identifiers["id"])
        if entry is None and action.values is not None:
            return None
        if entry is None or action.identifiers.get("id", entry.tenant.id) != entry.tenant.id:
            raise TenantNotFound
        return entry

    def _decide_transition(self, row: ValidatedRow, decide: DecideTransition, tenant: Tenant) -> Transition:
        """Return the transition of the tenant. Raises `ProvisioningError` if the row is refused."""
        try:
            return decide(tenant, self._now)
        except ProvisioningError:
            raise
        except Exception as error:
            extra = {"job": self._job.id, "partner": self._job.partner_id, "row": row.number}
            logger.exception("row %d of a bulk job failed", row.number, extra=extra)
            raise ProvisioningError from error

    def _change(self, row: ValidatedRow, entry: SnapshotEntry, transition: Transition) -> DeferredResult:
        if transition.after.plan != transition.before.plan:
            self._require_plan(transition.after.plan)
        unique_keys = list(transition.unique_keys())
        conflict = self._find_conflict(entry, unique_keys)
        if conflict is not None:
            return partial(_refuse_duplicate, row, *conflict)
        self._require_first_row(row, entry)
        if not transition.columns:
            return partial(_make_success, row, 200, entry, is_unchanged=True)
        self._write_if_released(unique_keys)
        self._released_keys |= self._snapshot.apply(entry, transition)
        self._changes.append((transition, next(self._event_ids)))
        return partial(_make_success, row, 200, entry)

    def _create(self, row: ValidatedRow, values: Values) -> DeferredResult:
        self._context.allowance.license.require_provisioning()
        if self._context.allowance.partner_with_plans is not None:
            self._require_plan(values.get("plan"))
        self._quota.require_place()
        unique_keys = [("email", values["email_key"])]
        if values.get("external_id") is not None:
            unique_keys.append(("external_id", values["external_id"]))
        conflict = self._find_conflict(None, unique_keys)
        if conflict is not None:
            return partial(_refuse_duplicate, row, *conflict)
        self._quota.use()
        self._write_if_released(unique_keys)
        tenant = build_tenant("", self._context.partner, values, format_instant(self._now), "active")
        entry = make_snapshot_entry(tenant, values["email_key"])
        self._snapshot.add(entry)
        self._first_rows[entry] = row.number
        self._creations.append((entry, values, next(self._event_ids)))
        return partial(_make_success, row, 201, entry)

    def _require_plan(self, plan: str | None) -> None:
        problem = None if plan is None else plans.find_plan_problem(plan, self._load_plans())
        if problem is not None:
            raise problem

    def _find_conflict(
        self, entry: SnapshotEntry | None, unique_keys: Iterable[UniqueKey]
    ) -> tuple[str, SnapshotEntry] | None:
        """Return the first field whose value another tenant holds, with that tenant."""
        for field, key in unique_keys:
            holder = self._snapshot.find_holder((field, key))
            if holder is not None and holder is not entry:
                return field, holder
        return None

    def _require_first_row(self, row: ValidatedRow, entry: SnapshotEntry) -> None:
        first_row = self._first_rows_elsewhere.get(entry.tenant.id) or self._first_rows.setdefault(entry, row.number)
        if first_row != row.number:
            raise DuplicateRow(f"Row {first_row} refers to the same tenant.", first_row=first_row)

    def _write_if_released(self, unique_keys: Iterable[UniqueKey]) -> None:
        """Write the pending changes if they release one of `unique_keys`.

        One statement cannot release a value and use it again.
        """
        if not self._released_keys.isdisjoint(unique_keys):
            self._write()

    def _write(self) -> None:
        session, actor, partner = self._session, self._context.actor, self._context.partner
        at = format_instant(self._now)
        if self._changes:
            transitions = [transition for transition, _ in self._changes]
            event_ids = [event_id for _, event_id in self._changes]
            update_many(session, actor, partner, transitions, at, event_ids)
        if self._creations:
            values = [values for _, values, _ in self._creations]
            event_ids = [event_id for _, _, event_id in self._creations]
            allowance = Allowance(self._context.allowance.license, ())
            tenants = create_many(session, actor, partner, values, allowance, at, event_ids)
            for (entry, _, _), tenant in zip(self._creations, tenants, strict=True):
                if not isinstance(tenant, Tenant):
                    raise StaleRead("a concurrent request claimed the value") from tenant
                entry.tenant = tenant
        self._changes, self._creations, self._released_keys = [], [], set()


def _collect_identifiers(actions: Iterable[RowAction]) -> Iterator[Mapping[str, str]]:
    """Yield the identifiers and unique keys by which to load the tenants of the rows."""
    for action in actions:
        if action.identifiers:
            yield action.identifiers
        if action.unique_keys:
            yield action.unique_keys


def _refuse_duplicate(row: ValidatedRow, field: str, holder: SnapshotEntry) -> RowResult:
    return row.fail(make_conflict(field, holder.tenant.id))


def _make_success(row: ValidatedRow, status: int, entry: SnapshotEntry, *, is_unchanged: bool = False) -> RowResult:
    return make_success(row.number, status, entry.tenant, is_unchanged=is_unchanged)
