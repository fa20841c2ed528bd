"""Rows as far as they can be looked at without a database."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..problems import ProvisioningError
from ..tenants.inputs import load_tenant
from ..web.api import Api
from .models import Job
from .operations import Act, act_of
from .results import Result, refused
from .row_keys import RowKey, without_key
from .rows import Row

logger = logging.getLogger(__name__)


class Checked(NamedTuple):
    """A row, and what it is to do: `values` of a new tenant or an `act`; neither where it meets a `problem`.

    What is done under its `key`, where it has one, is done once.
    """

    row: Row
    values: Mapping[str, Any] | None = None
    act: Act | None = None
    problem: ProvisioningError | None = None
    key: RowKey | None = None

    def refused(self, error: ProvisioningError) -> Result:
        """The result where it meets `error`."""
        return refused(self.row.number, self.row.line, self.row.external_id, error)


def checked(api: Api, job: Job, row: Row, *, at_once: bool) -> Checked:
    """Look at a row as far as that needs no database."""
    if row.problem is not None:
        return Checked(row, problem=row.problem)
    try:
        key, body = without_key(job.operation, row.body)
        if at_once:
            return Checked(row, values=load_tenant(api, body), key=key)
        return Checked(row, act=act_of(api, job.operation, body), key=key)
    except ProvisioningError as error:
        return Checked(row, problem=error)
    except Exception:
        extra = {"job": job.id, "partner": job.partner_id, "row": row.number}
        logger.exception("row %d of bulk job %s failed", row.number, job.id, extra=extra)
        return Checked(row, problem=ProvisioningError())
