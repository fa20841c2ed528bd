"""The fields that a host adds to tenants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from flask_tenant_provisioning.database import indexes
from flask_tenant_provisioning.database.types import JsonText

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(_table(), sa.Column("fields", JsonText))


def downgrade() -> None:
    connection, table = op.get_bind(), _table()
    for name in indexes.list_index_names(connection, table, f"{table}_own_"):
        indexes.drop_index(connection, table, name)
    op.drop_column(table, "fields")


def _table() -> str:
    return f"{context.config.attributes['prefix']}tenants"
