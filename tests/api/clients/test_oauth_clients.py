"""OAuth clients of others, unedited: each gets a token from a real server and creates a tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives import serialization
from flask import Flask
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from tests.support.callers import Caller
from tests.support.clients import create_client
from tests.support.hosts import PREFIX
from tests.support.issuers import make_jwk, make_private_key
from tests.support.servers import serve

pytestmark = pytest.mark.one_database
TENANT = {"client_name": "Example Corp", "email": "admin@example.com"}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def base(app: Flask) -> Iterator[str]:
    """The URL of the served mount."""
    with serve(app, threads=4) as (host, port):
        yield f"http://{host}:{port}{PREFIX}"


@pytest.fixture
def client(app: Flask) -> dict[str, Any]:
    return create_client(Caller(app))


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlibs_client_for_requests(base: str, client: dict[str, Any], method: str) -> None:
    with AuthlibSession(client["client"], client["secret"], token_endpoint_auth_method=method) as session:
        token = session.fetch_token(f"{base}/oauth/token", grant_type="client_credentials", scope="tenant:create")
        assert (token["token_type"], token["scope"], token["expires_in"]) == ("Bearer", "tenant:create", 900)
        created = session.post(f"{base}/tenants", json=TENANT)
        assert (created.status_code, created.json()["partner"]) == (201, client["partner"])
        assert session.revoke_token(f"{base}/oauth/revoke", token["access_token"]).status_code == 200
        assert session.post(f"{base}/tenants", json=TENANT).status_code == 401


def test_authlibs_client_for_httpx(base: str, client: dict[str, Any]) -> None:
    with OAuth2Client(client["client"], client["secret"]) as session:
        session.fetch_token(f"{base}/oauth/token", grant_type="client_credentials")
        assert session.post(f"{base}/tenants", json=TENANT).status_code == 201


def test_authlibs_client_with_a_private_key(app: Flask, base: str) -> None:
    keyed = create_client(Caller(app), authentication="private_key_jwt", jwks={"keys": [make_jwk("first")]})
    pem = make_private_key("first").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with AuthlibSession(keyed["client"], pem.decode(), token_endpoint_auth_method="private_key_jwt") as session:
        session.register_client_auth_method(PrivateKeyJWT(f"{base}/oauth/token"))
        session.fetch_token(f"{base}/oauth/token", grant_type="client_credentials")
        assert session.post(f"{base}/tenants", json=TENANT).status_code == 201


@pytest.mark.parametrize("in_header", [True, False])
def test_requests_oauthlib(base: str, client: dict[str, Any], in_header: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the server of this test has no certificate
    with OAuth2Session(client=BackendApplicationClient(client["client"])) as session:
        options: dict[str, Any] = {"client_secret": client["secret"], "include_client_id": True}
        if in_header:
            options = {"auth": HTTPBasicAuth(client["client"], client["secret"])}
        token = session.fetch_token(f"{base}/oauth/token", **options)
        assert (token["token_type"], token["scope"]) == ("Bearer", ["tenant:create", "tenant:read"])
        assert session.post(f"{base}/tenants", json=TENANT).status_code == 201
        with pytest.raises(InvalidClientError):
            session.fetch_token(f"{base}/oauth/token", auth=HTTPBasicAuth(client["client"], "wrong"))
