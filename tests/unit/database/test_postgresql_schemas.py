"""The tests' own PostgreSQL schemas: what one test leaves behind, no other one meets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ProgrammingError

from tests.support.database.postgresql import connect, get_schema
from tests.support.database.schemas import Schemas
from tests.support.database.templates import Tables

FILL = "INSERT INTO provisioning_feeds (partner_id, position, removed) VALUES ('p', 1, 0)"
COUNT = "SELECT count(*) FROM provisioning_feeds"


@pytest.fixture
def own(postgresql_url: str, tables: Tables) -> Iterator[Schemas]:
    """Schemas that are lent to this test alone."""
    new_schemas = Schemas(make_url(postgresql_url), tables)
    yield new_schemas
    new_schemas.close()


def lend(schemas: Schemas, *statements: str) -> tuple[URL, int]:
    """The URL of a schema that was lent while the statements ran, and its tables' object identifier."""
    with schemas.lend() as url, connect(url) as connection:
        assert connection.exec_driver_sql(COUNT).scalar() == 0
        for statement in statements:
            connection.exec_driver_sql(statement)
        return url, int(connection.exec_driver_sql("SELECT 'provisioning_feeds'::regclass::oid").scalar_one())


def test_reused_schema_is_empty_and_renamed(own: Schemas) -> None:
    (first, tables), (second, again) = lend(own, FILL), lend(own, FILL)
    assert tables == again
    assert get_schema(first) != get_schema(second)
    with connect(first) as connection, pytest.raises(ProgrammingError, match="does not exist"):
        connection.exec_driver_sql(FILL)


def test_concurrent_users_get_different_schemas(own: Schemas) -> None:
    with own.lend() as lent, own.lend() as other:
        assert lent != other


@pytest.mark.parametrize(
    "change",
    [
        "CREATE INDEX mine ON provisioning_feeds (position)",
        "ALTER TABLE provisioning_feeds ADD COLUMN mine text",
        "ALTER TABLE provisioning_feeds ALTER position SET DEFAULT 3",
        """CREATE TRIGGER mine BEFORE UPDATE ON provisioning_feeds
           FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
        "UPDATE provisioning_alembic_version SET version_num = '9999'",
        "DROP TABLE provisioning_alembic_version",
    ],
)
def test_schema_with_changed_tables_is_not_reused(own: Schemas, change: str) -> None:
    assert lend(own, change)[1] != lend(own)[1]


def test_locked_schema_is_not_reused(own: Schemas) -> None:
    with own.lend() as url:
        holder = connect(url)
        connection = holder.__enter__()
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(FILL)
    try:
        with own.lend() as other:
            assert get_schema(other) != get_schema(url)
            with connect(other) as later:
                assert later.exec_driver_sql(COUNT).scalar() == 0
    finally:
        holder.__exit__(None, None, None)
