"""Do the rows of a chunk in one transaction: many at once where that is the same, else one after the other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..database import Session
from ..database.errors import Meaning, meaning
from ..problems import DuplicateRow, ProvisioningError
from ..tenants.creating import create_many
from ..tenants.inputs import load_tenant
from ..tenants.models import Tenant
from ..web.api import Api
from .models import Job
from .operations import Act, Setting, act_of
from .results import Result, done, refused
from .rows import Row
from .statements import BulkSQL

logger = logging.getLogger(__name__)


class Checked(NamedTuple):
    """A row, and what it is to do: `values` of a new tenant or an `act`; neither where it meets a `problem`."""

    row: Row
    values: Mapping[str, Any] | None = None
    act: Act | None = None
    problem: ProvisioningError | None = None

    def refused(self, error: ProvisioningError) -> Result:
        """The result where it meets `error`."""
        return refused(self.row.number, self.row.line, self.row.external_id, error)


def checked(api: Api, job: Job, row: Row, *, at_once: bool) -> Checked:
    """Look at a row as far as that needs no database."""
    if row.problem is not None:
        return Checked(row, problem=row.problem)
    try:
        if at_once:
            return Checked(row, values=load_tenant(api, row.body))
        return Checked(row, act=act_of(api, job.operation, row.body))
    except ProvisioningError as error:
        return Checked(row, problem=error)


def done_at_once(session: Session, setting: Setting, rows: Sequence[Checked]) -> list[Result]:
    """Create the tenants of `rows` by one statement."""
    wanted = [(one, one.values) for one in rows if one.values is not None]
    values = [values for _, values in wanted]
    made = create_many(session, setting.actor, setting.partner, values, setting.allowance)
    found = {id(one): _made(one, tenant) for (one, _), tenant in zip(wanted, made, strict=True)}
    return [found[id(one)] if one.problem is None else one.refused(one.problem) for one in rows]


def done_singly(session: Session, setting: Setting, job: Job, rows: Sequence[Checked]) -> list[Result]:
    """Do one row after the other, each whole or not at all."""
    return [_done(session, setting, job, one) for one in rows]


def _made(one: Checked, made: Tenant | ProvisioningError) -> Result:
    return done(one.row.number, 201, made) if isinstance(made, Tenant) else one.refused(made)


def _done(session: Session, setting: Setting, job: Job, one: Checked) -> Result:
    if one.problem is not None or one.act is None:
        return one.refused(one.problem or ProvisioningError())
    before = len(session.recorded)
    try:
        with session.savepoint():
            status, tenant = one.act(session, setting)
            if job.operation != "create":
                _require_first(session, job, one.row, tenant)
    except ProvisioningError as error:
        if error.status >= 500:
            raise
        return one.refused(error)
    except Exception as error:
        if meaning(error) is not Meaning.BUG:
            raise
        logger.exception("row %d of bulk job %s failed", one.row.number, job.id)
        return one.refused(ProvisioningError())
    return done(one.row.number, status, tenant, is_unchanged=len(session.recorded) == before)


def _require_first(session: Session, job: Job, row: Row, tenant: Tenant) -> None:
    """Raise `DuplicateRow` where another row of the job means this tenant too."""
    sql, key = session.storage.once(BulkSQL), {"partner_id": job.partner_id, "job_id": job.id, "key": tenant.id}
    if session.run(sql.add_key, {**key, "row": row.number}).rowcount != 1:
        (first,) = session.run(sql.first, key).fetchone()
        raise DuplicateRow(f"Row {first} means the same tenant.", first_row=first)
