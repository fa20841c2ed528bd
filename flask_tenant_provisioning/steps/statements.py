"""The SQL statements of runs and steps, built once per storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Table, bindparam, case, func, or_, select

from ..database.lease import Lease
from ..database.session import Storage
from ..database.statements import SQL, RowTransfer, Statement, bind_columns, bind_new_values, match_key
from .models import RUN_KEY, STEP_KEY, Run, RunStep


class StepSQL(SQL):
    """The statements of one storage. Updates of chosen columns are compiled at first use."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._runs, self._steps = storage.table("runs"), storage.table("steps")
        runs, steps = self._runs, self._steps
        s = steps.c
        self.add_run = self._compile(runs.insert().values(bind_columns(runs)))
        self.add_step = self._compile(steps.insert().values(bind_columns(steps)))
        self.select_run = self._compile(
            select(*(runs.c[name] for name in Run._fields)).where(match_key(runs, *RUN_KEY))
        )
        rows = select(*(s[name] for name in RunStep._fields))
        self.select_step = self._compile(rows.where(match_key(steps, *STEP_KEY)))
        self.select_steps = self._compile(rows.where(match_key(steps, *RUN_KEY)).order_by(s.position))
        now = bindparam("now", type_=s.due_at.type)
        due = s.due_at <= now
        self.select_due = self._compile(
            select(*(s[name] for name in STEP_KEY), s.fence)
            .where(due)
            .order_by(s.due_at)
            .limit(bindparam("limit", type_=Integer))
        )
        is_retry = case((s.state == "undoing", s.undo_attempts), else_=s.attempts) > 0
        is_old = s.due_at <= bindparam("before", type_=s.due_at.type)
        self.select_overdue = self._compile(
            select(*(s[name] for name in STEP_KEY))
            .where(due, or_(is_retry, is_old))
            .order_by(s.due_at)
            .limit(bindparam("limit", type_=Integer))
        )
        is_undo = s.state == "undoing"
        claim_values = {
            "state": case((is_undo, "undoing"), else_="running"),
            "attempts": s.attempts + case((is_undo, 0), else_=1),
            "undo_attempts": s.undo_attempts + case((is_undo, 1), else_=0),
            "started_at": func.coalesce(s.started_at, now),
        }
        self.lease = Lease(steps, self._dialect, "due_at", is_free=due, claimed=claim_values)
        self.deletions = [
            self._compile(table.delete().where(match_key(table, "partner_id", "tenant_id"))) for table in (runs, steps)
        ]
        self.relocations = [RowTransfer(table, self._dialect, ("tenant_id",), {}) for table in (runs, steps)]
        self.delete_step = self._compile(steps.delete().where(match_key(steps, *STEP_KEY)))

    def change_run(self, *columns: str) -> Statement:
        """Return the update of these columns of a run."""
        return self._once(self._change, self._runs, RUN_KEY, columns)

    def change_step(self, *columns: str) -> Statement:
        """Return the update of these columns of a step, whatever its fence."""
        return self._once(self._change, self._steps, STEP_KEY, columns)

    def change_unclaimed_step(self, *columns: str) -> Statement:
        """Return the update of these columns of a step whose fence is still the parameter `fence`."""
        return self._once(self._change_unclaimed, columns)

    def _change(self, table: Table, key: tuple[str, ...], columns: tuple[str, ...]) -> Any:
        return table.update().where(match_key(table, *key)).values(bind_new_values(table.c, columns))

    def _change_unclaimed(self, columns: tuple[str, ...]) -> Any:
        return self._steps.update().where(self.lease.is_held).values(bind_new_values(self._steps.c, columns))


def has_due_steps(storage: Storage) -> ColumnElement[bool]:
    """Return the condition that any step is due at the parameter `now`."""
    steps = storage.table("steps")
    return select(steps.c.name).where(steps.c.due_at <= bindparam("now", type_=steps.c.due_at.type)).exists()


def select_due_steps(storage: Storage) -> Select[Any]:
    """Select the due time, as `since`, of each step that is due at the parameter `now`."""
    steps = storage.table("steps")
    now: Any = bindparam("now", type_=steps.c.due_at.type)
    return select(steps.c.due_at.label("since")).where(steps.c.due_at <= now)
