"""`/clients` and the OAuth endpoints: a client gets a token, may do what it says and no more, and ends at once."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from flask_tenant_provisioning.testing.callers import TENANTS, Caller
from flask_tenant_provisioning.testing.responses import ApiResponse
from flask_tenant_provisioning.web.headers import FORM

CLIENTS, TOKEN, REVOCATION = "/clients", "/oauth/token", "/oauth/revoke"
#: What a host with `PROVISIONING_REQUIRE_IF_MATCH` needs in a change.
ANY = {"If-Match": "*"}
NOBODYS = "01890000-0000-7000-8000-000000000000"


def get_client_path(client: dict[str, Any], action: str = "") -> str:
    """The client's path."""
    return f"{CLIENTS}/{client['client']}{action}"


@pytest.fixture
def client(provisioning_partner: Caller) -> Iterator[dict[str, Any]]:
    """A client that may read tenants, with its secret; it is deleted in the end."""
    body = {"name": "conformance", "permissions": ["tenant:read"]}
    response = provisioning_partner("POST", CLIENTS, json=body, also=["tenant:read", "client:write"])
    created = response.expect(201).json()
    yield created
    provisioning_partner("DELETE", get_client_path(created))


@pytest.fixture
def oauth(provisioning_partner: Caller) -> None:
    """Skip where the mount issues no tokens."""
    if all(route.rule != TOKEN for route in provisioning_partner.api.mount.routes):
        pytest.skip("the extra 'oauth' is not installed: the mount issues no tokens")


def send_form(caller: Caller, client: dict[str, Any], path: str = TOKEN, **form: str) -> ApiResponse:
    """The answer to a form that a client sends with its secret."""
    credentials = f"{client['client']}:{client['secret']}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}", "Content-Type": FORM}
    fields = form or {"grant_type": "client_credentials"}
    return caller.api("POST", path, body=urlencode(fields).encode(), headers=headers)


def get_token(caller: Caller, client: dict[str, Any]) -> dict[str, str]:
    """The header with a new token of the client."""
    __tracebackhide__ = True
    document = send_form(caller, client).expect(200).json()
    return {"Authorization": f"Bearer {document['access_token']}"}


def require_error(response: ApiResponse, status: int, error: str) -> None:
    """Demand an error of OAuth's (RFC 6749 §5.2)."""
    __tracebackhide__ = True
    response.expect(status)
    document = response.json()
    response.require({*document} == {"error", "error_description"}, "answer with an error of OAuth's")
    response.require(document["error"] == error, f"answer with the error {error}")


def test_a_clients_secret_is_shown_once(provisioning_partner: Caller, client: dict[str, Any]) -> None:
    response = provisioning_partner("GET", get_client_path(client)).expect(200)
    response.require("secret" not in response.json(), "show no secret")
    response.require(client["secret"] not in response.text, "show no secret")


def test_a_client_is_listed_changed_and_deleted(provisioning_partner: Caller, client: dict[str, Any]) -> None:
    listed = provisioning_partner("GET", f"{CLIENTS}?limit=200").expect(200)
    listed.require(client["client"] in [item["client"] for item in listed.json()["items"]], "list the new client")
    changed = provisioning_partner("PATCH", get_client_path(client), headers=ANY, json={"name": "renamed"}).expect(200)
    changed.require(changed.json()["name"] == "renamed", "change the name")
    changed.require(changed.json()["version"] == client["version"] + 1, "raise the version")
    provisioning_partner("DELETE", get_client_path(client), headers=ANY).expect(204)
    provisioning_partner("GET", get_client_path(client)).problem(404, "client-not-found")


def test_a_client_that_never_was_is_not_found(provisioning_partner: Caller) -> None:
    for method in ("GET", "DELETE"):
        provisioning_partner(method, f"{CLIENTS}/{NOBODYS}", headers=ANY).problem(404, "client-not-found")


@pytest.mark.usefixtures("oauth")
def test_a_client_gets_a_token_that_may_do_what_it_says(provisioning_partner: Caller, client: dict[str, Any]) -> None:
    response = send_form(provisioning_partner, client).expect(200)
    document = response.json()
    response.require((document["token_type"], document["scope"]) == ("Bearer", "tenant:read"), "grant tenant:read")
    headers = {"Authorization": f"Bearer {document['access_token']}"}
    provisioning_partner.api("GET", TENANTS, headers=headers).expect(200)
    provisioning_partner.api("POST", TENANTS, json={}, headers=headers).problem(403, "insufficient-permission")


@pytest.mark.usefixtures("oauth")
def test_unknown_and_wrong_credentials_are_refused_alike(provisioning_partner: Caller, client: dict[str, Any]) -> None:
    wrong = send_form(provisioning_partner, {**client, "secret": "wrong"})
    unknown = send_form(provisioning_partner, {**client, "client": NOBODYS})
    for response in (wrong, unknown):
        require_error(response, 401, "invalid_client")
        response.require(response.header("WWW-Authenticate").startswith("Basic "), "challenge with Basic")
    unknown.require(unknown.body == wrong.body, "answer as for a wrong secret")


@pytest.mark.usefixtures("oauth")
def test_more_than_the_client_has_is_refused(provisioning_partner: Caller, client: dict[str, Any]) -> None:
    form = {"grant_type": "client_credentials", "scope": "tenant:read tenant:create"}
    require_error(send_form(provisioning_partner, client, **form), 400, "invalid_scope")
    require_error(send_form(provisioning_partner, client, grant_type="password"), 400, "unsupported_grant_type")
    require_error(send_form(provisioning_partner, client, scope="tenant:read"), 400, "invalid_request")


@pytest.mark.usefixtures("oauth")
@pytest.mark.parametrize("change", ["disabled", "deleted", "rotated", "revoked"])
def test_a_token_ends_with_its_client(provisioning_partner: Caller, client: dict[str, Any], change: str) -> None:
    headers = get_token(provisioning_partner, client)
    provisioning_partner.api("GET", TENANTS, headers=headers).expect(200)
    if change == "disabled":
        provisioning_partner("PATCH", get_client_path(client), headers=ANY, json={"status": "disabled"}).expect(200)
    elif change == "deleted":
        provisioning_partner("DELETE", get_client_path(client), headers=ANY).expect(204)
    elif change == "rotated":
        path, body = get_client_path(client, "/rotate-secret"), {"overlap_seconds": 0}
        provisioning_partner("POST", path, headers=ANY, json=body, also=["tenant:read"]).expect(200)
    else:
        token = headers["Authorization"].removeprefix("Bearer ")
        send_form(provisioning_partner, client, REVOCATION, token=token).expect(200)
    provisioning_partner.api("GET", TENANTS, headers=headers).problem(401, "invalid-token")


@pytest.mark.usefixtures("oauth")
def test_the_metadata_name_the_endpoints(provisioning_partner: Caller) -> None:
    response = provisioning_partner.api("GET", "/.well-known/oauth-authorization-server").expect(200)
    document = response.json()
    response.require(document["token_endpoint"].endswith(TOKEN), "name the token endpoint")
    response.require(document["grant_types_supported"] == ["client_credentials"], "name its grant")
