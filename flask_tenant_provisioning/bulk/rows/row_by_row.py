"""Rows executed one by one, each whole or not at all, if hooks or steps take part in them."""

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
#: Rows per savepoint after a row of the chunk failed. PostgreSQL caches 64 subtransactions per session.
SAVEPOINT_GROUP = 20


def execute_row_by_row(
    session: Session, context: RowContext, job: Job, rows: Sequence[ValidatedRow]
) -> list[RowResult]:
    """Execute the rows in order, each whole or not at all.

    All share a savepoint: if one fails unexpectedly, the rows before it are executed again, and their hooks with them.
    """
    executor = _RowByRow(session, context, job)
    try:
        return executor.execute(rows)
    except _UnexpectedFailure:
        groups = (rows[start : start + SAVEPOINT_GROUP] for start in range(0, len(rows), SAVEPOINT_GROUP))
        return [result for group in groups for result in executor.execute_until_settled(group)]


class _UnexpectedFailure(Exception):
    """A row failed in a shared savepoint, which has to be rolled back as a whole."""


class _RowByRow:
    """The rows of a chunk, and the numbers of those known to fail."""

    def __init__(self, session: Session, context: RowContext, job: Job) -> None:
        self._session, self._context, self._job = session, context, job
        self._failing: set[int] = set()

    def execute(self, rows: Sequence[ValidatedRow]) -> list[RowResult]:
        """Execute the rows in a savepoint.

        Raises `_UnexpectedFailure`, with all rows rolled back, if a row fails that was not known to fail.
        """
        with self._open_savepoint():
            return [
                self._execute_in_savepoint(row) if row.number in self._failing else self._execute_or_restart(row)
                for row in rows
            ]

    def execute_until_settled(self, rows: Sequence[ValidatedRow]) -> list[RowResult]:
        """Execute the rows, again after each unexpected failure, until all that fail are known."""
        while True:
            with contextlib.suppress(_UnexpectedFailure):
                return self.execute(rows)

    @contextlib.contextmanager
    def _open_savepoint(self) -> Iterator[None]:
        """Roll back the block if it raises, and return the places that it took."""
        places = self._context.quota.left
        try:
            with self._session.savepoint():
                yield
        except BaseException:
            self._context.quota.left = places
            raise

    def _execute_or_restart(self, row: ValidatedRow) -> RowResult:
        """Execute a row that is expected to succeed."""
        try:
            return self._execute_row(row)
        except Exception as error:
            _reraise_unless_row_error(error)
            self._failing.add(row.number)
            raise _UnexpectedFailure from error

    def _execute_in_savepoint(self, row: ValidatedRow) -> RowResult:
        """Execute a row that is known to fail in a savepoint of its own."""
        try:
            with self._open_savepoint():
                return self._execute_row(row)
        except Exception as error:
            _reraise_unless_row_error(error)
            if isinstance(error, ProvisioningError):
                return row.fail(error)
            extra = {"job": self._job.id, "partner": self._job.partner_id, "row": row.number}
            logger.exception("row %d of bulk job %s failed", row.number, self._job.id, extra=extra)
            return row.fail(ProvisioningError())

    def _execute_row(self, row: ValidatedRow) -> RowResult:
        if row.problem is not None or row.action is None:
            return row.fail(row.problem or ProvisioningError())
        event_count = len(self._session.events)
        status, tenant = row.action.execute_single(self._session, self._context)
        if self._job.operation != "create":
            require_first_row(self._session, self._job, row.number, tenant)
        self._session.flush()
        return make_success(row.number, status, tenant, is_unchanged=len(self._session.events) == event_count)


def _reraise_unless_row_error(error: Exception) -> None:
    """Raise `error` again unless the row caused it: a failure of the database, or one of ours, ends the whole chunk."""
    if isinstance(error, TooFewPlaces):
        raise error
    if isinstance(error, ProvisioningError):
        is_row_error = error.status < 500
    else:
        is_row_error = classify_failure(error) is FailureKind.BUG
    if not is_row_error:
        raise error
