"""The tables of bulk provisioning: jobs, their chunks of rows, and the keys that detect duplicate rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    or_,
)

from ..database.types import Identifier, Instant, JsonText, name_table, ordered_text
from ..tenants.models import WRITABLE


class Operation(NamedTuple):
    """The operation of a job: the single call that each of its rows stands for.

    `permissions` are those of that call; a caller needs them besides ``bulk:create``. `hook_actions` are the hooks that
    it runs. `columns` are those of a CSV, besides the idempotency key and, if the row sets fields of a tenant, the
    metadata and the host's fields.
    """

    permissions: tuple[str, ...]
    hook_actions: tuple[str, ...]
    columns: frozenset[str]

    @property
    def creates_tenants(self) -> bool:
        """True if a row may create a tenant."""
        return "tenant.create" in self.hook_actions

    @property
    def updates_tenants(self) -> bool:
        """True if a row may set fields of an existing tenant."""
        return "tenant.update" in self.hook_actions


_IDENTIFIERS = frozenset({"tenant", "external_id"})
_FIELDS = frozenset(WRITABLE) - {"metadata"}
OPERATIONS: Mapping[str, Operation] = {
    "create": Operation(("tenant:create",), ("tenant.create",), _FIELDS),
    "upsert": Operation(("tenant:create", "tenant:update"), ("tenant.create", "tenant.update"), _FIELDS),
    "update": Operation(("tenant:update",), ("tenant.update",), _FIELDS | _IDENTIFIERS),
    "suspend": Operation(("tenant:update",), ("tenant.suspend",), _IDENTIFIERS | {"reason"}),
    "reactivate": Operation(("tenant:update",), ("tenant.reactivate",), _IDENTIFIERS),
    "delete": Operation(("tenant:delete",), ("tenant.delete",), _IDENTIFIERS),
}
DEFAULT_OPERATION = "create"
MODES = ("partial", "atomic")
#: The states that callers see. Until all its rows are stored a job is ``receiving``, and hidden.
JOB_STATES = ("queued", "running", "succeeded", "partial", "failed", "cancelled")
#: The kind of work that workers are notified of, in front of the key of a due job.
BULK_WORK = "bulk jobs"


class Job(NamedTuple):
    """One partner's bulk job.

    `rehearsal` is 1 for a dry run, which leaves nothing but results; `cells` is 1 if the rows came as CSV, where every
    value is text. `rows`, `succeeded`, `failed` and `unchanged` count rows; the last three are written when the job
    ends, until then the chunks hold the counts. `actor` is the JSON of the caller who created the job. `due_at` is None
    if no work is left. `traceparent` is that of the upload.
    """

    partner_id: str
    id: str
    operation: str
    mode: str
    rehearsal: int
    cells: int
    state: str
    rows: int
    chunks: int
    succeeded: int
    failed: int
    unchanged: int
    actor: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    due_at: str | None
    traceparent: str | None = None

    @property
    def key(self) -> dict[str, str]:
        """The parameters of statements on this job."""
        return {"partner_id": self.partner_id, "job_id": self.id}


class Chunk(NamedTuple):
    """Some rows of a job, executed by one worker in one transaction.

    `number` and `first_row` count from 1. `payload` holds the rows as sent, one per line; after execution the lines of
    rows that took effect are empty. `lines` is the JSON list of each row's line in the upload, or None if the rows
    stand on consecutive lines from `first_line`. `results` holds one result per row. `lines`, `payload` and `results`
    are compressed. `fence` is the fencing token: it grows with each claim and at its end, and only the latest
    claim may write. `claims` counts the claims. `license_room` and `partner_room` are the
    places for new tenants reserved under the licence's limit and under the partner's.
    """

    partner_id: str
    job_id: str
    number: int
    first_row: int
    rows: int
    first_line: int
    lines: bytes | None
    payload: bytes
    fence: int
    claims: int
    leased_until: str | None
    license_room: int
    partner_room: int
    done_at: str | None
    succeeded: int
    failed: int
    unchanged: int
    results: bytes | None

    @property
    def key(self) -> dict[str, Any]:
        """The primary key, by column."""
        return {"partner_id": self.partner_id, "job_id": self.job_id, "number": self.number}


def bulk_jobs_table(metadata: MetaData) -> Table:
    """Return the table of jobs. A partial index finds the few jobs with work left."""
    due_at: Column[str] = Column("due_at", Instant)
    return Table(
        name_table(metadata, "bulk_jobs"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("id", Identifier, nullable=False),
        Column("operation", String(16), nullable=False),
        Column("mode", String(16), nullable=False),
        Column("rehearsal", SmallInteger, nullable=False),
        Column("cells", SmallInteger, nullable=False),
        Column("state", String(16), nullable=False),
        Column("rows", Integer, nullable=False),
        Column("chunks", Integer, nullable=False),
        Column("succeeded", Integer, nullable=False),
        Column("failed", Integer, nullable=False),
        Column("unchanged", Integer, nullable=False),
        Column("actor", JsonText, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("started_at", Instant),
        Column("finished_at", Instant),
        due_at,
        Column("traceparent", String(55)),
        PrimaryKeyConstraint("partner_id", "id"),
        Index(None, "due_at", postgresql_where=due_at.is_not(None), sqlite_where=due_at.is_not(None)),
        sqlite_with_rowid=False,
    )


def bulk_chunks_table(metadata: MetaData) -> Table:
    """Return the table of chunks. Large columns stand last, since SQLite reads a row up to the last selected column."""
    license_room: Column[int] = Column("license_room", Integer, nullable=False)
    partner_room: Column[int] = Column("partner_room", Integer, nullable=False)
    reserved = or_(license_room > 0, partner_room > 0)
    return Table(
        name_table(metadata, "bulk_chunks"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("job_id", Identifier, nullable=False),
        Column("number", Integer, nullable=False),
        Column("first_row", Integer, nullable=False),
        Column("rows", Integer, nullable=False),
        Column("first_line", Integer, nullable=False),
        Column("fence", Integer, nullable=False),
        Column("claims", Integer, nullable=False),
        Column("leased_until", Instant),
        license_room,
        partner_room,
        Column("done_at", Instant),
        Column("succeeded", Integer, nullable=False),
        Column("failed", Integer, nullable=False),
        Column("unchanged", Integer, nullable=False),
        Column("lines", LargeBinary),
        Column("payload", LargeBinary, nullable=False),
        Column("results", LargeBinary),
        PrimaryKeyConstraint("partner_id", "job_id", "number"),
        Index(None, "leased_until", postgresql_where=reserved, sqlite_where=reserved),
    )


def bulk_keys_table(metadata: MetaData) -> Table:
    """Return the table that records, for each tenant or unique value, the first row of a job that refers to it."""
    return Table(
        name_table(metadata, "bulk_keys"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("job_id", Identifier, nullable=False),
        Column("key", ordered_text(160), nullable=False),
        Column("row", Integer, nullable=False),
        PrimaryKeyConstraint("partner_id", "job_id", "key"),
        sqlite_with_rowid=False,
    )
