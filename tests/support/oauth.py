"""Requests to the OAuth endpoints, and assertions that clients sign."""

from __future__ import annotations

import base64
import itertools
import time
from typing import Any
from urllib.parse import quote_plus

from flask import Flask
from werkzeug.test import TestResponse

from flask_tenant_provisioning.clients.assertions import ASSERTION_TYPE
from tests.support.hosts import PREFIX
from tests.support.issuers import make_private_key, sign_token

TOKEN_URL, REVOCATION_URL = f"{PREFIX}/oauth/token", f"{PREFIX}/oauth/revoke"
#: The issuer of a mount that a test client reaches, and what an assertion for it names in `aud`.
ISSUER = f"http://localhost{PREFIX}"
AUDIENCE = f"{ISSUER}/oauth/token"
INVALID_CLIENT = "The client is unknown, may not be used now, or did not authenticate correctly."
_numbers = itertools.count(1)


def make_basic_header(client_id: str, secret: str) -> dict[str, str]:
    """The ``Authorization`` header of a client, encoded as RFC 6749 §2.3.1 says."""
    text = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def request_token(
    app: Flask, form: Any = None, headers: dict[str, str] | None = None, url: str = TOKEN_URL, **options: Any
) -> TestResponse:
    """Send a form to the token endpoint; `form` may be a text that is sent as it is."""
    if isinstance(form, str | bytes):
        options.setdefault("content_type", "application/x-www-form-urlencoded")
    data = {"grant_type": "client_credentials"} if form is None else form
    return app.test_client().post(url, data=data, headers=headers or {}, **options)


def post_secret(app: Flask, client: dict[str, Any], **form: Any) -> TestResponse:
    """Ask for a token of `client`, with its secret in the form."""
    credentials = {"client_id": client["client"], "client_secret": client["secret"]}
    return request_token(app, {"grant_type": "client_credentials", **credentials, **form})


def get_token(app: Flask, client: dict[str, Any], **form: Any) -> str:
    """A token of `client`."""
    response = post_secret(app, client, **form)
    assert response.status_code == 200, response.text
    token: str = response.get_json()["access_token"]
    return token


def sign_assertion(
    client: dict[str, Any], kid: str = "first", algorithm: str = "RS256", header: Any = None, **claims: Any
) -> str:
    """An assertion of `client` with these claims instead of the usual ones; None leaves one out."""
    now = int(time.time())
    usual = {
        "iss": client["client"],
        "sub": client["client"],
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 300,
        "jti": f"assertion-{next(_numbers)}-{time.time_ns()}",
    }
    given = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    named = {"kid": kid} if header is None else header
    return sign_token({"typ": "JWT", "alg": algorithm, **named}, given, make_private_key(kid, algorithm))


def post_assertion(app: Flask, assertion: str, url: str = TOKEN_URL, **form: Any) -> TestResponse:
    """Ask for a token with an assertion."""
    fields = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **form}
    return request_token(app, {"grant_type": "client_credentials", **fields}, url=url)


def assert_error(response: TestResponse, status: int, error: str, description: str | None = None) -> None:
    """Assert that `response` is this error (RFC 6749 §5.2), with all headers that belong to it."""
    assert response.status_code == status, response.text
    document = response.get_json()
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert {*document} == {"error", "error_description"}
    assert document["error"] == error
    assert description is None or document["error_description"] == description
    has_challenge = response.headers.get("WWW-Authenticate") == 'Basic realm="provisioning", charset="UTF-8"'
    assert has_challenge is (status == 401)
