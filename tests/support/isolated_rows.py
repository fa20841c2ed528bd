"""A host with rows of tenants in PostgreSQL, and a role of its own that the policies bind."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from flask import Flask, jsonify
from sqlalchemy import URL, ForeignKey, Index, MetaData, String, Uuid, create_engine, make_url, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.isolation import Header, RowLevelSecurity
from tests.support.callers import Caller
from tests.support.database import postgresql
from tests.support.hosts import get_engine, make_config


class Base(DeclarativeBase):
    """The host's models."""

    metadata = MetaData()


class Project(Base):
    """A tenant's row, whose tenant is a text."""

    __tablename__ = "projects"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    __table_args__ = (Index("projects_by_name", "tenant_id", "name", unique=True),)


class Invoice(Base):
    """A tenant's row, whose tenant is a UUID."""

    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Uuid(as_uuid=False))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    number: Mapped[str] = mapped_column(unique=True)


class Currency(Base):
    """A row of all tenants."""

    __tablename__ = "currencies"
    code: Mapped[str] = mapped_column(primary_key=True)


class Rate(Base):
    """A row of all tenants that names the one who entered it."""

    __tablename__ = "rates"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str | None]


class RowHost:
    """A host on the database at `owner_url`, which its session enters with the role `role`.

    The role owns no table. With `is_bound` its session is bound to the current tenant. `pool` are
    options of its engine.
    """

    def __init__(
        self, owner_url: str, role: str, *, url: URL | None = None, is_bound: bool = True, **pool: Any
    ) -> None:
        self.owner = create_engine(owner_url, isolation_level="AUTOCOMMIT")
        self.role = role
        self.engine = create_engine((url or make_url(owner_url)).set(username=role), **pool)
        self.operators = make_url(owner_url)
        self.session = scoped_session(sessionmaker(self.engine))
        self.provisioning = TenantProvisioning()
        self.provisioning.isolation.resolve_by(Header("X-Tenant-ID"))
        if is_bound:
            self.provisioning.isolation.use(self.make_security())
        self.app = Flask("host")
        self.app.config.update(make_config())
        self._owner_url = owner_url

    def make_security(self, **options: Any) -> RowLevelSecurity:
        """The strategy of this host's session."""
        given = {"exempt": ["rates"], "operators": self.operators, **options}
        return RowLevelSecurity(Base, session=self.session, **given)

    def open(self, *, policies: bool = True, db: Any = None) -> Caller:
        """Create the tables and, if asked, the policies; mount the API, and return a partner.

        The API's own tables are in the owner's database, entered by the owner unless `db` is given.
        """
        Base.metadata.create_all(self.owner)
        self.run_as_owner(f"GRANT ALL ON ALL TABLES IN SCHEMA {self.schema} TO {self.role}")
        self.run_as_owner(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {self.schema} TO {self.role}")
        self.app.add_url_rule("/names", view_func=lambda: jsonify(self.list_names()))
        self.provisioning.init_app(self.app, self._owner_url if db is None else db)
        self.app.teardown_appcontext(lambda _error: self.session.remove())
        if policies:
            self.apply()
        return Caller(self.app)

    @property
    def schema(self) -> str:
        """The schema of the tables."""
        return postgresql.get_schema(make_url(self._owner_url))

    @property
    def security(self) -> Any:
        """The strategy."""
        return self.provisioning.isolation.strategy

    def apply(self) -> list[str]:
        """Create the policies as the owner of the tables."""
        return RowLevelSecurity(Base, session=sessionmaker(self.owner), exempt=["rates"]).apply()

    def run_as_owner(self, statement: str) -> None:
        with self.owner.connect() as connection:
            connection.execute(text(statement))

    @contextlib.contextmanager
    def as_tenant(self, tenant: dict[str, Any]) -> Iterator[Any]:
        """The host's session in a tenant's context, rolled back at the end."""
        with self.app.app_context(), self.provisioning.tenant_context(tenant["tenant"]):
            try:
                yield self.session
            finally:
                self.session.rollback()

    @contextlib.contextmanager
    def as_nobody(self) -> Iterator[Any]:
        """The host's session without a tenant."""
        with self.app.app_context():
            yield self.session

    def add_projects(self, tenant: dict[str, Any], *names: str) -> None:
        with self.as_tenant(tenant) as session:
            session.add_all(Project(tenant_id=tenant["tenant"], name=name) for name in names)
            session.commit()

    def list_names(self) -> list[str]:
        """The names of the projects that the session sees."""
        return [*self.session.scalars(select(Project.name).order_by(Project.name))]

    def close(self) -> None:
        self.session.remove()
        for engine in (self.engine, self.owner, get_engine(self.app) if self.app.extensions else self.owner):
            engine.dispose()


@contextlib.contextmanager
def open_role(owner_url: str, attributes: str = "") -> Iterator[str]:
    """A role that may log in and use the schema, dropped at the end with what it owns."""
    role, url = f"app_{uuid.uuid4().hex[:12]}", make_url(owner_url)
    with postgresql.connect(url) as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN {attributes}"))
        connection.execute(text(f"GRANT ALL ON SCHEMA {postgresql.get_schema(url)} TO {role}"))
    try:
        yield role
    finally:
        with postgresql.connect(url) as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
