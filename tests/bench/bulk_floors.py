"""Measure a hand-written loader with the bulk benches' rows: the least that a database takes for them.

It trusts its input: each line is parsed, given its identifiers, keys and event, and nothing else.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, make_url

from flask_tenant_provisioning.database.ids import format_instant, make_uuid7
from flask_tenant_provisioning.encoding import dump_json
from tests.bench import bulk_processor as processor
from tests.bench.bulk_rows import blocks, write_parts

PARTNER, SUBJECT = "acme", "bench"
BATCH = 1000

#: What differs from row to row, in the order of `values`.
VARYING = (
    "id", "external_id", "client_name", "name_key", "email", "email_key", "phone_number", "industry", "plan",
    "metadata", "event_id", "data",
)  # fmt: skip

#: The columns of both tables, each with what it takes of `VARYING` or what it always is.
TENANT = {
    "partner_id": f"'{PARTNER}'", "id": "id", "external_id": "external_id", "client_name": "client_name",
    "name_key": "name_key", "email": "email", "email_key": "email_key", "phone_number": "phone_number",
    "industry": "industry", "plan": "plan", "metadata": "metadata", "status": "'active'", "version": "1",
    "live": "1", "created_at": "'{at}'", "updated_at": "'{at}'",
}  # fmt: skip
EVENT = {
    "partner_id": f"'{PARTNER}'", "id": "event_id", "type": "'tenant.created'", "timestamp": "'{at}'",
    "tenant_id": "id", "actor_subject": f"'{SUBJECT}'", "actor_partner": f"'{PARTNER}'", "data": "data",
}  # fmt: skip
_CASTS = {"id": "id::uuid", "event_id": "event_id::uuid", "metadata": "metadata::jsonb", "data": "data::json"}

Values = tuple[str | None, ...]


class Floor(NamedTuple):
    """Seconds from the file to the committed rows, and of them those that the database alone needs; for these the
    seconds of the processor too.
    """

    whole: float
    database: float
    processor: float


def values(line: bytes, at: str) -> Values:
    """One row, ready to be written."""
    row = json.loads(line)
    tenant, get, shown = make_uuid7(), row.get, f"{at[:23]}Z"
    name, email = row["client_name"], row["email"]
    metadata = get("metadata") or {}
    document = {
        "tenant": tenant, "partner": PARTNER, "external_id": get("external_id"), "client_name": name, "email": email,
        "phone_number": get("phone_number"), "industry": get("industry"), "plan": get("plan"), "metadata": metadata,
        "status": "active", "suspended_reason": None, "version": 1, "created_at": shown, "updated_at": shown,
        "deleted_at": None, "purge_at": None,
    }  # fmt: skip
    return (
        tenant, document["external_id"], name, name.casefold(), email, email.lower(), document["phone_number"],
        document["industry"], document["plan"], dump_json(metadata) if metadata else "{}",
        make_uuid7(), dump_json(document),
    )  # fmt: skip


def rows(path: Path, at: str) -> Iterator[Values]:
    """Every row of the file."""
    with path.open("rb") as file:
        for line in file:
            yield values(line, at)


def floor(engine: Engine, path: Path, prefix: str) -> Floor:
    """Load the file into the empty tables of this prefix."""
    if engine.dialect.name == "sqlite":
        return _of_sqlite(engine, path, prefix)
    return _of_postgresql(engine, path, prefix)


def _insert(prefix: str, table: str, columns: dict[str, str], expressions: dict[str, str]) -> str:
    """INSERT … SELECT, where each of `VARYING` is read by its expression."""
    wanted = ", ".join(expressions.get(value, value) for value in columns.values())
    return f"INSERT INTO {prefix}{table} ({', '.join(columns)}) SELECT {wanted}".format(at=_now())


def _now() -> str:
    return format_instant(time.time())


def _of_postgresql(engine: Engine, path: Path, prefix: str) -> Floor:
    """COPY into a staging table and two INSERT … SELECT, in one transaction: first with all that is sent made ready
    before, then as the file is read.
    """
    ready = write_parts(path.with_suffix(".copy"), encode_copy(rows(path, _now())))
    try:
        database, spent = _load(engine, blocks(ready), prefix)
    finally:
        ready.unlink()
    return Floor(_load(engine, encode_copy(rows(path, _now())), prefix)[0], database, spent)


def _load(engine: Engine, data: Iterable[bytes], prefix: str) -> tuple[float, float]:
    """Seconds, and those of the processor."""
    import psycopg

    url = make_url(engine.url).set(drivername="postgresql").render_as_string(hide_password=False)
    columns = ", ".join(f"{name} text" for name in VARYING)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {prefix}tenants, {prefix}events")
        connection.execute(f"CREATE TEMP TABLE staging ({columns})")
        connection.execute("CHECKPOINT")
        began, spent = time.monotonic(), processor.measure_all(engine)
        connection.execute("BEGIN")
        with connection.cursor().copy("COPY staging FROM STDIN (FORMAT binary)") as copy:
            for block in data:
                copy.write(block)
        for table, names in (("tenants", TENANT), ("events", EVENT)):
            connection.execute(f"{_insert(prefix, table, names, _CASTS)} FROM staging")
        connection.execute("COMMIT")
        return time.monotonic() - began, processor.measure_all(engine) - spent


def encode_copy(rows: Iterable[Values]) -> Iterator[bytes]:
    """The rows in the binary form of COPY, all of text (PostgreSQL's manual, under COPY: File Formats)."""
    yield b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
    begin, size, null = struct.pack("!h", len(VARYING)), struct.Struct("!i").pack, struct.pack("!i", -1)
    rows = iter(rows)
    while batch := list(islice(rows, 100)):
        parts = []
        for row in batch:
            parts.append(begin)
            for value in row:
                if value is None:
                    parts.append(null)
                else:
                    data = value.encode()
                    parts += (size(len(data)), data)
        yield b"".join(parts)
    yield struct.pack("!h", -1)


def _of_sqlite(engine: Engine, path: Path, prefix: str) -> Floor:
    """`executemany` in one transaction, a batch of rows at a time, on a connection as ours are."""
    marks = dict.fromkeys(VARYING, "?")
    statements = [
        (_insert(prefix, table, names, marks), itemgetter(*(VARYING.index(v) for v in names.values() if v in marks)))
        for table, names in (("tenants", TENANT), ("events", EVENT))
    ]
    database = spent = 0.0
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        began = time.monotonic()
        driver.execute("BEGIN IMMEDIATE")
        values = rows(path, _now())
        while batch := list(islice(values, BATCH)):
            ready, idle = time.monotonic(), time.process_time()
            for statement, taken in statements:
                driver.executemany(statement, map(taken, batch))
            database, spent = database + time.monotonic() - ready, spent + time.process_time() - idle
        ready, idle = time.monotonic(), time.process_time()
        driver.execute("COMMIT")
        ended, spent = time.monotonic(), spent + time.process_time() - idle
    return Floor(ended - began, database + ended - ready, spent)
