"""Execution of a claimed chunk: rows are validated before the transaction, executed and saved in it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from ..access.principal import Actor, Principal
from ..database.errors import LeaseLost
from ..database.session import Session
from ..errors import ProvisioningError
from ..mount import Mount
from ..tenants import quotas
from ..tenants.bulk_insert import create_many, has_duplicates
from ..tenants.models import Tenant
from ..tenants.mutations import find_holders
from ..tenants.quotas import FreePlaces, RemainingPlaces
from . import actions, chunks
from .chunks import ClaimedChunk, return_abandoned_places, save_results
from .models import OPERATIONS, Chunk, Job
from .results import ErrorBudget, RowResult, Tally, make_failure, make_success, mark_skipped
from .rows.batch import execute_batch
from .rows.dry_run import DryRunConflict, collect_first_rows, execute_dry_run
from .rows.duplicates import try_save_first_rows
from .rows.idempotency import execute_once
from .rows.operations import RowContext, RowStrategy, ValidatedRow, validate_row
from .rows.parsing import parse_rows
from .rows.row_by_row import execute_row_by_row

logger = logging.getLogger(__name__)
#: Attempts to reserve quota, and the seconds between them, while other workers hold reserved places.
_QUOTA_ATTEMPTS, _QUOTA_PAUSE = 50, 0.1


class RollbackWithResults(Exception):
    """Roll the transaction back, and hand its results to the caller.

    `results` holds the row results of each chunk. `first_rows` maps tenant ids, and hashes of the unique values of new
    tenants, to the first row that refers to them.
    """

    def __init__(self, results: list[list[RowResult]], first_rows: Mapping[str, int]) -> None:
        super().__init__()
        self.results, self.first_rows = results, first_rows


class ChunkExecution:
    """The execution of a claimed chunk: its validated rows, their strategy and the quota reserved for them."""

    def __init__(self, mount: Mount, claimed_chunk: ClaimedChunk, chunks: Sequence[Chunk]) -> None:
        job = self._job = claimed_chunk.job
        self._mount, self._claimed_chunk, self._chunks = mount, claimed_chunk, chunks
        self._strategy = choose_strategy(mount, job.operation)
        rows = (parse_rows(chunk, is_table=bool(job.cells), custom_fields=mount.registry.fields) for chunk in chunks)
        self._errors = ErrorBudget()
        self._rows: list[list[ValidatedRow]] = [
            [self._trim_errors(validate_row(mount, job, row)) for row in chunk_rows] for chunk_rows in rows
        ]
        self._actor = _load_actor(job)
        self._allowance = quotas.resolve_allowance(mount, job.partner_id)
        self._reserved_quota: FreePlaces | None = None
        #: The counts of the rows by result, once these are saved.
        self.tally = Tally(0, 0, 0)

    def reserve(self, sleep: Callable[[float], None], *, for_all: bool = False) -> None:
        """Reserve a place for each tenant that the rows may create, or with `for_all` one for every row.

        Runs in transactions of its own. While other workers hold reserved places, waits up to five seconds for them to
        be returned. Raises `LeaseLost`.
        """
        if not self._allowance.quotas or not OPERATIONS[self._job.operation].creates_tenants:
            return
        storage = self._mount.storage
        for attempt in range(1, _QUOTA_ATTEMPTS + 1):
            is_last = attempt == _QUOTA_ATTEMPTS
            work = partial(self._reserve_once, is_patient=not is_last, for_all=for_all)
            self._reserved_quota = storage.transaction(work)
            if is_last or not self._reserved_quota.is_contended:
                return
            return_abandoned_places(storage)
            sleep(_QUOTA_PAUSE)

    def switch_to_row_by_row(self) -> bool:
        """Execute rows one by one from now on. Return False if they already are."""
        if self._strategy is execute_row_by_row:
            return False
        self._strategy = execute_row_by_row
        return True

    def execute(self, session: Session) -> None:
        """Execute all rows and save their results.

        Raises `LeaseLost`, `RollbackWithResults` for a dry run and for an atomic job with a failed row, and
        `TooFewPlaces` if the rows create more tenants than places were reserved for.
        """
        reserved = self._reserved_quota
        quota = RemainingPlaces() if reserved is None else RemainingPlaces(reserved.granted, reserved.problem)
        allowance = dataclasses.replace(self._allowance, places=quota)
        context = RowContext(self._mount, self._actor, self._job.partner_id, allowance, quota, {})
        results, errors = [], ErrorBudget()
        for rows in self._rows:
            results.append(self._execute_rows(session, context, rows))
            for problem in (result.problem for result in results[-1] if result.problem is not None):
                errors.trim(problem.get("errors", []), problem)
        if self._job.mode == "atomic" and any(result.state == "failed" for result in itertools.chain(*results)):
            raise RollbackWithResults([[*map(mark_skipped, chunk)] for chunk in results], {})
        session.flush()
        if self._job.rehearsal:
            first_rows = map(collect_first_rows, self._rows, results)
            raise RollbackWithResults(results, dict(itertools.chain(*first_rows)))
        if self._job.mode == "atomic" and not actions.lock_if_open(session, self._job):
            raise LeaseLost(self._job.id)
        added_tenants = self._count_added_tenants(itertools.chain(*results))
        self.tally = save_results(session, self._claimed_chunk, self._chunks, results, added_tenants)

    def save_rolled_back(self, session: Session, rollback: RollbackWithResults) -> None:
        """Save the results of a transaction that was rolled back: a dry run, or an atomic job with a failed row.

        Raises `LeaseLost`, and `DryRunConflict` if another chunk of a dry run recorded a row for the same tenant.
        """
        if self._job.mode == "partial" and not try_save_first_rows(session, self._job, rollback.first_rows):
            raise DryRunConflict
        self.tally = save_results(session, self._claimed_chunk, self._chunks, rollback.results)

    def _trim_errors(self, row: ValidatedRow) -> ValidatedRow:
        """Cut the row's errors to the budget of the chunk."""
        if row.problem is not None:
            self._errors.trim(row.problem.errors, row.problem.members)
        return row

    def _reserve_once(self, session: Session, is_patient: bool, for_all: bool) -> FreePlaces:
        limits, new_tenants = self._allowance.quotas, self._count_new_tenants(session, for_all=for_all)
        if self._job.rehearsal:
            return quotas.find_free_places(session, limits, new_tenants)._replace(is_contended=False)
        return chunks.reserve_quota(session, self._claimed_chunk, limits, new_tenants, is_patient=is_patient)

    def _count_new_tenants(self, session: Session, *, for_all: bool) -> int:
        """Estimate how many tenants the rows create: existing tenants count zero, and repeated ones once."""
        rows = itertools.chain(*self._rows)
        values = [row.action.values for row in rows if row.action and row.action.values is not None]
        if for_all:
            return len(values)
        names = {"external_id": "external_id"}
        if self._job.operation == "create":
            names["email"] = "email_key"
        unique_keys = [tuple((field, row[name]) for field, name in names.items() if row.get(name)) for row in values]
        existing = find_holders(session, self._job.partner_id, itertools.chain(*unique_keys))
        return len({keys for keys in unique_keys if not any(key in existing for key in keys)})

    def _count_added_tenants(self, results: Iterator[RowResult]) -> int:
        """Return by how many the number of tenants grows."""
        succeeded = [result for result in results if result.state == "succeeded"]
        if self._job.operation == "delete":
            return -len(succeeded)
        return sum(result.status == 201 for result in succeeded)

    def _execute_rows(self, session: Session, context: RowContext, rows: Sequence[ValidatedRow]) -> list[RowResult]:
        strategy = self._strategy
        if self._job.rehearsal and self._job.mode == "partial":
            strategy = partial(execute_dry_run, strategy=strategy)
        return execute_once(session, context, self._job, rows, strategy)


def _load_actor(job: Job) -> Actor:
    """Return the actor who created the job."""
    subject, partner, *origin = json.loads(job.actor)
    return Actor(Principal(subject, partner), *origin)


def fail_chunk(mount: Mount, claimed_chunk: ClaimedChunk, chunk: Chunk) -> list[RowResult]:
    """Return failures for all rows of a chunk that earlier claims have started too often."""
    job, starts = claimed_chunk.job, claimed_chunk.claims - 1
    extra = {"job": job.id, "partner": job.partner_id, "chunk": chunk.number}
    logger.error(
        "chunk %d of bulk job %s was started %d times and never finished", chunk.number, job.id, starts, extra=extra
    )
    try:
        rows = list(parse_rows(chunk, is_table=bool(job.cells), custom_fields=mount.registry.fields))
    except Exception:
        logger.exception("chunk %d of bulk job %s cannot be read", chunk.number, job.id, extra=extra)
        return [
            make_failure(chunk.first_row + index, chunk.first_line + index, None, ProvisioningError())
            for index in range(chunk.rows)
        ]
    return [make_failure(row.number, row.line, row.external_id, row.problem or ProvisioningError()) for row in rows]


def choose_strategy(mount: Mount, name: str) -> RowStrategy:
    """Return the strategy that executes rows of the operation `name` in this host."""
    operation = OPERATIONS[name]
    if any(map(mount.registry.hooks_for, operation.hook_actions)):
        return execute_row_by_row
    if operation.creates_tenants and mount.storage.reactions_to("tenant.create"):
        return execute_row_by_row
    if operation.updates_tenants and mount.registry.usages:  # a usage function may fail
        return execute_row_by_row
    return execute_bulk_insert if name == "create" else execute_batch


def execute_bulk_insert(
    session: Session, context: RowContext, job: Job, rows: Sequence[ValidatedRow]
) -> list[RowResult]:
    """Create the tenants of `rows` by one statement, or as a batch if their unique keys collide."""
    valid = [(row, row.action.values) for row in rows if row.action is not None and row.action.values is not None]
    values = [values for _, values in valid]
    if has_duplicates(values):
        return execute_batch(session, context, job, rows)
    tenants = create_many(session, context.actor, context.partner, values, context.allowance)
    results = {id(row): _make_result(row, tenant) for (row, _), tenant in zip(valid, tenants, strict=True)}
    return [
        results[id(row)] if row.action is not None else row.fail(row.problem or ProvisioningError()) for row in rows
    ]


def _make_result(row: ValidatedRow, tenant: Tenant | ProvisioningError) -> RowResult:
    return make_success(row.number, 201, tenant) if isinstance(tenant, Tenant) else row.fail(tenant)
