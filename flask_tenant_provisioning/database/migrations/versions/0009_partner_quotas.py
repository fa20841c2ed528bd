"""How many tenants a partner may have, and on which plans; counters of partners beside everybody's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database.types import Instant, JsonText, ordered_text

revision = "0009"
down_revision = "0008"

#: How the counter of everybody's tenants was called, which a partner may be called too, and is.
_BEFORE: sa.ColumnElement[str]
_NOW: sa.ColumnElement[str]
_BEFORE, _NOW = sa.literal_column("'*'"), sa.literal_column("''")


def upgrade() -> None:
    op.add_column(_partners(), sa.Column("max_tenants", sa.Integer))
    op.add_column(_partners(), sa.Column("allowed_plans", JsonText))
    op.add_column(_usage(), sa.Column("reserved", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column(_usage(), sa.Column("most", sa.BigInteger))
    op.add_column(_usage(), sa.Column("doubtful_until", Instant))
    usage = _rows()
    op.execute(sa.update(usage).where(usage.c.partner_id == _BEFORE).values(partner_id=_NOW))
    _register()


def downgrade() -> None:
    usage = _rows()
    op.execute(sa.delete(usage).where(usage.c.partner_id != _NOW))
    op.execute(sa.update(usage).values(partner_id=_BEFORE))
    op.drop_column(_usage(), "doubtful_until")
    op.drop_column(_usage(), "most")
    op.drop_column(_usage(), "reserved")
    op.drop_column(_partners(), "allowed_plans")
    op.drop_column(_partners(), "max_tenants")


def _register() -> None:
    """Whoever has tenants is a partner, also one that has not called since partners are registered."""
    prefix = context.config.attributes["prefix"]
    tenants = sa.table(f"{prefix}tenants", *map(sa.column, ("partner_id", "created_at"))).c
    partners = sa.table(_partners(), *map(sa.column, ("partner_id", "status", "version", "created_at", "updated_at")))
    one: sa.ColumnElement[int] = sa.literal_column("1")
    first = sa.func.min(tenants.created_at)
    known = sa.select(partners.c.partner_id)
    found = sa.select(tenants.partner_id, sa.literal_column("'active'"), one, first, first)
    found = found.where(tenants.partner_id.not_in(known)).group_by(tenants.partner_id)
    op.execute(sa.insert(partners).from_select(list(partners.c), found))


def _partners() -> str:
    return f"{context.config.attributes['prefix']}partners"


def _usage() -> str:
    return f"{context.config.attributes['prefix']}usage"


def _rows() -> sa.TableClause:
    return sa.table(_usage(), sa.column("partner_id", ordered_text(255)))
