"""Clients that get their tokens by themselves, with the credentials of an API client."""

from __future__ import annotations

import json
import logging
import pickle
from typing import Any

import pytest

from tenant_provisioning_client import (
    ClientCredentials,
    InsufficientPermission,
    InvalidToken,
    Retries,
    SignInFailed,
    UnexpectedResponse,
)
from tests.support.callers import Caller
from tests.support.client.connections import Connections, Time
from tests.support.client.faulty_server import FaultyServer, answer, drop, refuse
from tests.support.client.hosts import ClientHost
from tests.support.clients import create_client
from tests.support.hosts import PREFIX

CORP = {"client_name": "Example Corp", "email": "admin@example.com"}
TOKEN_PATH = f"{PREFIX}/oauth/token"


@pytest.fixture
def api_client(caller: Caller) -> dict[str, Any]:
    return create_client(caller)


@pytest.fixture
def credentials(api_client: dict[str, Any]) -> ClientCredentials:
    return ClientCredentials(api_client["client"], api_client["secret"])


def count_sign_ins(server: FaultyServer) -> int:
    return sum(request.path == TOKEN_PATH for request in server.requests)


def test_a_client_signs_in_once_and_creates_tenants(
    connect: Connections, faulty: FaultyServer, credentials: ClientCredentials, caller: Caller
) -> None:
    client = connect(faulty.url, credentials)
    assert client.tenants.create(**CORP).partner == caller.partner
    assert len(list(client.tenants.list())) == 1
    assert count_sign_ins(faulty) == 1


def test_the_scope_asks_for_fewer_permissions(
    connect: Connections, client_host: ClientHost, credentials: ClientCredentials
) -> None:
    reader = ClientCredentials(credentials.client_id, credentials.client_secret, scope=("tenant:read",))
    client = connect(client_host.url, reader)
    assert list(client.tenants.list()) == []
    with pytest.raises(InsufficientPermission):
        client.tenants.create(**CORP)


def test_a_token_is_renewed_before_it_expires(
    connect: Connections, faulty: FaultyServer, credentials: ClientCredentials
) -> None:
    time = Time()
    client = connect(faulty.url, credentials, time=time)
    for seconds, sign_ins in ((0, 1), (839, 1), (1, 2), (0, 2)):
        time.now += seconds
        assert list(client.tenants.list()) == []
        assert count_sign_ins(faulty) == sign_ins


def test_a_token_that_was_revoked_is_replaced_once(
    connect: Connections, faulty: FaultyServer, credentials: ClientCredentials, caller: Caller
) -> None:
    client = connect(faulty.url, credentials)
    assert list(client.tenants.list()) == []
    path = f"/clients/{credentials.client_id}"
    for status in ("disabled", "enabled"):
        assert caller("PATCH", path, json={"status": status}).status_code == 200
    assert list(client.tenants.list()) == []
    assert count_sign_ins(faulty) == 2


def test_a_token_that_is_refused_although_it_is_new_is_an_error(
    connect: Connections, faulty: FaultyServer, credentials: ClientCredentials
) -> None:
    faulty.choose = lambda request: None if request.path == TOKEN_PATH else refuse(401, "invalid-token")
    with pytest.raises(InvalidToken):
        list(connect(faulty.url, credentials).tenants.list())
    assert count_sign_ins(faulty) == 2


def test_wrong_credentials_are_an_error_that_shows_no_secret(
    connect: Connections, client_host: ClientHost, credentials: ClientCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = ClientCredentials(credentials.client_id, "ftpsecret_wrong")
    with pytest.raises(SignInFailed) as refused:
        connect(client_host.url, wrong).tenants.create(**CORP)
    error = refused.value
    assert (error.status, error.error) == (401, "invalid_client")
    assert str(error) == (
        "No access token: 401 invalid_client: "
        "The client is unknown, may not be used now, or did not authenticate correctly."
    )
    assert pickle.loads(pickle.dumps(error)).error == "invalid_client"
    for text in (str(error), repr(wrong), caplog.text):
        assert "ftpsecret_wrong" not in text


def test_a_scope_that_the_client_lacks_is_an_error(
    connect: Connections, client_host: ClientHost, credentials: ClientCredentials
) -> None:
    greedy = ClientCredentials(credentials.client_id, credentials.client_secret, scope=("tenant:purge",))
    with pytest.raises(SignInFailed, match="invalid_scope"):
        list(connect(client_host.url, greedy).tenants.list())


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_token_endpoint_is_asked_again(
    connect: Connections, faulty: FaultyServer, credentials: ClientCredentials, status: int
) -> None:
    time, body = Time(), json.dumps({"error": "temporarily_unavailable", "error_description": "Later."}).encode()
    faulty.faults.append(answer(status, body, "application/json", Retry_After="7"))
    connect(faulty.url, credentials, time=time).tenants.create(**CORP)
    assert (count_sign_ins(faulty), time.waits) == (2, [7.0])


def test_a_connection_that_breaks_is_made_again(
    connect: Connections, faulty: FaultyServer, credentials: ClientCredentials
) -> None:
    faulty.faults.append(drop)
    connect(faulty.url, credentials, time=Time()).tenants.create(**CORP)
    assert count_sign_ins(faulty) == 2


def test_a_page_of_a_proxy_is_no_token(
    connect: Connections, faulty: FaultyServer, credentials: ClientCredentials
) -> None:
    faulty.faults.append(answer(200, b"<html>", "text/html"))
    with pytest.raises(UnexpectedResponse):
        list(connect(faulty.url, credentials, retries=Retries(attempts=1)).tenants.list())


def test_another_token_endpoint_may_be_named(
    connect: Connections, client_host: ClientHost, faulty: FaultyServer, credentials: ClientCredentials
) -> None:
    elsewhere = ClientCredentials(
        credentials.client_id, credentials.client_secret, token_url=f"{faulty.url}/oauth/token"
    )
    assert list(connect(client_host.url, elsewhere).tenants.list()) == []
    assert (count_sign_ins(faulty), len(faulty.requests)) == (1, 1)
