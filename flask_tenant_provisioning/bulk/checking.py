"""Rows as far as they can be looked at without a database."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, NamedTuple

from ..problems import ProvisioningError
from ..tenants.declaration import OF_ROWS
from ..web.api import Api
from ..web.validation import together
from .models import Job
from .operations import Act, act_of
from .results import Result, refused
from .row_keys import RowKey, row_key
from .rows import Row

logger = logging.getLogger(__name__)


class Checked(NamedTuple):
    """A row, and the `act` that it is to do; None where it meets a `problem`.

    What is done under its `key`, where it has one, is done once. Of the `row` nothing is kept but its external id.
    """

    row: Row
    act: Act | None = None
    problem: ProvisioningError | None = None
    key: RowKey | None = None

    def refused(self, error: ProvisioningError) -> Result:
        """The result where it meets `error`."""
        return refused(self.row.number, self.row.line, self.row.external_id, error)


def checked(api: Api, job: Job, row: Row) -> Checked:
    """Look at a row as far as that needs no database."""
    named = row._replace(body={} if row.external_id is None else {"external_id": row.external_id})
    if row.problem is not None:
        return Checked(named, problem=_without_traces(row.problem))
    try:
        if OF_ROWS not in row.body:
            return Checked(named, act_of(api, job.operation, row.body))
        rest = {name: value for name, value in row.body.items() if name != OF_ROWS}
        both: list[Any] = together(
            partial(row_key, job.operation, row.body, rest), partial(act_of, api, job.operation, rest)
        )
        return Checked(named, both[1], key=both[0])
    except ProvisioningError as error:
        return Checked(named, problem=_without_traces(error))
    except Exception:
        extra = {"job": job.id, "partner": job.partner_id, "row": row.number}
        logger.exception("row %d of bulk job %s failed", row.number, job.id, extra=extra)
        return Checked(named, problem=ProvisioningError())


def _without_traces(error: ProvisioningError) -> ProvisioningError:
    """The error without the frames in which it was raised: they hold the whole row, and many errors are kept."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
