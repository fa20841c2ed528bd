"""The token endpoint: what a client gets, and RFC 6749's table of errors, case by case."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import jwt
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from cryptography.hazmat.primitives import serialization
from flask import Flask, abort, request

from flask_tenant_provisioning import TenantProvisioning, routes
from flask_tenant_provisioning.clients.client_secrets import hash_secret
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.clients import create_client
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.hosts import PREFIX, get_mount, make_config
from tests.support.issuers import make_jwk, make_private_key
from tests.support.oauth import (
    INVALID_CLIENT,
    ISSUER,
    TOKEN_URL,
    assert_error,
    get_token,
    make_basic_header,
    post_secret,
    request_token,
)
from tests.support.openapi import DocumentedHost

MakeApp = Callable[..., Flask]
GRANT = "client_credentials"


@pytest.fixture
def client(partner: Caller) -> dict[str, Any]:
    """A client with its secret."""
    return create_client(partner)


def use_token(app: Flask, token: str, method: str = "GET", path: str = "/tenants", **options: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return app.test_client().open(f"{PREFIX}{path}", method=method, headers=headers, **options)


# What a client gets


def test_a_secret_in_the_form_gets_a_token(app: Flask, client: dict[str, Any]) -> None:
    response = post_secret(app, client)
    document = response.get_json()
    assert {name: value for name, value in document.items() if name != "access_token"} == {
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "tenant:create tenant:read",
    }
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")
    assert use_token(app, document["access_token"]).status_code == 200


def test_a_secret_in_the_header_gets_a_token(app: Flask, client: dict[str, Any]) -> None:
    response = request_token(app, headers=make_basic_header(client["client"], client["secret"]))
    token = response.get_json()["access_token"]
    body = {"client_name": "Example Corp", "email": "admin@example.com"}
    created = use_token(app, token, "POST", json=body)
    assert (created.status_code, created.get_json()["partner"]) == (201, client["partner"])


def test_the_token_is_that_of_rfc_9068(app: Flask, client: dict[str, Any]) -> None:
    token, now = get_token(app, client), time.time()
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert abs(claims["iat"] - now) < 60
    assert claims == {
        "iss": ISSUER,
        "aud": "urn:flask-tenant-provisioning:provisioning",
        "sub": client["client"],
        "client_id": client["client"],
        "partner_id": client["partner"],
        "scope": "tenant:create tenant:read",
        "generation": 1,
        "jti": claims["jti"],
        "iat": claims["iat"],
        "exp": claims["iat"] + 900,
    }


def test_scope_asks_for_fewer_permissions(app: Flask, client: dict[str, Any]) -> None:
    response = post_secret(app, client, scope="tenant:read")
    assert response.get_json()["scope"] == "tenant:read"
    token = response.get_json()["access_token"]
    assert use_token(app, token).status_code == 200
    check_problem(use_token(app, token, "POST", json={}), status=403, code="insufficient-permission")


def test_a_scope_in_another_order_or_twice_is_the_same(app: Flask, client: dict[str, Any]) -> None:
    response = post_secret(app, client, scope="tenant:read tenant:create tenant:read")
    assert response.get_json()["scope"] == "tenant:create tenant:read"


@pytest.mark.parametrize("scope", ["", None])
def test_a_parameter_without_a_value_counts_as_absent(app: Flask, client: dict[str, Any], scope: str | None) -> None:
    form = {"grant_type": GRANT, "client_id": client["client"], "client_secret": client["secret"]}
    text = f"{urlencode(form)}&scope{'' if scope is None else '='}&client_assertion="
    assert request_token(app, text).get_json()["scope"] == "tenant:create tenant:read"


def test_unknown_parameters_are_ignored(app: Flask, client: dict[str, Any]) -> None:
    assert post_secret(app, client, audience="x", resource="https://api.example.com").status_code == 200


def test_client_id_beside_the_header_must_be_the_same(app: Flask, client: dict[str, Any]) -> None:
    header = make_basic_header(client["client"], client["secret"])
    same, other = ({"grant_type": GRANT, "client_id": id} for id in (client["client"], "another"))
    assert request_token(app, same, header).status_code == 200
    assert_error(request_token(app, other, header), 400, "invalid_request")


def test_ids_are_compared_without_case_and_the_scheme_too(app: Flask, client: dict[str, Any]) -> None:
    header = make_basic_header(client["client"].upper(), client["secret"])["Authorization"]
    assert request_token(app, headers={"Authorization": header.replace("Basic", "bAsIc")}).status_code == 200


def test_both_parts_of_the_header_are_percent_decoded(app: Flask, client: dict[str, Any]) -> None:
    text = f"{client['client'].replace('-', '%2D')}:{''.join(f'%{ord(char):02x}' for char in client['secret'])}"
    header = {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}
    assert request_token(app, headers=header).status_code == 200


def test_two_secrets_are_valid_during_a_rotation(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    rotated = partner("POST", f"/clients/{client['client']}/rotate-secret", json={"overlap_seconds": 60}).get_json()
    assert post_secret(app, client).status_code == 200
    assert post_secret(app, rotated).status_code == 200


@pytest.mark.blueprint("a request hook of the host")
def test_a_hook_of_the_host_may_have_read_the_form(make_app: MakeApp) -> None:
    app = make_app()

    @app.before_request
    def read() -> None:
        assert request.form is not None

    client = create_client(Caller(app))
    assert post_secret(app, client).status_code == 200
    wrong = {**client, "secret": "wrong"}
    assert_error(post_secret(app, wrong), 401, "invalid_client", INVALID_CLIENT)


def test_a_bearer_token_beside_a_form_with_credentials_does_not_count(app: Flask, client: dict[str, Any]) -> None:
    form = {"grant_type": GRANT, "client_id": client["client"], "client_secret": client["secret"]}
    assert request_token(app, form, {"Authorization": "Bearer abc"}).status_code == 200


# RFC 6749 §5.2: invalid_request

CREDENTIALS = {"client_id": "a", "client_secret": "b"}
REPEATED = f"grant_type={GRANT}&client_id=a&client_secret=b&{{0}}=x&{{0}}=x"


@pytest.mark.parametrize(
    ("form", "description"),
    [
        (CREDENTIALS, "grant_type is missing."),
        ({**CREDENTIALS, "grant_type": ""}, "grant_type is missing."),
        ({"grant_type": GRANT, "client_secret": "b"}, "client_secret needs client_id."),
        (
            {"grant_type": GRANT, "client_assertion": "a"},
            "client_assertion and client_assertion_type belong together.",
        ),
        (
            {"grant_type": GRANT, "client_assertion_type": "a"},
            "client_assertion and client_assertion_type belong together.",
        ),
        (
            {**CREDENTIALS, "grant_type": GRANT, "client_assertion": "a"},
            "Authenticate in one way: header, client_secret or client_assertion.",
        ),
        (REPEATED.format("scope"), "Send each parameter once."),
        (REPEATED.format("grant_type"), "Send each parameter once."),
        (REPEATED.format("client_secret"), "Send each parameter once."),
        (REPEATED.format("unknown"), "Send each parameter once."),
        (b"grant_type=\xff", "The body is not a form in UTF-8."),
        (b"grant_type=%ff", "The body is not a form in UTF-8."),
        ("&".join(f"a{number}=1" for number in range(33)), "The body is not a form in UTF-8."),
    ],
)
def test_a_malformed_request_is_invalid_request(app: Flask, form: Any, description: str) -> None:
    assert_error(request_token(app, form), 400, "invalid_request", description)


def test_two_ways_to_authenticate_are_invalid_request(app: Flask, client: dict[str, Any]) -> None:
    header = make_basic_header(client["client"], client["secret"])
    form = {"grant_type": GRANT, "client_id": client["client"], "client_secret": client["secret"]}
    description = "Authenticate in one way: header, client_secret or client_assertion."
    assert_error(request_token(app, form, header), 400, "invalid_request", description)


def test_parameters_in_the_url_are_invalid_request(app: Flask, client: dict[str, Any]) -> None:
    query = f"client_id={client['client']}&client_secret={client['secret']}"
    response = request_token(app, {"grant_type": GRANT}, url=f"{TOKEN_URL}?{query}")
    assert_error(response, 400, "invalid_request", "Send the parameters in the body, not in the URL.")
    assert client["secret"] not in response.text


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_another_media_type_is_invalid_request(app: Flask, content_type: str) -> None:
    response = request_token(app, json.dumps({"grant_type": GRANT}), content_type=content_type)
    description = "Send application/x-www-form-urlencoded."
    assert_error(response, 400, "invalid_request", description)


def test_a_compressed_form_is_invalid_request(app: Flask) -> None:
    assert_error(request_token(app, headers={"Content-Encoding": "gzip"}), 400, "invalid_request")


def test_a_form_that_is_too_large_is_invalid_request(app: Flask, client: dict[str, Any]) -> None:
    response = post_secret(app, client, filler="x" * 16_384)
    assert_error(response, 413, "invalid_request", "The body is larger than 16384 bytes.")
    assert post_secret(app, client, filler="x" * 16_000).status_code == 200


# RFC 6749 §5.2: invalid_client

MALFORMED = {
    "no base64": "Basic ???",
    "base64 with a hole": "Basic YTpi\x00",
    "no UTF-8": f"Basic {base64.b64encode(bytes([255, 58, 255])).decode()}",
    "percent-encoded, but no UTF-8": f"Basic {base64.b64encode(b'a:%ff').decode()}",
    "without a colon": f"Basic {base64.b64encode(b'ab').decode()}",
    "without a name": f"Basic {base64.b64encode(b':b').decode()}",
    "without a secret": f"Basic {base64.b64encode(b'a:').decode()}",
    "empty": "Basic ",
    "of another scheme": "Bearer abc",
    "of no scheme": "",
    "Digest": 'Digest username="a"',
}


@pytest.mark.parametrize("header", MALFORMED.values(), ids=MALFORMED)
def test_malformed_credentials_are_invalid_client(app: Flask, header: str) -> None:
    response = request_token(app, headers={"Authorization": header.replace("\0", "\t")})
    assert_error(response, 401, "invalid_client", INVALID_CLIENT)


def test_no_credentials_are_invalid_client(app: Flask, client: dict[str, Any]) -> None:
    assert_error(request_token(app), 401, "invalid_client", INVALID_CLIENT)
    named = {"grant_type": GRANT, "client_id": client["client"]}
    assert_error(request_token(app, named), 401, "invalid_client", INVALID_CLIENT)


@pytest.mark.parametrize("secret", ["x", "ftpsecret_", "ftpsecret_" + "A" * 43, "\0", "é", "x" * 8000, "' OR 1=1 --"])
@pytest.mark.parametrize("way", ["header", "form"])
def test_a_wrong_secret_is_invalid_client(app: Flask, client: dict[str, Any], secret: str, way: str) -> None:
    if way == "header":
        response = request_token(app, headers=make_basic_header(client["client"], secret))
    else:
        response = post_secret(app, {**client, "secret": secret})
    assert_error(response, 401, "invalid_client", INVALID_CLIENT)


@pytest.mark.parametrize(
    "client_id", ["x", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f", "\0", "é", "x" * 8000, "' OR 1=1 --", "../tenants"]
)
def test_an_unknown_client_is_told_what_a_wrong_secret_is(app: Flask, client: dict[str, Any], client_id: str) -> None:
    unknown = post_secret(app, {**client, "client": client_id})
    wrong = post_secret(app, {**client, "secret": "wrong"})
    assert_error(unknown, 401, "invalid_client", INVALID_CLIENT)
    assert unknown.data == wrong.data
    names = {*unknown.headers.keys()} - {"X-Request-ID"}
    assert {name: unknown.headers[name] for name in names} == {name: wrong.headers[name] for name in names}


def test_the_hash_of_a_secret_is_no_secret(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    assert_error(post_secret(app, {**client, "secret": hash_secret(client["secret"])}), 401, "invalid_client")
    assert_error(post_secret(app, {**client, "secret": "0" * 64}), 401, "invalid_client")


def test_another_clients_secret_is_invalid_client(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    for other in (create_client(partner), create_client(Caller(app))):
        assert_error(post_secret(app, {**client, "secret": other["secret"]}), 401, "invalid_client", INVALID_CLIENT)


def test_a_disabled_client_is_invalid_client(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    partner("PATCH", f"/clients/{client['client']}", json={"status": "disabled"})
    assert_error(post_secret(app, client), 401, "invalid_client", INVALID_CLIENT)
    partner("PATCH", f"/clients/{client['client']}", json={"status": "enabled"})
    assert post_secret(app, client).status_code == 200


def test_a_deleted_client_is_invalid_client(app: Flask, partner: Caller, client: dict[str, Any]) -> None:
    assert partner("DELETE", f"/clients/{client['client']}").status_code == 204
    assert_error(post_secret(app, client), 401, "invalid_client", INVALID_CLIENT)


def test_a_secret_that_was_replaced_at_once_is_invalid_client(
    app: Flask, partner: Caller, client: dict[str, Any]
) -> None:
    rotated = partner("POST", f"/clients/{client['client']}/rotate-secret", json={"overlap_seconds": 0}).get_json()
    assert_error(post_secret(app, client), 401, "invalid_client", INVALID_CLIENT)
    assert post_secret(app, rotated).status_code == 200


def test_an_expired_client_and_an_expired_secret_are_invalid_client(make_app: MakeApp) -> None:
    clock = Clock()
    app = make_app(mount={"clock": clock}, **LONG_LIVED_TOKENS)
    partner = Caller(app)
    expires_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.now + 3600))
    expiring, rotating = create_client(partner, expires_at=expires_at), create_client(partner)
    path = f"/clients/{rotating['client']}/rotate-secret"
    rotated = partner("POST", path, json={"overlap_seconds": 3600}).get_json()
    clock.now += 3598
    assert [post_secret(app, one).status_code for one in (expiring, rotating, rotated)] == [200, 200, 200]
    clock.now += 3
    for gone in (expiring, rotating):
        assert_error(post_secret(app, gone), 401, "invalid_client", INVALID_CLIENT)
    assert post_secret(app, rotated).status_code == 200


def test_a_client_with_a_key_has_no_secret(app: Flask, partner: Caller) -> None:
    keyed = create_client(partner, authentication="private_key_jwt", jwks={"keys": [make_jwk("first")]})
    for secret in ("", "None", "0" * 64):
        assert_error(post_secret(app, {**keyed, "secret": secret}), 401, "invalid_client", INVALID_CLIENT)


# RFC 6749 §5.2: invalid_scope and unsupported_grant_type; RFC 6749 §4.4 has no invalid_grant


@pytest.mark.parametrize(
    "scope",
    [
        "tenant:delete",
        "tenant:read tenant:delete",
        "unknown",
        "*",
        " tenant:read",
        "tenant:read ",
        "tenant:read  x",
        "tenant:read\ttenant:create",
        "tenant:read,tenant:create",
        '"tenant:read"',
        "tenant:réad",
        "\\",
        "TENANT:READ",
    ],
)
def test_a_scope_that_the_client_does_not_have_is_invalid_scope(app: Flask, client: dict[str, Any], scope: str) -> None:
    description = "The scope names a permission that the client does not have."
    assert_error(post_secret(app, client, scope=scope), 400, "invalid_scope", description)


@pytest.mark.parametrize(
    "grant_type",
    [
        "authorization_code",
        "password",
        "refresh_token",
        "implicit",
        "CLIENT_CREDENTIALS",
        'x"<script>\\\r\n',
        "é",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "client_credentials ",
    ],
)
def test_another_grant_is_unsupported_grant_type(app: Flask, client: dict[str, Any], grant_type: str) -> None:
    response = post_secret(app, client, grant_type=grant_type)
    assert_error(response, 400, "unsupported_grant_type", "The only grant_type is client_credentials.")


def test_a_wrong_secret_is_told_nothing_of_scopes(app: Flask, client: dict[str, Any]) -> None:
    response = post_secret(app, {**client, "secret": "wrong"}, scope="unknown")
    assert_error(response, 401, "invalid_client", INVALID_CLIENT)


def test_other_methods_are_not_possible(app: Flask) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        response = app.test_client().open(TOKEN_URL, method=method)
        check_problem(response, status=405, code="method-not-allowed")
        assert response.headers["Allow"] == "OPTIONS, POST"


# Errors that OAuth does not name


def test_an_error_of_the_app_is_server_error(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    client = create_client(Caller(app))

    def fail(**_values: Any) -> Any:
        raise RuntimeError("no key")

    get_mount(app).client_tokens.issue = fail  # type: ignore[union-attr,method-assign]
    response = post_secret(app, client)
    assert_error(response, 500, "server_error")
    assert "no key" not in response.text
    assert client["secret"] not in caplog.text


@pytest.mark.blueprint("a request hook of the host")
def test_errors_of_a_hook_of_the_host_are_oauths(make_app: MakeApp) -> None:
    app = make_app()

    @app.before_request
    def refuse() -> None:
        if "X-Abort" in request.headers:
            abort(int(request.headers["X-Abort"]), 'quo"te \\ é')

    client = create_client(Caller(app))
    expected = {403: "access_denied", 404: "invalid_request", 429: "temporarily_unavailable", 503: None}
    for status, error in expected.items():
        response = request_token(app, headers={"X-Abort": str(status)})
        document = response.get_json()
        assert document["error"] == (error or "temporarily_unavailable")
        assert not set('"\\é') & set(document["error_description"])
    assert post_secret(app, client).status_code == 200


def test_the_token_endpoint_stays_public_where_the_documents_are_not(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_PUBLIC_DOCS=False)
    assert post_secret(app, create_client(Caller(app))).status_code == 200


def test_a_mount_below_a_script_name_names_its_whole_url(app: Flask, client: dict[str, Any]) -> None:
    form = {"grant_type": GRANT, "client_id": client["client"], "client_secret": client["secret"]}
    environ = {"SCRIPT_NAME": "/shop"}
    response = request_token(app, form, base_url="https://api.example.com", environ_overrides=environ)
    claims = jwt.decode(response.get_json()["access_token"], options={"verify_signature": False})
    assert claims["iss"] == f"https://api.example.com/shop{PREFIX}"


# Discovery and keys


def test_the_metadata_name_every_endpoint(app: Flask) -> None:
    response = app.test_client().get(f"{PREFIX}/.well-known/oauth-authorization-server")
    assert response.status_code == 200
    document = response.get_json()
    algorithms = document.pop("token_endpoint_auth_signing_alg_values_supported")
    assert document.pop("revocation_endpoint_auth_signing_alg_values_supported") == algorithms
    assert "none" not in algorithms
    assert "RS256" in algorithms
    assert "tenant:create" in document.pop("scopes_supported")
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    assert document == {
        "issuer": ISSUER,
        "token_endpoint": f"{ISSUER}/oauth/token",
        "revocation_endpoint": f"{ISSUER}/oauth/revoke",
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
    }
    secure = app.test_client().get(response.request.path, base_url="https://api.example.com").get_json()
    metadata = AuthorizationServerMetadata(secure)
    for member in ("issuer", "token_endpoint", "revocation_endpoint", "grant_types_supported", "scopes_supported"):
        getattr(metadata, f"validate_{member}")()


@pytest.mark.one_database
def test_a_configured_issuer_is_named_whatever_the_host_header(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_OAUTH_ISSUER="https://api.example.com/api/provisioning")
    path = f"{PREFIX}/.well-known/oauth-authorization-server"
    document = app.test_client().get(path, headers={"Host": "evil.example"}).get_json()
    assert document["issuer"] == "https://api.example.com/api/provisioning"
    assert document["token_endpoint"] == "https://api.example.com/api/provisioning/oauth/token"
    assert "evil" not in json.dumps(document)


@pytest.mark.one_database
def test_keys_are_published_where_they_are_asymmetric(make_app: MakeApp) -> None:
    app = make_app()
    assert app.test_client().get(f"{PREFIX}/oauth/jwks").status_code == 404
    pem = make_private_key("mount", "ES256").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    app = make_app(PROVISIONING_CLIENT_PRIVATE_KEY=pem.decode())
    client = create_client(Caller(app))
    metadata = app.test_client().get(f"{PREFIX}/.well-known/oauth-authorization-server").get_json()
    assert metadata["jwks_uri"] == f"{ISSUER}/oauth/jwks"
    document = app.test_client().get(f"{PREFIX}/oauth/jwks").get_json()
    (key,) = document["keys"]
    assert {*key} == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    token = get_token(app, client)
    claims = jwt.decode(token, jwt.PyJWK(key), audience="urn:flask-tenant-provisioning:provisioning")
    assert claims["client_id"] == client["client"]
    assert use_token(app, token).status_code == 200


@pytest.mark.parametrize("path", ["/.well-known/oauth-authorization-server"])
def test_errors_of_the_metadata_are_oauths(app: Flask, path: str) -> None:
    assert_error(app.test_client().get(f"{PREFIX}{path}?unknown=1"), 400, "invalid_request")


# What the OpenAPI document says of all this


def test_the_endpoints_answer_as_documented(make_app: MakeApp) -> None:
    pem = make_private_key("mount", "ES256").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for config in ({}, {"PROVISIONING_CLIENT_PRIVATE_KEY": pem.decode()}):
        app = make_app(**config)
        documented, client = DocumentedHost(app), create_client(Caller(app))
        documented.require(post_secret(app, client), "POST", "/oauth/token")
        documented.require(request_token(app, {}), "POST", "/oauth/token")
        documented.require(post_secret(app, client, filler="x" * 20_000), "POST", "/oauth/token")
        for header in ({}, make_basic_header(client["client"], client["secret"])):
            documented.require(
                request_token(app, {"token": "x"}, header, f"{PREFIX}/oauth/revoke"), "POST", "/oauth/revoke"
            )
        paths = ["/.well-known/oauth-authorization-server", *(["/oauth/jwks"] if config else [])]
        for path in paths:
            for query in ("", "?unknown=1"):
                documented.require(app.test_client().get(f"{PREFIX}{path}{query}"), "GET", path)
        (form,) = documented.operation("POST", "/oauth/token")["requestBody"]["content"].items()
        assert form == ("application/x-www-form-urlencoded", {"schema": {"$ref": "#/components/schemas/TokenRequest"}})


# The log


def test_the_log_has_the_reason_and_no_secret(
    app: Flask, client: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    post_secret(app, client)
    post_secret(app, {**client, "secret": "ftpsecret_wrong"})
    request_token(app, headers=make_basic_header("un\nknown", "ftpsecret_wrong"))
    token = get_token(app, client)
    records = [record for record in caplog.records if record.name == "flask_tenant_provisioning.clients.oauth"]
    assert [vars(record)["reason"] for record in records] == ["wrong secret", "unknown client"]
    assert [vars(record)["client"] for record in records] == [client["client"], "un\\nknown"]
    for secret in (client["secret"], "ftpsecret_wrong", token, quote(client["secret"])):
        assert secret not in caplog.text


# Without Authlib


@pytest.mark.one_database
def test_without_the_extra_there_is_no_oauth_server(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setattr(routes, "has_authlib", lambda: False)
    app = Flask("host")
    app.config.update(make_config())
    TenantProvisioning().init_app(app, database_url)
    test_client = app.test_client()
    assert test_client.post(TOKEN_URL, data={}).status_code == 404
    assert test_client.get(f"{PREFIX}/.well-known/oauth-authorization-server").status_code == 404
    document = test_client.get(f"{PREFIX}/openapi.json").get_json()
    assert "oauth2" not in document["components"]["securitySchemes"]
    assert "/clients" in document["paths"]
    get_mount(app).storage.engine.dispose()
