"""The server configurations of the page "Deployment", each with its real server."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.hosts import PREFIX, make_config
from tests.support.servers import send_request
from tests.support.shell_snippets import find_free_port, run_script
from tests.support.snippets import DOCS, find_snippets, write_files
from tests.support.waiting import wait_for

PAGE = DOCS / "deployment.md"
TEXT = PAGE.read_text(encoding="utf-8")
#: The processes of the page's configuration of uWSGI.
UWSGI_PROCESSES = int(re.findall(r"^processes = (\d+)$", TEXT, re.MULTILINE)[0])
COMMANDS = [
    line
    for snippet in find_snippets("sh", PAGE)
    for line in snippet.code.splitlines()
    if line.split()[0] in ("gunicorn", "uwsgi", "waitress-serve")
]
BIN = Path(sys.executable).parent


def write_configurations(folder: Path, port: int) -> None:
    """Write each file that the page shows with its name in the first line, on another port."""
    for name, code in re.findall(r"^```\w+\n[#;] ([\w.]+\.(?:py|ini))\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        (folder / name).write_text(code.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.replace(" ", "_")[:40])
def test_server_configuration_serves_the_api(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which(command.split()[0], path=f"{BIN}:{os.environ['PATH']}") is None:
        pytest.skip(f"{command.split()[0].replace('uwsgi', 'uWSGI')} is not installed")
    if "gevent" in command and importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    for name, value in make_config().items():
        if name != "PROVISIONING_ENGINE":
            monkeypatch.setenv(f"FLASK_{name}", value if isinstance(value, str) else json.dumps(value))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(DOCS.parent), str(tmp_path)]))
    write_files(DOCS / "quickstart.md", tmp_path)
    port = find_free_port()
    write_configurations(tmp_path, port)
    token = run_script("flask provisioning db upgrade >&2; flask provisioning token", tmp_path).stdout.strip()
    arguments = ["bash", "-c", "exec " + command.replace("127.0.0.1:8000", f"127.0.0.1:{port}")]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(arguments, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        body = {"client_name": "Example Corp", "email": "admin@example.com"}
        created = _send_until_it_answers(("127.0.0.1", port), token, body, server)
        assert created == 201, (tmp_path / "log").read_text()
        if command.startswith("uwsgi"):  # it cannot be stopped while one of its processes still loads the app
            loaded = re.compile(r"WSGI app 0 .* ready in")
            assert wait_for(lambda: len(loaded.findall((tmp_path / "log").read_text())) >= UWSGI_PROCESSES, 120)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)  # its status is its own: uWSGI's is another while some of its processes still load the app


def _send_until_it_answers(address: tuple[str, int], token: str, body: object, server: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 120
    while True:
        try:
            return send_request(address, "POST", f"{PREFIX}/tenants", token, body).status
        except ConnectionRefusedError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
