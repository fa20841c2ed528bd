"""The fuzzer's target: the quickstart as a server, on a new database, with tenants in every state and webhooks."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.database import postgresql
from tests.support.servers import send_request

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "examples" / "quickstart"))

import demo  # noqa: E402

Failure = demo.Failure

PREFIX = "/api/provisioning"
_TENANTS = 60
#: Invitations to each active tenant.
_INVITED = 4
#: Endpoints that are asked for, each with a delivery; and those that are there to be deleted.
_ENDPOINTS, _DOOMED = 20, 20
#: API clients that are asked for, and those that are there to be deleted; the first one signs in.
_CLIENTS, _RETIRED = 20, 20
#: Bulk jobs that have ended, each with what came of its rows; and those that are cancelled, of so many rows that no
#: worker is faster.
_JOBS, _CANCELLED, _ROWS = 20, 10, 3000
#: How long the jobs are waited for, in seconds.
_PATIENCE = 60
#: As many webhooks and API clients as it makes, and to this machine alone.
_LIMITS = {
    "FLASK_PROVISIONING_CLIENT_LIMIT": "10000",
    "FLASK_PROVISIONING_WEBHOOK_LIMIT": "10000",
    "FLASK_PROVISIONING_WEBHOOK_ALLOWED_NETWORKS": '["127.0.0.1/32"]',
}
#: What is done to every second, third and fourth of four tenants.
_STATES: tuple[tuple[str, ...], ...] = ((), ("POST /suspend",), ("DELETE ",), ("POST /suspend", "DELETE "))


class Quickstart(NamedTuple):
    """A running server, who calls it, another partner's administrator, and the ids that are there, by what has them.

    `signs_in` is an API client with its secret, of which no request changes anything. `invitations` are pairs of the id
    of a tenant and that of an invitation to it.
    """

    port: int
    token: str
    stranger: str
    ids: dict[str, list[str]]
    signs_in: dict[str, Any]
    invitations: list[tuple[str, str]]

    @property
    def base(self) -> str:
        """The API's URL."""
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document: dict[str, Any] = self.ask("GET /openapi.json", 200)
        return document

    def ask(self, request: str, expected: int, body: Any = None) -> Any:
        """The JSON that answers `request` ("GET /path"). Raises `Failure` for another status than `expected`."""
        method, path = request.split(" ")
        reply = send_request(("127.0.0.1", self.port), method, f"{PREFIX}{path}", self.token, body)
        if reply.status != expected:
            raise Failure(f"{request} answered {reply.status}: {reply.body.decode()}")
        return reply.json()


@contextlib.contextmanager
def open_quickstart(database: str, role: str) -> Iterator[Quickstart]:
    """Open the quickstart on a new database of this kind, called by partner acme in `role`."""
    with _new_database(database) as url, tempfile.TemporaryDirectory() as mail:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
        environment |= {"FLASK_PROVISIONING_DATABASE_URL": url, "FLASK_JWT_SECRET_KEY": os.urandom(32).hex()}
        environment |= {**_LIMITS, "FLASK_MAIL_FOLDER": mail}
        port = demo.find_free_port()
        with demo.run_server(port, environment):
            stranger = demo.sign_token("partner-admin", "globex", environment)
            quickstart = Quickstart(port, demo.sign_token(role, "acme", environment), stranger, {}, {}, [])
            if role == "provisioning-admin":
                quickstart.ask("PUT /partners/initech", 201, {})
            quickstart.ids["tenants"] = list(_create_tenants(quickstart))
            active = quickstart.ids["tenants"][:: len(_STATES)]
            quickstart.invitations.extend(_invite(quickstart, tenant, n) for tenant in active for n in range(_INVITED))
            quickstart.ids["webhooks"] = [_endpoint(quickstart) for _ in range(_ENDPOINTS)]
            quickstart.ids["doomed"] = [_endpoint(quickstart) for _ in range(_DOOMED)]
            clients = [_client(quickstart) for _ in range(1 + _CLIENTS + _RETIRED)]
            quickstart.signs_in.update(clients[0])
            ids = [str(client["client"]) for client in clients[1:]]
            quickstart.ids["clients"], quickstart.ids["retired"] = ids[:_CLIENTS], ids[_CLIENTS:]
            quickstart.ids["deliveries"] = [_delivery(quickstart, webhook) for webhook in quickstart.ids["webhooks"]]
            quickstart.ids["jobs"] = list(
                _wait_for_jobs(quickstart, [_job(quickstart, number) for number in range(_JOBS)])
            )
            quickstart.ids["cancelled"] = [_create_cancelled_job(quickstart) for _ in range(_CANCELLED)]
            quickstart.ids["resumable"] = [_create_cancelled_job(quickstart) for _ in range(_CANCELLED)]
            yield quickstart


@contextlib.contextmanager
def _new_database(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/fuzz.db"
        return
    server, reason = postgresql.find_server()
    if server is None:
        raise Failure(f"PostgreSQL was not found: {reason}")
    url = postgresql.create_database(server)
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        postgresql.drop_database(url)


def _create_tenants(quickstart: Quickstart) -> Iterator[str]:
    """Make tenants in every state, and yield their ids."""
    for number, actions in zip(range(_TENANTS), itertools.cycle(_STATES), strict=False):
        body = {
            "client_name": f"Fuzzed {number}",
            "email": f"fuzzed-{number}@example.com",
            "external_id": f"f-{number}",
        }
        tenant = str(quickstart.ask("POST /tenants", 201, body)["tenant"])
        for action in actions:
            method, _, rest = action.partition(" ")
            quickstart.ask(f"{method} /tenants/{tenant}{rest}", 200)
        yield tenant


def _invite(quickstart: Quickstart, tenant: str, number: int) -> tuple[str, str]:
    """Invite an administrator of a tenant; return the ids of both."""
    body = {"admin": {"email": f"invited-{number}@example.com"}}
    return tenant, str(quickstart.ask(f"POST /tenants/{tenant}/invitations", 201, body)["invitation"])


def _endpoint(quickstart: Quickstart) -> str:
    """Create an endpoint that subscribes to no event, without a receiver; return its id."""
    body = {"url": "https://127.0.0.1/hook", "events": ["webhook.disabled"]}
    return str(quickstart.ask("POST /webhooks", 201, body)["webhook"])


def _client(quickstart: Quickstart) -> dict[str, Any]:
    """Create an API client; return it with its secret."""
    body = {"name": "fuzzed", "permissions": ["tenant:read"]}
    created: dict[str, Any] = quickstart.ask("POST /clients", 201, body)
    return created


def _delivery(quickstart: Quickstart, webhook: str) -> str:
    """Have an endpoint tested; return the delivery's id."""
    return str(quickstart.ask(f"POST /webhooks/{webhook}/test", 202)["delivery"])


def _job(quickstart: Quickstart, number: int) -> str:
    """Upload three rows with one invalid row; return the job's id."""
    good = [{"client_name": "Bulk", "email": f"bulk-{number}-{row}@example.com"} for row in (1, 2)]
    return str(quickstart.ask("POST /bulk-jobs", 202, [*good, {"client_name": ""}])["job"])


def _wait_for_jobs(quickstart: Quickstart, jobs: list[str]) -> Iterator[str]:
    """Wait for the end of each job, and yield its id."""
    until = time.monotonic() + _PATIENCE
    for job in jobs:
        while not quickstart.ask(f"GET /bulk-jobs/{job}", 200)["finished_at"]:
            if time.monotonic() > until:
                raise Failure(f"job {job} does not end")
            time.sleep(0.05)
        yield job


def list_missing_ids(quickstart: Quickstart) -> list[str]:
    """The bulk jobs with a row that met an error of the server's: what a worker trips over, no answer shows."""
    jobs = [str(job["job"]) for job in quickstart.ask("GET /bulk-jobs?limit=1000", 200)["items"]]
    return [
        job for job in _wait_for_jobs(quickstart, jobs) if any(status >= 500 for status in _refusals(quickstart, job))
    ]


def _refusals(quickstart: Quickstart, job: str) -> list[int]:
    failed = quickstart.ask(f"GET /bulk-jobs/{job}/items?state=failed&limit=1000", 200)["items"]
    return [item["status"] for item in failed]


def _create_cancelled_job(quickstart: Quickstart) -> str:
    """Upload invalid rows, and cancel the job before all have been looked at; return its id."""
    job = str(quickstart.ask("POST /bulk-jobs", 202, [{}] * _ROWS)["job"])
    quickstart.ask(f"POST /bulk-jobs/{job}/cancel", 200)
    return job


def callers(quickstart: Quickstart) -> str:
    """Return callers, with those that may not see their data, as a Web Fuzzing Commons auth file."""
    tokens = {"caller": quickstart.token, "stranger": quickstart.stranger}
    return json.dumps({"auth": [{"name": name, "fixedHeaders": [_bearer(token)]} for name, token in tokens.items()]})


def _bearer(token: str) -> dict[str, str]:
    return {"name": "Authorization", "value": f"Bearer {token}"}


def words(values: list[str]) -> str:
    """`values` as a dictionary in libFuzzer's format."""
    return "".join(f'"{value}"\n' for value in values)


def silence_warnings(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without a proxy between this machine and itself."""
    return {**environment, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
