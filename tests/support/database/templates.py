"""Databases that are migrated already: the migrations run once a session, and tests get copies of the result.

That saves a test a hundred milliseconds. Whether the migrations work, up and down, is for `test_migrations` to say.
"""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.pool import NullPool

from flask_tenant_provisioning.database.migration import upgrade
from tests.support.database import postgresql

_READS = re.compile(r"\s*(SELECT|SHOW|SET|BEGIN|PRAGMA)\b")


class Tables:
    """Creates the newest tables in empty databases; `folder` keeps SQLite's template files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, url: URL) -> None:
        """Make the tables at `url`: of a SQLite file by a copy, of a schema by the statements that made the first."""
        if url.get_backend_name() == "sqlite":
            shutil.copyfile(self._file, str(url.database))
            return
        statements = self._statements(url.difference_update_query(["options"]))
        with postgresql.connect(url) as connection:
            connection.exec_driver_sql(statements)

    @functools.cached_property
    def _file(self) -> Path:
        template = self._folder / "template.sqlite3"
        _migrate(make_url(f"sqlite:///{template}"))
        return template

    @functools.cache  # noqa: B019 - there is one a session
    def _statements(self, database: URL) -> str:
        return ";".join(_migrate(postgresql.create_schema(database)))


def _migrate(url: URL) -> list[str]:
    """Bring the empty database at `url` to the newest revision, and return every statement that changed it."""
    statements: list[str] = []
    engine = create_engine(url, poolclass=NullPool)

    @event.listens_for(engine, "before_cursor_execute")
    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if not _READS.match(statement):
            assert not parameters, statement
            statements.append(statement)

    upgrade(engine, "provisioning_")
    return statements
