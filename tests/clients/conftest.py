"""The host whose document the clients are generated from, and which they call."""

from __future__ import annotations

import fcntl
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from marshmallow import Schema, fields
from marshmallow.validate import Range

from tests.clients.generators import CLIENTS, Client
from tests.clients.tools import ROOT, TOOLS, make_folder
from tests.support.callers import Caller
from tests.support.hosts import PREFIX
from tests.support.servers import serve

sys.path.append(str(ROOT / "examples" / "quickstart"))

DOCUMENT = "openapi.json"


class MailSettings(Schema):
    """Mail settings."""

    sender = fields.Email(load_default="noreply@example.com", metadata={"description": "The sender of all mail."})
    daily = fields.Integer(
        strict=True, load_default=100, validate=Range(min=1), metadata={"description": "How many mails a day."}
    )


class Host:
    """A running host: the API's URL, the file of its document, and tokens."""

    def __init__(self, url: str, document: Path, tokens: dict[str, str]) -> None:
        self.url = url
        self.document = document
        self.tokens = tokens


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The quickstart, with a namespace of settings, behind a real HTTP server; each client is a partner of its own."""
    if not (TOOLS / "stamp").exists():
        pytest.fail("`make test-clients` installs the generators")
    import app as quickstart

    folder = tmp_path_factory.mktemp("host")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FLASK_PROVISIONING_DATABASE_URL", f"sqlite:///{folder}/host.sqlite3")
        environment.setenv("FLASK_JWT_SECRET_KEY", "a secret of 32 bytes and more for these tests")
        # Endpoints on this machine are let through, and no event that they want occurs.
        environment.setenv("FLASK_PROVISIONING_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.1/32"]')
        quickstart.provisioning.settings("mail", MailSettings)
        app = quickstart.create_app()
    tokens = {client.name: Caller(app, client.name).token for client in CLIENTS}
    with serve(app) as (address, port):
        url = f"http://{address}:{port}{PREFIX}"
        document = folder / DOCUMENT
        with urllib.request.urlopen(f"{url}/{DOCUMENT}") as response:
            document.write_bytes(response.read())
        yield Host(url, document, tokens)


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    """One of the clients."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def folder(client: Client, host: Host, testrun_uid: str) -> Path:
    """The folder with the client's generated code and its driver, made once in a run, whichever process is first."""
    generated = TOOLS / "generated"
    generated.mkdir(exist_ok=True)
    with (generated / f"{client.name}.run").open("a+") as run:
        fcntl.flock(run, fcntl.LOCK_EX)
        run.seek(0)
        if run.read() != testrun_uid:
            client.generate(make_folder(client.name), host.document)
            run.truncate(0)
            run.write(testrun_uid)
    return generated / client.name
