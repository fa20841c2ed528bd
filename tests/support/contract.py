"""A walk through the whole contract, from outside: what a partner of any host hears, stop by stop."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import jwt
from flask import Flask
from werkzeug.test import Client, TestResponse

from tests.support.assertions import assert_invalid_fields, assert_invalid_parameters, assert_problem, check_problem
from tests.support.callers import EXAMPLE
from tests.support.hosts import PREFIX, make_config
from tests.support.recording import Exchange, Outcome, read_exchange

Check = Callable[["ContractClient"], None]
CHECKS: dict[str, Check] = {}
ABSENT_TENANT = "/tenants/01930000-0000-7000-8000-000000000000"
CHALLENGE = 'Bearer realm="provisioning"'
_numbers = itertools.count(1)


class ContractClient:
    """A partner who speaks HTTP to `app`, found below the path `root`, and knows nothing of what it is made of."""

    def __init__(self, app: Flask, root: str = "") -> None:
        self._client = Client(app)
        self.exchanges: list[Exchange] = []
        self.base = root + PREFIX
        self.partner = f"walker-{next(_numbers)}-{time.time_ns():x}"

    def token(self, role: str = "partner-admin", **claims: Any) -> str:
        """A token as the identity provider signs it."""
        named = {"sub": "someone", "roles": [role], "partner_id": self.partner, "exp": time.time() + 600, **claims}
        return jwt.encode(named, make_config()["JWT_SECRET_KEY"], "HS256")

    def __call__(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> TestResponse:
        """Send a request below the mount. Headers are given with _ for -; `token` is a partner-admin's unless given.

        An address that the API gave is followed as it is, with :meth:`follow`.
        """
        return self._send(method, self.base + path, body, token, headers)

    def follow(self, address: str, **headers: str) -> TestResponse:
        """Send a request to an address that the API gave: to this very path, wherever it leads."""
        assert address.startswith("/"), address
        return self._send("GET", address, None, None, headers)

    def _send(self, method: str, address: str, body: Any, token: str | None, headers: dict[str, str]) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        bearer = self.token() if token is None else token
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        response = self._client.open(address, method=method, data=data, headers=sent)
        self.exchanges.append(read_exchange(response))
        assert response.headers["Cache-Control"] == "no-store", response.text
        return response

    def new(self, **fields: Any) -> dict[str, Any]:
        """A tenant that was created just now."""
        response = self("POST", "/tenants", {**EXAMPLE, "email": f"w{next(_numbers)}@example.com", **fields})
        assert response.status_code == 201, response.text
        document: dict[str, Any] = response.get_json()
        return document


def check(function: Check) -> Check:
    """Add a stop to the walk, by the name of the function."""
    CHECKS[function.__name__] = function
    return function


def check_contract(app: Flask, root: str = "") -> dict[str, Outcome]:
    """Return whether the contract fails at each stop; callers find the app below the path `root`."""
    return {name: _run_check(ContractClient(app, root), visit) for name, visit in CHECKS.items()}


def _run_check(walker: ContractClient, visit: Check) -> Outcome:
    failed = False
    try:
        visit(walker)
    except (AssertionError, KeyError, TypeError, ValueError):
        failed = True
    return Outcome(failed, tuple(walker.exchanges))


def tenant_path(tenant: dict[str, Any], action: str = "") -> str:
    """The path of a tenant."""
    return f"/tenants/{tenant['tenant']}{action}"


def read_next_link(response: TestResponse) -> str:
    """The address of the Link header."""
    return str(response.headers["Link"].partition("<")[2].partition(">")[0])


@check
def create(walker: ContractClient) -> None:
    response = walker("POST", "/tenants", EXAMPLE)
    document = response.get_json()
    assert (response.status_code, response.content_type) == (201, "application/json")
    assert {**document, **EXAMPLE, "partner": walker.partner, "status": "active", "version": 1} == document
    assert (response.headers["Location"], response.headers["ETag"]) == (walker.base + tenant_path(document), '"1"')


@check
def read(walker: ContractClient) -> None:
    tenant = walker.new()
    response = walker("GET", tenant_path(tenant))
    assert (response.status_code, response.get_json()) == (200, tenant)


@check
def not_modified(walker: ContractClient) -> None:
    response = walker("GET", tenant_path(walker.new()), If_None_Match='"1"')
    assert (response.status_code, response.data) == (304, b"")


@check
def empty_list(walker: ContractClient) -> None:
    response = walker("GET", "/tenants")
    assert (response.status_code, response.get_json()) == (200, {"items": [], "next": None})


@check
def pages(walker: ContractClient) -> None:
    tenants = [walker.new()["tenant"] for _ in range(3)]
    first = walker("GET", "/tenants?limit=2&sort=created_at")
    assert first.headers["Link"].startswith(f"<{walker.base}/tenants?")
    second = walker.follow(read_next_link(first))
    assert [tenant["tenant"] for page in (first, second) for tenant in page.get_json()["items"]] == tenants


@check
def patch(walker: ContractClient) -> None:
    tenant = walker.new()
    sent = {"industry": None, "metadata": {"ä": "€"}}
    response = walker("PATCH", tenant_path(tenant), sent, Content_Type="application/merge-patch+json")
    changed = response.get_json()
    assert response.status_code == 200
    assert changed == {**tenant, **sent, "version": 2, "updated_at": changed["updated_at"]}


@check
def put(walker: ContractClient) -> None:
    tenant = walker.new()
    sent = {"client_name": "Other", "email": tenant["email"]}
    response = walker("PUT", tenant_path(tenant), sent)
    assert (response.status_code, response.get_json()["client_name"], response.get_json()["industry"]) == (
        200,
        "Other",
        None,
    )


@check
def upsert(walker: ContractClient) -> None:
    responses = [walker("PUT", "/tenants/by-external-id/a%2Fb", EXAMPLE) for _ in range(2)]
    assert [response.status_code for response in responses] == [201, 200]
    assert [response.get_json()["version"] for response in responses] == [1, 1]


@check
def suspend_and_reactivate(walker: ContractClient) -> None:
    tenant = walker.new()
    suspended = walker("POST", tenant_path(tenant, "/suspend"), {"reason": "unpaid"})
    again = walker("POST", tenant_path(tenant, "/reactivate"))
    assert [response.get_json()["status"] for response in (suspended, again)] == ["suspended", "active"]


@check
def delete_and_restore(walker: ContractClient) -> None:
    tenant = walker.new()
    deleted = walker("DELETE", tenant_path(tenant))
    restored = walker("POST", tenant_path(tenant, "/restore"))
    assert [response.get_json()["status"] for response in (deleted, restored)] == ["deleted", "active"]


@check
def purge(walker: ContractClient) -> None:
    tenant, admin = walker.new(), walker.token("provisioning-admin")
    response = walker("DELETE", f"{tenant_path(tenant)}?purge=true", token=admin)
    assert (response.status_code, response.data) == (204, b"")
    check_problem(walker("GET", tenant_path(tenant)), code="tenant-not-found")


@check
def dry_run(walker: ContractClient) -> None:
    response = walker("POST", "/tenants?validate_only=true", EXAMPLE)
    assert (response.status_code, response.headers["X-Validate-Only"]) == (201, "true")
    assert walker("GET", "/tenants").get_json()["items"] == []


@check
def replay(walker: ContractClient) -> None:
    first, second = (walker("POST", "/tenants", EXAMPLE, Idempotency_Key="k") for _ in range(2))
    assert (second.status_code, second.data, second.headers["Idempotency-Replayed"]) == (201, first.data, "true")


@check
def key_reused_is_422(walker: ContractClient) -> None:
    walker("POST", "/tenants", EXAMPLE, Idempotency_Key="k")
    response = walker("POST", "/tenants", {**EXAMPLE, "industry": "Energy"}, Idempotency_Key="k")
    check_problem(response, status=422, code="idempotency-key-reused")


@check
def precondition_failed_is_412(walker: ContractClient) -> None:
    response = walker("PATCH", tenant_path(walker.new()), {"industry": None}, If_Match='"7"')
    check_problem(response, status=412, code="precondition-failed")


@check
def taken_email_is_409(walker: ContractClient) -> None:
    tenant = walker.new()
    response = walker("POST", "/tenants", {**EXAMPLE, "email": tenant["email"].upper()})
    check_problem(response, status=409, code="tenant-exists", field="email", conflicting_tenant=tenant["tenant"])


@check
def wrong_state_is_409(walker: ContractClient) -> None:
    check_problem(walker("POST", tenant_path(walker.new(), "/restore")), status=409, code="invalid-state")


@check
def no_token_is_401(walker: ContractClient) -> None:
    response = walker("GET", "/tenants", token="")
    assert_problem(response, 401, "authentication-required", "Authentication required.")
    assert response.headers["WWW-Authenticate"] == CHALLENGE


@check
def forged_token_is_401(walker: ContractClient) -> None:
    forged = f"{walker.token().rpartition('.')[0]}.{'A' * 43}"
    response = walker("GET", "/tenants", token=forged)
    check_problem(response, status=401, code="invalid-token")
    assert response.headers["WWW-Authenticate"] == f'{CHALLENGE}, error="invalid_token"'


@check
def stale_token_is_401(walker: ContractClient) -> None:
    check_problem(walker("GET", "/tenants", token=walker.token(exp=time.time() - 1)), status=401, code="token-expired")


@check
def write_by_viewer_is_403(walker: ContractClient) -> None:
    response = walker("POST", "/tenants", EXAMPLE, token=walker.token("partner-viewer"))
    check_problem(response, status=403, code="insufficient-permission", required=["tenant:create"])


@check
def absent_tenant_is_404(walker: ContractClient) -> None:
    check_problem(walker("GET", ABSENT_TENANT), status=404, code="tenant-not-found")


@check
def unknown_path_is_404(walker: ContractClient) -> None:
    for path in ("", "/", "/nowhere", "/tenants/a/b"):
        assert_problem(walker("GET", path, token=""), 404, "not-found", "Not found.")


@check
def wrong_method_is_405(walker: ContractClient) -> None:
    response = walker("DELETE", "/tenants", token="")
    assert_problem(response, 405, "method-not-allowed", "DELETE is not possible here.")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


@check
def unacceptable_is_406(walker: ContractClient) -> None:
    check_problem(walker("GET", "/tenants", Accept="text/html"), status=406, code="not-acceptable")


@check
def large_body_is_413(walker: ContractClient) -> None:
    response = walker("POST", "/tenants", b" " * (1024 * 1024 + 1))
    assert_problem(response, 413, "body-too-large", "The body is larger than 1048576 bytes.", limit=1024 * 1024)


@check
def form_is_415(walker: ContractClient) -> None:
    response = walker("POST", "/tenants", b"client_name=x", Content_Type="application/x-www-form-urlencoded")
    check_problem(response, status=415, code="unsupported-media-type")


@check
def malformed_json_is_400(walker: ContractClient) -> None:
    check_problem(walker("POST", "/tenants", b'{"a": NaN}'), status=400, code="malformed-json")


@check
def faulty_fields_are_400(walker: ContractClient) -> None:
    response = walker("POST", "/tenants", {**EXAMPLE, "email": "nobody"})
    assert_invalid_fields(response, ("#/email", "invalid-email", "Invalid email address."))


@check
def faulty_parameter_is_400(walker: ContractClient) -> None:
    response = walker("GET", "/tenants?limit=0")
    assert_invalid_parameters(response, ("#/limit", "invalid-limit", "Must be a whole number from 1 on."))


@check
def upload(walker: ContractClient) -> None:
    rows = [{**EXAMPLE, "email": f"u{next(_numbers)}@example.com"} for _ in range(20)]
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    response = walker("POST", "/bulk-jobs", body, Content_Type="application/x-ndjson")
    assert (response.status_code, response.get_json()["total"]) == (202, 20)


@check
def locations_lead_to_the_resource(walker: ContractClient) -> None:
    row = json.dumps(EXAMPLE).encode() + b"\n"
    endpoint = {"url": "https://[3000::1]/", "events": ["tenant.*"]}
    for path, body, typed, name in (
        ("/tenants", EXAMPLE, "application/json", "tenant"),
        ("/bulk-jobs", row, "application/x-ndjson", "job"),
        ("/webhooks", endpoint, "application/json", "webhook"),
    ):
        created = walker("POST", path, body, Content_Type=typed)
        resource = walker.follow(created.headers["Location"])
        assert (resource.status_code, resource.get_json()[name]) == (200, created.get_json()[name])


@check
def next_links_lead_to_the_next_page(walker: ContractClient) -> None:
    tenants = [walker.new()["tenant"] for _ in range(2)]
    feed = walker("GET", "/events?limit=1")
    rest = walker.follow(read_next_link(feed))
    assert [tenant["tenant"] for page in (feed, rest) for tenant in page.get_json()["items"]] == tenants
    page = walker("GET", "/tenants?limit=1&sort=created_at").get_json()
    assert (
        walker("GET", f"/tenants?sort=created_at&cursor={page['next']}").get_json()["items"][0]["tenant"] == tenants[1]
    )


@check
def problem_types_are_served(walker: ContractClient) -> None:
    refusal = walker("GET", "/tenants?x=1").get_json()
    explained = walker.follow(refusal["type"], Accept="application/json")
    assert (explained.status_code, explained.get_json()["code"]) == (200, "invalid-parameter")
    assert walker.follow(refusal["instance"]).status_code == 200


@check
def assets_of_the_docs_are_served(walker: ContractClient) -> None:
    for path in ("/docs", "/problems/not-found"):
        page = walker("GET", path, token="", Accept="text/html")
        for reference in re.findall(r'(?:src|href)="([^"]*)"', page.text):
            address = urljoin(f"http://host{walker.base}{path}", reference).removeprefix("http://host")
            assert walker.follow(address, Accept="*/*").status_code == 200


@check
def etags_survive_compression(walker: ContractClient) -> None:
    tenant = walker.new(metadata={f"note{number}": "x" * 400 for number in range(5)})
    response = walker("GET", tenant_path(tenant), Accept_Encoding="gzip")
    assert (response.headers["ETag"], response.get_json()) == ('"1"', tenant)


@check
def request_id(walker: ContractClient) -> None:
    response = walker("GET", "/nowhere", X_Request_ID="r-1")
    assert response.get_json()["request_id"] == response.headers["X-Request-ID"]


@check
def no_cookie_is_needed(walker: ContractClient) -> None:
    for path, status in (("/openapi.json", 200), ("/nowhere", 404)):
        response = walker("GET", path, token="", Cookie="session=nonsense")
        assert (response.status_code, response.mimetype != "application/problem+json") == (status, status == 200)
        assert ("Set-Cookie" in response.headers, "Cookie" in response.headers.get("Vary", "")) == (False, False)


@check
def openapi(walker: ContractClient) -> None:
    document = walker("GET", "/openapi.json", token="").get_json()
    assert document["openapi"].startswith("3.1")
    assert [server["url"] for server in document["servers"]] == [walker.base]


@check
def docs(walker: ContractClient) -> None:
    response = walker("GET", "/docs", token="")
    assert (response.status_code, response.mimetype) == (200, "text/html")


@check
def problems(walker: ContractClient) -> None:
    response = walker("GET", "/problems/not-found", token="")
    assert (response.status_code, response.get_json()["code"]) == (200, "not-found")


@check
def health(walker: ContractClient) -> None:
    assert walker("GET", "/health/live", token="").status_code == 200
    assert walker("GET", "/health/ready", token="").status_code == 200
    assert walker("GET", "/health", token=walker.token("provisioning-admin")).status_code == 200
