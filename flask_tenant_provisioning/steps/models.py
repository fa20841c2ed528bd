"""The tables of provisioning runs and their steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Column, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table

from ..database.types import Identifier, Instant, JsonText, name_table, ordered_text

#: Maximum lengths of an error's class, its message for partners and its reason for operators, in characters.
MAX_CLASS_LENGTH, MAX_MESSAGE_LENGTH, MAX_REASON_LENGTH = 255, 500, 1000

#: The columns of the primary keys of runs and of steps.
RUN_KEY = ("partner_id", "tenant_id", "phase")
STEP_KEY = (*RUN_KEY, "name")
#: The kind of work that workers are notified of, in front of the key of a due step.
STEP_WORK = "steps"


class Run(NamedTuple):
    """One run of a tenant through the steps of one phase.

    `state` is ``pending`` (waiting for another phase), ``running``, ``paused`` (its tenant is deleted), ``undoing``, or
    final: ``succeeded``, ``failed``, ``cancelled``. `outcome` is the final state after everything is undone. `round`
    counts from 1, and grows with each retry of the run.
    """

    partner_id: str
    tenant_id: str
    phase: str
    state: str
    outcome: str | None
    round: int
    request_id: str | None
    created_at: str
    finished_at: str | None

    @property
    def key(self) -> dict[str, Any]:
        """The primary key, by column."""
        return dict(zip(RUN_KEY, self, strict=False))


class RunStep(NamedTuple):
    """One step of one run.

    `state` is ``waiting``, ``running``, ``succeeded``, ``failed``, ``cancelled``, ``undoing``, ``undone`` or
    ``undo_failed``. `due_at` is the time of the next attempt, or while the step is claimed the end of its lease.
    `fence` grows with every claim, so that only the latest claim can record an outcome. `generation` grows when the
    step has been undone; `memory` is the JSON that it saved. `traceparent` is that of the unit of work which planned
    it.
    """

    partner_id: str
    tenant_id: str
    phase: str
    name: str
    position: int
    after: str
    state: str
    attempts: int
    undo_attempts: int
    generation: int
    fence: int
    due_at: str | None
    started_at: str | None
    finished_at: str | None
    error_class: str | None
    error_message: str | None
    error_reason: str | None
    memory: str | None
    traceparent: str | None

    @property
    def key(self) -> dict[str, Any]:
        """The primary key, by column."""
        return dict(zip(STEP_KEY, self, strict=False))

    @property
    def current_attempt(self) -> int:
        """The number of the latest attempt at the step, or at its undo while that is due or running; 0 before it."""
        return self.undo_attempts if self.state == "undoing" else self.attempts


def runs_table(metadata: MetaData) -> Table:
    """Build the table with one row per tenant and phase."""
    return Table(
        name_table(metadata, "runs"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", Identifier, nullable=False),
        Column("phase", ordered_text(16), nullable=False),
        Column("state", String(16), nullable=False),
        Column("outcome", String(16)),
        Column("round", Integer, nullable=False),
        Column("request_id", String(128)),
        Column("created_at", Instant, nullable=False),
        Column("finished_at", Instant),
        PrimaryKeyConstraint(*RUN_KEY),
        sqlite_with_rowid=False,
    )


def steps_table(metadata: MetaData) -> Table:
    """Build the table with one row per step of a run, with an index on `due_at`."""
    due_at: Column[str] = Column("due_at", Instant)
    return Table(
        name_table(metadata, "steps"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", Identifier, nullable=False),
        Column("phase", ordered_text(16), nullable=False),
        Column("name", ordered_text(100), nullable=False),
        Column("position", Integer, nullable=False),
        Column("after", JsonText, nullable=False),
        Column("state", String(16), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("undo_attempts", Integer, nullable=False),
        Column("generation", Integer, nullable=False),
        Column("fence", Integer, nullable=False),
        due_at,
        Column("started_at", Instant),
        Column("finished_at", Instant),
        Column("error_class", String(MAX_CLASS_LENGTH)),
        Column("error_message", String(MAX_MESSAGE_LENGTH)),
        Column("error_reason", String(MAX_REASON_LENGTH)),
        Column("memory", JsonText),
        Column("traceparent", String(55)),
        PrimaryKeyConstraint(*STEP_KEY),
        Index(None, "due_at", postgresql_where=due_at.is_not(None), sqlite_where=due_at.is_not(None)),
        sqlite_with_rowid=False,
    )
