"""Row-level security: a tenant sees its own rows, and nobody sees any without a tenant."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Session, relationship, scoped_session, sessionmaker

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning, current_tenant
from flask_tenant_provisioning.isolation import Header, RowLevelSecurity, TenantConflict
from tests.support.callers import Caller
from tests.support.hosts import make_config
from tests.support.isolated_rows import Base, Currency, Invoice, Project, RowHost, open_role

Make = Callable[..., RowHost]
#: A condition that is computed for each row.
PER_ROW = "tenant_id = current_setting('provisioning.tenant', true)"


@pytest.fixture
def role(postgresql_database: str) -> Iterator[str]:
    """A role that the policies bind."""
    with open_role(postgresql_database) as name:
        yield name


@pytest.fixture
def make(postgresql_database: str, role: str) -> Iterator[Make]:
    """Makes hosts."""
    hosts: list[RowHost] = []

    def build(**pool: Any) -> RowHost:
        hosts.append(RowHost(postgresql_database, role, **pool))
        return hosts[-1]

    yield build
    for host in hosts:
        host.close()


@pytest.fixture
def host(make: Make) -> RowHost:
    return make()


@pytest.fixture
def tenants(host: RowHost) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two tenants, each with projects."""
    partner = host.open()
    one, other = partner.create(), partner.create()
    host.add_projects(one, "apple", "ash")
    host.add_projects(other, "birch")
    return one, other


Two = tuple[dict[str, Any], dict[str, Any]]


def test_a_tenant_sees_its_own_rows_and_nobody_sees_any(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    with host.as_tenant(one):
        assert host.list_names() == ["apple", "ash"]
    with host.as_tenant(other):
        assert host.list_names() == ["birch"]
    with host.as_nobody():
        assert host.list_names() == []


def test_rows_of_another_tenant_cannot_be_counted_changed_or_removed(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    with host.as_tenant(one) as session:
        assert session.scalar(select(func.count()).select_from(Project)) == 2
        assert session.execute(text("SELECT count(*) FROM projects WHERE name = 'birch'")).scalar() == 0
        assert session.execute(update(Project).values(name=Project.name + "!")).rowcount == 2
        assert session.execute(delete(Project).where(Project.tenant_id == other["tenant"])).rowcount == 0
        joined = select(Project.name).join(Invoice, Invoice.project_id == Project.id, isouter=True)
        assert len(session.scalars(joined).all()) == 2
    with host.as_nobody() as session:
        assert session.execute(delete(Project)).rowcount == 0
        session.commit()
    with host.as_tenant(other):
        assert host.list_names() == ["birch"]


def test_rows_for_another_tenant_cannot_be_written(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    with host.as_tenant(one) as session:
        with pytest.raises(ProgrammingError, match="violates row-level security"):
            session.execute(insert(Project).values(tenant_id=other["tenant"], name="theirs"))
        session.rollback()
        with pytest.raises(ProgrammingError, match="violates row-level security"):
            session.execute(update(Project).values(tenant_id=other["tenant"]))
    with host.as_nobody() as session:
        with pytest.raises(ProgrammingError, match="violates row-level security"):
            session.execute(insert(Project).values(tenant_id=one["tenant"], name="nobody's"))
        session.rollback()


def test_a_unique_key_with_the_tenant_tells_nothing(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    host.add_projects(other, "apple")
    with host.as_tenant(one) as session, pytest.raises(IntegrityError):
        session.execute(insert(Project).values(tenant_id=one["tenant"], name="apple"))
    with host.as_tenant(one) as session:
        session.execute(insert(Project).values(tenant_id=one["tenant"], name="birch"))


def test_tables_without_a_tenant_are_left_alone(host: RowHost, tenants: Two) -> None:
    with host.as_nobody() as session:
        session.add(Currency(code="EUR"))
        session.commit()
    with host.as_tenant(tenants[0]) as session:
        assert session.scalars(select(Currency.code)).all() == ["EUR"]


def test_a_request_works_for_its_tenant(host: RowHost, tenants: Two) -> None:
    client = host.app.test_client()
    for tenant, names in ((tenants[0], ["apple", "ash"]), (tenants[1], ["birch"])):
        assert client.get("/names", headers={"X-Tenant-ID": tenant["tenant"]}).get_json() == names
        assert client.get("/names").get_json() == []


def test_a_reused_connection_keeps_no_tenant(make: Make) -> None:
    host = make(pool_size=1, max_overflow=0)
    partner = host.open()
    tenant = partner.create()
    host.add_projects(tenant, "apple")
    with host.as_tenant(tenant) as session:
        first = session.scalar(text("SELECT pg_backend_pid()"))
        session.commit()
        assert host.list_names() == ["apple"]
    with host.as_nobody() as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) == first
        assert session.scalar(text("SELECT current_setting('provisioning.tenant', true)")) == ""
        assert host.list_names() == []
    with host.engine.connect() as connection:  # without a session there is no tenant either
        assert connection.scalar(text("SELECT count(*) FROM projects")) == 0


def test_a_rollback_and_a_savepoint_keep_the_tenant(host: RowHost, tenants: Two) -> None:
    with host.as_tenant(tenants[0]) as session:
        assert len(host.list_names()) == 2
        session.rollback()
        assert len(host.list_names()) == 2
        with contextlib.suppress(ZeroDivisionError), session.begin_nested():
            assert len(host.list_names()) == 2
            raise ZeroDivisionError
        assert len(host.list_names()) == 2
        with pytest.raises(DBAPIError), session.begin_nested():
            session.execute(text("SELECT 1/0"))
        assert len(host.list_names()) == 2


def test_a_transaction_that_began_without_a_tenant_becomes_the_tenants(host: RowHost, tenants: Two) -> None:
    with host.app.app_context():
        assert host.list_names() == []
        with host.provisioning.tenant_context(tenants[0]["tenant"]):
            assert host.list_names() == ["apple", "ash"]
            host.session.rollback()
        assert host.list_names() == []
        # Within a savepoint, whose rollback takes the setting back.
        with host.provisioning.tenant_context(tenants[0]["tenant"]):
            pass
        host.session.rollback()
        host.session.execute(text("SELECT 1"))
        nested = host.session.begin_nested()
        with host.provisioning.tenant_context(tenants[0]["tenant"]):
            assert host.list_names() == ["apple", "ash"]
            nested.rollback()
            assert host.list_names() == ["apple", "ash"]
            host.session.rollback()


def test_a_transaction_of_one_tenant_serves_no_other_and_nobody(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    context = host.provisioning.tenant_context
    with host.app.app_context():
        with context(one["tenant"]):
            host.list_names()
        with pytest.raises(TenantConflict, match=f"one of tenant {one['tenant']}, and the code runs for none"):
            host.list_names()
        with context(other["tenant"]), pytest.raises(TenantConflict, match="commit or roll back at the end"):
            host.list_names()
        host.session.rollback()
        with context(other["tenant"]):
            assert host.list_names() == ["birch"]
            host.session.rollback()


def test_a_savepoint_of_another_tenant_is_refused(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    context = host.provisioning.tenant_context
    with host.app.app_context():
        with context(one["tenant"]):
            assert len(host.list_names()) == 2
        for manager in (context(other["tenant"]), contextlib.nullcontext()):
            with manager:
                savepoint = host.session.begin_nested()
                with pytest.raises(TenantConflict):
                    host.list_names()
                savepoint.rollback()
                with pytest.raises(TenantConflict):
                    host.list_names()
        host.session.rollback()
        assert host.list_names() == []


def test_a_tenant_that_is_found_in_a_savepoint_outlives_neither_it_nor_its_context(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    context = host.provisioning.tenant_context
    for ends_by in ("commit", "rollback"):
        with host.app.app_context():
            host.session.execute(text("SELECT 1"))  # begins without a tenant
            with context(one["tenant"]):
                savepoint = host.session.begin_nested()
                assert host.list_names() == ["apple", "ash"]
                getattr(savepoint, ends_by)()
                assert host.list_names() == ["apple", "ash"]
            with pytest.raises(TenantConflict):
                host.list_names()
            with context(other["tenant"]), pytest.raises(TenantConflict):
                host.list_names()
            host.session.rollback()
            assert host.list_names() == []


def test_sessions_in_a_transaction_of_the_hosts_keep_no_tenant(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    with host.app.app_context(), host.engine.connect() as connection, connection.begin():
        session = host.session(bind=connection, join_transaction_mode="create_savepoint")
        for tenant, names in ((one, ["apple", "ash"]), (None, []), (None, []), (other, ["birch"]), (None, [])):
            for ends_by in ("rollback", "commit"):
                manager = host.provisioning.tenant_context(tenant["tenant"]) if tenant else contextlib.nullcontext()
                with manager:
                    assert host.list_names() == names
                    getattr(session, ends_by)()


def test_a_session_before_its_flask_sqlalchemy_is_refused(postgresql_database: str) -> None:
    flask_sqlalchemy = pytest.importorskip("flask_sqlalchemy")
    db, app, provisioning = flask_sqlalchemy.SQLAlchemy(), Flask("host"), TenantProvisioning()
    app.config.update(make_config(PROVISIONING_LICENSE=None), SQLALCHEMY_DATABASE_URI=postgresql_database)
    provisioning.isolation.use(RowLevelSecurity(db.metadata, session=db))
    with pytest.raises(ConfigurationError, match=r"Call db\.init_app\(app\) before provisioning"):
        provisioning.init_app(app)


def test_objects_of_one_tenant_are_not_handed_to_the_next(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    context = host.provisioning.tenant_context
    host.session.session_factory.configure(expire_on_commit=False)
    with host.app.app_context():
        with context(one["tenant"]):
            project = host.session.scalars(select(Project)).first()
            assert project is not None
            host.session.commit()
            assert host.session.get(Project, project.id) is project
        with context(other["tenant"]):
            assert host.session.get(Project, project.id) is None
            host.session.rollback()
        assert host.session.get(Project, project.id) is None


@pytest.mark.parametrize("begins", ["before the context", "in an earlier context"])
def test_objects_of_a_transaction_that_began_elsewhere_are_not_handed_on(
    host: RowHost, tenants: Two, begins: str
) -> None:
    one, other = tenants
    context = host.provisioning.tenant_context
    host.session.session_factory.configure(expire_on_commit=False)
    with host.app.app_context():
        with context(one["tenant"]) if begins == "in an earlier context" else contextlib.nullcontext():
            host.session.execute(text("SELECT 1"))
        with context(one["tenant"]):
            project = host.session.scalars(select(Project)).first()
            assert project is not None
            host.session.commit()
        with context(other["tenant"]):
            assert host.session.get(Project, project.id) is None
            host.session.rollback()


def make_family(host: RowHost, **options: Any) -> tuple[Any, Any, Any]:
    """Create the tables of users, who are shared, and of their notes with lines; return a session and two models."""

    class Model(DeclarativeBase):
        pass

    class User(Model):
        __tablename__ = "users"
        id = Column(Integer, primary_key=True)
        notes = relationship("Note")

    class Note(Model):
        __tablename__ = "notes"
        id = Column(Integer, primary_key=True)
        tenant_id = Column(String(36))
        user_id = Column(ForeignKey("users.id"))  # type: ignore[var-annotated]
        lines = relationship("Line", cascade="all, delete-orphan")

    class Line(Model):
        __tablename__ = "lines"
        id = Column(Integer, primary_key=True)
        tenant_id = Column(String(36))
        note_id = Column(ForeignKey("notes.id"))  # type: ignore[var-annotated]

    Model.metadata.create_all(host.owner)
    for kind in ("TABLES", "SEQUENCES"):
        host.run_as_owner(f"GRANT ALL ON ALL {kind} IN SCHEMA {host.schema} TO {host.role}")
    RowLevelSecurity(Model, session=sessionmaker(host.owner)).apply()
    factory = sessionmaker(host.engine, **options)
    RowLevelSecurity(Model, session=factory)

    def make_note(tenant: dict[str, Any]) -> Any:
        return Note(tenant_id=tenant["tenant"], lines=[Line(tenant_id=tenant["tenant"]) for _ in range(2)])

    return factory(), User, make_note


def test_objects_leave_the_session_with_their_parents(host: RowHost, tenants: Two) -> None:
    session, _, make_note = make_family(host)
    with host.app.app_context():
        with host.provisioning.tenant_context(tenants[0]["tenant"]):
            note = make_note(tenants[0])
            session.add(note)
            session.commit()
            assert len(note.lines) == 2
        assert [*session] == []
        session.close()


def test_a_shared_object_keeps_no_tenants_objects(host: RowHost, tenants: Two) -> None:
    session, User, make_note = make_family(host, expire_on_commit=False)
    context = host.provisioning.tenant_context
    with host.app.app_context():
        with context(tenants[0]["tenant"]):
            user = User(notes=[make_note(tenants[0])])
            session.add(user)
            session.commit()
            assert len(user.notes) == 1
        with context(tenants[1]["tenant"]):
            assert session.get(User, user.id) is user
            assert user.notes == []
            session.rollback()
        session.close()


def test_what_is_not_saved_in_a_context_is_an_error(host: RowHost, tenants: Two) -> None:
    context = host.provisioning.tenant_context
    with host.app.app_context():
        entered = context(tenants[0]["tenant"])
        entered.__enter__()
        project = host.session.scalars(select(Project)).first()
        assert project is not None
        project.name = "changed"
        with pytest.raises(TenantConflict, match="were not saved"):
            entered.__exit__(None, None, None)
        assert not current_tenant
        host.session.rollback()
        with contextlib.suppress(ZeroDivisionError), context(tenants[0]["tenant"]):
            host.session.add(Project(tenant_id=tenants[0]["tenant"], name="new"))
            host.list_names()
            raise ZeroDivisionError
        host.session.rollback()
        with context(tenants[0]["tenant"]):
            assert host.list_names() == ["apple", "ash"]
            host.session.rollback()


def test_the_policies_bind_the_owner_of_the_tables_too(postgresql_database: str, role: str, make: Make) -> None:
    host = make()
    partner = host.open(policies=False)
    for table in ("projects", "invoices", "rates", "currencies"):
        host.run_as_owner(f"ALTER TABLE {table} OWNER TO {role}")
    assert host.security.apply()
    tenant = partner.create()
    host.add_projects(tenant, "apple")
    with host.as_nobody():
        assert host.list_names() == []
    host.run_as_owner("ALTER TABLE projects NO FORCE ROW LEVEL SECURITY")
    again = make()
    again.open(policies=False)
    expected = "projects: row-level security does not bind the owner, and the role owns the table"
    with again.as_nobody(), pytest.raises(ConfigurationError, match=expected):
        again.list_names()


def test_policies_are_made_once(host: RowHost) -> None:
    host.open(policies=False)
    statements = host.apply()

    def rule(condition: str) -> str:
        return f"FOR ALL TO PUBLIC USING ({condition}) WITH CHECK ({condition})"

    condition = "tenant_id = (SELECT NULLIF(current_setting('provisioning.tenant', true), '')"
    assert statements == [
        statement
        for table, cast in (("projects", ""), ("invoices", "::uuid"))
        for statement in (
            f"CREATE POLICY provisioning_tenant_only ON {table} AS RESTRICTIVE {rule(condition + cast + ')')}",
            f"CREATE POLICY provisioning_base ON {table} AS PERMISSIVE {rule('true')}",
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        )
    ]
    assert host.apply() == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("ALTER TABLE projects DISABLE ROW LEVEL SECURITY", "projects: row-level security is off"),
        ("ALTER TABLE projects NO FORCE ROW LEVEL SECURITY", "projects: row-level security does not bind the owner"),
        ("DROP POLICY provisioning_tenant_only ON projects", "the policy provisioning_tenant_only is missing"),
        ("DROP POLICY provisioning_base ON invoices", "invoices: the policy provisioning_base is missing"),
        ("ALTER POLICY provisioning_tenant_only ON projects USING (true)", "provisioning_tenant_only differs"),
        (f"ALTER POLICY provisioning_tenant_only ON projects USING ({PER_ROW})", "provisioning_tenant_only differs"),
        ("ALTER POLICY provisioning_tenant_only ON invoices TO pg_monitor", "provisioning_tenant_only differs"),
    ],
)
def test_a_start_without_whole_policies_is_refused_until_they_are_applied(
    host: RowHost, statement: str, fault: str
) -> None:
    host.open()
    host.run_as_owner(statement)
    with host.as_nobody() as session:
        with pytest.raises(ConfigurationError, match=f"Tenants' rows are not isolated: .*{re.escape(fault)}.*/ run"):
            host.list_names()
        session.rollback()
        assert host.apply()
        assert host.list_names() == []


def test_a_table_that_is_migrated_after_the_start_is_checked_too(host: RowHost) -> None:
    host.open()
    host.run_as_owner("DROP TABLE invoices")
    with host.as_nobody() as session:
        assert host.list_names() == []
        session.rollback()
        Base.metadata.create_all(host.owner)
        with pytest.raises(ConfigurationError, match="invoices: row-level security is off"):
            host.list_names()
        session.rollback()
        assert host.apply()
        assert host.list_names() == []


def test_a_permissive_policy_of_the_hosts_opens_nothing(host: RowHost, tenants: Two) -> None:
    host.run_as_owner("CREATE POLICY all_rows ON projects USING (true)")
    with host.as_tenant(tenants[1]):
        assert host.list_names() == ["birch"]
    assert host.apply() == []


@pytest.mark.parametrize(
    ("attributes", "fault"),
    [("SUPERUSER", "is a superuser, whom no policy binds"), ("BYPASSRLS", "has BYPASSRLS, so no policy binds it")],
)
def test_a_role_that_no_policy_binds_is_refused(postgresql_database: str, attributes: str, fault: str) -> None:
    with open_role(postgresql_database, attributes) as role:
        host = RowHost(postgresql_database, role)
        host.open()
        with host.as_nobody(), pytest.raises(ConfigurationError, match=f"{fault} / connect with a role of its own"):
            host.list_names()
        host.close()


def test_a_refused_session_reads_nothing_before_its_rollback(postgresql_database: str) -> None:
    with open_role(postgresql_database, "SUPERUSER") as role:
        host = RowHost(postgresql_database, role)
        host.open()
        with host.as_nobody() as session:
            for message in ("is a superuser", "roll it back", "roll it back"):
                with pytest.raises(ConfigurationError, match=message):
                    host.list_names()
            session.rollback()
            with pytest.raises(ConfigurationError, match="is a superuser"):
                host.list_names()
        host.close()


def test_a_connection_whose_settings_do_not_last_is_refused(make: Make) -> None:
    host = make(isolation_level="AUTOCOMMIT")
    host.open()
    with (
        host.as_nobody(),
        pytest.raises(ConfigurationError, match="a setting does not last as long as its transaction"),
    ):
        host.list_names()


def test_other_databases_are_refused_at_start() -> None:
    engine = create_engine("sqlite://")
    provisioning = TenantProvisioning()
    provisioning.isolation.use(RowLevelSecurity(Base, session=sessionmaker(engine), exempt=["rates"]))
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_LICENSE=None))
    with pytest.raises(ConfigurationError, match=r"RowLevelSecurity needs PostgreSQL, not sqlite: .* misses raw SQL"):
        provisioning.init_app(app)
    with Session(engine) as session:
        assert session.scalar(select(1)) == 1


def test_another_database_without_tenants_is_left_alone(host: RowHost, tenants: Two) -> None:
    second = {"bind": create_engine("sqlite://")}
    with host.as_tenant(tenants[0]) as session:
        assert session.execute(text("SELECT 1"), bind_arguments=second).scalar() == 1
        assert host.list_names() == ["apple", "ash"]


def test_what_is_no_table_or_session_is_refused() -> None:
    factory = sessionmaker(create_engine("sqlite://"))
    for tables in (None, "projects", [], [int], 7):
        with pytest.raises(ConfigurationError, match="RowLevelSecurity needs a MetaData"):
            RowLevelSecurity(tables, session=factory)  # type: ignore[arg-type]
    for session in (None, factory(), create_engine("sqlite://"), Session):
        with pytest.raises(ConfigurationError, match="session needs your scoped_session"):
            RowLevelSecurity(Base, session=session)
    for setting in ("tenant", "a.b.c", "x.y'; DROP TABLE projects; --", "X.y", ""):
        with pytest.raises(ConfigurationError, match="a name of two parts"):
            RowLevelSecurity(Base, session=factory, setting=setting)
    names = [table.name for table in RowLevelSecurity([Project, Invoice.__table__], session=factory).list_tables()]
    assert names == ["projects", "invoices"]
    assert [table.name for table in RowLevelSecurity(Project, session=factory).list_tables()] == ["projects"]


def test_a_table_of_tenants_rows_without_their_column_is_advised_against(host: RowHost) -> None:
    metadata = MetaData()
    Table("notes", metadata, Column("id", Integer, primary_key=True), Column("tenant_id", String(36)))
    Table("lines", metadata, Column("id", Integer, primary_key=True), Column("note_id", ForeignKey("notes.id")))
    host.open()
    metadata.create_all(host.owner)
    for exempt, expected in (((), ["lines"]), (("lines",), [])):
        security = RowLevelSecurity(metadata, session=sessionmaker(host.owner), exempt=exempt)
        faults = [fault for fault in security.find_faults(of_role=False) if fault.is_advice]
        assert [fault.table for fault in faults] == expected
        for fault in faults:
            assert fault.problem == "refers to tenants' rows in notes and has no column tenant_id"


def test_hostile_names_are_quoted(host: RowHost) -> None:
    name, column = 'Q"; DROP TABLE rates; --', 'te"nant Id'
    table = Table(name, MetaData(), Column("id", Integer, primary_key=True), Column(column, String(36)))
    host.open()
    table.create(host.owner)
    security = RowLevelSecurity([table], session=sessionmaker(host.owner), column=column)
    assert len(security.apply()) == 4
    assert security.apply() == []
    assert [fault for fault in security.find_faults(of_role=False) if fault.table] == []


def test_operators_see_all_rows_and_the_log_says_why(
    host: RowHost, tenants: Two, caplog: pytest.LogCaptureFixture
) -> None:
    isolation = host.provisioning.isolation
    with caplog.at_level(logging.WARNING), isolation.bypass("monthly invoices") as session:
        assert session.scalars(select(Project.name).order_by(Project.name)).all() == ["apple", "ash", "birch"]
        with pytest.raises(DBAPIError, match="read-only transaction"):
            session.execute(delete(Project))
        session.rollback()
        with pytest.raises(DBAPIError, match="read-only transaction"):
            session.execute(delete(Project))
    (record,) = [record for record in caplog.records if "bypassed" in record.message]
    assert record.message == "row-level security is bypassed: monthly invoices"
    assert (record.__dict__["reason"], record.__dict__["write"]) == ("monthly invoices", False)
    with isolation.bypass("a wrong name", write=True) as session:
        session.execute(update(Project).where(Project.name == "birch").values(name="beech"))
    with contextlib.suppress(ZeroDivisionError), isolation.bypass("a wrong name", write=True) as session:
        session.execute(delete(Project))
        raise ZeroDivisionError
    with host.as_tenant(tenants[1]):
        assert host.list_names() == ["beech"]
        with pytest.raises(TenantConflict), isolation.bypass("in a tenant's context"):
            raise AssertionError("entered")
    for reason in ("", " ", None):
        with pytest.raises(ConfigurationError, match="Say why"), isolation.bypass(reason):  # type: ignore[arg-type]
            raise AssertionError("entered")


def test_a_bypass_needs_a_role_of_its_own(host: RowHost) -> None:
    host.open()
    none = host.make_security(operators=None)
    with pytest.raises(ConfigurationError, match="bypass needs RowLevelSecurity"), none.bypass("x"):
        raise AssertionError("entered")
    bound = host.make_security(operators=host.engine)
    with pytest.raises(ConfigurationError, match=f"ALTER ROLE {host.role} BYPASSRLS"), bound.bypass("x"):
        raise AssertionError("entered")


def test_a_hook_writes_the_rows_of_its_tenant(host: RowHost) -> None:
    @host.provisioning.hook("tenant.create")
    def open_workspace(session: Any, tenant: dict[str, Any]) -> None:
        host.provisioning.isolation.set_tenant(session, tenant["tenant"])
        session.add(Project(tenant_id=tenant["tenant"], name="first"))

    partner = host.open(db=host.engine)  # the API enters the database by the role that the policies bind
    tenant = partner.create()
    with host.as_tenant(tenant):
        assert host.list_names() == ["first"]


def test_the_hosts_own_session_is_given_no_other_tenant(host: RowHost, tenants: Two) -> None:
    one, other = tenants
    set_tenant = host.provisioning.isolation.set_tenant
    with host.as_tenant(one) as session:
        with pytest.raises(TenantConflict, match="open a tenant_context"):
            set_tenant(session(), other["tenant"])
        assert host.list_names() == ["apple", "ash"]
    with host.as_nobody() as session, pytest.raises(TenantConflict, match="open a tenant_context"):
        set_tenant(session(), other["tenant"])


def test_flask_sqlalchemy_works_for_the_current_tenant(postgresql_database: str, role: str) -> None:
    flask_sqlalchemy = pytest.importorskip("flask_sqlalchemy")
    if version("flask-sqlalchemy").startswith("3.0"):
        pytest.skip("this example is written for Flask-SQLAlchemy 3.1")

    class Model(DeclarativeBase):
        pass

    db = flask_sqlalchemy.SQLAlchemy(model_class=Model)
    Note = type("Note", (db.Model,), {
        "__tablename__": "notes",
        "id": Column(Integer, primary_key=True),
        "tenant_id": Column(String(36), index=True),
    })  # fmt: skip
    provisioning = TenantProvisioning()
    provisioning.isolation.resolve_by(Header("X-Tenant-ID"))
    provisioning.isolation.use(RowLevelSecurity(db.metadata, session=db))
    app = Flask("host")
    owner = create_engine(postgresql_database, isolation_level="AUTOCOMMIT")
    app.config.update(make_config(), SQLALCHEMY_DATABASE_URI=owner.url.set(username=role))
    Model.metadata.create_all(owner)
    with owner.connect() as connection:
        connection.execute(text(f"ALTER TABLE notes OWNER TO {role}"))
    db.init_app(app)
    provisioning.init_app(app, owner)
    with app.app_context():
        assert len(provisioning.isolation.strategy.apply()) == 4  # type: ignore[union-attr]

    def write() -> str:
        db.session.add(Note(tenant_id=current_tenant.id))
        db.session.commit()
        return str(db.session.scalar(select(func.count()).select_from(Note)))

    app.add_url_rule("/write", view_func=write)
    partner, client = Caller(app), app.test_client()
    one, other = partner.create(), partner.create()
    found = [client.get("/write", headers={"X-Tenant-ID": tenant["tenant"]}).text for tenant in (one, one, other)]
    assert found == ["1", "2", "1"]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Note)) == 0
        db.engine.dispose()
    owner.dispose()


def test_the_tenant_is_looked_up_by_an_index_and_read_once(host: RowHost, tenants: Two) -> None:
    host.run_as_owner(
        "INSERT INTO projects (tenant_id, name) "
        "SELECT md5((g % 500)::text)::uuid::text, g::text FROM generate_series(1, 20000) g"
    )
    host.run_as_owner("ANALYZE projects")
    with host.as_tenant(tenants[0]) as session:
        plan = "\n".join(session.scalars(text("EXPLAIN SELECT * FROM projects WHERE name = 'apple'")))
        listing = "\n".join(session.scalars(text("EXPLAIN SELECT * FROM projects")))
    for found in (plan, listing):
        assert "InitPlan 1" in found
        assert re.search(r"Index Cond: .*\$0", found), found
        assert "Seq Scan" not in found


def test_one_declaration_serves_two_apps(postgresql_database: str, role: str, host: RowHost) -> None:
    partner = host.open()
    tenant = partner.create()
    host.add_projects(tenant, "apple")
    second = Flask("second")
    second.config.update(make_config())
    host.provisioning.init_app(second, postgresql_database)
    with second.app_context(), host.provisioning.tenant_context(tenant["tenant"]):
        assert host.list_names() == ["apple"]
        host.session.rollback()
        with host.app.app_context():
            assert host.list_names() == []
            host.session.rollback()
    second.extensions["tenant_provisioning"]["provisioning"].storage.engine.dispose()


def test_without_a_strategy_there_is_nothing_to_bypass() -> None:
    isolation = TenantProvisioning().isolation
    with pytest.raises(ConfigurationError, match="Name a strategy first"):
        isolation.bypass("x")
    factory = scoped_session(sessionmaker(create_engine("sqlite://")))
    isolation.use(RowLevelSecurity(Base, session=factory, exempt=["rates"]))
    with pytest.raises(ConfigurationError, match="once, before init_app"):
        isolation.use(RowLevelSecurity(Base, session=factory))
