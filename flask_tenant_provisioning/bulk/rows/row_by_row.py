"""Rows executed one by one, each whole or not at all, where hooks or steps take part in them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

from ...database.errors import FailureKind, classify_failure
from ...database.session import Session
from ...errors import ProvisioningError
from ...tenants.quotas import TooFewPlaces
from ..models import Job
from ..results import RowResult, make_success
from .duplicates import require_first_row
from .operations import RowContext, ValidatedRow

logger = logging.getLogger(__name__)
#: How many rows share a savepoint once one of their chunk has failed; PostgreSQL remembers 64 savepoints at no cost.
SAVEPOINT_GROUP = 20


def execute_row_by_row(
    session: Session, setting: RowContext, job: Job, rows: Sequence[ValidatedRow]
) -> list[RowResult]:
    """Do one row after the other, each whole or not at all.

    They share a savepoint: where one fails, those before it are done again, and their hooks with them.
    """
    singly = _RowByRow(session, setting, job)
    try:
        return singly.done(rows)
    except _UnexpectedFailure:
        groups = (rows[start : start + SAVEPOINT_GROUP] for start in range(0, len(rows), SAVEPOINT_GROUP))
        return [result for group in groups for result in singly.execute_until_settled(group)]


class _UnexpectedFailure(Exception):
    """A row has failed, and it is not known how much of it was done before."""


class _RowByRow:
    """The rows of a chunk, and which of them are known to fail."""

    def __init__(self, session: Session, setting: RowContext, job: Job) -> None:
        self._session, self._setting, self._job = session, setting, job
        self._failing: set[int] = set()

    def done(self, rows: Sequence[ValidatedRow]) -> list[RowResult]:
        """Do these. Raises `_Failed` where one fails of which that was not known; then all are undone."""
        with self._open_savepoint():
            return [
                self._execute_in_savepoint(one) if one.row.number in self._failing else self._execute_or_restart(one)
                for one in rows
            ]

    def execute_until_settled(self, rows: Sequence[ValidatedRow]) -> list[RowResult]:
        """Do these, as often as it takes until all that fail are known."""
        while True:
            with contextlib.suppress(_UnexpectedFailure):
                return self.done(rows)

    @contextlib.contextmanager
    def _open_savepoint(self) -> Iterator[None]:
        """Undo what happens inside if it raises, and let go of the places that it took."""
        left = self._setting.room.left
        try:
            with self._session.savepoint():
                yield
        except BaseException:
            self._setting.room.left = left
            raise

    def _execute_or_restart(self, one: ValidatedRow) -> RowResult:
        """Do a row that goes well, most likely."""
        try:
            return self._done(one)
        except Exception as error:
            _reraise_unless_row_error(error)
            self._failing.add(one.row.number)
            raise _UnexpectedFailure from error

    def _execute_in_savepoint(self, one: ValidatedRow) -> RowResult:
        """Do a row that is likely to fail again, and to be undone by itself."""
        try:
            with self._open_savepoint():
                return self._done(one)
        except Exception as error:
            _reraise_unless_row_error(error)
            if isinstance(error, ProvisioningError):
                return one.refused(error)
            extra = {"job": self._job.id, "partner": self._job.partner_id, "row": one.row.number}
            logger.exception("row %d of bulk job %s failed", one.row.number, self._job.id, extra=extra)
            return one.refused(ProvisioningError())

    def _done(self, one: ValidatedRow) -> RowResult:
        if one.problem is not None or one.act is None:
            return one.refused(one.problem or ProvisioningError())
        before = len(self._session.events)
        status, tenant = one.act.alone(self._session, self._setting)
        if self._job.operation != "create":
            require_first_row(self._session, self._job, one.row, tenant)
        self._session.flush()
        return make_success(one.row.number, status, tenant, is_unchanged=len(self._session.events) == before)


def _reraise_unless_row_error(error: Exception) -> None:
    """Raise `error` again unless it is the row's own: the database's, or ours, ends the whole chunk."""
    if isinstance(error, TooFewPlaces):
        raise error
    if error.status >= 500 if isinstance(error, ProvisioningError) else classify_failure(error) is not FailureKind.BUG:
        raise error
