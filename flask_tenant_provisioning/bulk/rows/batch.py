"""Rows executed together: each is decided in memory after the ones before it, then all are written at once.

The results equal those of single calls in sequence. Used only where no hook or step can refuse a row.
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
from ...tenants.actions import EMPTY_VALUES, Values, build_tenant
from ...tenants.bulk_insert import create_many
from ...tenants.bulk_update import KnownTenant, lock_snapshot, make_known_tenant, update_many
from ...tenants.models import Tenant
from ...tenants.mutations import Transition, UniqueKey, make_conflict
from ...tenants.quotas import Allowance
from ..models import Job
from ..results import RowResult, make_success
from .duplicates import load_first_rows, save_first_rows
from .operations import DecideTransition, RowAction, RowContext, ValidatedRow

logger = logging.getLogger(__name__)
#: Tells what came of a row, once all is written: the id of a new tenant is not known before.
DeferredResult = Callable[[], RowResult]


def execute_batch(session: Session, setting: RowContext, job: Job, rows: Sequence[ValidatedRow]) -> list[RowResult]:
    """Do the rows of a chunk. Raises `Outdated` where somebody else was faster with one of their tenants."""
    together = _Batch(session, setting, job, rows)
    outcomes = [together.decide_row(one) for one in rows]
    together.end()
    return [outcome() for outcome in outcomes]


class _Batch:
    """What the rows so far have come to, and what of it is not written yet."""

    def __init__(self, session: Session, setting: RowContext, job: Job, rows: Sequence[ValidatedRow]) -> None:
        self._session, self._setting, self._job = session, setting, job
        self._now = session.storage.clock()
        #: The feed's order is that of the instants, then of the ids: both are those of the rows.
        self._event_ids = iter(session.storage.make_ids(len(rows)))
        self._snapshot = lock_snapshot(
            session, setting.partner, _collect_identifiers(one.act for one in rows if one.act is not None)
        )
        self._first_rows_elsewhere = load_first_rows(session, job, self._snapshot.ids()) | setting.firsts
        self._firsts: dict[KnownTenant, int] = {}
        self._room = setting.room
        self._plans = cache(partial(plans.load_allowed_plans, session, setting.partner))
        self._changed: list[tuple[Transition, str]] = []
        self._new: list[tuple[KnownTenant, Values, str]] = []
        self._released_claims: set[UniqueKey] = set()

    def decide_row(self, one: ValidatedRow) -> DeferredResult:
        """Decide a row."""
        if one.act is None:
            return partial(one.refused, one.problem or ProvisioningError())
        try:
            known = self._meant(one.act)
            if known is None:
                return self._create(one, one.act.values or {})
            return self._change(one, known, _decide_transition(one, one.act.plan, known.tenant, self._now))
        except ProvisioningError as error:
            return partial(one.refused, error)

    def end(self) -> None:
        """Write what is left to be written."""
        self._write()
        found = {known.tenant.id: row for known, row in self._firsts.items()}
        save_first_rows(self._session, self._job, found)
        self._setting.firsts.update(found)

    def _meant(self, act: RowAction) -> KnownTenant | None:
        """The tenant that a row means; None where it makes one. Raises `TenantNotFound`."""
        if not act.named:
            return None
        if "external_id" in act.named:
            found = self._snapshot.holder(("external_id", act.named["external_id"]))
        else:
            found = self._snapshot.find(act.named["id"])
        if found is None and act.values is not None:
            return None
        if found is None or act.named.get("id", found.tenant.id) != found.tenant.id:
            raise TenantNotFound
        return found

    def _change(self, one: ValidatedRow, known: KnownTenant, transition: Transition) -> DeferredResult:
        if transition.after.plan != transition.before.plan:
            self._require_plan(transition.after.plan)
        claims = list(transition.claims())
        if (other := self._find_holder(known, claims)) is not None:
            return partial(_refuse_duplicate, one, *other)
        self._require_first(one, known)
        if not transition.columns:
            return partial(_make_success, one, 200, known, is_unchanged=True)
        self._write_if_released(claims)
        self._released_claims |= self._snapshot.change(known, transition)
        self._changed.append((transition, next(self._event_ids)))
        return partial(_make_success, one, 200, known)

    def _create(self, one: ValidatedRow, values: Values) -> DeferredResult:
        self._setting.allowance.license.require_provisioning()
        if self._setting.allowance.plans_of is not None:
            self._require_plan(values.get("plan"))
        self._room.require()
        claims = [("email", values["email_key"])]
        if values.get("external_id") is not None:
            claims.append(("external_id", values["external_id"]))
        if (other := self._find_holder(None, claims)) is not None:
            return partial(_refuse_duplicate, one, *other)
        self._room.take()
        self._write_if_released(claims)
        tenant = build_tenant(
            "", self._setting.partner, {**EMPTY_VALUES, **values}, format_instant(self._now), "active"
        )
        known = make_known_tenant(tenant, values["email_key"])
        self._snapshot.add(known)
        self._firsts[known] = one.row.number
        self._new.append((known, values, next(self._event_ids)))
        return partial(_make_success, one, 201, known)

    def _require_plan(self, plan: str | None) -> None:
        if plan is not None and (problem := plans.find_plan_problem(plan, self._plans())):
            raise problem

    def _find_holder(self, known: KnownTenant | None, claims: Iterable[UniqueKey]) -> tuple[str, KnownTenant] | None:
        """The first field that another tenant holds, and who does."""
        for field, key in claims:
            holder = self._snapshot.holder((field, key))
            if holder is not None and holder is not known:
                return field, holder
        return None

    def _require_first(self, one: ValidatedRow, known: KnownTenant) -> None:
        first = self._first_rows_elsewhere.get(known.tenant.id) or self._firsts.setdefault(known, one.row.number)
        if first != one.row.number:
            raise DuplicateRow(f"Row {first} means the same tenant.", first_row=first)

    def _write_if_released(self, claims: Iterable[UniqueKey]) -> None:
        """Write what has been decided where some of it gives up what is claimed now: one statement does not do both."""
        if not self._released_claims.isdisjoint(claims):
            self._write()

    def _write(self) -> None:
        session, actor, partner, at = (
            self._session,
            self._setting.actor,
            self._setting.partner,
            format_instant(self._now),
        )
        transitions, ids = [one for one, _ in self._changed], [event_id for _, event_id in self._changed]
        update_many(session, actor, partner, transitions, at, ids)
        values, ids = [values for _, values, _ in self._new], [event_id for _, _, event_id in self._new]
        decided = Allowance(self._setting.allowance.license, ())
        made = create_many(session, actor, partner, values, decided, at, ids) if values else []
        for (known, _, _), tenant in zip(self._new, made, strict=True):
            if not isinstance(tenant, Tenant):
                raise StaleRead("somebody else was faster") from tenant
            known.tenant = tenant
        self._changed, self._new, self._released_claims = [], [], set()


def _collect_identifiers(acts: Iterable[RowAction]) -> Iterator[Mapping[str, str]]:
    """What the tenants are found by of which the rows speak."""
    for act in acts:
        if act.named:
            yield act.named
        if act.wanted:
            yield act.wanted


def _decide_transition(one: ValidatedRow, plan: DecideTransition, tenant: Tenant, now: float) -> Transition:
    """What the row makes of the tenant. Raises the problem that it meets."""
    try:
        return plan(tenant, now)
    except ProvisioningError:
        raise
    except Exception as error:
        logger.exception("row %d of a bulk job failed", one.row.number, extra={"row": one.row.number})
        raise ProvisioningError from error


def _refuse_duplicate(one: ValidatedRow, field: str, holder: KnownTenant) -> RowResult:
    return one.refused(make_conflict(field, holder.tenant.id))


def _make_success(one: ValidatedRow, status: int, known: KnownTenant, *, is_unchanged: bool = False) -> RowResult:
    return make_success(one.row.number, status, known.tenant, is_unchanged=is_unchanged)
