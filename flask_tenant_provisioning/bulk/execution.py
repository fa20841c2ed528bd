"""Execution of a claimed chunk: rows are validated before the transaction, executed and saved in it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ..access.principal import Actor, Principal
from ..database.session import Session
from ..errors import ProvisioningError
from ..mount import Mount
from ..tenants import quotas
from ..tenants.bulk_insert import create_many, has_duplicates
from ..tenants.models import Tenant
from ..tenants.mutations import find_holders
from ..tenants.quotas import FreePlaces, RemainingPlaces
from . import actions, chunks
from .chunks import ClaimedChunk, LeaseLost, release_abandoned_quota, save_results
from .models import Chunk, Job
from .results import ErrorBudget, RowResult, make_failure, make_success, mark_skipped
from .rows.batch import execute_batch
from .rows.dry_run import RollbackWithResults, collect_claims, execute_dry_run, save_claims
from .rows.duplicates import execute_once
from .rows.operations import RowContext, RowStrategy, ValidatedRow, validate_row
from .rows.parsing import parse_rows
from .rows.row_by_row import execute_row_by_row

logger = logging.getLogger(__name__)
#: What hooks call that which a row of an operation does.
_HOOK_ACTIONS = {"upsert": ("tenant.create", "tenant.update")}
#: Which of them may put a tenant on another plan: the host then says what it uses, and may fail to.
_PLAN_CHANGING_OPERATIONS = ("upsert", "update")
#: How often, and how many seconds apart, a chunk for which too few places are free asks for those that others reserved.
_QUOTA_ATTEMPTS, _QUOTA_PAUSE = 50, 0.1


class ChunkExecution:
    """What is to be done for a piece, as far as it can be known before the transaction."""

    def __init__(self, mount: Mount, piece: ClaimedChunk, chunks: Sequence[Chunk]) -> None:
        job = self._job = piece.job
        self._mount, self._piece, self._chunks = mount, piece, chunks
        self._strategy = choose_strategy(mount, job.operation)
        rows = (parse_rows(chunk, cells=bool(job.cells), own=mount.hooks.fields) for chunk in chunks)
        self._errors = ErrorBudget()
        self._rows: list[list[ValidatedRow]] = [
            [self._trim_errors(validate_row(mount, job, row)) for row in some] for some in rows
        ]
        self._actor = _load_actor(job)
        self._allowance = quotas.resolve_allowance(mount, job.partner_id)
        self._found: FreePlaces | None = None

    def reserve(self, sleep: Callable[[float], None], *, for_all: bool = False) -> None:
        """Reserve a place for each tenant that the rows may make, or `for_all` rows, in a transaction of its own.

        Where places are short that others have reserved, wait some seconds for what they give back. Raises
        `Superseded`.
        """
        if not self._allowance.limits or self._job.operation not in ("create", "upsert"):
            return
        storage = self._mount.storage
        for asks_left in reversed(range(_QUOTA_ATTEMPTS)):
            work = partial(self._reserved, is_patient=asks_left > 0, for_all=for_all)
            self._found = storage.transaction(work)
            if not self._found.is_contended or not asks_left:
                return
            release_abandoned_quota(storage)
            sleep(_QUOTA_PAUSE)

    def switch_to_row_by_row(self) -> bool:
        """Do one row after the other from now on, each whole or not at all; returns False where that is so already."""
        was_singly, self._strategy = self._strategy is execute_row_by_row, execute_row_by_row
        return not was_singly

    def do(self, session: Session) -> None:
        """Do all rows, and write down what came of them.

        Raises `Superseded`, `Rehearsed` for a rehearsal, and `TooFewPlaces` where more tenants would come into being
        than places were reserved for.
        """
        left = RemainingPlaces() if self._found is None else RemainingPlaces(self._found.granted, self._found.problem)
        allowance = dataclasses.replace(self._allowance, room=left)
        setting = RowContext(self._mount, self._actor, self._job.partner_id, allowance, left, {})
        results, errors = [], ErrorBudget()
        for rows in self._rows:
            results.append(self._done(session, setting, rows))
            for problem in (one.problem for one in results[-1] if one.problem is not None):
                errors.trim(problem.get("errors", []), problem)
        if self._job.mode == "atomic" and any(one.state == "failed" for some in results for one in some):
            raise RollbackWithResults([[mark_skipped(one) for one in some] for some in results], {})
        session.flush()
        if self._job.rehearsal:
            found = (collect_claims(rows, some) for rows, some in zip(self._rows, results, strict=True))
            raise RollbackWithResults(results, dict(itertools.chain(*found)))
        if self._job.mode == "atomic" and not actions.lock_if_open(session, self._job):
            raise LeaseLost(self._job.id)
        save_results(session, self._piece, self._chunks, results, self._count_added_tenants(itertools.chain(*results)))

    def keep(self, session: Session, rehearsal: RollbackWithResults) -> None:
        """Write down what would come of a rehearsal's rows. Raises `Superseded` and `Forestalled`."""
        if self._job.mode == "partial":
            save_claims(session, self._job, rehearsal)
        save_results(session, self._piece, self._chunks, rehearsal.results)

    def _trim_errors(self, one: ValidatedRow) -> ValidatedRow:
        """The row with as many of its errors as there is room for."""
        if one.problem is not None:
            self._errors.trim(one.problem.errors, one.problem.members)
        return one

    def _reserved(self, session: Session, is_patient: bool, for_all: bool) -> FreePlaces:
        limits, wanted = self._allowance.limits, self._wanted(session, for_all=for_all)
        if self._job.rehearsal:
            return quotas.find_free_places(session, limits, wanted)._replace(is_contended=False)
        return chunks.reserve_quota(session, self._piece, limits, wanted, is_patient=is_patient)

    def _wanted(self, session: Session, *, for_all: bool) -> int:
        """Return how many tenants the rows make, most likely: none that is there already, and each once."""
        values = [one.act.values for one in itertools.chain(*self._rows) if one.act and one.act.values is not None]
        if for_all:
            return len(values)
        names = {"external_id": "external_id"}
        if self._job.operation == "create":
            names["email"] = "email_key"
        claims = [[(field, one[name]) for field, name in names.items() if one.get(name)] for one in values]
        held = find_holders(session, self._job.partner_id, itertools.chain(*claims))
        return len({tuple(some) for some in claims if not any(claim in held for claim in some)})

    def _count_added_tenants(self, results: Iterator[RowResult]) -> int:
        """Return how many tenants there are more than before."""
        succeeded = [one for one in results if one.state == "succeeded"]
        if self._job.operation == "delete":
            return -len(succeeded)
        return sum(one.status == 201 for one in succeeded)

    def _done(self, session: Session, setting: RowContext, rows: Sequence[ValidatedRow]) -> list[RowResult]:
        way = self._strategy
        if self._job.rehearsal and self._job.mode == "partial":
            way = partial(execute_dry_run, way=way)
        return execute_once(session, setting, self._job, rows, way)


def _load_actor(job: Job) -> Actor:
    """Who began the job."""
    subject, partner, *origin = json.loads(job.actor)
    return Actor(Principal(subject, partner), *origin)


def fail_chunk(mount: Mount, job: Job, chunk: Chunk) -> list[RowResult]:
    """What comes of the rows of a chunk that was begun too often."""
    begun, extra = chunk.fence - 1, {"job": job.id, "partner": job.partner_id, "chunk": chunk.number}
    logger.error("chunk %d of bulk job %s was begun %d times and never ended", chunk.number, job.id, begun, extra=extra)
    try:
        rows = list(parse_rows(chunk, cells=bool(job.cells), own=mount.hooks.fields))
    except Exception:
        logger.exception("chunk %d of bulk job %s cannot be read", chunk.number, job.id, extra=extra)
        lines = itertools.count(chunk.first_line)
        numbers = range(chunk.first_row, chunk.first_row + chunk.rows)
        return [
            make_failure(number, line, None, ProvisioningError()) for number, line in zip(numbers, lines, strict=False)
        ]
    return [make_failure(row.number, row.line, row.external_id, row.problem or ProvisioningError()) for row in rows]


def choose_strategy(mount: Mount, operation: str) -> RowStrategy:
    """How rows of `operation` are done in this host."""
    does = _HOOK_ACTIONS.get(operation, (f"tenant.{operation}",))
    creates = "tenant.create" in does
    if any(map(mount.hooks.of, does)) or (creates and mount.storage.has_reaction("tenant.create")):
        return execute_row_by_row
    if mount.hooks.usages and operation in _PLAN_CHANGING_OPERATIONS:
        return execute_row_by_row
    return execute_bulk_insert if operation == "create" else execute_batch


def execute_bulk_insert(
    session: Session, setting: RowContext, job: Job, rows: Sequence[ValidatedRow]
) -> list[RowResult]:
    """Create the tenants of `rows` by one statement, unless one of them depends on what comes of another."""
    wanted = [(one, one.act.values) for one in rows if one.act is not None and one.act.values is not None]
    values = [values for _, values in wanted]
    if has_duplicates(values):
        return execute_batch(session, setting, job, rows)
    made = create_many(session, setting.actor, setting.partner, values, setting.allowance)
    found = {id(one): _make_result(one, tenant) for (one, _), tenant in zip(wanted, made, strict=True)}
    return [found[id(one)] if one.act is not None else one.refused(one.problem or ProvisioningError()) for one in rows]


def _make_result(one: ValidatedRow, made: Tenant | ProvisioningError) -> RowResult:
    return make_success(one.row.number, 201, made) if isinstance(made, Tenant) else one.refused(made)
