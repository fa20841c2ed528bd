"""A partner's server that receives webhooks: it verifies each, handles it once, and prints it.

`FLASK_WEBHOOK_SECRETS` is the secret that was shown when the endpoint was created, or a JSON list during rotation. The
ids of received events are stored in the folder `instance` beside this file, or where `INSTANCE_PATH` says.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from flask import Flask, request

from flask_tenant_provisioning.webhooks import WebhookRefused, verify

INSTANCE = Path(os.environ.get("INSTANCE_PATH") or Path(__file__).resolve().parent / "instance")
SEEN = "CREATE TABLE IF NOT EXISTS seen (webhook_id TEXT PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP)"


def create_app() -> Flask:
    """Make the receiver: one path, and a table of known ids."""
    app = Flask(__name__, instance_path=str(INSTANCE))
    app.config.from_mapping(MAX_CONTENT_LENGTH=64 * 1024)
    app.config.from_prefixed_env()
    database = INSTANCE / "receiver.sqlite3"
    INSTANCE.mkdir(parents=True, exist_ok=True)
    with open_transaction(database) as connection:
        connection.execute(SEEN)

    @app.post("/webhooks")
    def receive() -> tuple[str, int]:
        try:
            event = verify(request.get_data(), request.headers, app.config["WEBHOOK_SECRETS"])
        except WebhookRefused as refused:
            app.logger.warning("a webhook was refused: %s", refused.reason)
            return f"{refused.reason}\n", 400
        with open_transaction(database) as connection:
            if store_id(connection, request.headers["webhook-id"]):
                handle(event)
        return "", 204

    return app


@contextmanager
def open_transaction(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a connection in one transaction: committed at the end of the block, rolled back on an exception."""
    with closing(sqlite3.connect(database)) as connection, connection:
        yield connection


def store_id(connection: sqlite3.Connection, webhook_id: str) -> bool:
    """Store the id and return whether it was new. If `handle` raises, it is rolled back and the event is sent again."""
    cursor = connection.execute("INSERT INTO seen (webhook_id) VALUES (?) ON CONFLICT DO NOTHING", (webhook_id,))
    return cursor.rowcount == 1


def handle(event: dict[str, Any]) -> None:
    """Handle an event in your own way. Put work that takes longer than a moment into a queue."""
    print(json.dumps(event, indent=2), flush=True)
