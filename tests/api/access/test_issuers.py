"""Tokens of identity providers: verified by the keys that they publish, beside the host's own tokens."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask, jsonify
from flask_jwt_extended import JWTManager
from werkzeug.test import TestResponse

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning, current_principal, requires
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.hosts import PREFIX, make_config
from tests.support.issuers import Provider, make_jwk, make_private_key, serve_provider, sign_token

pytestmark = pytest.mark.one_database
CLAIMS: dict[str, Any] = {"roles": ["partner-admin"], "partner_id": "acme"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve_provider("first") as serving:
        yield serving


class Host:
    """A host that accepts the tokens of `provider`, with a clock to move."""

    def __init__(self, provider: Provider, database_url: str, issuer: dict[str, Any] | None = None, **config: Any):
        issuers = {provider.issuer: {"jwks": provider.jwks, "audience": "provisioning", **(issuer or {})}}
        self.app, self.clock = Flask("host"), Clock()
        self.app.config.update(make_config(PROVISIONING_ISSUERS=issuers, **config))
        if config.get("JWT_SECRET_KEY", ""):
            JWTManager(self.app)
        TenantProvisioning(clock=self.clock).init_app(self.app, database_url)

        @self.app.get("/me")
        @requires("tenant:read")
        def show_me() -> Any:
            principal = current_principal()
            return jsonify(
                sub=principal.subject,
                partner=principal.partner,
                roles=sorted(principal.roles),
                permissions=sorted(principal.permissions),
                is_admin=principal.sees_every_partner,
            )

    def get(self, token: str, path: str = f"{PREFIX}/tenants") -> TestResponse:
        return self.app.test_client().get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def make_host(provider: Provider, database_url: str) -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def make(issuer: dict[str, Any] | None = None, **config: Any) -> Host:
        hosts.append(Host(provider, database_url, issuer, **config))
        return hosts[-1]

    yield make
    for host in hosts:
        host.app.extensions["tenant_provisioning"]["provisioning"].storage.engine.dispose()


def test_a_providers_token_creates_a_tenant_of_its_partner(provider: Provider, make_host: Callable[..., Host]) -> None:
    host = make_host()
    headers = {"Authorization": f"Bearer {provider.sign(**CLAIMS)}"}
    body = {"client_name": "Example Corp", "email": "admin@example.com"}
    response = host.app.test_client().post(f"{PREFIX}/tenants", json=body, headers=headers)
    assert response.status_code == 201
    assert response.get_json()["partner"] == "acme"


def test_tokens_of_the_hosts_own_are_accepted_beside_them(provider: Provider, make_host: Callable[..., Host]) -> None:
    host = make_host()
    assert Caller(host.app)("GET", "/tenants").status_code == 200
    assert provider.requests == 0
    assert host.get(provider.sign(**CLAIMS)).status_code == 200


def test_a_host_without_a_key_of_its_own_accepts_only_issuers(
    provider: Provider, make_host: Callable[..., Host]
) -> None:
    host = make_host(JWT_SECRET_KEY=None)
    assert host.get(provider.sign(**CLAIMS)).status_code == 200
    own = jwt.encode({"sub": "a", "exp": 4_000_000_000, **CLAIMS}, host.app.config["SECRET_KEY"], "HS256")
    check_problem(host.get(own), status=401, code="invalid-token", detail="The token is of an unknown issuer.")


REFUSED: dict[str, tuple[dict[str, Any], str | None]] = {
    "for another audience": ({"aud": "billing"}, None),
    "without audience": ({"aud": None}, None),
    "of another issuer": ({"iss": "https://id.example.com"}, None),
    "of an issuer that is a list": ({"iss": ["x"]}, None),
    "expired": ({"exp": 1_700_000_000}, "token-expired"),
    "not yet valid": ({"nbf": 4_000_000_000}, None),
    "without subject": ({"sub": None}, None),
    "signed with another algorithm": ({"algorithm": "ES256", "kid": "second"}, None),
    "signed with a key that is not published": ({"kid": "unknown"}, None),
    "signed with another key under a published id": ({"kid": "unknown", "header": {"kid": "first"}}, None),
    "with a key id that is no text": ({"header": {"kid": 7}}, None),
}


@pytest.mark.parametrize(("claims", "code"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_token_of_a_provider_is_refused(
    provider: Provider, make_host: Callable[..., Host], claims: dict[str, Any], code: str | None
) -> None:
    provider.keys.append(make_jwk("second", "ES256"))
    host = make_host()
    response = host.get(provider.sign(**{**CLAIMS, **claims}))
    check_problem(response, status=401, code=code or "invalid-token")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="provisioning", error="invalid_token"'


def test_a_shared_secret_made_of_the_public_key_is_refused(provider: Provider, make_host: Callable[..., Host]) -> None:
    secret = json.dumps(provider.keys[0]).encode()
    claims = {"iss": provider.issuer, "aud": "provisioning", "sub": "a", "exp": 4_000_000_000, **CLAIMS}
    forged = sign_token({"alg": "HS256", "kid": "first"}, claims, secret)
    check_problem(make_host().get(forged), status=401, code="invalid-token")


def test_a_key_is_used_with_its_own_algorithm_only(provider: Provider, make_host: Callable[..., Host]) -> None:
    host = make_host({"algorithms": ["RS256", "RS512"]})
    claims = {"iss": provider.issuer, "aud": "provisioning", "sub": "a", "exp": 4_000_000_000, **CLAIMS}
    token = sign_token({"alg": "RS512", "kid": "first"}, claims, make_private_key("first"))
    check_problem(host.get(token), status=401, code="invalid-token")
    del provider.keys[0]["alg"]
    host.clock.now += 1000
    assert host.get(token).status_code == 200


def test_encryption_keys_and_shared_secrets_in_a_key_set_verify_nothing(
    provider: Provider, make_host: Callable[..., Host]
) -> None:
    provider.keys = [make_jwk("first", use="enc"), {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"}, "text", {"kty": 5}]
    host = make_host()
    check_problem(host.get(provider.sign(**CLAIMS)), status=401, code="invalid-token")


def test_a_token_without_a_key_id_is_verified_by_the_only_key(
    provider: Provider, make_host: Callable[..., Host]
) -> None:
    host = make_host()
    assert host.get(provider.sign(**CLAIMS, header={})).status_code == 200
    provider.keys.append(make_jwk("second"))
    host.clock.now += 1000
    check_problem(host.get(provider.sign(**CLAIMS, header={})), status=401, code="invalid-token")


def test_a_token_without_a_partner_names_the_issuers_claim(provider: Provider, make_host: Callable[..., Host]) -> None:
    host = make_host({"partner_claim": "org.id"})
    check_problem(
        host.get(provider.sign(**CLAIMS)),
        status=403,
        code="partner-missing",
        detail="The token names no partner: it must carry the claim org.id.",
        claim="org.id",
    )


# The keys


def test_keys_are_fetched_once_for_many_tokens(provider: Provider, make_host: Callable[..., Host]) -> None:
    host = make_host()
    for number in range(20):
        assert host.get(provider.sign(**CLAIMS, jti=str(number))).status_code == 200
    assert provider.requests == 1


def test_an_unknown_key_id_fetches_the_keys_at_most_once_a_minute(
    provider: Provider, make_host: Callable[..., Host]
) -> None:
    host = make_host()
    assert host.get(provider.sign(**CLAIMS)).status_code == 200
    for number in range(20):
        token = provider.sign("unknown", **CLAIMS, header={"kid": f"unknown-{number}"})
        check_problem(host.get(token), status=401, code="invalid-token")
    assert provider.requests == 1
    provider.keys.append(make_jwk("second"))
    host.clock.now += 61
    assert host.get(provider.sign("second", **CLAIMS)).status_code == 200
    assert provider.requests == 2


def test_a_withdrawn_key_is_refused_after_fifteen_minutes(provider: Provider, make_host: Callable[..., Host]) -> None:
    host = make_host()
    token = provider.sign(**CLAIMS)
    assert host.get(token).status_code == 200
    provider.keys = [make_jwk("second")]
    host.clock.now += 899
    assert host.get(token).status_code == 200
    host.clock.now += 2
    check_problem(host.get(token), status=401, code="invalid-token")


def test_old_keys_stay_valid_while_the_provider_is_away(
    provider: Provider, make_host: Callable[..., Host], caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    token = provider.sign(**CLAIMS)
    assert host.get(token).status_code == 200
    provider.status = 503
    host.clock.now += 1800
    for _ in range(5):
        assert host.get(token).status_code == 200
    assert provider.requests == 2
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.name == "flask_tenant_provisioning.access.key_sets"
    assert vars(record)["owner"] == f"the issuer {provider.issuer}"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"keys": 5}', b"\xff", b"<html>"])
def test_a_token_is_503_while_the_keys_are_unknown(
    provider: Provider, make_host: Callable[..., Host], body: bytes
) -> None:
    host, provider.body = make_host(), body
    response = host.get(provider.sign(**CLAIMS))
    check_problem(
        response,
        status=503,
        code="storage-unavailable",
        detail="The keys of the token's issuer are currently unavailable.",
    )
    provider.body = None
    host.clock.now += 61
    assert host.get(provider.sign(**CLAIMS)).status_code == 200


def test_keys_can_be_read_from_a_file(provider: Provider, make_host: Callable[..., Host], tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": provider.keys}))
    host = make_host({"jwks": str(path)})
    assert host.get(provider.sign(**CLAIMS)).status_code == 200
    assert provider.requests == 0


# The host's loaders


@pytest.mark.blueprint("an isolated mount calls none of the host's loaders")
def test_the_hosts_blocklist_refuses_a_providers_token(provider: Provider, make_host: Callable[..., Host]) -> None:
    host = make_host()
    manager = host.app.extensions["flask-jwt-extended"]
    manager.token_in_blocklist_loader(lambda _header, claims: claims["jti"] == "revoked")
    assert host.get(provider.sign(**CLAIMS), "/me").status_code == 200
    check_problem(host.get(provider.sign(**CLAIMS, jti="revoked")), status=401, code="invalid-token")


@pytest.mark.blueprint("an isolated mount calls none of the host's loaders")
def test_the_hosts_user_lookup_is_not_called_for_a_providers_token(
    provider: Provider, make_host: Callable[..., Host]
) -> None:
    host = make_host()
    called: list[str] = []
    host.app.extensions["flask-jwt-extended"].user_lookup_loader(lambda _header, claims: called.append(claims["sub"]))
    assert host.get(provider.sign(**CLAIMS)).status_code == 200
    assert called == []


# The shapes of real providers

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
PROVIDERS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # Keycloak 26: a client's service account, with a hard-coded claim `partner_id`.
    "Keycloak": (
        {
            "audience": "provisioning",
            "roles_claim": "realm_access.roles",
            "roles": {"partner_manager": "partner-admin"},
            "require": {"typ": "Bearer"},
        },
        {
            "typ": "Bearer",
            "azp": "acme-portal",
            "aud": ["provisioning", "account"],
            "acr": "1",
            "realm_access": {"roles": ["partner_manager", "offline_access", "provisioning-admin"]},
            "resource_access": {"account": {"roles": ["view-profile"]}},
            "scope": "profile email",
            "partner_id": "acme",
            "preferred_username": "service-account-acme-portal",
        },
        {"typ": "ID"},
    ),
    # Auth0: machine to machine, permissions by its RBAC setting, the partner by an action under a namespaced claim.
    "Auth0": (
        {
            "audience": "https://api.example.com/provisioning",
            "partner_claim": "https://example.com/partner",
            "default_roles": ["partner-admin"],
        },
        {
            "aud": "https://api.example.com/provisioning",
            "sub": "Zk3xYc4qXb@clients",
            "azp": "Zk3xYc4qXb",
            "gty": "client-credentials",
            "scope": "tenant:create tenant:read",
            "permissions": ["tenant:create", "tenant:read"],
            "https://example.com/partner": "acme",
        },
        {"aud": "Zk3xYc4qXb"},
    ),
    # Entra ID v2.0: an app role of the API's registration, the partner's directory as the partner.
    "Entra ID": (
        {
            "audience": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "partner_claim": "tid",
            "roles": {"Partner.Admin": "partner-admin"},
        },
        {
            "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "azp": "11112222-bbbb-3333-cccc-4444dddd5555",
            "azpacr": "1",
            "oid": "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb",
            "roles": ["Partner.Admin"],
            "tid": TENANT,
            "ver": "2.0",
        },
        {"aud": "00000003-0000-0000-c000-000000000000"},
    ),
    # Okta, a custom authorization server: scopes are a list in `scp`, groups name the roles.
    "Okta": (
        {
            "audience": "api://provisioning",
            "roles_claim": "groups",
            "permissions_claim": "scp",
            "partner_claim": "partner",
            "roles": {"Provisioning Partners": ["partner-admin"]},
        },
        {
            "ver": 1,
            "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
            "aud": "api://provisioning",
            "cid": "0oa47z4xd9OFhtJ9b1d7",
            "scp": ["tenant:create", "tenant:read", "tenant:update"],
            "groups": ["Everyone", "Provisioning Partners"],
            "partner": "acme",
        },
        {"aud": "0oa47z4xd9OFhtJ9b1d7"},
    ),
    # Amazon Cognito: an access token names its client in `client_id`, and has no `aud`.
    "Cognito": (
        {
            "audience": ["1example23456789"],
            "audience_claim": "client_id",
            "roles_claim": "cognito:groups",
            "partner_claim": "custom:partner",
            "roles": {"partners": "partner-admin"},
            "require": {"token_use": "access"},
        },
        {
            "aud": None,
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "cognito:groups": ["partners"],
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "client_id": "1example23456789",
            "custom:partner": "acme",
            "username": "my-test-user",
        },
        {"token_use": "id"},
    ),
}


@pytest.mark.parametrize(("issuer", "claims", "wrong"), PROVIDERS.values(), ids=PROVIDERS)
def test_tokens_of_known_providers_become_principals(
    provider: Provider, make_host: Callable[..., Host], issuer: dict[str, Any], claims: dict[str, Any], wrong: Any
) -> None:
    host = make_host(issuer)
    response = host.get(provider.sign(**claims), "/me")
    assert response.status_code == 200, response.text
    me = response.get_json()
    narrowed = claims.get("permissions") or claims.get("scp")
    admin = host.app.extensions["tenant_provisioning"]["provisioning"].config.roles["partner-admin"]
    assert me == {
        "sub": claims.get("sub", "partner-7"),
        "partner": TENANT if "tid" in claims else "acme",
        "roles": ["partner-admin"],
        "permissions": sorted(narrowed or admin),
        "is_admin": False,
    }
    check_problem(host.get(provider.sign(**{**claims, **wrong})), status=401, code="invalid-token")


def test_roles_that_are_not_translated_grant_nothing(provider: Provider, make_host: Callable[..., Host]) -> None:
    host = make_host({"roles": {"staff": "partner-viewer"}, "default_roles": ["partner-admin"]})
    token = provider.sign(partner_id="acme", roles=["provisioning-admin", "partner-admin"])
    check_problem(host.get(token), status=403, code="insufficient-permission")
    assert host.get(provider.sign(partner_id="acme", roles="staff"), "/me").get_json()["roles"] == ["partner-viewer"]


# The configuration

GOOD = {"jwks": "https://id.example.com/jwks", "audience": "provisioning"}
WRONG: dict[str, tuple[Any, str]] = {
    "a list": ([], "a mapping of issuer to a mapping with 'jwks' and 'audience'"),
    "without audience": ({"x": {"jwks": "jwks.json"}}, "for 'x' a mapping with 'jwks' and 'audience'"),
    "a shared secret": (
        {"x": {**GOOD, "algorithms": ["HS256"]}},
        "for 'x' a mapping in which 'algorithms' is one or more of RS256, RS384",
    ),
    "a URL of another kind": (
        {"x": {**GOOD, "jwks": "ftp://id.example.com/jwks"}},
        "in which 'jwks' is an https URL without user name, or the path of a file",
    ),
    "a URL with a password": ({"x": {**GOOD, "jwks": "https://a:b@id.example.com/"}}, "without user name"),
    "an unknown field": ({"x": {**GOOD, "audiences": "y"}}, "without 'audiences'"),
    "a negative leeway": ({"x": {**GOOD, "leeway": -1}}, "in which 'leeway' is a whole number from 0 to 3600"),
    "an unknown role": (
        {"x": {**GOOD, "roles": {"staff": "boss"}}},
        "PROVISIONING_ISSUERS gives tokens of 'x' the role 'boss', and there is none: the roles are partner-admin, ",
    ),
}


@pytest.mark.parametrize(("issuers", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_issuer_stops_the_start(database_url: str, issuers: Any, words: str) -> None:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_ISSUERS=issuers))
    with pytest.raises(ConfigurationError) as refusal:
        TenantProvisioning().init_app(app, database_url)
    assert words in str(refusal.value)
