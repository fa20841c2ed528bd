"""The database."""

from __future__ import annotations

from typing import Any

from ..checks import choice, flag, mapping, matching, number, text
from ..declaring import key


class DatabaseKeys:
    """The engine, where the extension makes it, and the tables."""

    database_url: str | None = key(
        None,
        "SQLAlchemy URL, used where `init_app` is given no database. Without either: SQLite in the instance folder.",
        text,
        secret=True,
    )
    database_options: dict[str, Any] = key(
        None,
        "Further options for SQLAlchemy's `create_engine`, where the extension makes the engine.",
        mapping,
        secret=True,
    )
    statement_timeout_seconds: int = key(
        10,
        "After how long PostgreSQL ends a statement (503), where the extension makes the engine; 0 leaves it to the "
        "server, as does `PROVISIONING_DATABASE_POOLER` = `transaction`.",
        number(0, 3600),
    )
    database_pooler: str | None = key(
        None,
        "What lends connections to PostgreSQL in between. `transaction` (PgBouncer's `pool_mode`, Supavisor, …): "
        "connections ask for no startup options and prepare no statements. `session`: they do both. Without it a "
        "pooler is recognised, and logged.",
        choice("transaction", "session"),
    )
    sqlite_synchronous: str = key(
        "FULL",
        "`FULL`: an answered write outlives a power cut; `NORMAL`: only a crash of the process, and writes are faster.",
        choice("FULL", "NORMAL"),
    )
    table_prefix: str = key(
        "provisioning_",
        "What the name of every table begins with.",
        matching(r"[a-z_][a-z0-9_]{0,19}", "1 to 20 of a-z, 0-9 and _, not beginning with a digit"),
    )
    auto_migrate: bool | None = key(
        None,
        "Create and upgrade the tables at start. By default only for the embedded SQLite file.",
        flag,
    )
    transaction_attempts: int = key(
        6, "How often a write is tried when the database reports a serialization failure.", number(1, 50)
    )
