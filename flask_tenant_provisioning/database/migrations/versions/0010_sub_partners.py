"""Partners of partners."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database.types import ordered_text

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column(_table(), sa.Column("parent", ordered_text(255)))
    where = sa.text("parent IS NOT NULL")
    op.create_index(_index(), _table(), ["parent"], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    op.drop_index(_index(), _table())
    op.drop_column(_table(), "parent")


def _table() -> str:
    return f"{context.config.attributes['prefix']}partners"


def _index() -> str:
    return f"{_table()}_parent_idx"
