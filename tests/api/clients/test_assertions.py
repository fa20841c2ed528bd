"""Clients that authenticate by a key of their own (RFC 7523): which assertions are accepted, once, and which not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from flask_tenant_provisioning.encoding import encode_base64url
from flask_tenant_provisioning.workers.maintenance import Maintenance
from tests.support.callers import Caller
from tests.support.clients import create_client
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.hosts import get_mount
from tests.support.issuers import Provider, make_jwk, serve_provider, sign_token
from tests.support.oauth import (
    INVALID_CLIENT,
    ISSUER,
    REVOCATION_URL,
    assert_error,
    post_assertion,
    request_token,
    sign_assertion,
)
from tests.support.servers import run_concurrently

MakeApp = Callable[..., Flask]
#: The configuration of a host that may fetch keys from this machine.
LOOPBACK: dict[str, Any] = {
    "PROVISIONING_WEBHOOK_SCHEMES": ["http"],
    "PROVISIONING_WEBHOOK_PORTS": [],
    "PROVISIONING_WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"],
    **LONG_LIVED_TOKENS,
}


def create_keyed_client(partner: Caller, **fields: Any) -> dict[str, Any]:
    keys = {} if "jwks_url" in fields else {"jwks": {"keys": [make_jwk("first")]}}
    return create_client(partner, authentication="private_key_jwt", **{**keys, **fields})


@pytest.fixture
def client(partner: Caller) -> dict[str, Any]:
    """A client with the key `first`."""
    return create_keyed_client(partner)


def test_an_assertion_gets_a_token(app: Flask, client: dict[str, Any]) -> None:
    response = post_assertion(app, sign_assertion(client), scope="tenant:read")
    assert response.status_code == 200, response.text
    assert response.get_json()["scope"] == "tenant:read"


@pytest.mark.parametrize("audience", [ISSUER, f"{ISSUER}/oauth/token", [f"{ISSUER}/oauth/token", "https://other"]])
def test_it_names_this_server_by_one_of_its_urls(app: Flask, client: dict[str, Any], audience: Any) -> None:
    assert post_assertion(app, sign_assertion(client, aud=audience)).status_code == 200


def test_client_id_beside_it_must_be_the_same(app: Flask, client: dict[str, Any]) -> None:
    assert post_assertion(app, sign_assertion(client), client_id=client["client"]).status_code == 200
    assert_error(post_assertion(app, sign_assertion(client), client_id="another"), 400, "invalid_request")


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "RS512"])
def test_a_key_without_algorithm_is_used_with_each_of_its_kind(app: Flask, partner: Caller, algorithm: str) -> None:
    key = {name: value for name, value in make_jwk("first").items() if name != "alg"}
    keyed = create_keyed_client(partner, jwks={"keys": [key]})
    assert post_assertion(app, sign_assertion(keyed, algorithm=algorithm)).status_code == 200
    assert_error(post_assertion(app, sign_assertion(keyed, "other", "ES256", {"kid": "first"})), 401, "invalid_client")


def test_each_of_several_keys_is_accepted(app: Flask, partner: Caller) -> None:
    keyed = create_keyed_client(partner, jwks={"keys": [make_jwk("first"), make_jwk("second", "ES256")]})
    assert post_assertion(app, sign_assertion(keyed)).status_code == 200
    assert post_assertion(app, sign_assertion(keyed, "second", "ES256")).status_code == 200
    assert_error(post_assertion(app, sign_assertion(keyed, header={})), 401, "invalid_client", INVALID_CLIENT)


def test_a_single_key_needs_no_id(app: Flask, client: dict[str, Any]) -> None:
    assert post_assertion(app, sign_assertion(client, header={})).status_code == 200


NOW = int(time.time())
WRONG: dict[str, dict[str, Any]] = {
    "for another audience": {"aud": "https://other.example/oauth/token"},
    "for the audience of access tokens": {"aud": "urn:flask-tenant-provisioning:provisioning"},
    "for no audience": {"aud": None},
    "for an audience that is a number": {"aud": 5},
    "of another issuer": {"iss": "https://id.example.com"},
    "without issuer": {"iss": None},
    "without subject": {"sub": None},
    "without jti": {"jti": None},
    "with an empty jti": {"jti": ""},
    "with a jti that is a number": {"jti": 5},
    "without expiry": {"exp": None},
    "expired": {"exp": NOW - 100},
    "valid for a day": {"exp": NOW + 86_400 + 7200},
    "not valid yet": {"nbf": NOW + 7200, "exp": NOW + 7300},
    "issued in the future": {"iat": NOW + 7200, "exp": NOW + 7300},
    "with an expiry that is a text": {"exp": "2030"},
    "signed with an unknown key": {"kid": "unknown"},
    "signed with another key under a known id": {"kid": "unknown", "header": {"kid": "first"}},
    "signed by a key of another kind": {"kid": "other", "algorithm": "ES256", "header": {"kid": "first"}},
    "with another algorithm than the key's": {"algorithm": "RS512"},
    "with a key id that is no text": {"header": {"kid": ["first"]}},
    "with critical extensions": {"header": {"kid": "first", "crit": ["exp"]}},
    "of another type": {"header": {"kid": "first", "typ": "logout+jwt"}},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_assertion_is_invalid_client(app: Flask, client: dict[str, Any], wrong: dict[str, Any]) -> None:
    response = post_assertion(app, sign_assertion(client, **wrong))
    assert_error(response, 401, "invalid_client", INVALID_CLIENT)


@pytest.mark.parametrize("text", ["x", "a.b", "a.b.c.d", "e30.e30.e30", "..", "é", "x" * 9000, "\0"])
def test_what_is_no_assertion_is_invalid_client(app: Flask, text: str) -> None:
    assert_error(post_assertion(app, text), 401, "invalid_client", INVALID_CLIENT)


def test_an_unsigned_assertion_is_invalid_client(app: Flask, client: dict[str, Any]) -> None:
    signed = sign_assertion(client)
    _, claims, signature = signed.split(".")
    for header in ({"alg": "none"}, {"alg": "none", "kid": "first"}, {"alg": "None"}, {"alg": ""}, {"alg": ["RS256"]}):
        head = encode_base64url(json.dumps(header).encode())
        for end in ("", signature):
            response = post_assertion(app, f"{head}.{claims}.{end}")
            assert_error(response, 401, "invalid_client", INVALID_CLIENT)


def test_the_public_key_is_no_shared_secret(app: Flask, client: dict[str, Any]) -> None:
    claims = {"iss": client["client"], "sub": client["client"], "aud": ISSUER, "exp": NOW + 300, "jti": "x"}
    for secret in (json.dumps(make_jwk("first")).encode(), client["client"].encode()):
        forged = sign_token({"alg": "HS256", "kid": "first"}, claims, secret)
        assert_error(post_assertion(app, forged), 401, "invalid_client", INVALID_CLIENT)


def test_another_type_of_assertion_is_invalid_client(app: Flask, client: dict[str, Any]) -> None:
    response = post_assertion(app, sign_assertion(client), client_assertion_type="urn:saml2-bearer")
    assert_error(response, 401, "invalid_client", INVALID_CLIENT)


def test_a_client_with_a_secret_cannot_use_one(app: Flask, partner: Caller) -> None:
    assert_error(post_assertion(app, sign_assertion(create_client(partner))), 401, "invalid_client", INVALID_CLIENT)


def test_another_clients_key_is_invalid_client(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    other = create_keyed_client(Caller(app), jwks={"keys": [make_jwk("theirs")]})
    assert_error(post_assertion(app, sign_assertion(client, "theirs")), 401, "invalid_client", INVALID_CLIENT)
    forged = sign_assertion(other, "theirs", sub=client["client"])
    assert_error(post_assertion(app, forged), 401, "invalid_client", INVALID_CLIENT)


def test_a_disabled_client_and_a_withdrawn_key_are_invalid_client(
    app: Flask, partner: Caller, client: dict[str, Any]
) -> None:
    path = f"/clients/{client['client']}"
    assert partner("PATCH", path, json={"jwks": {"keys": [make_jwk("second")]}}).status_code == 200
    assert_error(post_assertion(app, sign_assertion(client)), 401, "invalid_client", INVALID_CLIENT)
    assert post_assertion(app, sign_assertion(client, "second")).status_code == 200
    partner("PATCH", path, json={"status": "disabled"})
    assert_error(post_assertion(app, sign_assertion(client, "second")), 401, "invalid_client", INVALID_CLIENT)


# Replay


def test_an_assertion_is_accepted_once(app: Flask, client: dict[str, Any]) -> None:
    assertion = sign_assertion(client)
    assert post_assertion(app, assertion).status_code == 200
    for _ in range(3):
        assert_error(post_assertion(app, assertion), 401, "invalid_client", INVALID_CLIENT)


def test_one_that_was_used_to_revoke_gets_no_token(app: Flask, client: dict[str, Any]) -> None:
    assertion = sign_assertion(client)
    assert post_assertion(app, assertion, REVOCATION_URL, token="x").status_code == 200
    assert_error(post_assertion(app, assertion), 401, "invalid_client", INVALID_CLIENT)


def test_one_that_was_refused_for_its_scope_is_used(app: Flask, client: dict[str, Any]) -> None:
    assertion = sign_assertion(client)
    assert_error(post_assertion(app, assertion, scope="unknown"), 400, "invalid_scope")
    assert_error(post_assertion(app, assertion), 401, "invalid_client", INVALID_CLIENT)


def test_the_same_jti_of_two_clients_are_two(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    other = create_keyed_client(partner)
    for one in (client, other):
        assert post_assertion(app, sign_assertion(one, jti="same")).status_code == 200
    assert_error(post_assertion(app, sign_assertion(client, jti="same")), 401, "invalid_client")


def test_of_twenty_at_once_one_is_accepted(app: Flask, client: dict[str, Any]) -> None:
    assertion = sign_assertion(client)
    statuses = run_concurrently(20, lambda _number: post_assertion(app, assertion).status_code)
    assert sorted(statuses) == [200] + [401] * 19


def test_used_assertions_are_swept_once_they_have_expired(make_app: MakeApp) -> None:
    clock = Clock()
    app = make_app(mount={"clock": clock}, **LONG_LIVED_TOKENS)
    client, mount = create_keyed_client(Caller(app)), get_mount(app)
    assertion = sign_assertion(client, exp=int(clock.now) + 300)
    assert post_assertion(app, assertion).status_code == 200
    for seconds, left in ((410, 1), (20, 0)):
        clock.now += seconds
        Maintenance(mount).run()
        assert _count_assertions(app) == left
        assert_error(post_assertion(app, assertion), 401, "invalid_client", INVALID_CLIENT)


def _count_assertions(app: Flask) -> int:
    storage = get_mount(app).storage
    with storage.engine.connect() as connection:
        count: int = connection.execute(select(func.count()).select_from(storage.table("assertions"))).scalar_one()
    return count


# Keys at a URL


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve_provider("first") as serving:
        yield serving


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(make_app: MakeApp, clock: Clock) -> Flask:
    return make_app(mount={"clock": clock}, **LOOPBACK)


def test_published_keys_are_fetched_once(host: Flask, provider: Provider) -> None:
    client = create_keyed_client(Caller(host), jwks_url=provider.jwks)
    for _ in range(5):
        assert post_assertion(host, sign_assertion(client)).status_code == 200
    assert provider.requests == 1


def test_an_unknown_key_is_looked_up_at_most_once_a_minute(host: Flask, provider: Provider, clock: Clock) -> None:
    client = create_keyed_client(Caller(host), jwks_url=provider.jwks)
    assert post_assertion(host, sign_assertion(client)).status_code == 200
    provider.keys.append(make_jwk("second"))
    for number in range(10):
        response = post_assertion(host, sign_assertion(client, header={"kid": f"unknown-{number}"}))
        assert_error(response, 401, "invalid_client", INVALID_CLIENT)
    assert provider.requests == 1
    clock.now += 61
    assert post_assertion(host, sign_assertion(client, "second")).status_code == 200
    assert provider.requests == 2


def test_a_key_that_is_no_longer_published_is_refused_after_fifteen_minutes(
    host: Flask, provider: Provider, clock: Clock
) -> None:
    client = create_keyed_client(Caller(host), jwks_url=provider.jwks)
    assert post_assertion(host, sign_assertion(client)).status_code == 200
    provider.keys = [make_jwk("second")]
    clock.now += 901
    assert_error(post_assertion(host, _sign_at(client, clock)), 401, "invalid_client", INVALID_CLIENT)


def test_old_keys_stay_valid_while_the_url_does_not_answer(host: Flask, provider: Provider, clock: Clock) -> None:
    client = create_keyed_client(Caller(host), jwks_url=provider.jwks)
    assert post_assertion(host, sign_assertion(client)).status_code == 200
    provider.status = 503
    clock.now += 1800
    assert post_assertion(host, _sign_at(client, clock)).status_code == 200


def _sign_at(client: dict[str, Any], clock: Clock) -> str:
    return sign_assertion(client, iat=int(clock.now), exp=int(clock.now) + 300)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"keys": 5}', b"\xff", b"<html>", b"{" * 60_000, b"x" * 70_000])
def test_unknown_keys_are_temporarily_unavailable(host: Flask, provider: Provider, body: bytes) -> None:
    provider.body = body
    client = create_keyed_client(Caller(host), jwks_url=provider.jwks)
    for _ in range(3):
        assert_error(post_assertion(host, sign_assertion(client)), 503, "temporarily_unavailable")
    assert provider.requests == 1


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "first"},
        make_jwk("first", use="enc"),
        {**make_jwk("first"), "d": "AQAB"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "first"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43, "kid": "first"},
        {"kty": [], "kid": "first"},
        "text",
        None,
    ],
)
def test_a_published_key_that_is_unsafe_verifies_nothing(host: Flask, provider: Provider, key: Any) -> None:
    provider.keys = [key]
    client = create_keyed_client(Caller(host), jwks_url=provider.jwks)
    assert_error(post_assertion(host, sign_assertion(client)), 401, "invalid_client", INVALID_CLIENT)


def test_a_url_that_leads_inside_is_never_fetched(make_app: MakeApp, provider: Provider) -> None:
    """The address was outside when the client registered it, and its name leads inside now."""
    inside = make_app(**{**LOOPBACK, "PROVISIONING_WEBHOOK_ALLOWED_NETWORKS": []})
    partner = Caller(inside)
    response = partner(
        "POST",
        "/clients",
        json={
            "name": "CRM",
            "permissions": ["tenant:read"],
            "authentication": "private_key_jwt",
            "jwks_url": provider.jwks,
        },
    )
    assert (response.status_code, response.get_json()["errors"][0]["code"]) == (400, "refused-url")
    get_mount(inside).url_refusal = lambda _url: None
    client = create_keyed_client(partner, jwks_url=provider.jwks)
    response = post_assertion(inside, sign_assertion(client))
    assert_error(response, 503, "temporarily_unavailable", "The client's keys are currently unavailable.")
    assert provider.requests == 0


def test_requests_that_wait_for_keys_take_the_slots_of_their_partner(make_app: MakeApp) -> None:
    """A URL that answers slowly holds as many threads as its partner may have long requests, and no more."""
    held, release = threading.Semaphore(0), threading.Event()

    def fetch(_url: str, _headers: Any, _max_bytes: int) -> bytes:
        held.release()
        assert release.wait(60)
        return json.dumps({"keys": [make_jwk("first")]}).encode()

    app = make_app(PROVISIONING_LONG_REQUESTS=4, PROVISIONING_LONG_REQUESTS_PER_PARTNER=1, **LOOPBACK)
    get_mount(app).fetch_url = fetch
    client = create_keyed_client(Caller(app), jwks_url="http://127.0.0.1:9/jwks")
    responses: list[Any] = []
    first = threading.Thread(target=lambda: responses.append(post_assertion(app, sign_assertion(client))))
    first.start()
    assert held.acquire(timeout=60)
    try:
        response = post_assertion(app, sign_assertion(client))
        assert_error(response, 429, "temporarily_unavailable")
        assert response.headers["Retry-After"] == "5"
    finally:
        release.set()
        first.join()
    assert responses[0].status_code == 200
    assert post_assertion(app, sign_assertion(client)).status_code == 200


def test_without_credentials_nothing_is_fetched(host: Flask, provider: Provider) -> None:
    client = create_keyed_client(Caller(host), jwks_url=provider.jwks)
    form = {"grant_type": "client_credentials", "client_id": client["client"]}
    assert_error(request_token(host, form), 401, "invalid_client")
    assert provider.requests == 0
