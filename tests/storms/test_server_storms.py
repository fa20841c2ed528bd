"""Servers killed and databases stopped under load: nothing that was promised is lost, nothing is there twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, NamedTuple

import pytest
from sqlalchemy import make_url

from tests.support.database import postgresql
from tests.support.servers import Address
from tests.support.storms.books import (
    StormResult,
    list_confirmed_tenants,
    list_unanswered,
    read_result,
    repeat_until_answered,
)
from tests.support.storms.clients import Answer, Client, Storm
from tests.support.storms.cluster import Cluster
from tests.support.storms.server import Server, signed_token

pytestmark = [pytest.mark.slow, pytest.mark.alone("no request may take longer than some seconds")]

KILLS = 20
OUTAGES = 2
CLIENTS = 12
REPLAYS = 300
RECOVERY_SECONDS = 5
#: A request that meets a database that goes away ends by then: connecting takes 5 seconds at most, as does a pool.
PATIENCE_SECONDS = 8


class Aftermath(NamedTuple):
    """The responses to clients, the books as the storm left them, and the outcome of repeated requests."""

    answers: list[Answer]
    books: StormResult
    replays: list[tuple[Answer, Answer]]
    settled: list[Answer]
    books_at_last: StormResult
    outages: list[tuple[float, float]]


@pytest.fixture(scope="module")
def address() -> Address:
    return "127.0.0.1", postgresql.find_free_port()


@pytest.fixture(scope="module")
def killed(
    request: pytest.FixtureRequest, database: str, address: Address, tmp_path_factory: pytest.TempPathFactory
) -> Aftermath:
    """Clients create tenants while the server is killed twenty times, at random moments of its work."""
    folder = tmp_path_factory.mktemp("killed")
    if database == "sqlite":
        url = f"sqlite:///{folder}/provisioning.sqlite3"
    else:
        schema = postgresql.create_schema(make_url(request.getfixturevalue("postgresql_url")))
        url = schema.render_as_string(hide_password=False)
    server = Server(address, url, folder / "log")
    return _weather(server, url, lambda storm: [_kill(server, storm) for _ in range(KILLS)])


@pytest.fixture(scope="module", params=["fast", "immediate"])
def stopped(
    request: pytest.FixtureRequest, address: Address, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Aftermath]:
    """Clients create tenants while PostgreSQL is stopped and started twice; the server is left alone."""
    try:
        cluster = Cluster()
    except RuntimeError as error:
        pytest.skip(f"PostgreSQL: not found ({error})")
    url = cluster.url.render_as_string(hide_password=False)
    server = Server(address, url, tmp_path_factory.mktemp("stopped") / "log")
    yield _weather(server, url, lambda storm: [_stop(cluster, request.param, storm) for _ in range(OUTAGES)])
    cluster.stop("immediate")


def _weather(server: Server, url: str, outages: Callable[[Storm], list[tuple[float, float]]]) -> Aftermath:
    server.start()
    try:
        token = signed_token("stormy")
        with Storm(server.address, token, CLIENTS) as storm:
            storm.wait_for_each(_is_created)
            happened = outages(storm)
            storm.wait_for_each(_is_created)
        return _aftermath(Client(server.address, token), url, storm.answers, happened)
    finally:
        server.kill()


def _aftermath(client: Client, url: str, responses: list[Answer], outages: list[tuple[float, float]]) -> Aftermath:
    books = read_result(client, url)
    print(_report(responses, outages))
    kept = [response for response in responses if _is_created(response)]
    replays = [(response, client.send(response.order)) for response in random.sample(kept, min(REPLAYS, len(kept)))]
    settled = [repeat_until_answered(client, order) for order in list_unanswered(responses)]
    replayed = sum(response.replayed for response in settled)
    print(f"{len(settled)} repeated afterwards, {replayed} of them were there already")
    return Aftermath(responses, books, replays, settled, read_result(client, url), outages)


def _report(responses: list[Answer], outages: list[tuple[float, float]]) -> str:
    """Print figures for runs of the storms with ``-s``."""
    statuses = dict(Counter(response.status for response in responses))
    gaps = [_gap(responses, returned) for _, returned in outages]
    lasted = f"{responses[-1].at - responses[0].at:.1f} s"
    slowest = max(response.seconds for response in responses)
    return (
        f"\n{len(responses)} requests in {lasted}: {statuses}; {len(list_unanswered(responses))} unanswered; "
        f"slowest {slowest:.2f} s; {len(outages)} outages, last client served {max(gaps):.2f} s after the worst"
    )


def _gap(responses: list[Answer], returned: float) -> float:
    """Return the seconds between a return and the last client's first response."""
    first: dict[int, float] = {
        response.client: response.at - returned
        for response in reversed(responses)
        if _is_created(response) and response.at > returned
    }
    assert len(first) == CLIENTS
    return max(first.values())


def _kill(server: Server, storm: Storm) -> tuple[float, float]:
    storm.wait_for_each(_is_created)
    assert not server.dies_within(random.uniform(0, 0.3))
    storm.up.clear()
    killed = monotonic()
    server.kill()
    server.start()
    storm.up.set()
    return killed, monotonic()


def _stop(cluster: Cluster, mode: str, storm: Storm) -> tuple[float, float]:
    for _ in range(10):
        storm.wait_for_each(_is_created)
    stopped = monotonic()
    cluster.stop(mode)
    storm.wait_for_each(lambda response: response.status == 503)
    cluster.start()
    returned = monotonic()
    storm.wait_for_each(_is_created)
    return stopped, returned


def _is_created(response: Answer) -> bool:
    return response.status == 201


def test_every_201_is_in_the_database_with_its_fields(killed: Aftermath) -> None:
    promised = {document["tenant"]: document for document in _promises(killed)}
    assert {tenant: killed.books.listed.get(tenant) for tenant in promised} == promised


def test_each_tenant_has_one_event_and_each_event_its_tenant(killed: Aftermath) -> None:
    for books in (killed.books, killed.books_at_last):
        assert books.events == Counter(books.rows) == Counter(list(books.listed))


def test_a_repeated_request_is_answered_with_the_first_ones_tenant(killed: Aftermath) -> None:
    assert killed.replays
    for first, again in killed.replays:
        assert (again.status, again.replayed, again.document) == (201, True, first.document)


def test_lost_response_leaves_one_tenant(killed: Aftermath) -> None:
    assert killed.settled
    assert {response.status for response in killed.settled} == {201}
    _assert_each_order_has_one_tenant(killed)


def test_immediate_repeats_return_the_same_response(killed: Aftermath) -> None:
    assert all(
        document == documents[0]
        for documents in list_confirmed_tenants(killed.answers).values()
        for document in documents
    )


def test_a_killed_server_gave_no_other_answer(killed: Aftermath) -> None:
    assert {response.status for response in killed.answers} == {0, 201}


def test_while_postgresql_is_away_requests_are_refused_in_the_contracts_words(stopped: Aftermath) -> None:
    refusals = [response for response in stopped.answers if not _is_created(response)]
    assert {response.status for response in refusals} == {503}
    assert {response.document["code"] for response in refusals} == {"storage-unavailable"}
    assert {response.headers["Retry-After"] for response in refusals} == {"2"}


def test_no_request_hangs_while_postgresql_goes_and_comes(stopped: Aftermath) -> None:
    assert max(response.seconds for response in stopped.answers) < PATIENCE_SECONDS


def test_every_client_is_served_within_5_seconds_of_postgresqls_return(stopped: Aftermath) -> None:
    assert all(_gap(stopped.answers, returned) < RECOVERY_SECONDS for _, returned in stopped.outages)


def test_the_pool_holds_no_dead_connection_after_postgresqls_return(stopped: Aftermath) -> None:
    last = stopped.outages[-1][1] + RECOVERY_SECONDS
    late = [response.status for response in stopped.answers if response.at > last]
    assert set(late) <= {201}


def test_writes_committed_before_postgresql_stopped_are_kept(stopped: Aftermath) -> None:
    promised = {document["tenant"]: document for document in _promises(stopped)}
    assert {tenant: stopped.books.listed.get(tenant) for tenant in promised} == promised


def test_a_stop_leaves_nothing_half_written(stopped: Aftermath) -> None:
    for books in (stopped.books, stopped.books_at_last):
        assert books.events == Counter(books.rows) == Counter(list(books.listed))


def test_requests_refused_with_503_can_be_repeated(stopped: Aftermath) -> None:
    assert {response.status for response in stopped.settled} == {201}
    _assert_each_order_has_one_tenant(stopped)


def _promises(aftermath: Aftermath) -> list[dict[str, Any]]:
    return [document for documents in list_confirmed_tenants(aftermath.answers).values() for document in documents]


def _assert_each_order_has_one_tenant(aftermath: Aftermath) -> None:
    orders = {response.order.key: response.order.body["external_id"] for response in aftermath.answers}
    there = Counter(tenant["external_id"] for tenant in aftermath.books_at_last.listed.values())
    assert there == Counter(orders.values())
