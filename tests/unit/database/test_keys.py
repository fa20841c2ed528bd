"""The tables' keys: each begins with the partner, so that no query for one can meet another's rows."""

from __future__ import annotations

import pytest
from sqlalchemy import Table

from flask_tenant_provisioning.tables import build_metadata

pytestmark = pytest.mark.one_database("about declarations, whatever the database")
TABLES = build_metadata().sorted_tables


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_tables_key_begins_with_the_partner(table: Table) -> None:
    assert next(iter(table.primary_key.columns)).name == "partner_id"
