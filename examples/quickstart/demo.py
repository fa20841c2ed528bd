"""Walk through the API as a partner's program, against the quickstart app under a real WSGI server; `make demo`."""

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

import httpx

from tenant_provisioning_client import (
    AuthenticationRequired,
    Client,
    ClientCredentials,
    InsufficientPermission,
    PreconditionFailed,
    Progress,
    ProvisioningError,
    SignInFailed,
    TenantExists,
    TenantNotFound,
    ValidationError,
    models,
)

HERE = Path(__file__).resolve().parent
PREFIX = "/api/provisioning"
TENANTS = f"{PREFIX}/tenants"
#: The server's threads. Progress streams, slow uploads and downloads may hold fewer than half of them.
THREADS = 16
#: A longer document is cut off in what the demo prints.
MAX_LINES = 32
EXAMPLE = {
    "client_name": "Example Corp",
    "email": "admin@example.com",
    "phone_number": "+1234567890",
    "industry": "Technology",
}


class Failure(Exception):
    """A response was not the expected one."""


class Wire:
    """Prints what a client sends and receives."""

    def __init__(self) -> None:
        self.count = 0
        self.http = httpx.Client(event_hooks={"request": [self._print_request], "response": [self._print_response]})

    def _print_request(self, request: httpx.Request) -> None:
        self.count += 1
        print(f"    {request.method} {request.url.raw_path.decode()}")
        for name in ("If-Match", "Idempotency-Key"):
            if name in request.headers:
                print(f"    {name}: {request.headers[name]}")
        if isinstance(request.stream, httpx.ByteStream) and request.content:
            print(f"    {request.content.decode()}")

    def _print_response(self, response: httpx.Response) -> None:
        kind = response.headers["Content-Type"]
        print(f"    → {response.status_code} {HTTPStatus(response.status_code).phrase}, {kind}")
        if "json" in kind:
            lines = json.dumps(json.loads(response.read()), indent=2, ensure_ascii=False).splitlines()
            rest = [f"… and {len(lines) - MAX_LINES} more lines"] if len(lines) > MAX_LINES else []
            print(indent("\n".join(lines[:MAX_LINES] + rest), " " * 6))


class Demo:
    """The steps of the demo, each with the title and the call that a partner's program contains."""

    def __init__(self, base_url: str, environment: Mapping[str, str]) -> None:
        self.step = 0
        self.wire = Wire()
        self.admin = self._connect(base_url, "partner-admin", "acme", environment)
        self.viewer = self._connect(base_url, "partner-viewer", "acme", environment)
        self.other = self._connect(base_url, "partner-admin", "globex", environment)
        self.operator = self._connect(base_url, "provisioning-admin", "acme", environment)
        self.stranger = Client(base_url, http=self.wire.http)
        self.base_url = base_url
        self.mail = Path(environment["FLASK_MAIL_FOLDER"])

    def _connect(self, base_url: str, role: str, partner: str, environment: Mapping[str, str]) -> Client:
        token = sign_token(role, partner, environment)
        return Client(base_url, token, user_agent="demo", http=self.wire.http)

    def sign_in(self, client_id: str, secret: str) -> Client:
        """Return a client that gets its tokens by itself."""
        credentials = ClientCredentials(client_id, secret)
        return Client(self.base_url, credentials, user_agent="demo", http=self.wire.http)

    def show(self, title: str, code: str) -> None:
        """Print the title of the next step, and the line of Python that it is."""
        self.step += 1
        print(f"\n{self.step:2}. {title}\n    >>> {code}")

    @contextlib.contextmanager
    def refused(self, kind: type[ProvisioningError]) -> Iterator[None]:
        """Print the problem that the block raises. Raises `Failure` if it raises another, or none."""
        try:
            yield
        except kind as problem:
            print(indent(f"{kind.__name__}: {problem}", " " * 4))
        else:
            raise Failure(f"step {self.step}: {kind.__name__} was expected")

    def check(self, holds: bool, failure: str) -> None:
        """Raise `Failure` unless `holds`."""
        if not holds:
            raise Failure(f"step {self.step}: {failure}")


def walk(demo: Demo) -> None:
    """Make the calls of a partner, from the first tenant to a bulk job and the feed."""
    client = demo.admin
    demo.show("A partner creates a tenant", "tenant = client.tenants.create(client_name=…, email=…, …)")
    tenant = first = client.tenants.create(
        client_name=EXAMPLE["client_name"],
        email=EXAMPLE["email"],
        phone_number=EXAMPLE["phone_number"],
        industry=EXAMPLE["industry"],
    )

    demo.show("The same again: the email is taken", "client.tenants.create(…)")
    with demo.refused(TenantExists):
        client.tenants.create(client_name=EXAMPLE["client_name"], email=EXAMPLE["email"])

    demo.show("All errors at once", "client.tenants.create(client_name='', email='admin@', colour='red')")
    with demo.refused(ValidationError):
        client.tenants.create(client_name="", email="admin@", phone_number="call me", colour="red")

    demo.show("List them", "for tenant in client.tenants.list(): …")
    demo.check([item.tenant for item in client.tenants.list()] == [tenant.tenant], "the list is not what was created")

    demo.show("Change one field", "tenant = client.tenants.update(tenant, industry='Finance')")
    tenant = client.tenants.update(tenant, industry="Finance")
    demo.check((tenant.industry, tenant.version) == ("Finance", 2), "not the industry alone was changed")

    demo.show("With an outdated copy, nothing is overwritten", "client.tenants.update(first, industry='Arts')")
    with demo.refused(PreconditionFailed):
        client.tenants.update(first, industry="Arts")

    demo.show("A viewer may read", "viewer.tenants.get(tenant)")
    demo.viewer.tenants.get(tenant)
    demo.show("… but not write", "viewer.tenants.update(tenant, industry='Arts')")
    with demo.refused(InsufficientPermission):
        demo.viewer.tenants.update(tenant, industry="Arts")
    demo.show("Without a token, nothing is shown", "stranger.tenants.get(tenant)")
    with demo.refused(AuthenticationRequired):
        demo.stranger.tenants.get(tenant)
    demo.show("To another partner it does not exist", "other.tenants.get(tenant)")
    with demo.refused(TenantNotFound):
        demo.other.tenants.get(tenant)

    use_api_client(demo)

    demo.show("Delete it", "client.tenants.delete(tenant)")
    demo.check(client.tenants.delete(tenant).status == "deleted", "the tenant was not deleted")
    upload(demo)


def use_api_client(demo: Demo) -> None:
    """Register a partner, make a client for it, and let a program with its credentials create a tenant."""
    operator = demo.operator
    demo.show("An administrator registers a partner", "operator.partners.upsert('initech', name='Initech')")
    operator.partners.upsert("initech", name="Initech")
    demo.show("… and makes an API client for it", "crm = operator.api_clients.create('CRM', […], partner=…)")
    crm = operator.api_clients.create("CRM", ["tenant:create", "tenant:read"], partner="initech")
    demo.check(crm.secret is not None, "the client has no secret")
    demo.show(
        "Its program signs in and creates a tenant with an administrator",
        "Client(url, ClientCredentials(id, secret)).tenants.create(client_name=…, email=…, admin={'email': …})",
    )
    program = demo.sign_in(crm.client, crm.secret or "")
    admin = {"email": "jo@initrode.example", "name": "Jo Doe"}
    tenant = program.tenants.create(client_name="Initrode", email="office@initrode.example", admin=admin)
    demo.check(tenant.partner == "initech", "the tenant is not the partner's")
    accept_invitation(demo, tenant)
    demo.show("Disabled, it is refused at once", "operator.api_clients.update(crm, status='disabled')")
    operator.api_clients.update(crm, status="disabled")
    with demo.refused(SignInFailed):
        program.tenants.get(tenant)


def accept_invitation(demo: Demo, tenant: models.Tenant) -> None:
    """Follow the link of the mail that the host sent to the tenant's administrator."""
    demo.show("The host has sent the invitation", "[invitation] = operator.invitations.list(tenant)")
    end = time.monotonic() + 30
    while not (mails := [*demo.mail.glob("*.txt")]) and time.monotonic() < end:
        time.sleep(0.05)
    demo.check(len(mails) == 1, "not one mail was sent")
    [invitation] = demo.operator.invitations.list(tenant)
    demo.check(invitation.admin.email == "jo@initrode.example", "another person was invited")
    text = mails[0].read_text()
    print(indent(text.strip(), " " * 4))
    demo.show("Its link is valid once, in a page of the host's", "a click")
    link = text.split()[-1]
    responses = [httpx.request(method, link, timeout=10) for method in ("GET", "POST", "POST")]
    for response in responses:
        page = response.text.partition("<h1>")[2]
        print(f"    {response.request.method} /welcome/… → {response.status_code}: {page}")
    demo.check([response.status_code for response in responses] == [200, 200, 410], "the link is not valid just once")


def upload(demo: Demo) -> None:
    """Create several tenants in one upload, and read the result of each row and the events."""
    client = demo.admin
    rows: list[dict[str, Any]] = [
        *({"client_name": f"Client {number}", "email": f"admin{number}@example.com"} for number in (1, 2)),
        {"client_name": "Client 3", "email": "admin3@"},
    ]
    demo.show("Many at once", "job = client.bulk.upload(rows, progress=print)")
    job = client.bulk.upload(rows, progress=print_progress)
    demo.show("One row was wrong", "for item in client.bulk.items(job, state='failed'): …")
    failed = [(item.row, item.problem.code) for item in client.bulk.items(job, state="failed") if item.problem]
    demo.check(failed == [(3, "validation-error")], "not exactly the wrong row failed")
    demo.show("What has happened so far", "for event in client.events.list(type='tenant.created'): …")
    created = [event.tenant for event in client.events.list(type="tenant.created")]
    demo.check(len(created) == 3, "not every tenant has its event")


def print_progress(progress: Progress) -> None:
    """Print how far an upload is."""
    if progress.job is None:
        print(f"    … {progress.sent} of {progress.size} bytes")
    else:
        print(f"    … {progress.job.state}, {progress.job.processed} of {progress.job.total} rows")


def check_host(port: int) -> None:
    """Raise `Failure` unless the host's own pages are as they were."""
    responses = [httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10) for path in ("/", "/nowhere")]
    if [(response.status_code, response.headers["Content-Type"]) for response in responses] != [
        (200, "text/html; charset=utf-8"),
        (404, "text/html; charset=utf-8"),
    ]:
        raise Failure("the host's own pages are not as they were")
    print("The host's own page and its own 404 page are as they were.")


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
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
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
        environment["FLASK_MAIL_FOLDER"] = f"{folder}/mail"
        environment["FLASK_PROVISIONING_INVITATION_URL"] = f"http://127.0.0.1:{port}/welcome/{{token}}"
        with run_server(port, environment):
            check_host(port)
            demo = Demo(f"http://127.0.0.1:{port}{PREFIX}", environment)
            with contextlib.closing(demo.wire.http):
                walk(demo)
    print(f"\nAll {demo.step} steps, {demo.wire.count} requests, went as expected.")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"\nThe demo failed: {failure}.")
