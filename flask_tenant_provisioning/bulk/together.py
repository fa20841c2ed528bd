"""Rows done together: each is decided in its turn by what the ones before leave, then all is written at once.

The outcome is that of single calls one after the other. Only where nobody takes part in them who may refuse one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial

from ..database import Outdated, Session, instant
from ..problems import DuplicateRow, ProvisioningError, TenantNotFound
from ..tenants import plans
from ..tenants.actions import EMPTY, Values, new
from ..tenants.changing import change_many
from ..tenants.conflicts import taken
from ..tenants.creating import create_many
from ..tenants.models import Tenant
from ..tenants.scene import Known, created, look
from ..tenants.transition import Claim, Transition
from ..tenants.usage import Allowance
from .checking import Checked
from .firsts import firsts, keep_firsts
from .models import Job
from .operations import Act, Plan, Setting
from .results import Result, done

logger = logging.getLogger(__name__)

#: Tells what came of a row, once all is written: the id of a new tenant is not known before.
Outcome = Callable[[], Result]


def done_together(session: Session, setting: Setting, job: Job, rows: Sequence[Checked]) -> list[Result]:
    """Do the rows of a chunk. Raises `Outdated` where somebody else was faster with one of their tenants."""
    together = _Together(session, setting, job, rows)
    outcomes = [together.decided(one) for one in rows]
    together.end()
    return [outcome() for outcome in outcomes]


class _Together:
    """What the rows so far have come to, and what of it is not written yet."""

    def __init__(self, session: Session, setting: Setting, job: Job, rows: Sequence[Checked]) -> None:
        self._session, self._setting, self._job = session, setting, job
        self._now = session.storage.clock()
        #: The feed's order is that of the instants, then of the ids: both are those of the rows.
        self._event_ids = iter(session.storage.new_ids(len(rows)))
        self._scene = look(session, setting.partner, _names(one.act for one in rows if one.act is not None))
        self._others = firsts(session, job, self._scene.ids()) | setting.firsts
        self._firsts: dict[Known, int] = {}
        self._room = setting.room
        self._plans = cache(partial(plans.allowed, session, setting.partner))
        self._changed: list[tuple[Transition, str]] = []
        self._new: list[tuple[Known, Values, str]] = []
        self._given_up: set[Claim] = set()

    def decided(self, one: Checked) -> Outcome:
        """Decide a row."""
        if one.act is None:
            return partial(one.refused, one.problem or ProvisioningError())
        try:
            known = self._meant(one.act)
            if known is None:
                return self._create(one, one.act.values or {})
            return self._change(one, known, _planned(one, one.act.plan, known.tenant, self._now))
        except ProvisioningError as error:
            return partial(one.refused, error)

    def end(self) -> None:
        """Write what is left to be written."""
        self._write()
        found = {known.tenant.id: row for known, row in self._firsts.items()}
        keep_firsts(self._session, self._job, found)
        self._setting.firsts.update(found)

    def _meant(self, act: Act) -> Known | None:
        """The tenant that a row means; None where it makes one. Raises `TenantNotFound`."""
        if not act.named:
            return None
        if "external_id" in act.named:
            found = self._scene.holder(("external_id", act.named["external_id"]))
        else:
            found = self._scene.find(act.named["id"])
        if found is None and act.values is not None:
            return None
        if found is None or act.named.get("id", found.tenant.id) != found.tenant.id:
            raise TenantNotFound
        return found

    def _change(self, one: Checked, known: Known, transition: Transition) -> Outcome:
        if transition.after.plan != transition.before.plan:
            self._require_plan(transition.after.plan)
        claims = list(transition.claims())
        if (other := self._other(known, claims)) is not None:
            return partial(_taken, one, *other)
        self._require_first(one, known)
        if not transition.columns:
            return partial(_done, one, 200, known, is_unchanged=True)
        self._make_way(claims)
        self._given_up |= self._scene.change(known, transition)
        self._changed.append((transition, next(self._event_ids)))
        return partial(_done, one, 200, known)

    def _create(self, one: Checked, values: Values) -> Outcome:
        self._setting.allowance.license.require_provisioning()
        if self._setting.allowance.plans_of is not None:
            self._require_plan(values.get("plan"))
        self._room.require()
        claims = [("email", values["email_key"])]
        if values.get("external_id") is not None:
            claims.append(("external_id", values["external_id"]))
        if (other := self._other(None, claims)) is not None:
            return partial(_taken, one, *other)
        self._room.take()
        self._make_way(claims)
        tenant = new("", self._setting.partner, {**EMPTY, **values}, instant(self._now), "active")
        known = created(tenant, values["email_key"])
        self._scene.add(known)
        self._firsts[known] = one.row.number
        self._new.append((known, values, next(self._event_ids)))
        return partial(_done, one, 201, known)

    def _require_plan(self, plan: str | None) -> None:
        if plan is not None and (problem := plans.refusal(plan, self._plans())):
            raise problem

    def _other(self, known: Known | None, claims: Iterable[Claim]) -> tuple[str, Known] | None:
        """The first field that another tenant holds, and who does."""
        for field, key in claims:
            holder = self._scene.holder((field, key))
            if holder is not None and holder is not known:
                return field, holder
        return None

    def _require_first(self, one: Checked, known: Known) -> None:
        first = self._others.get(known.tenant.id) or self._firsts.setdefault(known, one.row.number)
        if first != one.row.number:
            raise DuplicateRow(f"Row {first} means the same tenant.", first_row=first)

    def _make_way(self, claims: Iterable[Claim]) -> None:
        """Write what has been decided where some of it gives up what is claimed now: one statement does not do both."""
        if not self._given_up.isdisjoint(claims):
            self._write()

    def _write(self) -> None:
        session, actor, partner, at = self._session, self._setting.actor, self._setting.partner, instant(self._now)
        transitions, ids = [one for one, _ in self._changed], [event_id for _, event_id in self._changed]
        change_many(session, actor, partner, transitions, at, ids)
        values, ids = [values for _, values, _ in self._new], [event_id for _, _, event_id in self._new]
        decided = Allowance(self._setting.allowance.license, ())
        made = create_many(session, actor, partner, values, decided, at, ids) if values else []
        for (known, _, _), tenant in zip(self._new, made, strict=True):
            if not isinstance(tenant, Tenant):
                raise Outdated("somebody else was faster") from tenant
            known.tenant = tenant
        self._changed, self._new, self._given_up = [], [], set()


def _names(acts: Iterable[Act]) -> Iterator[Mapping[str, str]]:
    """What the tenants are found by of which the rows speak."""
    for act in acts:
        if act.named:
            yield act.named
        if act.wanted:
            yield act.wanted


def _planned(one: Checked, plan: Plan, tenant: Tenant, now: float) -> Transition:
    """What the row makes of the tenant. Raises the problem that it meets."""
    try:
        return plan(tenant, now)
    except ProvisioningError:
        raise
    except Exception as error:
        logger.exception("row %d of a bulk job failed", one.row.number, extra={"row": one.row.number})
        raise ProvisioningError from error


def _taken(one: Checked, field: str, holder: Known) -> Result:
    return one.refused(taken(field, holder.tenant.id))


def _done(one: Checked, status: int, known: Known, *, is_unchanged: bool = False) -> Result:
    return done(one.row.number, status, known.tenant, is_unchanged=is_unchanged)
