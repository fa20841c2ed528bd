"""Attacks on the token endpoint and with its tokens: revocation, networks, rate limits, and very many wrong secrets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.clients import create_client, issue_token
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_rows
from tests.support.hosts import PREFIX, get_mount
from tests.support.oauth import (
    INVALID_CLIENT,
    REVOCATION_URL,
    assert_error,
    get_token,
    make_basic_header,
    post_secret,
    request_token,
)
from tests.support.rate_limits.clocked_storage import ManualClock, hand as hand
from tests.support.servers import run_concurrently

MakeApp = Callable[..., Flask]


@pytest.fixture
def client(partner: Caller) -> dict[str, Any]:
    return create_client(partner)


def use_token(app: Flask, token: str, **options: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
    return app.test_client().get(f"{PREFIX}/tenants", headers=headers, **options)


def revoke(app: Flask, client: dict[str, Any], token: str, **form: Any) -> TestResponse:
    return request_token(
        app, {"token": token, **form}, make_basic_header(client["client"], client["secret"]), REVOCATION_URL
    )


# Revocation (RFC 7009)


def test_a_revoked_token_is_refused_at_once_with_all_others_of_its_client(app: Flask, client: dict[str, Any]) -> None:
    first, second = get_token(app, client), get_token(app, client)
    response = revoke(app, client, first)
    assert (response.status_code, response.data, response.headers.get("Content-Type")) == (200, b"", None)
    for token in (first, second):
        check_problem(use_token(app, token), status=401, code="invalid-token", detail="The token was revoked.")
    assert use_token(app, get_token(app, client)).status_code == 200


def test_a_token_that_was_revoked_before_ends_no_newer_ones(app: Flask, client: dict[str, Any]) -> None:
    old = get_token(app, client)
    assert revoke(app, client, old).status_code == 200
    new = get_token(app, client)
    assert [revoke(app, client, old).status_code for _ in range(3)] == [200, 200, 200]
    assert use_token(app, new).status_code == 200


def test_twenty_revocations_at_once_count_as_one(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    token = get_token(app, client)
    assert run_concurrently(20, lambda _number: revoke(app, client, token).status_code) == [200] * 20
    assert partner("GET", f"/clients/{client['client']}").get_json()["generation"] == 2


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unknown", ""])
def test_a_hint_changes_nothing(app: Flask, client: dict[str, Any], hint: str) -> None:
    token = get_token(app, client)
    assert revoke(app, client, token, token_type_hint=hint).status_code == 200
    assert use_token(app, token).status_code == 401


def test_what_is_no_token_is_answered_with_200(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    expired = issue_token(app, client)
    tampered = expired[:-3] + ("AAA" if expired[-3:] != "AAA" else "BBB")
    for token in ("x", "a.b.c", "é", "x" * 9000, partner.token, tampered):
        assert revoke(app, client, token).status_code == 200
    assert partner("GET", f"/clients/{client['client']}").get_json()["generation"] == 1


def test_another_clients_token_is_invalid_grant_and_stays(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    for other in (create_client(partner), create_client(Caller(app))):
        token = get_token(app, other)
        assert_error(revoke(app, client, token), 400, "invalid_grant", "The token was issued to another client.")
        assert use_token(app, token).status_code == 200


def test_errors_of_a_revocation_are_oauths(app: Flask, client: dict[str, Any]) -> None:
    header = make_basic_header(client["client"], client["secret"])
    assert_error(request_token(app, {}, header, REVOCATION_URL), 400, "invalid_request")
    assert_error(request_token(app, {"token": ""}, header, REVOCATION_URL), 400, "invalid_request", "token is missing.")
    assert_error(request_token(app, {"token": "x"}, url=REVOCATION_URL), 401, "invalid_client", INVALID_CLIENT)
    wrong = {**client, "secret": "wrong"}
    assert_error(revoke(app, wrong, get_token(app, client)), 401, "invalid_client", INVALID_CLIENT)


def test_the_event_of_a_revocation_names_the_client_as_its_actor(app: Flask, client: dict[str, Any]) -> None:
    revoke(app, client, get_token(app, client))
    rows = [row for row in fetch_rows(app, "events", partner_id=client["partner"]) if row["type"] == "client.updated"]
    (event,) = rows
    assert (event["actor_subject"], event["actor_partner"]) == (client["client"], client["partner"])
    assert json.loads(event["changes"]) == {"generation": {"previous": 1, "new": 2}}
    assert client["secret"] not in repr(event)


# Tokens of clients that changed


@pytest.mark.parametrize("change", ["disable", "delete", "rotate"])
def test_a_changed_clients_token_is_refused_at_once(
    app: Flask, partner: Caller, client: dict[str, Any], change: str
) -> None:
    token, path = get_token(app, client), f"/clients/{client['client']}"
    assert use_token(app, token).status_code == 200
    if change == "disable":
        partner("PATCH", path, json={"status": "disabled"})
    elif change == "delete":
        partner("DELETE", path)
    else:
        partner("POST", f"{path}/rotate-secret", json={"overlap_seconds": 0})
    check_problem(use_token(app, token), status=401, code="invalid-token")


def test_a_token_and_its_client_expire(make_app: MakeApp) -> None:
    clock = Clock()
    app = make_app(mount={"clock": clock}, **LONG_LIVED_TOKENS)
    partner = Caller(app)
    expires_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.now + 600))
    lasting, expiring = create_client(partner), create_client(partner, expires_at=expires_at)
    tokens = [get_token(app, lasting), get_token(app, expiring)]
    clock.now += 601
    assert use_token(app, tokens[0]).status_code == 200
    check_problem(use_token(app, tokens[1]), status=401, detail="The token's client has expired.")
    clock.now += 310
    check_problem(use_token(app, tokens[0]), status=401, code="token-expired")


# Networks


def test_outside_its_networks_a_client_gets_no_token(app: Flask, partner: Caller) -> None:
    client = create_client(partner, networks=["192.0.2.0/24", "2001:db8::/32"])
    form = {"grant_type": "client_credentials", "client_id": client["client"], "client_secret": client["secret"]}
    for address in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"):
        response = request_token(app, form, environ_overrides={"REMOTE_ADDR": address})
        assert response.status_code == 200, address
    for address in ("192.0.3.1", "2001:db9::1", "127.0.0.1", "unix:", ""):
        response = request_token(app, form, environ_overrides={"REMOTE_ADDR": address})
        assert_error(response, 401, "invalid_client", INVALID_CLIENT)


FORGED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP", "True-Client-IP")


def test_a_forged_header_is_no_address(app: Flask, partner: Caller) -> None:
    client = create_client(partner, networks=["192.0.2.0/24"])
    form = {"grant_type": "client_credentials", "client_id": client["client"], "client_secret": client["secret"]}
    headers = {name: "for=192.0.2.7" if name == "Forwarded" else "192.0.2.7" for name in FORGED}
    assert_error(request_token(app, form, headers), 401, "invalid_client", INVALID_CLIENT)
    token = issue_token(app, client)
    check_problem(use_token(app, token, headers=headers), status=403, code="address-not-allowed")


@pytest.mark.blueprint("the host's own middleware")
def test_proxy_fix_decides_on_the_address(make_app: MakeApp) -> None:
    app = make_app()
    client = create_client(Caller(app), networks=["192.0.2.0/24"])
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]
    form = {"grant_type": "client_credentials", "client_id": client["client"], "client_secret": client["secret"]}
    assert request_token(app, form, {"X-Forwarded-For": "192.0.2.7"}).status_code == 200
    for forged in ("192.0.2.7, 198.51.100.1", "198.51.100.1"):
        assert_error(request_token(app, form, {"X-Forwarded-For": forged}), 401, "invalid_client", INVALID_CLIENT)


# Rate limits


@pytest.fixture
def limited(make_app: MakeApp, hand: ManualClock) -> Flask:
    """A host that allows three requests for tokens a minute."""
    config = {"PROVISIONING_RATE_LIMITS": {"token": "3/minute"}, "PROVISIONING_RATE_LIMIT_STORAGE": hand.url}
    return make_app(mount={"clock": hand.clock}, **config, **LONG_LIVED_TOKENS)


def test_requests_for_tokens_are_counted_by_client(limited: Flask, hand: ManualClock) -> None:
    client = create_client(Caller(limited))
    form = {"grant_type": "client_credentials", "client_id": client["client"], "client_secret": "wrong"}
    for number in range(3):
        response = request_token(limited, form, environ_overrides={"REMOTE_ADDR": f"192.0.2.{number}"})
        assert_error(response, 401, "invalid_client")
        assert response.headers["RateLimit"] == f'"token";r={2 - number};t=60'
    response = request_token(limited, form, environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
    assert_error(response, 429, "temporarily_unavailable")
    assert response.headers["Retry-After"] == "60"
    hand.wait(61)
    assert post_secret(limited, client).status_code == 200


def test_spellings_of_a_client_id_are_counted_together(limited: Flask) -> None:
    client_id = create_client(Caller(limited))["client"]
    form = {"grant_type": "client_credentials", "client_secret": "wrong"}
    for number, spelling in enumerate((client_id, client_id.upper(), client_id.title())):
        request = {**form, "client_id": spelling}
        response = request_token(limited, request, environ_overrides={"REMOTE_ADDR": f"192.0.2.{number}"})
        assert response.headers["RateLimit"] == f'"token";r={2 - number};t=60'


def test_requests_for_tokens_are_counted_by_address(limited: Flask) -> None:
    client = create_client(Caller(limited))
    for number in range(3):
        unknown = {**client, "client": f"0194f0b2-3b40-7cc3-98c4-dc0c0c07398{number}"}
        assert_error(post_secret(limited, unknown), 401, "invalid_client")
    assert_error(post_secret(limited, client), 429, "temporarily_unavailable")
    form = {"grant_type": "client_credentials", "client_id": client["client"], "client_secret": client["secret"]}
    for _ in range(3):  # what its address may not send does not count for the client
        response = request_token(limited, form, environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
        assert response.status_code == 200, response.text


def test_the_function_of_the_host_is_not_asked_for_tokens(make_app: MakeApp) -> None:
    app, asked = make_app(), []
    get_mount(app).registry.rate_limits = lambda partner, kind: asked.append((partner, kind))
    client = create_client(Caller(app))
    asked.clear()
    response = post_secret(app, client)
    assert (response.status_code, asked, "RateLimit" in response.headers) == (200, [], False)


# The cost of wrong secrets


@pytest.mark.one_database
@pytest.mark.slow
@pytest.mark.alone("measures CPU time")
def test_ten_thousand_wrong_secrets_cost_little(make_app: MakeApp) -> None:
    """Each costs no more than a request for a token with the right secret, and leaves nothing behind."""
    app = make_app()
    client = create_client(Caller(app))
    wrong, before = {**client, "secret": "ftpsecret_wrong"}, _count_rows(app)
    for one in (client, wrong):
        assert post_secret(app, one).status_code in (200, 401)

    def measure(one: dict[str, Any], times: int) -> float:
        started = time.process_time()
        for _ in range(times):
            post_secret(app, one)
        return (time.process_time() - started) / times

    right = min(measure(client, 250) for _ in range(4))
    refused = min(measure(wrong, 2_500) for _ in range(4))
    assert refused < 1.25 * right
    assert _count_rows(app) == before


def _count_rows(app: Flask) -> dict[str, int]:
    names = ("clients", "assertions", "events", "idempotency")
    return {name: len(fetch_rows(app, name)) for name in names}


def test_no_secret_is_stored_anywhere(app: Flask, partner: Caller) -> None:
    headers = {"Idempotency-Key": f"key-{time.time_ns()}"}
    body = {"name": "CRM", "permissions": ["tenant:read"]}
    client = partner("POST", "/clients", json=body, headers=headers).get_json()
    again = partner("POST", "/clients", json=body, headers=headers).get_json()
    assert again["secret"] == client["secret"]
    token = get_token(app, client)
    use_token(app, token)
    storage = get_mount(app).storage
    with storage.engine.connect() as connection:
        for table in storage.metadata.tables.values():
            rows = connection.execute(table.select()).fetchall()
            assert client["secret"] not in repr(rows), table.name
            assert token not in repr(rows), table.name
