"""Rows executed together: each is decided in memory after the ones before it, then all are written at once.

The results equal those of single calls in sequence. Used only if no hook or step can refuse a row. A fast path beside
`tenants.actions`, whose checks it repeats: compare the rates with ``tests/bench/bulk.py``.
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
from ...tenants.bulk_update import KnownTenant, lock_snapshot, make_known_tenant, update_many
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
        self._first_rows_elsewhere = load_first_rows(session, job, self._snapshot.ids()) | context.first_rows
        self._first_rows: dict[KnownTenant, int] = {}
        self._quota = context.quota
        self._plans = cache(partial(plans.load_allowed_plans, session, context.partner))
        self._changes: list[tuple[Transition, str]] = []
        self._creations: list[tuple[KnownTenant, Values, str]] = []
        self._released_claims: set[UniqueKey] = set()

    def decide_row(self, row: ValidatedRow) -> DeferredResult:
        """Decide a row against the state that the rows before it leave."""
        if row.action is None:
            return partial(row.fail, row.problem or ProvisioningError())
        try:
            known = self._find_tenant(row.action)
            if known is None:
                return self._create(row, row.action.values or {})
            return self._change(row, known, _decide_transition(row, row.action.decide, known.tenant, self._now))
        except ProvisioningError as error:
            return partial(row.fail, error)

    def finish(self) -> None:
        """Write the remaining changes, and record the first rows for later chunks."""
        self._write()
        first_rows = {known.tenant.id: number for known, number in self._first_rows.items()}
        save_first_rows(self._session, self._job, first_rows)
        self._context.first_rows.update(first_rows)

    def _find_tenant(self, action: RowAction) -> KnownTenant | None:
        """Return the row's tenant, or None if the row creates one. Raises `TenantNotFound`."""
        if not action.identifiers:
            return None
        if "external_id" in action.identifiers:
            known = self._snapshot.find_holder(("external_id", action.identifiers["external_id"]))
        else:
            known = self._snapshot.find(action.identifiers["id"])
        if known is None and action.values is not None:
            return None
        if known is None or action.identifiers.get("id", known.tenant.id) != known.tenant.id:
            raise TenantNotFound
        return known

    def _change(self, row: ValidatedRow, known: KnownTenant, transition: Transition) -> DeferredResult:
        if transition.after.plan != transition.before.plan:
            self._require_plan(transition.after.plan)
        claims = list(transition.unique_keys())
        if (other := self._find_holder(known, claims)) is not None:
            return partial(_refuse_duplicate, row, *other)
        self._require_first_row(row, known)
        if not transition.columns:
            return partial(_make_success, row, 200, known, is_unchanged=True)
        self._write_if_released(claims)
        self._released_claims |= self._snapshot.apply(known, transition)
        self._changes.append((transition, next(self._event_ids)))
        return partial(_make_success, row, 200, known)

    def _create(self, row: ValidatedRow, values: Values) -> DeferredResult:
        self._context.allowance.license.require_provisioning()
        if self._context.allowance.partner_with_plans is not None:
            self._require_plan(values.get("plan"))
        self._quota.require_place()
        claims = [("email", values["email_key"])]
        if values.get("external_id") is not None:
            claims.append(("external_id", values["external_id"]))
        if (other := self._find_holder(None, claims)) is not None:
            return partial(_refuse_duplicate, row, *other)
        self._quota.use()
        self._write_if_released(claims)
        tenant = build_tenant("", self._context.partner, values, format_instant(self._now), "active")
        known = make_known_tenant(tenant, values["email_key"])
        self._snapshot.add(known)
        self._first_rows[known] = row.number
        self._creations.append((known, values, next(self._event_ids)))
        return partial(_make_success, row, 201, known)

    def _require_plan(self, plan: str | None) -> None:
        if plan is not None and (problem := plans.find_plan_problem(plan, self._plans())):
            raise problem

    def _find_holder(self, known: KnownTenant | None, claims: Iterable[UniqueKey]) -> tuple[str, KnownTenant] | None:
        """Return the first field whose value another tenant holds, with that tenant."""
        for field, key in claims:
            holder = self._snapshot.find_holder((field, key))
            if holder is not None and holder is not known:
                return field, holder
        return None

    def _require_first_row(self, row: ValidatedRow, known: KnownTenant) -> None:
        first = self._first_rows_elsewhere.get(known.tenant.id) or self._first_rows.setdefault(known, row.number)
        if first != row.number:
            raise DuplicateRow(f"Row {first} refers to the same tenant.", first_row=first)

    def _write_if_released(self, claims: Iterable[UniqueKey]) -> None:
        """Write the pending changes if they release one of `claims`: one statement cannot release and claim a value."""
        if not self._released_claims.isdisjoint(claims):
            self._write()

    def _write(self) -> None:
        session, actor, partner, at = (
            self._session,
            self._context.actor,
            self._context.partner,
            format_instant(self._now),
        )
        transitions, ids = [transition for transition, _ in self._changes], [event_id for _, event_id in self._changes]
        update_many(session, actor, partner, transitions, at, ids)
        values, ids = [values for _, values, _ in self._creations], [event_id for _, _, event_id in self._creations]
        allowance = Allowance(self._context.allowance.license, ())
        tenants = create_many(session, actor, partner, values, allowance, at, ids) if values else []
        for (known, _, _), tenant in zip(self._creations, tenants, strict=True):
            if not isinstance(tenant, Tenant):
                raise StaleRead("a concurrent request claimed the value") from tenant
            known.tenant = tenant
        self._changes, self._creations, self._released_claims = [], [], set()


def _collect_identifiers(actions: Iterable[RowAction]) -> Iterator[Mapping[str, str]]:
    """Yield the identifiers and claims by which to load the tenants of the rows."""
    for action in actions:
        if action.identifiers:
            yield action.identifiers
        if action.claims:
            yield action.claims


def _decide_transition(row: ValidatedRow, decide: DecideTransition, tenant: Tenant, now: float) -> Transition:
    """Return the transition of the tenant. Raises `ProvisioningError` if the row is refused."""
    try:
        return decide(tenant, now)
    except ProvisioningError:
        raise
    except Exception as error:
        logger.exception("row %d of a bulk job failed", row.number, extra={"row": row.number})
        raise ProvisioningError from error


def _refuse_duplicate(row: ValidatedRow, field: str, holder: KnownTenant) -> RowResult:
    return row.fail(make_conflict(field, holder.tenant.id))


def _make_success(row: ValidatedRow, status: int, known: KnownTenant, *, is_unchanged: bool = False) -> RowResult:
    return make_success(row.number, status, known.tenant, is_unchanged=is_unchanged)
