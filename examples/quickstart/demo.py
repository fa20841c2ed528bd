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


class Walk:
    """A client that prints requests and responses, and checks the responses."""

    def __init__(self, port: int, environment: Mapping[str, str]) -> None:
        self.port = port
        self.step = 0
        self.tokens = {
            f"{role} of {partner}": token(role, partner, environment)
            for role, partner in (("partner-admin", "acme"), ("partner-viewer", "acme"), ("partner-admin", "globex"))
        }

    def __call__(
        self, story: str, request: str, expected: int, *, who: str | None = None, send: Any = None, code: str = ""
    ) -> Any:
        """Send `request` ("GET /path") as `who`, and return the JSON of the answer (None where it is no JSON).

        Raises `Failure` unless the answer has the status `expected` and, if it is a problem, that `code`.
        """
        self.step += 1
        print(f"\n{self.step:2}. {story}\n    {request}    ({who or 'no token'})")
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        if send is not None:
            print(f"    {json.dumps(send)}")
            headers["Content-Type"] = "application/json"
        status, content_type, text = ask(self.port, request, headers, None if send is None else json.dumps(send))
        answer: Any = json.loads(text) if "json" in content_type else None
        shown = text.strip() if answer is None else json.dumps(answer, indent=2, ensure_ascii=False)
        print(f"    → {status} {HTTPStatus(status).phrase}, {content_type}\n" + indented(shown))
        if status != expected:
            raise Failure(f"step {self.step} ({story}): expected {expected}, got {status}")
        if code and (content_type != "application/problem+json" or answer["code"] != code):
            raise Failure(f"step {self.step} ({story}): expected the problem {code!r}, got {shown}")
        return answer


def walk(say: Walk) -> None:
    """Send the requests of a partner, from the first tenant to a bulk job."""
    admin, viewer, other = say.tokens
    say("The host's own page is as it was", "GET /", 200)
    say("So is the host's own 404 page", "GET /nowhere", 404)
    tenant = say("A partner creates a tenant", f"POST {TENANTS}", 201, who=admin, send=EXAMPLE)
    say("The same again: the email is taken", f"POST {TENANTS}", 409, who=admin, send=EXAMPLE, code="tenant-exists")
    bad = {"client_name": "", "email": "admin@", "phone_number": "call me", "colour": "red"}
    problem = say("All errors at once", f"POST {TENANTS}", 400, who=admin, send=bad, code="validation-error")
    if {error["pointer"] for error in problem["errors"]} != {f"#/{field}" for field in bad}:
        raise Failure("not every invalid field was named")
    one = f"{TENANTS}/{tenant['tenant']}"
    say("Read it", f"GET {one}", 200, who=admin)
    if [item["tenant"] for item in say("List them", f"GET {TENANTS}", 200, who=admin)["items"]] != [tenant["tenant"]]:
        raise Failure("the list is not what was created")
    updated = say("Change one field", f"PATCH {one}", 200, who=admin, send={"industry": "Finance"})
    if updated != tenant | {"industry": "Finance", "version": 2, "updated_at": updated["updated_at"]}:
        raise Failure("more or less than the industry was changed")
    denied = "insufficient-permission"
    say("A viewer may read", f"GET {one}", 200, who=viewer)
    say("… but not write", f"PATCH {one}", 403, who=viewer, send={"industry": "Arts"}, code=denied)
    say("Without a token, nothing is shown", f"GET {one}", 401, code="authentication-required")
    say("To another partner it does not exist", f"GET {one}", 404, who=other, code="tenant-not-found")
    if say("Delete it", f"DELETE {one}", 200, who=admin)["status"] != "deleted":
        raise Failure("the tenant was not deleted")
    walk_in_bulk(say)


def walk_in_bulk(say: Walk) -> None:
    """Create several tenants in one upload, and check the result of each row."""
    admin, *_ = say.tokens
    rows = [{"client_name": f"Client {n}", "email": f"admin{n}@example.com"} for n in (1, 2)]
    sent = [*rows, {"client_name": "Client 3", "email": "admin3@"}]
    job = say("Many at once: the response is a job", f"POST {JOBS}", 202, who=admin, send=sent)
    one = f"{JOBS}/{job['job']}"
    end = time.monotonic() + 30
    while job["finished_at"] is None:
        if time.monotonic() > end:
            raise Failure("the job was not done within 30 seconds")
        time.sleep(0.5)
        job = say("How far is it?", f"GET {one}", 200, who=admin)
    failed = say("One row was wrong", f"GET {one}/items?state=failed", 200, who=admin)["items"]
    if [(item["row"], item["problem"]["code"]) for item in failed] != [(3, "validation-error")]:
        raise Failure("not exactly the wrong row failed")


def ask(port: int, request: str, headers: Mapping[str, str], body: str | None = None) -> tuple[int, str, str]:
    """Send one request to this machine; return status, media type and text of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        method, path = request.split(" ")
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read().decode()


def token(role: str, partner: str, environment: Mapping[str, str]) -> str:
    """Sign a token with the app's own command line."""
    command = [sys.executable, "-m", "flask", "--app", str(HERE / "app.py"), "provisioning", "token"]
    command += ["--role", role, "--partner", partner]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise Failure(f"no token: {done.stderr.strip()}")
    return done.stdout.strip()


@contextlib.contextmanager
def server(port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Run the app under waitress until the block ends. Raises `Failure` if it does not answer within 30 seconds."""
    listen, threads = f"--listen=127.0.0.1:{port}", f"--threads={THREADS}"
    command = [sys.executable, "-m", "waitress", listen, threads, "--call", "app:create_app"]
    process = subprocess.Popen(command, cwd=HERE, env=dict(environment))
    try:
        end = time.monotonic() + 30
        while not answers(port):
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


def answers(port: int) -> bool:
    """Return whether the app is up."""
    try:
        return ask(port, "GET /", {})[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def free_port(wanted: int = 0) -> int:
    """Return `wanted`, by default any, if it can be bound. Raises `Failure` if not."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise Failure(f"port {wanted} cannot be used: {error.strerror}") from error
        return int(probe.getsockname()[1])


def indented(text: str) -> str:
    """Indent a block of text."""
    return "\n".join(f"      {line}" for line in text.splitlines())


def main() -> None:
    """Run the walk with its own database and secret, and leave nothing behind."""
    # So that a `kill` of the demo, too, stops the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
        environment["FLASK_PROVISIONING_DATABASE_URL"] = f"sqlite:///{folder}/demo.db"
        environment["FLASK_JWT_SECRET_KEY"] = os.urandom(32).hex()
        port = free_port()
        with server(port, environment):
            say = Walk(port, environment)
            walk(say)
    print(f"\nAll {say.step} responses are as expected.")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"\nThe demo failed: {failure}.")
