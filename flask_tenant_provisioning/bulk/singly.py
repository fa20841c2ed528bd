"""Rows done one after the other, each whole or not at all: where hooks or steps take part in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..database import Session
from ..database.errors import Meaning, meaning
from ..problems import DuplicateRow, ProvisioningError
from ..tenants.models import Tenant
from .checking import Checked
from .models import Job
from .operations import Setting
from .results import Result, done
from .rows import Row
from .statements import BulkSQL

logger = logging.getLogger(__name__)


def done_singly(session: Session, setting: Setting, job: Job, rows: Sequence[Checked]) -> list[Result]:
    """Do one row after the other, each whole or not at all."""
    return [_done(session, setting, job, one) for one in rows]


def _done(session: Session, setting: Setting, job: Job, one: Checked) -> Result:
    if one.problem is not None or one.act is None:
        return one.refused(one.problem or ProvisioningError())
    before = len(session.recorded)
    try:
        with session.savepoint():
            status, tenant = one.act.alone(session, setting)
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
