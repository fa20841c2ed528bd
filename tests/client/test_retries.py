"""The calls that the client repeats, their waits, and their idempotency keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tenant_provisioning_client import (
    ConnectionFailed,
    IdempotencyInProgress,
    InternalError,
    RateLimited,
    Retries,
    StorageUnavailable,
    TokenExpired,
)
from tests.support.callers import Caller
from tests.support.client.connections import Connections, Time
from tests.support.client.faulty_server import (
    FaultyServer,
    answer,
    hang,
    lose_response,
    refuse,
    serve_faults,
    truncate,
)

CORP = {"client_name": "Example Corp", "email": "admin@example.com"}


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def client(connect: Connections, faulty: FaultyServer, caller: Caller, time: Time) -> Any:
    return connect(faulty.url, caller.token, time=time, timeout=1.0)


@pytest.mark.parametrize("fault", [lose_response, hang, truncate, answer(502), refuse(503, "storage-unavailable")])
def test_a_create_whose_response_does_not_come_is_repeated_and_creates_one_tenant(
    client: Any, faulty: FaultyServer, fault: Any, time: Time
) -> None:
    faulty.faults += [fault, fault]
    tenant = client.tenants.create(**CORP)
    assert [item.tenant for item in client.tenants.list()] == [tenant.tenant]
    keys = [key for key in faulty.list_keys() if key is not None]
    assert len({*keys}) == 1
    assert len(keys) >= 3  # a busy machine may be too late for a third time
    assert time.waits[:2] == [0.5, 1.0]


def test_each_call_has_a_key_of_its_own_unless_the_caller_names_one(client: Any, faulty: FaultyServer) -> None:
    tenant = client.tenants.create(**CORP)
    client.tenants.update(tenant.tenant, industry="Arts")
    client.tenants.suspend(tenant.tenant, idempotency_key="job-7")
    client.tenants.get(tenant)
    first, second, third, fourth = dict.fromkeys(faulty.list_keys())  # a repeated call has the same key
    assert first != second
    assert (third, fourth) == ("job-7", None)


def test_the_api_says_how_long_to_wait(client: Any, faulty: FaultyServer, time: Time) -> None:
    def name_a_date(handler: Any) -> None:
        end = handler.date_time_string(datetime.now().timestamp() + 42)
        handler.respond(503, b"", {"Retry-After": end})

    faulty.faults += [
        refuse(429, "rate-limited", Retry_After="7"),
        refuse(503, "server-busy", Retry_After="2"),
        refuse(409, "idempotency-in-progress", Retry_After="1"),
        name_a_date,
    ]
    client.tenants.create(**CORP)
    assert time.waits == [7.0, 2.0, 1.0, pytest.approx(42, abs=1)]


def test_waits_grow_and_have_a_random_part(connect: Connections, faulty: FaultyServer, time: Time) -> None:
    client = connect(faulty.url, time=time, random=lambda: 1.0, retries=Retries(attempts=6, longest_wait=4))
    faulty.faults += [answer(503)] * 5 + [refuse(404, "tenant-not-found")]
    with pytest.raises(Exception, match="tenant-not-found"):
        client.tenants.get("x")
    assert time.waits == [0.25, 0.5, 1.0, 2.0, 2.0]


def test_the_attempts_end(client: Any, faulty: FaultyServer, time: Time) -> None:
    faulty.faults += [refuse(503, "storage-unavailable")] * 9
    with pytest.raises(StorageUnavailable) as raised:
        client.tenants.get("x")
    assert len(faulty.requests) == 5
    assert raised.value.__notes__ == ["It was sent 5 times."]


def test_the_attempts_of_a_call_have_a_total_time(client: Any, faulty: FaultyServer, time: Time) -> None:
    faulty.faults += [refuse(429, "rate-limited", Retry_After="70")] * 9
    with pytest.raises(RateLimited) as raised:
        client.tenants.get("x")
    assert time.waits == [70.0], "a second wait would end after the total of 120 seconds"
    assert raised.value.retry_after == 70


def test_a_response_that_trickles_in_is_given_up_at_the_deadline(
    connect: Connections, faulty: FaultyServer, time: Time
) -> None:
    def trickle(handler: Any) -> None:
        handler.respond(200, b"{", {"Content-Type": "application/json", "Content-Length": "100000"})
        time.now += 200
        handler.wfile.write(b" " * 50_000)

    faulty.faults.append(trickle)
    with pytest.raises(ConnectionFailed, match="took longer than 120 seconds"):
        connect(faulty.url, time=time).tenants.get("x")
    assert len(faulty.requests) == 1


def test_an_internal_error_is_not_repeated(client: Any, faulty: FaultyServer) -> None:
    faulty.faults.append(refuse(500, "internal-error"))
    with pytest.raises(InternalError):
        client.tenants.create(**CORP)
    assert len(faulty.requests) == 1


@pytest.mark.parametrize("fault", [lose_response, refuse(503, "storage-unavailable")])
def test_a_write_that_expects_a_version_and_has_no_key_is_not_repeated(
    client: Any, faulty: FaultyServer, fault: Any
) -> None:
    tenant = client.tenants.create(**CORP)
    faulty.faults.append(fault)
    with pytest.raises((ConnectionFailed, StorageUnavailable)):
        client.tenants.replace(tenant, client_name="Other", email="other@example.com")
    assert len(faulty.requests) == 2
    faulty.faults.append(fault)
    client.tenants.replace(tenant.tenant, client_name="Third", email="other@example.com")
    assert len(faulty.requests) == 4, "without a version, the second time changes nothing more"


def test_a_request_that_never_left_is_repeated_in_any_case(
    connect: Connections, faulty: FaultyServer, caller: Caller, time: Time
) -> None:
    tenant = caller.create()
    with serve_faults() as server:
        url = server.url
    client = connect(url, caller.token, time=time)
    with pytest.raises(ConnectionFailed) as raised:
        client.tenants.delete(tenant["tenant"])
    assert time.waits == [0.5, 1.0, 2.0, 4.0]
    assert raised.value.__notes__ == ["It was sent 5 times."]


def test_a_token_that_has_expired_is_asked_for_once_more(
    connect: Connections, faulty: FaultyServer, caller: Caller, time: Time
) -> None:
    tokens = iter(["old", caller.token, caller.token, "old", "old", "old"])
    client = connect(faulty.url, lambda: next(tokens), time=time)
    tenant = client.tenants.create(**CORP)
    assert client.tenants.get(tenant) == tenant
    sent = [request.headers["authorization"].removeprefix("Bearer ") for request in faulty.requests]
    assert sent == ["old", caller.token, caller.token]
    first, second, _ = faulty.list_keys()
    assert first == second
    faulty.faults += [refuse(401, "token-expired")] * 2
    with pytest.raises(TokenExpired):
        client.tenants.get(tenant)
    assert len(faulty.requests) == 4, "the same token again would not help"
    assert time.waits == []


def test_retries_can_be_switched_off(connect: Connections, faulty: FaultyServer, time: Time) -> None:
    faulty.faults.append(refuse(409, "idempotency-in-progress", Retry_After="1"))
    with pytest.raises(IdempotencyInProgress):
        connect(faulty.url, time=time, retries=Retries(attempts=1)).tenants.create(**CORP)
    assert time.waits == []


@pytest.mark.parametrize("options", [{"attempts": 0}, {"backoff": -1}, {"longest_wait": -1}, {"total": 0}])
def test_retries_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one attempt"):
        Retries(**options)
