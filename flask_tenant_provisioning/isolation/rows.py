"""Row-level security: the tenants of one schema in the same tables, kept apart by PostgreSQL's policies.

The host's session tells the database the current tenant at the beginning of each transaction, by a setting that is
local to it. Every statement is compared with the context that runs it: a transaction of one tenant serves no other.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, event, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, SessionTransaction, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from ..config import ConfigurationError
from .context import Scope, find_scope, get_tenant_id
from .faults import AUTOCOMMIT_ADVICE, describe_type, find_leaking_keys, find_open_children, find_policy_faults
from .policies import CASTS, SETTING_PATTERN, find_unlisted_tables, plan_changes, read_role, read_states
from .refusals import TenantConflict
from .strategy import Fault

logger = logging.getLogger(__name__)
#: The execution option of a connection that holds the tenant of its transaction.
_OPTION = "flask_tenant_provisioning_tenant"
#: The option of a connection whose tenant is sent before each statement.
_IS_SENT_AGAIN = "flask_tenant_provisioning_is_sent_again"
#: The option of a connection that holds a weak reference to its session.
_SESSION = "flask_tenant_provisioning_session"
_UNMANAGED = object()
#: The tenant of a transaction whose check has failed: it runs no further statement.
_REFUSED = object()
#: Statements that read no rows, and may have to clean up after a context.
_SAVEPOINTS = ("SAVEPOINT ", "RELEASE SAVEPOINT ", "ROLLBACK TO SAVEPOINT ")
_SET = "SELECT set_config(%s, %s, true)"
WHY_POSTGRESQL = (
    "RowLevelSecurity needs PostgreSQL, not {}: other databases have no policies, and a filter that is added to "
    "queries misses raw SQL, bulk statements and joins. Use PostgreSQL, or a database per tenant."
)


class RowLevelSecurity:
    """Policies on the tables that have a tenant's column, and the binding of the host's session to the current tenant.

    ::

        provisioning.isolation.use(RowLevelSecurity(db.metadata, session=db.session))

    The first argument is a `MetaData`, a declarative base class, or a list of models or tables. `session` is the host's
    `scoped_session`, `sessionmaker` or subclass of `Session`, or its Flask-SQLAlchemy object. `column` holds a tenant's
    id, in a column of PostgreSQL's type ``uuid``, ``text`` or ``varchar``. `exempt` names tables that have the column
    and are shared by all tenants. `operators` is an `Engine` or a URL with a role that may pass by the policies, for
    `bypass`.

    Raises `ConfigurationError` for arguments that are none of these.
    """

    def __init__(
        self,
        tables: MetaData | type[Any] | Sequence[Any],
        *,
        session: Any,
        column: str = "tenant_id",
        exempt: Iterable[str] = (),
        setting: str = "provisioning.tenant",
        operators: Engine | URL | str | None = None,
    ) -> None:
        if not SETTING_PATTERN.fullmatch(setting):
            raise ConfigurationError(f"setting needs a name of two parts, such as 'myapp.tenant', not {setting!r}.")
        self._given = tables
        self.column = column
        self.setting = setting
        self._exempt = frozenset(exempt)
        self._operators = operators
        self._operators_engine: Engine | None = None
        self._factory = _find_session_factory(session)
        self._safe_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
        self._heard_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
        self.list_tables()
        self._listen(session if self._factory is session else getattr(session, "session", session))

    def __repr__(self) -> str:
        return "RowLevelSecurity"

    def list_tables(self) -> list[Table]:
        """Return the tables that have the tenant's column and are not exempt. Raises `ConfigurationError`."""
        tables = _find_tables(self._given)
        return [table for table in tables if self.column in table.columns and table.fullname not in self._exempt]

    def prepare(self) -> None:
        """Listen to the engines of the session, in the context of an app. Opens no connection.

        Raises `ConfigurationError` for another database than PostgreSQL, and before the host's Flask-SQLAlchemy is
        initialized.
        """
        try:
            engines = self._find_engines()
        except (RuntimeError, KeyError) as error:
            raise ConfigurationError("Call db.init_app(app) before provisioning.init_app(app).") from error
        for engine in engines:
            if engine.dialect.name != "postgresql":
                raise ConfigurationError(WHY_POSTGRESQL.format(engine.dialect.name))
            self._listen_to(engine)

    def set_tenant(self, session: Session, tenant_id: str) -> None:
        """Let the rest of a session's transaction work for a tenant, as a hook's does for the tenant that it gets.

        Raises `TenantConflict` for the host's own session, which works for the current tenant.
        """
        connection = session.connection()
        if connection.get_execution_options().get(_OPTION, _UNMANAGED) not in (_UNMANAGED, tenant_id):
            raise TenantConflict("This session works for the current tenant: open a tenant_context instead.")
        connection.execute(text("SELECT set_config(:name, :tenant, true)"), {"name": self.setting, "tenant": tenant_id})

    @contextlib.contextmanager
    def bypass(self, reason: str, *, write: bool = False) -> Iterator[Session]:
        """Open a session that sees the rows of all tenants; see `Isolation.bypass`."""
        if get_tenant_id() is not None:
            raise TenantConflict("A tenant's context bypasses no policies: leave it before.")
        if not isinstance(reason, str) or not reason.strip():
            raise ConfigurationError("Say why the policies are bypassed: bypass('monthly invoices').")
        engine = self._get_operators_engine()
        with Session(engine) as session:
            if not write:
                event.listen(session, "after_begin", _forbid_writes)
            role = read_role(session.connection())
            if not (role.bypasses or role.is_superuser):
                raise ConfigurationError(
                    f"The policies bind the role {role.name} of `operators` too: ALTER ROLE {role.name} BYPASSRLS."
                )
            fields = {"reason": reason, "role": role.name, "write": write}
            logger.warning("row-level security is bypassed: %s", reason, extra=fields)
            yield session
            if write:
                session.commit()

    def apply(self, *, run: bool = True) -> list[str]:
        """Create the policies that are missing, or return the statements only. Returns the statements.

        Each table is changed in a transaction of its own, and a second call finds nothing to do. Raises
        `ConfigurationError` for a column of another type.
        """
        statements: list[str] = []
        for engine in self._find_engines():
            for table in self._list_tables_of(engine):
                with (
                    engine.connect().execution_options(isolation_level="READ COMMITTED") as connection,
                    connection.begin(),
                ):
                    connection.execute(text("SET LOCAL lock_timeout = '10s'"))
                    connection.execute(
                        text("SELECT pg_advisory_xact_lock(hashtext('flask_tenant_provisioning.policies'))")
                    )
                    (state,) = read_states(connection, [table], self.column)
                    if state.column_type is None:
                        continue  # it has not been migrated yet: `check` says so
                    if state.column_type not in CASTS:
                        raise ConfigurationError(f"{state.name}: {describe_type(state, self.column)}")
                    preparer = connection.dialect.identifier_preparer
                    changes = plan_changes(preparer, state, self.column, self.setting)
                    statements += changes
                    for statement in changes if run else ():
                        connection.exec_driver_sql(statement)
        return statements

    def find_faults(self, *, of_role: bool = True, ignored: Iterable[str] = ()) -> list[Fault]:
        """Return what keeps the policies from holding, and what they cannot hold.

        `of_role` includes the role that the session connects with. `ignored` are tables of others in the same schemas.
        """
        faults: list[Fault] = []
        if not self.list_tables():
            faults.append(Fault("", f"no table has a column {self.column}", "name the column: column='…'"))
        for engine in self._find_engines():
            tables = self._list_tables_of(engine)
            with engine.connect() as connection, connection.begin():
                faults += find_policy_faults(connection, tables, self.column, self.setting, of_role=of_role)
                unlisted = find_unlisted_tables(connection, tables, self.column)
            shared = {*ignored, *self._exempt}
            faults += [
                Fault(name, f"has a column {self.column} and no policy", "declare it in the metadata, or as exempt")
                for name in unlisted
                if name not in shared
            ]
        given = [table for table in _find_tables(self._given) if table.fullname not in self._exempt]
        faults += find_open_children(given, self.list_tables(), self.column)
        return [*faults, *find_leaking_keys(self.list_tables(), self.column)]

    def probe_pool(self) -> list[Fault]:
        """Return a fault if a transaction's tenant outlives it on its connection."""
        for engine in self._find_engines():
            with engine.connect() as connection:
                with connection.begin() as transaction:
                    connection.exec_driver_sql(_SET, (self.setting, "probe"))
                    transaction.rollback()
                with connection.begin():
                    if connection.scalar(text("SELECT current_setting(:name, true)"), {"name": self.setting}):
                        return [Fault("", "a transaction's tenant outlives it on its connection", AUTOCOMMIT_ADVICE)]
        return []

    def _listen(self, session: Any) -> None:
        event.listen(session, "after_begin", self._bind)

    def _listen_to(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", self._verify)
        self._heard_engines.add(engine)

    def _bind(self, session: Session, transaction: SessionTransaction, connection: Connection) -> None:
        """Tell the database whose the transaction is that begins, and check once that its policies hold."""
        if transaction.nested:
            self._verify(connection)
            return
        if connection.dialect.name != "postgresql" and not self._list_bound_tables(session, connection.engine):
            return  # another database of the host's, such as a second bind
        before = connection.get_execution_options().get(_OPTION, _UNMANAGED)
        if connection.engine not in self._safe_engines:
            connection.execution_options(**{_OPTION: _UNMANAGED})
            try:
                self._require_safe(session, connection)
            except BaseException:
                # The session keeps the connection: code that goes on after the error must not see all rows.
                connection.execution_options(**{_OPTION: _REFUSED})
                event.listen(connection, "before_cursor_execute", self._verify)
                raise
        scope = find_scope()
        tenant_id = None if scope is None else scope.tenant_id
        reference = weakref.ref(session)
        connection.execution_options(**{_OPTION: tenant_id, _IS_SENT_AGAIN: False, _SESSION: reference})
        # A connection that served a transaction before may be in one of the host's, which still has that one's tenant.
        if tenant_id is not None or before is not _UNMANAGED:
            self._send_tenant(connection, tenant_id or "")
        if session.info.get(_OPTION) not in (None, tenant_id):
            session.expire_all()  # a session that the host keeps: what it has of the tenant before is loaded again
        session.info[_OPTION] = tenant_id
        if scope is not None and tenant_id is not None:
            self._await_exit(scope, reference)

    def _await_exit(self, scope: Scope, reference: Callable[[], Session | None]) -> None:
        """Remove the tenant's objects from a session when its context ends."""
        if scope.exits is not None and (session := reference()) is not None:
            # It replaces that of a session whose id has been reused.
            scope.exits[id(session)] = partial(self._forget_rows, reference)

    def _send_tenant(self, connection: Connection, tenant_id: str) -> None:
        """Set the tenant for the rest of the transaction.

        The driver's cursor takes half the time of SQLAlchemy's. A failure is sent again through SQLAlchemy, which
        raises its own exception, and drops the connection if it is dead.
        """
        try:
            cursor = connection.connection.cursor()
            cursor.execute(_SET, (self.setting, tenant_id))
            cursor.close()
        except connection.dialect.loaded_dbapi.Error:
            connection.exec_driver_sql(_SET, (self.setting, tenant_id))

    def _verify(self, connection: Connection, _cursor: Any = None, statement: str = "", *_: Any) -> None:
        """Require the tenant of the transaction in which a statement runs to be the current one.

        A transaction that began without a tenant, such as by a resolver, becomes that of the tenant that is found.
        """
        options = connection.get_execution_options()
        bound = options.get(_OPTION, _UNMANAGED)
        if bound is _UNMANAGED or statement.startswith(_SAVEPOINTS):
            return
        if bound is _REFUSED:
            raise ConfigurationError("This transaction is not isolated, as its first statement said: roll it back.")
        scope = find_scope()
        tenant_id = None if scope is None else scope.tenant_id
        if scope is not None and tenant_id is not None and scope.exits is not None:
            self._await_exit(scope, options[_SESSION])
        if tenant_id == bound:
            if options.get(_IS_SENT_AGAIN):
                self._send_tenant(connection, tenant_id or "")
            return
        if bound is not None:
            raise TenantConflict(
                f"This transaction is one of tenant {bound}, and the code runs for {tenant_id or 'none'}: "
                "commit or roll back at the end of a tenant's context."
            )
        # A rollback to a savepoint takes back a setting that was made after it, which is therefore sent again.
        is_sent_again = connection.in_nested_transaction()
        connection.execution_options(**{_OPTION: tenant_id, _IS_SENT_AGAIN: is_sent_again})
        self._send_tenant(connection, tenant_id or "")
        if (session := options[_SESSION]()) is not None:
            session.info[_OPTION] = tenant_id

    def _forget_rows(self, reference: Callable[[], Session | None]) -> None:
        """Remove a tenant's objects from a session at the end of its context: the next one would be handed them.

        Shared objects stay. What they have loaded is loaded again: their relationships may hold a tenant's.

        Raises `TenantConflict` if some of them were not flushed, which would be lost.
        """
        session = reference()
        if session is None:
            return
        tables = {*self.list_tables()}
        kept = [item for item in [*session.new, *session.identity_map.values()] if _is_of(item, tables)]
        unsaved = any(item in session.new or item in session.deleted or session.is_modified(item) for item in kept)
        for item in kept:
            if item in session:  # not removed with its parent
                session.expunge(item)
        for item in session.identity_map.values():
            if names := inspect(item).unmodified:
                session.expire(item, names)
        if unsaved:
            raise TenantConflict("Objects of a tenant were not saved: commit or roll back at the end of its context.")

    def _require_safe(self, session: Session, connection: Connection) -> None:
        """Check the policies of a database before its first transaction. Raises `ConfigurationError` with the fix."""
        if connection.dialect.name != "postgresql":
            raise ConfigurationError(WHY_POSTGRESQL.format(connection.dialect.name))
        engine = connection.engine
        tables = self._list_bound_tables(session, engine)
        faults = find_policy_faults(connection, tables, self.column, self.setting)
        connection.exec_driver_sql(_SET, (self.setting, "probe"))
        if connection.scalar(text("SELECT current_setting(:name, true)"), {"name": self.setting}) != "probe":
            faults.append(Fault("", "a setting does not last as long as its transaction", AUTOCOMMIT_ADVICE))
        connection.exec_driver_sql(_SET, (self.setting, ""))
        serious = [fault for fault in faults if not fault.is_advice]
        if serious:
            raise ConfigurationError("Tenants' rows are not isolated: " + "; ".join(map(str, serious)))
        if engine not in self._heard_engines:
            self._listen_to(engine)
            event.listen(connection, "before_cursor_execute", self._verify)  # it was there before the engine listened
        if not faults:  # a table that is migrated later is checked then
            self._safe_engines.add(engine)

    def _find_engines(self) -> list[Engine]:
        """Return the engines of the tables, each once."""
        with self._factory() as session:
            found = {id(engine): engine for table in self.list_tables() if (engine := _get_engine(session, table))}
            if not found and (engine := _get_engine(session, None)):
                return [engine]
        return [*found.values()]

    def _list_tables_of(self, engine: Engine) -> list[Table]:
        with self._factory() as session:
            return self._list_bound_tables(session, engine)

    def _list_bound_tables(self, session: Session, engine: Engine) -> list[Table]:
        """Return the tables that a session has in the database of `engine`."""
        return [table for table in self.list_tables() if _get_engine(session, table) is engine]

    def _get_operators_engine(self) -> Engine:
        if self._operators is None:
            raise ConfigurationError(
                "bypass needs RowLevelSecurity(…, operators=URL), with a role that has BYPASSRLS and is not the app's."
            )
        if self._operators_engine is None:
            given = self._operators
            self._operators_engine = given if isinstance(given, Engine) else create_engine(given, poolclass=NullPool)
        return self._operators_engine


def _find_tables(given: Any) -> list[Table]:
    """Return the tables of what the host has given. Raises `ConfigurationError` if it is nothing of this kind."""
    metadata = given if isinstance(given, MetaData) else getattr(given, "metadata", None)
    if isinstance(metadata, MetaData) and not hasattr(given, "__table__"):
        return list(metadata.sorted_tables)
    several = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    tables = [getattr(each, "__table__", each) for each in several]
    if not tables or not all(isinstance(table, Table) for table in tables):
        raise ConfigurationError(f"RowLevelSecurity needs a MetaData, a base class, models or tables, not {given!r}.")
    return tables


def _find_session_factory(session: Any) -> Callable[[], Session]:
    """Return what makes the host's sessions. Raises `ConfigurationError` for another object."""
    session = getattr(session, "session", session)
    if isinstance(session, scoped_session):
        session = session.session_factory
    if isinstance(session, sessionmaker) or (
        isinstance(session, type) and issubclass(session, Session) and session is not Session
    ):
        return session
    raise ConfigurationError(
        f"session needs your scoped_session, sessionmaker or subclass of Session, not {session!r}."
    )


def _get_engine(session: Session, table: Table | None) -> Engine | None:
    try:
        return session.get_bind(clause=table).engine
    except UnboundExecutionError:
        return None


def _forbid_writes(_session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    """Let a transaction only read. A savepoint that begins in it does so already."""
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")


def _is_of(item: Any, tables: set[Table]) -> bool:
    return not tables.isdisjoint(item.__mapper__.tables)
