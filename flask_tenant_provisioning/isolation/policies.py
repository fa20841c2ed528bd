"""The policies of row-level security in PostgreSQL: what they are, what a database has of them, and what is missing.

Each table has two. A restrictive policy admits the rows of the current tenant alone, whatever other policies the table
has; a permissive one admits all rows, since PostgreSQL shows none without any. Row-level security is forced, so that it
also binds the tables' owner.

The setting that names the tenant is local to its transaction. It is read once per statement, by a sub-select, and
without a tenant it is NULL, which equals no row's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, bindparam, text
from sqlalchemy.sql.compiler import IdentifierPreparer
from sqlalchemy.types import ARRAY, Text

#: The restrictive policy, and the permissive one.
TENANT_POLICY, BASE_POLICY = "provisioning_tenant_only", "provisioning_base"
#: The types that a column of tenants' ids may have, and the cast of the setting that keeps the column's index usable.
CASTS = {"uuid": "::uuid", "character varying": "", "text": "", "character": "::bpchar"}
#: Names of two parts, as PostgreSQL wants them for the settings of applications; they cannot be parameters in DDL.
SETTING_PATTERN = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*")


class Policy(NamedTuple):
    """A policy as it is in the catalog; `command` is ``*`` for all."""

    name: str
    is_permissive: bool
    command: str
    is_for_all_roles: bool
    using: str | None
    check: str | None


class TableState(NamedTuple):
    """The state of a table in the database; `column_type` is None if the table or its column does not exist.

    `is_active` says whether row-level security binds the current role there.
    """

    table: Table
    name: str
    column_type: str | None
    is_enabled: bool
    is_forced: bool
    is_active: bool
    is_owned: bool
    policies: Sequence[Policy]


class Role(NamedTuple):
    """The current role of a connection."""

    name: str
    is_superuser: bool
    bypasses: bool


_ROLE = text("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
_TABLES = text(
    """
    SELECT t.name, a.atttypid::regtype::text, c.relrowsecurity, c.relforcerowsecurity, row_security_active(c.oid),
        pg_has_role(current_user, c.relowner, 'USAGE')
    FROM unnest(:names) AS t(name)
    LEFT JOIN pg_class c ON c.oid = to_regclass(t.name)
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = :column AND NOT a.attisdropped
    """
).bindparams(bindparam("names", type_=ARRAY(Text)))
_POLICIES = text(
    """
    SELECT t.name, p.polname, p.polpermissive, p.polcmd::text, p.polroles = '{0}',
        pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
    FROM unnest(:names) AS t(name)
    JOIN pg_policy p ON p.polrelid = to_regclass(t.name)
    ORDER BY p.polname
    """
).bindparams(bindparam("names", type_=ARRAY(Text)))
_UNLISTED = text(
    """
    SELECT c.oid::regclass::text
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE a.attname = :column AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relnamespace IN (SELECT relnamespace FROM pg_class k JOIN unnest(:names) n ON k.oid = to_regclass(n))
        AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
        AND c.oid <> ALL (SELECT to_regclass(n) FROM unnest(:names) n WHERE to_regclass(n) IS NOT NULL)
    ORDER BY 1
    """
).bindparams(bindparam("names", type_=ARRAY(Text)))


def read_role(connection: Connection) -> Role:
    """Return the current role."""
    return Role(*connection.execute(_ROLE).one())


def read_states(connection: Connection, tables: Sequence[Table], column: str) -> list[TableState]:
    """Return the state of each table, in their order."""
    names = {connection.dialect.identifier_preparer.format_table(table): table for table in tables}
    values = {"names": [*names], "column": column}
    policies: dict[str, list[Policy]] = {name: [] for name in names}
    for name, *policy in connection.execute(_POLICIES, {"names": [*names]}):
        policies[name].append(Policy(*policy))
    rows: dict[str, Sequence[Any]] = {name: row for name, *row in connection.execute(_TABLES, values)}
    states = []
    for name, table in names.items():
        column_type, is_enabled, is_forced, is_active, is_owned = rows[name]
        flags = bool(is_enabled), bool(is_forced), bool(is_active), bool(is_owned)
        states.append(TableState(table, name, column_type, *flags, policies[name]))
    return states


def find_unlisted_tables(connection: Connection, tables: Sequence[Table], column: str) -> list[str]:
    """Return the tables beside `tables` that have the column, and no forced row-level security."""
    names = list(map(connection.dialect.identifier_preparer.format_table, tables))
    return [*connection.scalars(_UNLISTED, {"names": names, "column": column})]


def make_condition(preparer: IdentifierPreparer, column: str, setting: str, column_type: str) -> str:
    """Return the condition of a tenant's rows. `setting` has been proved to match `SETTING_PATTERN`."""
    tenant = f"NULLIF(current_setting('{setting}', true), ''){CASTS[column_type]}"
    return f"{preparer.quote(column)} = (SELECT {tenant})"


def plan_changes(preparer: IdentifierPreparer, state: TableState, column: str, setting: str) -> list[str]:
    """Return the statements that a table lacks, in an order in which its rows are never open; none if it lacks none."""
    condition = make_condition(preparer, column, setting, state.column_type or "text")
    return [
        *_plan_policy(state, TENANT_POLICY, "RESTRICTIVE", condition),
        *_plan_policy(state, BASE_POLICY, "PERMISSIVE", "true"),
        *([] if state.is_enabled else [f"ALTER TABLE {state.name} ENABLE ROW LEVEL SECURITY"]),
        *([] if state.is_forced else [f"ALTER TABLE {state.name} FORCE ROW LEVEL SECURITY"]),
    ]


def _plan_policy(state: TableState, name: str, kind: str, condition: str) -> Iterator[str]:
    existing = next((policy for policy in state.policies if policy.name == name), None)
    if existing is not None and _is_as_declared(existing, kind, condition):
        return
    if existing is not None:
        yield f"DROP POLICY {name} ON {state.name}"
    rule = f"AS {kind} FOR ALL TO PUBLIC USING ({condition}) WITH CHECK ({condition})"
    yield f"CREATE POLICY {name} ON {state.name} {rule}"


def _is_as_declared(policy: Policy, kind: str, condition: str) -> bool:
    expected = _normalize(condition)
    return (
        policy.is_permissive == (kind == "PERMISSIVE")
        and policy.command == "*"
        and policy.is_for_all_roles
        and _normalize(policy.using) == _normalize(policy.check) == expected
    )


def _normalize(condition: str | None) -> str:
    """Return a condition without what PostgreSQL adds when it prints one: casts, an alias, parentheses and spaces."""
    return re.sub(r"::[a-z ]+(\[\])?|\sAS \"?\w+\"?|[\s()]", "", re.sub(r"\sAS \"?\w+\"?", "", condition or ""))
