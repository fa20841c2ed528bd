"""Walk through the API over HTTP, against the quickstart app under a real WSGI server; `make demo`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from textwrap import indent
from typing import Any

HERE = Path(__file__).resolve().parent
TENANTS = "/api/provisioning/tenants"
JOBS = "/api/provisioning/bulk-jobs"
#: The server's threads. Progress streams, slow uploads and downloads may hold fewer than half of them.
THREADS = 16
EXAMPLE = {
    "client_name": "Example Corp",
    "email": "admin@example.com",
    "phone_number": "+1234567890",
    "industry": "Technology",
}


class Failure(Exception):
    """A response was not the expected one."""


class DemoClient:
    """A client that prints requests and responses, and checks the responses."""

    def __init__(self, port: int, environment: Mapping[str, str]) -> None:
        self.port = port
        self.step = 0
        self.tokens = {
            f"{role} of {partner}": sign_token(role, partner, environment)
            for role, partner in (("partner-admin", "acme"), ("partner-viewer", "acme"), ("partner-admin", "globex"))
        }

    def __call__(
        self, title: str, request: str, expected: int, *, caller: str | None = None, body: Any = None, code: str = ""
    ) -> Any:
        """Send `request` ("GET /path") as `caller`, and return the JSON of the response, or None if it is not JSON.

        Raises `Failure` unless the response has the status `expected` and, if `code` is given, is that problem.
        """
        self.step += 1
        print(f"\n{self.step:2}. {title}\n    {request}    ({caller or 'no token'})")
        headers = {"Authorization": f"Bearer {self.tokens[caller]}"} if caller else {}
        sent = None
        if body is not None:
            sent = json.dumps(body)
            print(f"    {sent}")
            headers["Content-Type"] = "application/json"
        status, content_type, text = send_request(self.port, request, headers, sent)
        document: Any = json.loads(text) if "json" in content_type else None
        shown = text.strip() if document is None else json.dumps(document, indent=2, ensure_ascii=False)
        print(f"    → {status} {HTTPStatus(status).phrase}, {content_type}\n" + indent(shown, " " * 6))
        if status != expected:
            raise Failure(f"step {self.step} ({title}): expected {expected}, got {status}")
        if code and (content_type != "application/problem+json" or document["code"] != code):
            raise Failure(f"step {self.step} ({title}): expected the problem {code!r}, got {shown}")
        return document


def call_api(client: DemoClient) -> None:
    """Send the requests of a partner, from the first tenant to a bulk job."""
    admin, viewer, other = client.tokens
    client("The host's own page is as it was", "GET /", 200)
    client("So is the host's own 404 page", "GET /nowhere", 404)
    tenant = client("A partner creates a tenant", f"POST {TENANTS}", 201, caller=admin, body=EXAMPLE)
    client(
        "The same again: the email is taken", f"POST {TENANTS}", 409, caller=admin, body=EXAMPLE, code="tenant-exists"
    )
    invalid = {"client_name": "", "email": "admin@", "phone_number": "call me", "colour": "red"}
    problem = client("All errors at once", f"POST {TENANTS}", 400, caller=admin, body=invalid, code="validation-error")
    if {error["pointer"] for error in problem["errors"]} != {f"#/{field}" for field in invalid}:
        raise Failure("not every invalid field was named")
    path = f"{TENANTS}/{tenant['tenant']}"
    client("Read it", f"GET {path}", 200, caller=admin)
    tenants = client("List them", f"GET {TENANTS}", 200, caller=admin)["items"]
    if [item["tenant"] for item in tenants] != [tenant["tenant"]]:
        raise Failure("the list is not what was created")
    updated = client("Change one field", f"PATCH {path}", 200, caller=admin, body={"industry": "Finance"})
    if updated != tenant | {"industry": "Finance", "version": 2, "updated_at": updated["updated_at"]}:
        raise Failure("more or less than the industry was changed")
    client("A viewer may read", f"GET {path}", 200, caller=viewer)
    client(
        "… but not write",
        f"PATCH {path}",
        403,
        caller=viewer,
        body={"industry": "Arts"},
        code="insufficient-permission",
    )
    client("Without a token, nothing is shown", f"GET {path}", 401, code="authentication-required")
    client("To another partner it does not exist", f"GET {path}", 404, caller=other, code="tenant-not-found")
    deleted = client("Delete it", f"DELETE {path}", 200, caller=admin)
    if deleted["status"] != "deleted":
        raise Failure("the tenant was not deleted")
    call_bulk_api(client)


def call_bulk_api(client: DemoClient) -> None:
    """Create several tenants in one upload, and check the result of each row."""
    admin, *_ = client.tokens
    valid_rows = [{"client_name": f"Client {n}", "email": f"admin{n}@example.com"} for n in (1, 2)]
    rows = [*valid_rows, {"client_name": "Client 3", "email": "admin3@"}]
    job = client("Many at once: the response is a job", f"POST {JOBS}", 202, caller=admin, body=rows)
    path = f"{JOBS}/{job['job']}"
    end = time.monotonic() + 30
    while job["finished_at"] is None:
        if time.monotonic() > end:
            raise Failure("the job was not done within 30 seconds")
        time.sleep(0.5)
        job = client("How far is it?", f"GET {path}", 200, caller=admin)
    failed = client("One row was wrong", f"GET {path}/items?state=failed", 200, caller=admin)["items"]
    if [(item["row"], item["problem"]["code"]) for item in failed] != [(3, "validation-error")]:
        raise Failure("not exactly the wrong row failed")


def send_request(port: int, request: str, headers: Mapping[str, str], body: str | None = None) -> tuple[int, str, str]:
    """Send one request to this machine; return status, media type and text of the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        method, path = request.split(" ")
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read().decode()


def sign_token(role: str, partner: str, environment: Mapping[str, str]) -> str:
    """Sign a token with the app's own command line."""
    command = [sys.executable, "-m", "flask", "--app", str(HERE / "app.py"), "provisioning", "token"]
    command += ["--role", role, "--partner", partner]
    result = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=60, check=False)
    if result.returncode:
        raise Failure(f"no token: {result.stderr.strip()}")
    return result.stdout.strip()


@contextlib.contextmanager
def run_server(port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Run the app under waitress until the block ends. Raises `Failure` if it does not respond within 30 seconds."""
    listen, threads = f"--listen=127.0.0.1:{port}", f"--threads={THREADS}"
    command = [sys.executable, "-m", "waitress", listen, threads, "--call", "app:create_app"]
    process = subprocess.Popen(command, cwd=HERE, env=dict(environment))
    try:
        end = time.monotonic() + 30
        while not is_up(port):
            if process.poll() is not None or time.monotonic() > end:
                raise Failure("the server did not start")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def is_up(port: int) -> bool:
    """Return whether the app is up."""
    try:
        status, _, _ = send_request(port, "GET /", {})
        return status == 200
    except (OSError, http.client.HTTPException):
        return False


def find_free_port(port: int = 0) -> int:
    """Return `port`, by default any free one. Raises `Failure` if it cannot be used."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failure(f"port {port} cannot be used: {error.strerror}") from error
        return int(probe.getsockname()[1])


def main() -> None:
    """Run the demo with its own database and secret, and leave nothing behind."""
    # A `kill` of the demo stops the server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
        environment["FLASK_PROVISIONING_DATABASE_URL"] = f"sqlite:///{folder}/demo.db"
        environment["FLASK_JWT_SECRET_KEY"] = os.urandom(32).hex()
        port = find_free_port()
        with run_server(port, environment):
            client = DemoClient(port, environment)
            call_api(client)
    print(f"\nAll {client.step} responses are as expected.")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"\nThe demo failed: {failure}.")
