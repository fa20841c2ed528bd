"""The errors that the client raises, and the secrets that it does not show."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from typing import Any

import pytest

import tenant_provisioning_client
from tenant_provisioning_client import (
    AsyncClient,
    Client,
    Conflict,
    ConnectionFailed,
    NotFound,
    ProvisioningProblem,
    Retries,
    TenantExists,
    UnexpectedResponse,
    ValidationError,
    make_problem,
)
from tests.support.callers import Caller
from tests.support.client.connections import Connections, Time
from tests.support.client.faulty_server import FaultyServer, answer, drop, hang, refuse, serve_faults, truncate
from tests.support.client.hosts import ClientHost

CORP = {"client_name": "Example Corp", "email": "admin@example.com"}
ONCE = Retries(attempts=1)


def test_a_duplicate_names_the_tenant_that_is_in_the_way(client: Any) -> None:
    tenant = client.tenants.create(**CORP)
    with pytest.raises(TenantExists, match="What to do: ") as refused:
        client.tenants.create(**CORP)
    problem = refused.value
    assert isinstance(problem, Conflict)
    assert (problem.code, problem.status, problem.field) == ("tenant-exists", 409, "email")
    assert client.tenants.get(problem.conflicting_tenant) == tenant
    assert problem.request_id is not None
    assert problem.request_id in str(problem)


def test_every_error_of_the_input_is_listed(client: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        client.tenants.create(client_name="", email="admin@", colour="red")
    assert {error["pointer"] for error in refused.value.errors} == {"#/client_name", "#/email", "#/colour"}
    assert "  #/email: Invalid email address." in str(refused.value)


def test_a_value_that_json_does_not_have_is_refused_before_it_is_sent(client: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        client.tenants.create(**CORP, seats=float("nan"))
    with pytest.raises(TypeError, match="set is no type of JSON"):
        client.tenants.create(**CORP, seats={1})


def test_a_code_of_the_host_is_raised_as_its_status(connect: Connections, faulty: FaultyServer) -> None:
    client = connect(faulty.url)
    faulty.faults += [refuse(409, "no-contract"), refuse(418, "teapot"), refuse(404, "house-not-found")]
    for expected, status, code in ((Conflict, 409, "no-contract"), (ProvisioningProblem, 418, "teapot")):
        with pytest.raises(ProvisioningProblem) as refused:
            client.tenants.get("x")
        assert (type(refused.value), refused.value.status, refused.value.code) == (expected, status, code)
    with pytest.raises(NotFound, match="404 house-not-found: Not now"):
        client.tenants.get("x")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (answer(502, b"<h1>Bad gateway</h1>"), "502, text/html: <h1>Bad gateway</h1>"),
        (answer(200, b"<p>Sign in</p>"), "200, text/html: <p>Sign in</p>"),
        (answer(200, b"{", "application/json"), "200, application/json: {"),
        (answer(200, b"[]", "application/json"), "200, application/json: "),
        (answer(200, b'{"tenant": "x"}', "application/json"), "not the document that read_tenant returns"),
        (answer(204), "204, text/html: "),
        (answer(500, b'{"status": "x"}', "application/problem+json"), "500, application/problem"),
        (answer(400, b"\xff\xfe" * 400_000), "400, text/html: \ufffd"),
    ],
)
def test_a_response_that_is_not_the_apis_is_unexpected(
    connect: Connections, faulty: FaultyServer, fault: Any, message: str
) -> None:
    faulty.faults.append(fault)
    with pytest.raises(UnexpectedResponse) as raised:
        connect(faulty.url, retries=ONCE).tenants.get("x")
    assert message in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("fault", "reason"), [(drop, "disconnected"), (truncate, "peer closed"), (hang, "ReadTimeout")]
)
def test_a_connection_that_breaks_is_a_failure(
    connect: Connections, faulty: FaultyServer, fault: Any, reason: str
) -> None:
    faulty.faults.append(fault)
    with pytest.raises(ConnectionFailed, match=reason) as raised:
        connect(faulty.url, retries=ONCE, timeout=0.2 if fault is hang else 30).tenants.get("x")
    assert raised.value.was_sent


def test_a_server_that_is_not_there_was_sent_nothing(connect: Connections) -> None:
    with serve_faults() as server:
        url = server.url
    with pytest.raises(ConnectionFailed, match="ConnectError") as raised:
        connect(url, retries=ONCE).tenants.get("x")
    assert not raised.value.was_sent


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(
    connect: Connections, faulty: FaultyServer, caller: Caller
) -> None:
    with serve_faults() as elsewhere:
        faulty.faults += [answer(307, Location=elsewhere.url), answer(302, Location="/login?token=1")]
        client = connect(faulty.url, caller.token)
        with pytest.raises(UnexpectedResponse, match=r"a redirect to http://127\.0\.0\.1; it is not followed"):
            client.tenants.get("x")
        with pytest.raises(UnexpectedResponse, match="a redirect to another path"):
            client.tenants.create(**CORP)
        assert elsewhere.requests == []


def test_no_secret_is_shown(
    connect: Connections, faulty: FaultyServer, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    time = Time()
    client = connect(faulty.url, caller.token, time=time, timeout=1.5)
    faulty.faults += [drop, refuse(503, "storage-unavailable"), hang, truncate, drop]
    with pytest.raises(ConnectionFailed) as raised:
        client.tenants.list().page()
    webhook = client.webhooks.create("http://127.0.0.1:9/hook")
    assert webhook.secret.startswith("whsec_")
    shown = [repr(client), repr(webhook), str(raised.value), repr(raised.value), caplog.text]
    assert not any(secret in text for text in shown for secret in (caller.token, webhook.secret))
    assert webhook.to_dict()["secret"] == webhook.secret
    assert repr(client).endswith(f"Client('{faulty.url}')")
    assert [record.getMessage() for record in caplog.records if record.name == "tenant_provisioning_client"][1] == (
        "list_tenants is sent again in 1.0 seconds: 503 storage-unavailable"
    )


@pytest.mark.parametrize("token", ["a b", "ü", "a\r\nX-Evil: 1", "", None])
def test_a_token_that_cannot_stand_in_a_header_is_refused_and_not_shown(
    connect: Connections, faulty: FaultyServer, token: Any
) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as refused:
        connect(faulty.url, lambda: token).tenants.get("x")
    assert "Evil" not in str(refused.value)
    assert faulty.requests == []


@pytest.mark.parametrize(
    "url", ["example.com", "ftp://example.com", "https://", "https://me:pw@example.com", "https://a/?b"]
)
def test_a_base_url_that_is_none_is_refused_and_not_shown(connect: Connections, url: str) -> None:
    with pytest.raises(ValueError, match="base_url must") as refused:
        connect(url)
    assert "pw" not in str(refused.value)


def test_the_user_agent_names_program_and_client(connect: Connections, faulty: FaultyServer, caller: Caller) -> None:
    connect(faulty.url + "/", caller.token, user_agent="crm/7").tenants.list().page()
    agent = faulty.requests[0].headers["user-agent"]
    assert agent.startswith("crm/7 tenant-provisioning-client/0.1.0 Python/3.")


@pytest.mark.parametrize("copying", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_can_be_copied_and_sent_to_another_process(copying: Any) -> None:
    document = {"status": 409, "code": "tenant-exists", "title": "Exists", "detail": "It exists.", "field": "email"}
    for error in (
        make_problem(document, 3),
        UnexpectedResponse(502, "text/html", "x"),
        ConnectionFailed("x", was_sent=True),
    ):
        copied = copying(error)
        assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


def test_problems_need_no_token(connect: Connections, client_host: ClientHost) -> None:
    client = connect(client_host.url)
    codes = [problem.code for problem in client.problems().items]
    assert codes == [*dict.fromkeys(codes)]
    for code in codes:
        assert hasattr(tenant_provisioning_client, type(make_problem(client.problem(code).example.to_dict())).__name__)
    assert client.openapi()["openapi"].startswith("3.1")


def test_a_client_closes_the_connections_that_it_has_made(client_host: ClientHost) -> None:
    with Client(client_host.url) as client:
        client.problems()
    with pytest.raises(RuntimeError, match="client has been closed"):
        client.problems()

    async def call() -> AsyncClient:
        async with AsyncClient(client_host.url) as client:
            await client.problems()
        return client

    closed = asyncio.run(call())
    with pytest.raises(RuntimeError, match="client has been closed"):
        asyncio.run(closed.problems())
