"""The example of a webhook receiver: what it takes, what it takes once, and its README's commands."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_tenant_provisioning.webhooks.signing import for_receiver, new_secret, sign, signing_key
from tests.support.servers import run_concurrently
from tests.support.shell_snippets import run_script
from tests.support.snippets import ROOT, find_snippets

FOLDER = ROOT / "examples" / "webhook_receiver"
OLD, NEW, PAIR = new_secret(), new_secret(), new_secret("v1a")
EVENT = {"type": "tenant.created", "tenant": "0193"}


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the example's module, with its data in an empty folder."""
    for name in [name for name in os.environ if name.startswith("FLASK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INSTANCE_PATH", str(tmp_path / "instance"))
    monkeypatch.setenv("FLASK_WEBHOOK_SECRETS", json.dumps([NEW, OLD, for_receiver(PAIR)]))
    return runpy.run_path(str(FOLDER / "app.py"), run_name="receiver")


@pytest.fixture
def client(example: dict[str, Any]) -> FlaskClient:
    app: Flask = example["create_app"]()
    return app.test_client()


def send(client: FlaskClient, id: str = "msg_1", secret: str = NEW, body: bytes = json.dumps(EVENT).encode()) -> int:
    now = int(time.time())
    signature = sign([signing_key(secret)], id, now, body)
    headers = {"webhook-id": id, "webhook-timestamp": str(now), "webhook-signature": signature}
    return client.post("/webhooks", data=body, headers=headers).status_code


def test_a_webhook_is_printed(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(client) == 204
    assert json.loads(capsys.readouterr().out) == EVENT


def test_a_webhook_that_comes_twice_is_taken_once(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert [send(client), send(client), send(client, "msg_2")] == [204, 204, 204]
    assert capsys.readouterr().out.count("tenant.created") == 2


def test_a_webhook_that_comes_many_times_at_once_is_taken_once(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_concurrently(8, lambda _: send(client.application.test_client())) == [204] * 8
    assert capsys.readouterr().out.count("tenant.created") == 1


@pytest.mark.parametrize("secret", [OLD, NEW, PAIR], ids=["old", "new", "v1a"])
def test_each_configured_secret_verifies(client: FlaskClient, secret: str) -> None:
    assert send(client, secret=secret) == 204


def test_forged_webhook_is_refused_and_not_recorded(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(client, secret=new_secret()) == 400
    assert capsys.readouterr().out == ""
    assert send(client) == 204


def test_unsigned_request_names_the_missing_header(client: FlaskClient) -> None:
    response = client.post("/webhooks", json=EVENT)
    assert (response.status_code, response.text) == (400, "The header webhook-id is missing.\n")


def test_large_body_returns_413(client: FlaskClient) -> None:
    assert send(client, body=b"x" * 70_000) == 413


def test_failed_webhook_is_accepted_when_repeated(
    client: FlaskClient, example: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(event: dict[str, Any]) -> None:
        raise OSError(f"no room for {event['type']}")

    with monkeypatch.context() as patched:
        patched.setitem(example["create_app"].__globals__, "handle", fail)
        assert send(client) == 500
    assert send(client) == 204
    assert capsys.readouterr().out.count("tenant.created") == 1


def test_readme_commands_deliver_webhooks(tmp_path: Path, example: dict[str, Any]) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "example", ignore=shutil.ignore_patterns("instance")))
    (commands,) = find_snippets("sh", FOLDER / "README.md")
    script = commands.code.replace("python send.py", "python send.py http://127.0.0.1:5000/webhooks")
    result = run_script(script, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("tenant.created") == 1
    assert [line.rpartition(": ")[2] for line in result.stdout.splitlines() if line.startswith("msg_")] == [
        "204",
        "204",
        "400",
    ]
    assert "No signature fits the content and a secret." in result.stderr
