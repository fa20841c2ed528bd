"""A host whose own rows are created and removed with tenants: a workspace each, for partners with a contract.

Every `FLASK_*` environment variable is configuration. Defaults are an SQLite file in the folder `instance`
beside this one, a secret that exists as long as this process, and a demo licence.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String, UniqueConstraint, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.licensing import vendor

INSTANCE = Path(__file__).resolve().parent / "instance"


class Base(DeclarativeBase):
    """The host's own models."""


db = SQLAlchemy(model_class=Base)
provisioning = TenantProvisioning()


class Contract(Base):
    """A contract, which a partner needs to open workspaces."""

    __tablename__ = "contracts"
    partner: Mapped[str] = mapped_column(String(255), primary_key=True)


class Workspace(Base):
    """The workspace of a tenant. Its slug is part of its address, and therefore unique."""

    __tablename__ = "workspaces"
    __table_args__ = (UniqueConstraint("slug", name="one_workspace_a_slug"),)
    tenant_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    slug: Mapped[str] = mapped_column(String(300))
    is_open: Mapped[bool] = mapped_column(default=True)


class NoContract(Exception):
    """A partner without a contract tries to create a tenant."""


provisioning.map_error(NoContract, status=403, code="no-contract", remedy="Sign a contract with Example Cloud first.")
provisioning.map_error(
    "one_workspace_a_slug",
    status=409,
    code="address-taken",
    detail="A workspace has this address already.",
    remedy="Choose another name.",
    field="client_name",
)


@provisioning.hook("tenant.create")
def require_contract(session: Session, tenant: dict[str, Any]) -> None:
    """Refuse the tenant of a partner without a contract."""
    if session.get(Contract, tenant["partner"]) is None:
        raise NoContract(f"{tenant['partner']} has no contract.")


@provisioning.hook("tenant.create", after=["require_contract"])
def open_workspace(session: Session, tenant: dict[str, Any]) -> None:
    """Open the workspace; it exists if and only if the tenant does."""
    session.add(Workspace(tenant_id=tenant["tenant"], slug=make_slug(tenant)))


@provisioning.hook("tenant.update")
def move_workspace(session: Session, tenant: dict[str, Any]) -> None:
    """Give the workspace the address of its new name."""
    load_workspace(session, tenant).slug = make_slug(tenant)


@provisioning.hook("tenant.suspend", "tenant.reactivate", "tenant.delete", "tenant.restore")
def open_or_close_workspace(session: Session, tenant: dict[str, Any]) -> None:
    """Keep the workspace open only while the tenant is active."""
    load_workspace(session, tenant).is_open = tenant["status"] == "active"


@provisioning.hook("tenant.purge")
def remove_workspace(session: Session, tenant: dict[str, Any]) -> None:
    """Remove the workspace with its tenant."""
    session.delete(load_workspace(session, tenant))


def load_workspace(session: Session, tenant: dict[str, Any]) -> Workspace:
    """Load the tenant's workspace."""
    return session.scalars(select(Workspace).filter_by(tenant_id=tenant["tenant"])).one()


def make_slug(tenant: dict[str, Any]) -> str:
    """Return the part of the workspace's address that identifies the tenant."""
    return re.sub(r"\W+", "-", tenant["client_name"].casefold()).strip("-")


def create_app() -> Flask:
    """Make the host: its tables, a page that lists the open workspaces, and the partners' API beside it."""
    app = Flask(__name__, instance_path=str(INSTANCE))
    app.config.from_mapping(
        JWT_SECRET_KEY=secrets.token_hex(32),
        PROVISIONING_AUTO_MIGRATE=True,
        SQLALCHEMY_DATABASE_URI="sqlite:///hooks.sqlite3",
        **make_demo_license(),
    )
    app.config.from_prefixed_env()
    db.init_app(app)
    with app.app_context():
        Base.metadata.create_all(db.engine)
    provisioning.init_app(app, db)

    @app.get("/")
    def list_workspaces() -> list[str]:
        slugs = db.session.scalars(select(Workspace.slug).where(Workspace.is_open).order_by(Workspace.slug))
        return [*slugs]

    @app.cli.command("contract")
    @click.argument("partner")
    def sign_contract(partner: str) -> None:
        """Let a partner open workspaces."""
        db.session.add(Contract(partner=partner))
        db.session.commit()

    return app


def make_demo_license() -> dict[str, Any]:
    """Sign a licence with a key pair that exists as long as this process."""
    pair = vendor.keygen("hooks")
    key = vendor.private_key(pair.private_pem)
    return {
        "PROVISIONING_LICENSE": vendor.issue(key, pair.kid, customer="Hooks"),
        "PROVISIONING_LICENSE_PUBLIC_KEYS": {pair.kid: pair.public},
    }
