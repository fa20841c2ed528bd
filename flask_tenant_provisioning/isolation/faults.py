"""Faults of policies: a role that they do not bind, tables without them, and keys that pass them by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Table, UniqueConstraint

from .policies import CASTS, TableState, plan_changes, read_role, read_states
from .strategy import Fault

APPLY_ADVICE = "run `flask provisioning isolation apply` as the owner of the tables"
ROLE_ADVICE = "connect with a role of its own: CREATE ROLE app LOGIN NOSUPERUSER NOBYPASSRLS, and grant it the tables"
AUTOCOMMIT_ADVICE = "use transactions (no AUTOCOMMIT), and a pooler in session or transaction mode"


def find_policy_faults(
    connection: Connection, tables: Sequence[Table], column: str, setting: str, *, of_role: bool = True
) -> list[Fault]:
    """Return what the policies of `tables` lack and, with `of_role`, what keeps them from binding the current role."""
    faults: list[Fault] = []
    if of_role:
        role = read_role(connection)
        if role.is_superuser:
            faults.append(Fault("", f"the role {role.name} is a superuser, whom no policy binds", ROLE_ADVICE))
        elif role.bypasses:
            faults.append(Fault("", f"the role {role.name} has BYPASSRLS, so no policy binds it", ROLE_ADVICE))
    is_bound = of_role and not faults
    for state in read_states(connection, tables, column):
        faults += _find_table_faults(connection, state, column, setting, of_role=is_bound)
    return faults


def _find_table_faults(
    connection: Connection, state: TableState, column: str, setting: str, *, of_role: bool
) -> Iterator[Fault]:
    if state.column_type is None:
        yield Fault(state.name, f"there is no such table with a column {column}", "migrate it", is_advice=True)
    elif state.column_type not in CASTS:
        yield Fault(state.name, describe_type(state, column), "use uuid, varchar or text")
    elif not state.is_enabled:
        yield Fault(state.name, "row-level security is off", APPLY_ADVICE)
    elif not state.is_forced:
        owner = ", and the role owns the table" if state.is_owned else ""
        yield Fault(state.name, f"row-level security does not bind the owner{owner}", APPLY_ADVICE)
    elif of_role and not state.is_active:
        yield Fault(state.name, "row-level security does not bind the role", ROLE_ADVICE)
    elif changes := plan_changes(connection.dialect.identifier_preparer, state, column, setting):
        verb = "differs" if any(change.startswith("DROP") for change in changes) else "is missing"
        yield Fault(state.name, f"the policy {changes[0].split()[2]} {verb}", APPLY_ADVICE)


def describe_type(state: TableState, column: str) -> str:
    """Return what is wrong with a column of another type."""
    return f"the column {column} is of the type {state.column_type}, which holds no tenant's id"


def find_leaking_keys(tables: Sequence[Table], column: str) -> Iterator[Fault]:
    """Return the keys that tell a tenant of another one's rows: PostgreSQL checks them for all rows.

    Primary keys are not among them: they are mostly numbers that say nothing.
    """
    for table in tables:
        for columns in _iter_unique_keys(table):
            if column not in columns:
                keys = ", ".join(columns)
                problem, advice = f"the unique key ({keys}) tells of other tenants' rows", f"({column}, {keys})"
                yield Fault(table.fullname, problem, f"make it unique per tenant: {advice}", is_advice=True)
        for key in table.foreign_key_constraints:
            if key.referred_table in tables and column not in key.column_keys:
                keys, other = ", ".join(key.column_keys), key.referred_table.fullname
                problem = f"the foreign key ({keys}) may refer to another tenant's row in {other}"
                yield Fault(table.fullname, problem, f"refer by ({column}, {keys})", is_advice=True)


def find_open_children(given: Sequence[Table], tables: Sequence[Table], column: str) -> Iterator[Fault]:
    """Return the tables of `given` without the column that refer to tenants' rows in `tables`: no policy binds them."""
    for table in given:
        others = {key.referred_table.fullname for key in table.foreign_key_constraints if key.referred_table in tables}
        if column not in table.columns and others:
            problem = f"refers to tenants' rows in {', '.join(sorted(others))} and has no column {column}"
            yield Fault(table.fullname, problem, "add the column, or declare it as exempt", is_advice=True)


def _iter_unique_keys(table: Table) -> Iterator[Sequence[str]]:
    """Iterate over the columns of each unique constraint and unique index."""
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield [column.name for column in constraint.columns]
    for index in table.indexes:
        if index.unique:
            yield [column.name for column in index.columns]
