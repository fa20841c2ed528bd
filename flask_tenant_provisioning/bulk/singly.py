"""Rows done one after the other, each whole or not at all: where hooks or steps take part in them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

from ..database import Session
from ..database.errors import Meaning, meaning
from ..problems import DuplicateRow, ProvisioningError
from ..tenants.models import Tenant
from ..tenants.room import TooFewPlaces
from .checking import Checked
from .models import Job
from .operations import Setting
from .results import Result, done
from .rows import Row
from .statements import BulkSQL

logger = logging.getLogger(__name__)


#: How many rows share a savepoint once one of their chunk has failed; PostgreSQL remembers 64 savepoints at no cost.
GROUP = 20


def done_singly(session: Session, setting: Setting, job: Job, rows: Sequence[Checked]) -> list[Result]:
    """Do one row after the other, each whole or not at all.

    They share a savepoint: where one fails, those before it are done again, and their hooks with them.
    """
    singly = _Singly(session, setting, job)
    try:
        return singly.done(rows)
    except _Failed:
        groups = (rows[start : start + GROUP] for start in range(0, len(rows), GROUP))
        return [result for group in groups for result in singly.done_at_last(group)]


class _Failed(Exception):
    """A row has failed, and it is not known how much of it was done before."""


class _Singly:
    """The rows of a chunk, and which of them are known to fail."""

    def __init__(self, session: Session, setting: Setting, job: Job) -> None:
        self._session, self._setting, self._job = session, setting, job
        self._failing: set[int] = set()

    def done(self, rows: Sequence[Checked]) -> list[Result]:
        """Do these. Raises `_Failed` where one fails of which that was not known; then all are undone."""
        with self._undoable():
            return [self._alone(one) if one.row.number in self._failing else self._among(one) for one in rows]

    def done_at_last(self, rows: Sequence[Checked]) -> list[Result]:
        """Do these, as often as it takes until all that fail are known."""
        while True:
            with contextlib.suppress(_Failed):
                return self.done(rows)

    @contextlib.contextmanager
    def _undoable(self) -> Iterator[None]:
        """Undo what happens inside if it raises, and let go of the places that it took."""
        left = self._setting.room.left
        try:
            with self._session.savepoint():
                yield
        except BaseException:
            self._setting.room.left = left
            raise

    def _among(self, one: Checked) -> Result:
        """Do a row that goes well, most likely."""
        try:
            return self._done(one)
        except Exception as error:
            _require_its_own(error)
            self._failing.add(one.row.number)
            raise _Failed from error

    def _alone(self, one: Checked) -> Result:
        """Do a row that is likely to fail again, and to be undone by itself."""
        try:
            with self._undoable():
                return self._done(one)
        except Exception as error:
            _require_its_own(error)
            if isinstance(error, ProvisioningError):
                return one.refused(error)
            extra = {"job": self._job.id, "partner": self._job.partner_id, "row": one.row.number}
            logger.exception("row %d of bulk job %s failed", one.row.number, self._job.id, extra=extra)
            return one.refused(ProvisioningError())

    def _done(self, one: Checked) -> Result:
        if one.problem is not None or one.act is None:
            return one.refused(one.problem or ProvisioningError())
        before = len(self._session.recorded)
        status, tenant = one.act.alone(self._session, self._setting)
        if self._job.operation != "create":
            _require_first(self._session, self._job, one.row, tenant)
        self._session.flush()
        return done(one.row.number, status, tenant, is_unchanged=len(self._session.recorded) == before)


def _require_its_own(error: Exception) -> None:
    """Raise `error` again unless it is the row's own: the database's, or ours, ends the whole chunk."""
    if isinstance(error, TooFewPlaces):
        raise error
    if error.status >= 500 if isinstance(error, ProvisioningError) else meaning(error) is not Meaning.BUG:
        raise error


def _require_first(session: Session, job: Job, row: Row, tenant: Tenant) -> None:
    """Raise `DuplicateRow` where another row of the job means this tenant too."""
    sql, key = session.storage.once(BulkSQL), {"partner_id": job.partner_id, "job_id": job.id, "key": tenant.id}
    if session.run(sql.add_key, {**key, "row": row.number}).rowcount != 1:
        (first,) = session.run(sql.first, key).fetchone()
        raise DuplicateRow(f"Row {first} means the same tenant.", first_row=first)
