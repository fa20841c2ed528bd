"""API clients over HTTP: what partners can register, change and see of them, and who may."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.clients.client_secrets import is_secret_of
from flask_tenant_provisioning.clients.models import Client
from flask_tenant_provisioning.database.ids import format_instant, make_uuid7
from flask_tenant_provisioning.events.feed import publish_all
from flask_tenant_provisioning.signals import client_created, client_rotated
from flask_tenant_provisioning.workers.maintenance import Maintenance
from tests.support.assertions import assert_invalid_fields, assert_problem, check_problem
from tests.support.callers import Caller
from tests.support.clients import PERMISSIONS, client_path, create_client
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_all_rows, fetch_rows
from tests.support.events import list_changes, read_feed
from tests.support.hosts import PREFIX, get_mount, make_config
from tests.support.issuers import make_jwk

MakeApp = Callable[..., Flask]
KEYS = [make_jwk("first", "ES256"), make_jwk("second", "EdDSA")]
KEY_CLIENT = {"authentication": "private_key_jwt", "jwks": {"keys": KEYS[:1]}}
JWKS_URL = "https://93.184.215.14/jwks.json"


def public(client: dict[str, Any]) -> dict[str, Any]:
    """The client as later responses show it."""
    return {name: value for name, value in client.items() if name != "secret"}


def list_client_events(caller: Caller) -> list[dict[str, Any]]:
    """The events about clients, the oldest first."""
    return [event for event in read_feed(caller) if event["type"].startswith("client.")]


def make_administrator(app: Flask, **claims: Any) -> Caller:
    """An administrator of the host."""
    return Caller(app, "operator", roles=["provisioning-admin"], **claims)


# Creating.


def test_a_new_client_is_shown_with_its_secret(partner: Caller) -> None:
    response = partner("POST", "/clients", json={"name": " CRM ", "permissions": PERMISSIONS})
    document = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (201, '"1"')
    assert response.headers["Location"] == PREFIX + client_path(document)
    assert re.fullmatch(r"ftpsecret_[A-Za-z0-9_-]{43}", document["secret"])
    assert document == {
        "client": document["client"],
        "partner": partner.partner,
        "name": "CRM",
        "permissions": PERMISSIONS,
        "status": "enabled",
        "expires_at": None,
        "networks": [],
        "authentication": "client_secret",
        "jwks": None,
        "jwks_url": None,
        "previous_secret_expires_at": None,
        "generation": 1,
        "last_used_at": None,
        "created_by": "someone",
        "version": 1,
        "created_at": document["created_at"],
        "updated_at": document["created_at"],
        "secret": document["secret"],
    }
    assert partner("GET", client_path(document)).get_json() == public(document)


def test_every_field_is_kept_in_its_canonical_form(partner: Caller) -> None:
    client = create_client(
        partner,
        permissions=["tenant:read", "bulk:read", "tenant:read"],
        status="disabled",
        expires_at="2030-01-01T01:00:00+01:00",
        networks=["192.0.2.7", "2001:DB8::/32", "192.0.2.7/32"],
    )
    assert client["permissions"] == ["tenant:read", "bulk:read"]
    assert (client["status"], client["expires_at"]) == ("disabled", "2030-01-01T00:00:00.000Z")
    assert client["networks"] == ["192.0.2.7/32", "2001:db8::/32"]


def test_a_client_with_keys_of_its_own_has_no_secret(partner: Caller) -> None:
    key = {**KEYS[0], "x5c": ["dropped"], "key_ops": ["verify"]}
    client = create_client(partner, authentication="private_key_jwt", jwks={"keys": [key], "more": 1})
    assert (client["secret"], client["jwks"]) == (None, {"keys": [KEYS[0]]})
    client = create_client(partner, authentication="private_key_jwt", jwks_url=JWKS_URL)
    assert (client["secret"], client["jwks"], client["jwks_url"]) == (None, None, JWKS_URL)
    assert all(row["secret_hash"] is None for row in fetch_rows(partner.app, "clients", partner_id=partner.partner))


LIST_OF_PERMISSIONS = "Must be a list of 1 to 100 permissions."
NETWORK = "Must be a network such as 192.0.2.0/24 or 2001:db8::/32."
KEY = "Must be a public key: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519."
TIME = "Must be RFC 3339 with an offset: 2025-02-10T16:30:00Z."
UNKNOWN_PERMISSION = (
    "Must be one of: audit:read, bulk:create, bulk:read, client:read, client:write, event:read, invitation:read, "
    "invitation:write, license:read, metrics:read, partner:manage, partner:read, settings:read, settings:update, "
    "tenant:create, tenant:delete, tenant:purge, tenant:read, tenant:update, webhook:manage, webhook:read."
)
WRONG: dict[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
    "no name": ({"name": " "}, ("#/name", "invalid-length", "Must have 1 to 255 characters.")),
    "a long name": ({"name": "n" * 256}, ("#/name", "invalid-length", "Must have 1 to 255 characters.")),
    "an invisible name": (
        {"name": "\u200b"},
        ("#/name", "invalid-text", "Must hold a character that can be seen."),
    ),
    "a NUL": ({"name": "a\0"}, ("", "malformed-json", "")),
    "null as name": ({"name": None}, ("#/name", "null", "This field may not be null.")),
    "no permissions": ({"permissions": []}, ("#/permissions", "invalid-type", LIST_OF_PERMISSIONS)),
    "permissions that are a text": (
        {"permissions": "tenant:read"},
        ("#/permissions", "invalid-type", LIST_OF_PERMISSIONS),
    ),
    "101 permissions": (
        {"permissions": ["tenant:read"] * 101},
        ("#/permissions", "invalid-type", LIST_OF_PERMISSIONS),
    ),
    "an unknown permission": (
        {"permissions": ["tenant:read", "tenant:raed"]},
        ("#/permissions/1", "invalid-choice", UNKNOWN_PERMISSION),
    ),
    "a number as permission": ({"permissions": [7]}, ("#/permissions/0", "invalid-type", "Must be a text.")),
    "another status": ({"status": "on"}, ("#/status", "invalid-choice", "Must be one of: enabled, disabled.")),
    "null as status": ({"status": None}, ("#/status", "null", "This field may not be null.")),
    "a list as status": ({"status": ["on"]}, ("#/status", "invalid-choice", "Must be one of: enabled, disabled.")),
    "a date": ({"expires_at": "2030-01-01"}, ("#/expires_at", "invalid-time", TIME)),
    "seconds": ({"expires_at": 1_900_000_000}, ("#/expires_at", "invalid-type", "Must be a text.")),
    "a time before the year 1": (
        {"expires_at": "0001-01-01T00:00:00+14:00"},
        ("#/expires_at", "invalid-time", TIME),
    ),
    "51 networks": (
        {"networks": ["192.0.2.1"] * 51},
        ("#/networks", "invalid-type", "Must be a list of 50 networks at most."),
    ),
    "no network": ({"networks": ["here"]}, ("#/networks/0", "invalid-network", NETWORK)),
    "host bits": ({"networks": ["192.0.2.1/24"]}, ("#/networks/0", "invalid-network", NETWORK)),
    "a number as network": ({"networks": [3_221_225_985]}, ("#/networks/0", "invalid-network", NETWORK)),
    "a network of mapped addresses": (
        {"networks": ["::ffff:192.0.2.0/120"]},
        ("#/networks/0", "invalid-network", NETWORK),
    ),
    "a zone": ({"networks": ["fe80::1%eth0"]}, ("#/networks/0", "invalid-network", NETWORK)),
    "a long network": ({"networks": ["1" * 100_000]}, ("#/networks/0", "invalid-network", NETWORK)),
    "another authentication": (
        {"authentication": "none"},
        ("#/authentication", "invalid-choice", "Must be one of: client_secret, private_key_jwt."),
    ),
    "no key": ({"authentication": "private_key_jwt"}, ("#/jwks", "required", "This field is required.")),
    "a key beside a secret": (
        {"jwks": {"keys": KEYS[:1]}},
        ("#/jwks", "not-applicable", "Only a client that authenticates by private_key_jwt has a key."),
    ),
    "a URL inside": (
        {"authentication": "private_key_jwt", "jwks_url": "https://127.0.0.1/jwks"},
        ("#/jwks_url", "refused-url", "Webhooks may not be sent to this address."),
    ),
    "a URL without TLS": (
        {"authentication": "private_key_jwt", "jwks_url": "http://93.184.215.14/jwks"},
        ("#/jwks_url", "refused-url", "The URL must begin with https://."),
    ),
    "an id": ({"client": make_uuid7()}, ("#/client", "read-only", "This field is set by the server.")),
    "a secret": ({"secret": "s"}, ("#/secret", "unknown-field", "There is no such field.")),
    "a hash": ({"secret_hash": "0" * 64}, ("#/secret_hash", "unknown-field", "There is no such field.")),
    "a generation": ({"generation": 7}, ("#/generation", "read-only", "This field is set by the server.")),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "error"), WRONG.values(), ids=WRONG)
def test_a_wrong_field_is_named(partner: Caller, fields: dict[str, Any], error: tuple[str, str, str]) -> None:
    response = partner("POST", "/clients", json={"name": "CRM", "permissions": PERMISSIONS, **fields})
    if error[1] == "malformed-json":
        check_problem(response, status=400, code="malformed-json")
    else:
        assert_invalid_fields(response, error)
    assert fetch_rows(partner.app, "clients", partner_id=partner.partner) == []


def test_both_kinds_of_keys_at_once_are_refused(partner: Caller) -> None:
    response = partner(
        "POST", "/clients", json={"name": "a", "permissions": PERMISSIONS, **KEY_CLIENT, "jwks_url": JWKS_URL}
    )
    detail = "Send either jwks or jwks_url."
    assert_invalid_fields(
        response, ("#/jwks", "conflicting-fields", detail), ("#/jwks_url", "conflicting-fields", detail)
    )


NO_SET = ("#/jwks", "invalid-type", "Must be an object with the member keys, a list of 1 to 10 keys.")
PRIVATE = "Must be a public key: this one holds a secret part, which you should now replace."
KEY_ID = "Must have a kid of 1 to 255 characters that no other key has."
WRONG_KEYS: dict[str, tuple[Any, tuple[str, str, str]]] = {
    "a list": ([KEYS[0]], NO_SET),
    "a text": (json.dumps({"keys": KEYS}), NO_SET),
    "no keys": ({"keys": []}, NO_SET),
    "11 keys": ({"keys": [{**KEYS[0], "kid": str(number)} for number in range(11)]}, NO_SET),
    "no key": ({"keys": [None]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "another kind": ({"keys": [{"kty": "PQ", "x": "a"}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "a kind that is a list": ({"keys": [{"kty": ["EC"]}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "a shared secret": ({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, ("#/jwks/keys/0", "private-key", PRIVATE)),
    "a private key": ({"keys": [{**KEYS[0], "d": "AAAA"}]}, ("#/jwks/keys/0", "private-key", PRIVATE)),
    "a point off the curve": ({"keys": [{**KEYS[0], "x": KEYS[0]["y"]}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "another curve": ({"keys": [{**KEYS[0], "crv": "secp256k1"}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "a curve for encryption": ({"keys": [{**KEYS[1], "crv": "X25519"}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "a short RSA key": (
        {"keys": [{"kty": "RSA", "n": "5Pa2" * 40, "e": "AQAB"}]},
        ("#/jwks/keys/0", "invalid-key", KEY),
    ),
    "a huge RSA key": (
        {"keys": [{"kty": "RSA", "n": "5Pa3" * 2000, "e": "AQAB"}]},
        ("#/jwks/keys/0", "invalid-key", KEY),
    ),
    "a huge exponent": (
        {"keys": [{"kty": "RSA", "n": "5" + "Pa23" * 85 + "M", "e": "5" + "Pa23" * 80 + "M"}]},
        ("#/jwks/keys/0", "invalid-key", KEY),
    ),
    "an algorithm that is an object": ({"keys": [{**KEYS[0], "alg": {"a": 1}}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "no algorithm": ({"keys": [{**KEYS[0], "alg": "none"}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "an algorithm for secrets": ({"keys": [{**KEYS[0], "alg": "HS256"}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "an algorithm of another kind": ({"keys": [{**KEYS[0], "alg": "RS256"}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "an object as coordinate": ({"keys": [{**KEYS[0], "x": {}}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "an empty coordinate": ({"keys": [{**KEYS[0], "x": ""}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "text that is not base64": ({"keys": [{**KEYS[0], "x": "é"}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "an empty modulus": ({"keys": [{"kty": "RSA", "n": "", "e": "AQAB"}]}, ("#/jwks/keys/0", "invalid-key", KEY)),
    "an even exponent": (
        {"keys": [{"kty": "RSA", "n": "5" + "Pa23" * 85 + "M", "e": "Ag"}]},
        ("#/jwks/keys/0", "invalid-key", KEY),
    ),
    "a key for encryption": (
        {"keys": [{**KEYS[0], "use": "enc"}]},
        ("#/jwks/keys/0", "invalid-key", "Must be a key for signatures: its use is sig."),
    ),
    "a key id that is no text": ({"keys": [{**KEYS[0], "kid": 7}]}, ("#/jwks/keys/0", "invalid-key", KEY_ID)),
    "a long key id": ({"keys": [{**KEYS[0], "kid": "k" * 256}]}, ("#/jwks/keys/0", "invalid-key", KEY_ID)),
    "two keys, one without id": (
        {"keys": [KEYS[0], {name: value for name, value in KEYS[1].items() if name != "kid"}]},
        ("#/jwks/keys/1", "invalid-key", KEY_ID),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("jwks", "error"), WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_a_wrong_key_is_named(partner: Caller, jwks: Any, error: tuple[str, str, str]) -> None:
    body = {"name": "CRM", "permissions": PERMISSIONS, "authentication": "private_key_jwt", "jwks": jwks}
    assert_invalid_fields(partner("POST", "/clients", json=body), error)


def test_two_keys_of_one_id_are_both_named(partner: Caller) -> None:
    keys = [KEYS[0], {**KEYS[1], "kid": KEYS[0]["kid"]}]
    body = {"name": "CRM", "permissions": PERMISSIONS, **KEY_CLIENT, "jwks": {"keys": keys}}
    errors = [(f"#/jwks/keys/{index}", "invalid-key", KEY_ID) for index in range(2)]
    assert_invalid_fields(partner("POST", "/clients", json=body), *errors)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_keys_of_each_kind_are_accepted(partner: Caller, algorithm: str) -> None:
    key = make_jwk("one", algorithm)
    assert create_client(partner, **{**KEY_CLIENT, "jwks": {"keys": [key]}})["jwks"] == {"keys": [key]}


def test_a_dry_run_creates_no_client(partner: Caller) -> None:
    response = partner("POST", "/clients?validate_only=true", json={"name": "CRM", "permissions": PERMISSIONS})
    assert (response.status_code, response.headers["X-Validate-Only"]) == (201, "true")
    assert fetch_rows(partner.app, "clients", partner_id=partner.partner) == []
    assert list_client_events(partner) == []


def test_the_number_of_clients_is_limited(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_CLIENT_LIMIT=2)
    partner, other = Caller(app), Caller(app)
    clients = [create_client(partner) for _ in range(2)]
    response = partner("POST", "/clients", json={"name": "CRM", "permissions": PERMISSIONS})
    assert_problem(response, 403, "quota-exceeded", "The limit of 2 clients is reached.", limit=2)
    create_client(other)
    assert partner("DELETE", client_path(clients[0])).status_code == 204
    create_client(partner)


def test_clients_created_at_once_stay_within_the_limit(make_app: MakeApp) -> None:
    partner = Caller(make_app(PROVISIONING_CLIENT_LIMIT=3))

    def create(number: int) -> int:
        caller = Caller(partner.app, partner.partner)
        return caller("POST", "/clients", json={"name": str(number), "permissions": PERMISSIONS}).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(create, range(8)))
    assert statuses == [201] * 3 + [403] * 5


def test_maintenance_forgets_expired_assertions(make_app: MakeApp) -> None:
    app = make_app()
    storage, now = get_mount(app).storage, time.time()
    rows = [
        {"partner_id": "acme", "client_id": make_uuid7(), "jti_hash": str(number), "expires_at": format_instant(at)}
        for number, at in enumerate((now - 86_400, now - 1, now + 600))
    ]
    with storage.engine.begin() as connection:
        connection.execute(storage.table("assertions").insert(), rows)
    Maintenance(get_mount(app)).run()
    assert [row["jti_hash"] for row in fetch_rows(app, "assertions")] == ["2"]


# Secrets at rest.


def test_no_secret_is_in_the_database_or_the_log(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    partner = Caller(make_app())
    body = {"name": "CRM", "permissions": PERMISSIONS}
    first, again = (partner("POST", "/clients", json=body, headers={"Idempotency-Key": "create"}) for _ in range(2))
    client = first.get_json()
    assert (again.get_json(), again.headers["Idempotency-Replayed"]) == (client, "true")
    path = client_path(client, "/rotate-secret")
    rotated, repeated = (partner("POST", path, headers={"Idempotency-Key": "rotate"}).get_json() for _ in range(2))
    assert repeated == rotated
    stored = repr(fetch_all_rows(partner.app))
    events = json.dumps(read_feed(partner))
    for secret in (client["secret"], rotated["secret"]):
        digest = hashlib.sha256(secret.encode()).hexdigest()
        assert digest in stored
        for text in (stored, events, caplog.text):
            assert secret.removeprefix("ftpsecret_") not in text
        for text in (events, caplog.text):
            assert digest not in text


def test_a_secret_is_compared_with_both_hashes_for_every_client() -> None:
    now, later = "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"
    hashes = [hashlib.sha256(secret).hexdigest() for secret in (b"new", b"old")]
    client = Client._make([""] * len(Client._fields))._replace(
        secret_hash=hashes[0], previous_secret_hash=hashes[1], previous_secret_expires_at=later
    )
    assert [is_secret_of(client, secret, now) for secret in ("new", "old", "", "new ")] == [True, True, False, False]
    assert [is_secret_of(client, secret, later) for secret in ("new", "old")] == [True, False]
    assert is_secret_of(None, "new", now) is False
    without = client._replace(secret_hash=None, previous_secret_hash=None, previous_secret_expires_at=None)
    assert [is_secret_of(without, secret, now) for secret in ("", "0" * 64, "\ud800")] == [False] * 3


# Reading.


def test_clients_are_listed_the_oldest_first(partner: Caller) -> None:
    clients = [public(create_client(partner, name=str(number))) for number in range(3)]
    page = partner("GET", "/clients", query_string={"limit": 2}).get_json()
    assert page["items"] == clients[:2]
    rest = partner("GET", "/clients", query_string={"limit": 2, "cursor": page["next"]}).get_json()
    assert rest == {"items": clients[2:], "next": None}
    other = Caller(partner.app)
    assert other("GET", "/clients").get_json() == {"items": [], "next": None}
    cursor = {"limit": 2, "cursor": page["next"]}
    check_problem(other("GET", "/clients", query_string=cursor), code="invalid-cursor")


def test_a_client_that_has_not_changed_is_304(partner: Caller) -> None:
    client = create_client(partner)
    response = partner("GET", client_path(client), headers={"If-None-Match": '"1"'})
    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", '"1"')


def test_another_partners_client_does_not_exist(partner: Caller) -> None:
    client, other = create_client(partner), Caller(partner.app)
    for id in (client["client"], make_uuid7(), "1", "a" * 2000):
        for method, action, body in (
            ("GET", "", None),
            ("PATCH", "", {"name": "a"}),
            ("DELETE", "", None),
            ("POST", "/rotate-secret", {}),
        ):
            response = other(method, f"/clients/{id}{action}", json=body)
            assert_problem(response, 404, "client-not-found", "Client not found.")
    assert partner("GET", client_path(client)).get_json() == public(client)
    assert list_client_events(other) == []


def test_an_administrator_manages_every_partners_clients(partner: Caller) -> None:
    administrator = make_administrator(partner.app)
    body = {"name": "CRM", "permissions": PERMISSIONS}
    client = administrator("POST", "/clients", query_string={"partner": partner.partner}, json=body).get_json()
    assert client["partner"] == partner.partner
    listed = administrator("GET", "/clients", query_string={"partner": partner.partner}).get_json()
    assert listed["items"] == [public(client)] == partner("GET", "/clients").get_json()["items"]
    assert administrator("GET", client_path(client)).get_json() == public(client)
    assert administrator("PATCH", client_path(client), json={"name": "ERP"}).get_json()["name"] == "ERP"
    assert administrator("POST", client_path(client, "/rotate-secret")).status_code == 200
    assert administrator("DELETE", client_path(client)).status_code == 204
    response = partner("POST", "/clients", query_string={"partner": "another"}, json=body)
    check_problem(response, status=403, code="insufficient-permission")
    check_problem(partner("GET", "/clients", query_string={"partner": "another"}), code="insufficient-permission")


def test_reading_and_writing_need_their_permissions(partner: Caller) -> None:
    client, viewer = create_client(partner), partner.with_roles("partner-viewer")
    assert viewer("GET", client_path(client)).status_code == viewer("GET", "/clients").status_code == 200
    for method, path, body in (
        ("POST", "/clients", {}),
        ("PATCH", client_path(client), {}),
        ("DELETE", client_path(client), None),
        ("POST", client_path(client, "/rotate-secret"), {}),
    ):
        response = viewer(method, path, json=body)
        check_problem(response, status=403, code="insufficient-permission", required=["client:write"])
    nobody = Caller(partner.app, partner.partner, permissions=["client:write"])
    check_problem(nobody("GET", "/clients"), status=403, code="insufficient-permission", required=["client:read"])


# Changing.


def test_a_patch_changes_what_it_names(partner: Caller) -> None:
    client = create_client(partner)
    fields = {
        "name": "ERP",
        "permissions": ["bulk:read"],
        "expires_at": "2030-01-01T00:00:00.000Z",
        "networks": ["192.0.2.0/24"],
    }
    response = partner("PATCH", client_path(client), json=fields)
    changed = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert changed == {**public(client), **fields, "version": 2, "updated_at": changed["updated_at"]}
    response = partner("PATCH", client_path(client), json={"expires_at": None, "networks": []})
    assert (response.get_json()["expires_at"], response.get_json()["networks"]) == (None, [])


def test_equal_values_write_nothing(partner: Caller) -> None:
    client = create_client(partner, networks=["192.0.2.0/24"])
    for fields in ({}, {"name": "CRM", "permissions": PERMISSIONS, "status": "enabled", "networks": ["192.0.2.0/24"]}):
        assert partner("PATCH", client_path(client), json=fields).get_json() == public(client)
    assert [event["type"] for event in list_client_events(partner)] == ["client.created"]


def test_authentication_and_secrets_cannot_be_patched(partner: Caller) -> None:
    client = create_client(partner)
    response = partner("PATCH", client_path(client), json={"authentication": "private_key_jwt", "secret": "a"})
    read_only, unknown = "This field is set by the server.", "There is no such field."
    assert_invalid_fields(
        response, ("#/authentication", "read-only", read_only), ("#/secret", "unknown-field", unknown)
    )


def test_one_kind_of_key_replaces_the_other(partner: Caller) -> None:
    client = create_client(partner, **KEY_CLIENT)
    changed = partner("PATCH", client_path(client), json={"jwks_url": JWKS_URL}).get_json()
    assert (changed["jwks"], changed["jwks_url"]) == (None, JWKS_URL)
    changed = partner("PATCH", client_path(client), json={"jwks": {"keys": KEYS}}).get_json()
    assert (changed["jwks"], changed["jwks_url"]) == ({"keys": KEYS}, None)
    response = partner("PATCH", client_path(client), json={"jwks": None})
    assert_invalid_fields(response, ("#/jwks", "required", "This field is required."))
    response = partner("PATCH", client_path(create_client(partner)), json={"jwks_url": JWKS_URL})
    check_problem(response, status=400, code="validation-error")


def test_tokens_end_with_a_key_and_not_with_a_second_one(partner: Caller) -> None:
    client = create_client(partner, **KEY_CLIENT)

    def patch(**fields: Any) -> int:
        generation: int = partner("PATCH", client_path(client), json=fields).get_json()["generation"]
        return generation

    assert patch(jwks={"keys": KEYS}) == 1
    assert patch(jwks={"keys": KEYS[::-1]}) == 1
    assert patch(jwks={"keys": KEYS[1:]}) == 2
    assert patch(jwks_url=JWKS_URL) == 3
    assert patch(jwks_url=f"{JWKS_URL}?2") == 4
    assert patch(name="ERP", networks=["192.0.2.1"]) == 4


def test_disabling_ends_the_tokens_for_good(partner: Caller) -> None:
    client = create_client(partner)
    statuses = ("disabled", "disabled", "enabled", "disabled")
    changed = [partner("PATCH", client_path(client), json={"status": status}).get_json() for status in statuses]
    assert [(state["status"], state["generation"]) for state in changed] == [
        ("disabled", 2), ("disabled", 2), ("enabled", 2), ("disabled", 3),
    ]  # fmt: skip


def test_a_stale_etag_is_refused(partner: Caller) -> None:
    client = create_client(partner)
    partner("PATCH", client_path(client), json={"name": "ERP"})
    for method, action, body in (("PATCH", "", {"name": "a"}), ("DELETE", "", None), ("POST", "/rotate-secret", {})):
        response = partner(method, client_path(client, action), json=body, headers={"If-Match": '"1"'})
        check_problem(response, status=412, code="precondition-failed")
    assert partner("DELETE", client_path(client), headers={"If-Match": '"2"'}).status_code == 204


def test_a_host_may_require_if_match(make_app: MakeApp) -> None:
    partner = Caller(make_app(PROVISIONING_REQUIRE_IF_MATCH=True))
    client = create_client(partner)
    for method, action, body in (("PATCH", "", {"name": "a"}), ("DELETE", "", None), ("POST", "/rotate-secret", {})):
        response = partner(method, client_path(client, action), json=body)
        check_problem(response, status=428, code="precondition-required")


def test_of_changes_at_once_to_one_version_one_wins(partner: Caller) -> None:
    client = create_client(partner)

    def rename(number: int) -> int:
        caller = Caller(partner.app, partner.partner)
        headers = {"If-Match": '"1"'}
        return caller("PATCH", client_path(client), json={"name": str(number)}, headers=headers).status_code

    with ThreadPoolExecutor(6) as threads:
        statuses = sorted(threads.map(rename, range(6)))
    assert statuses == [200] + [412] * 5


def test_a_deleted_client_is_gone(partner: Caller) -> None:
    client = create_client(partner)
    assert partner("DELETE", client_path(client)).data == b""
    check_problem(partner("GET", client_path(client)), status=404, code="client-not-found")
    check_problem(partner("DELETE", client_path(client)), status=404, code="client-not-found")


# Rotation.


def get_hashes(partner: Caller, client: dict[str, Any]) -> tuple[str | None, str | None]:
    (row,) = fetch_rows(partner.app, "clients", client_id=client["client"])
    return row["secret_hash"], row["previous_secret_hash"]


def hash_of(client: dict[str, Any]) -> str:
    return hashlib.sha256(client["secret"].encode()).hexdigest()


def test_the_replaced_secret_stays_valid_for_the_overlap(make_app: MakeApp) -> None:
    clock = Clock()
    partner = Caller(make_app(mount={"clock": clock}, **LONG_LIVED_TOKENS))
    client = create_client(partner)
    response = partner("POST", client_path(client, "/rotate-secret"), json={"overlap_seconds": 60})
    rotated = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert rotated == {
        **client,
        "secret": rotated["secret"],
        "previous_secret_expires_at": format_instant(clock.now + 60)[:23] + "Z",
        "version": 2,
        "updated_at": rotated["updated_at"],
    }
    assert get_hashes(partner, client) == (hash_of(rotated), hash_of(client))
    default = partner("POST", client_path(client, "/rotate-secret")).get_json()
    assert default["previous_secret_expires_at"] == format_instant(clock.now + 86_400)[:23] + "Z"
    assert (default["generation"], get_hashes(partner, client)) == (1, (hash_of(default), hash_of(rotated)))


def test_without_overlap_the_old_secret_and_all_tokens_end(partner: Caller) -> None:
    client = create_client(partner)
    partner("POST", client_path(client, "/rotate-secret"))
    rotated = partner("POST", client_path(client, "/rotate-secret"), json={"overlap_seconds": 0}).get_json()
    assert (rotated["generation"], rotated["previous_secret_expires_at"]) == (2, None)
    assert get_hashes(partner, client) == (hash_of(rotated), None)


@pytest.mark.parametrize("seconds", [-1, 2_592_001, 1.5, "60", None, True])
def test_an_overlap_has_limits(partner: Caller, seconds: Any) -> None:
    client = create_client(partner)
    response = partner("POST", client_path(client, "/rotate-secret"), json={"overlap_seconds": seconds})
    check_problem(response, status=400, code="validation-error")
    assert get_hashes(partner, client) == (hash_of(client), None)


def test_a_client_without_a_secret_cannot_rotate_it(partner: Caller) -> None:
    response = partner("POST", client_path(create_client(partner, **KEY_CLIENT), "/rotate-secret"))
    detail = "This client has no secret: it authenticates by a key of its own. Change its jwks or jwks_url."
    assert_problem(response, 409, "invalid-state", detail)


def test_a_dry_run_rotates_nothing(partner: Caller) -> None:
    client = create_client(partner)
    assert partner("POST", client_path(client, "/rotate-secret?validate_only=true")).status_code == 200
    assert get_hashes(partner, client) == (hash_of(client), None)


# Never more permissions than whoever gives them.


def test_nobody_creates_a_client_with_more_permissions(partner: Caller) -> None:
    response = partner("POST", "/clients", json={"name": "CRM", "permissions": ["tenant:read", "tenant:purge"]})
    assert_problem(
        response,
        403,
        "insufficient-permission",
        "A client cannot have more permissions than you. You lack tenant:purge.",
        required=["tenant:read", "tenant:purge"],
    )
    narrowed = Caller(partner.app, partner.partner, permissions=["client:write", "tenant:read"])
    create_client(narrowed, permissions=["tenant:read", "client:write"])
    response = narrowed("POST", "/clients", json={"name": "CRM", "permissions": PERMISSIONS})
    check_problem(response, status=403, code="insufficient-permission", required=PERMISSIONS)
    assert len(fetch_rows(partner.app, "clients", partner_id=partner.partner)) == 1


def test_who_has_fewer_permissions_cannot_take_a_client_over(partner: Caller) -> None:
    client = create_client(partner)
    key_client = create_client(partner, **KEY_CLIENT)
    disabled = create_client(partner, status="disabled")
    clerk = Caller(partner.app, partner.partner, permissions=["client:write", "tenant:read"])
    for method, path, body in (
        ("POST", client_path(client, "/rotate-secret"), {}),
        ("PATCH", client_path(client), {"permissions": [*PERMISSIONS, "bulk:read"]}),
        ("PATCH", client_path(client), {"networks": ["0.0.0.0/0"]}),
        ("PATCH", client_path(client), {"expires_at": "2999-01-01T00:00:00Z"}),
        ("PATCH", client_path(client), {"name": "a", "status": "disabled", "networks": ["::/0"]}),
        ("PATCH", client_path(key_client), {"jwks": {"keys": KEYS[1:]}}),
        ("PATCH", client_path(key_client), {"jwks_url": JWKS_URL}),
        ("PATCH", client_path(disabled), {"status": "enabled"}),
    ):
        check_problem(clerk(method, path, json=body), status=403, code="insufficient-permission")
    assert [partner("GET", client_path(each)).get_json() for each in (client, key_client, disabled)] == [
        public(client), public(key_client), public(disabled),
    ]  # fmt: skip


def test_who_has_fewer_permissions_gets_no_secret_by_an_idempotency_key(partner: Caller) -> None:
    body = {"name": "CRM", "permissions": PERMISSIONS}
    clerk = Caller(partner.app, partner.partner, permissions=["client:write", "tenant:read"])
    client = partner("POST", "/clients", json=body, headers={"Idempotency-Key": "create"}).get_json()
    rotation = client_path(client, "/rotate-secret")
    partner("POST", rotation, headers={"Idempotency-Key": "rotate"})
    for path, request_body, key in (("/clients", body, "create"), (rotation, None, "rotate")):
        response = clerk("POST", path, json=request_body, headers={"Idempotency-Key": key})
        check_problem(response, status=422, code="idempotency-key-reused")
        response = clerk("POST", f"{path}?validate_only=true", json=request_body, headers={"Idempotency-Key": key})
        check_problem(response, status=422, code="idempotency-key-reused")


def test_who_has_fewer_permissions_can_restrict_a_client(partner: Caller) -> None:
    clerk = Caller(partner.app, partner.partner, permissions=["client:write", "tenant:read"])
    for body in ({"name": "ERP"}, {"status": "disabled"}, {"permissions": ["tenant:read"]}):
        assert clerk("PATCH", client_path(create_client(partner)), json=body).status_code == 200
    assert clerk("DELETE", client_path(create_client(partner))).status_code == 204


def test_the_hosts_own_permissions_can_be_given(make_app: MakeApp, database_url: str) -> None:
    provisioning, app = TenantProvisioning(), Flask("host")
    provisioning.permission("report:read", "Read reports.", roles=["partner-admin"])
    app.config.update(make_config())
    provisioning.init_app(app, database_url)
    partner = Caller(app)
    assert create_client(partner, permissions=["report:read"])["permissions"] == ["report:read"]
    refused = partner("POST", "/clients", json={"name": "CRM", "permissions": ["report:raed"]}).get_json()
    assert "report:read" in refused["errors"][0]["detail"]
    get_mount(app).storage.engine.dispose()


# What is told of changes.


def test_each_change_of_a_client_is_an_event_with_its_actor(app: Flask) -> None:
    partner = Caller(app, sub="alice")
    created = create_client(partner)
    changed = partner("PATCH", client_path(created), json={"networks": ["192.0.2.1"], "status": "disabled"}).get_json()
    rotated = partner("POST", client_path(created, "/rotate-secret"), json={}).get_json()
    assert partner("DELETE", client_path(created)).status_code == 204

    events = list_client_events(partner)
    assert [event["type"] for event in events] == [
        "client.created", "client.updated", "client.rotated", "client.deleted",
    ]  # fmt: skip
    assert [event["data"] for event in events] == [public(each) for each in (created, changed, rotated, rotated)]
    assert [event["changes"] for event in events] == [
        {},
        list_changes(public(created), changed),
        list_changes(changed, public(rotated)),
        {},
    ]
    for event in events:
        assert (event["actor"], event["tenant"]) == ({"sub": "alice", "partner": partner.partner}, None)


def test_events_hide_clients_without_client_read(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_ROLES={"admin": ["client:write", "client:read", "event:read"], "feed": ["event:read"]})
    partner = Caller(app, roles=["admin"])
    client = create_client(partner, permissions=["client:read"])
    partner("PATCH", client_path(client), json={"name": "ERP"})
    events = list_client_events(partner.with_roles("feed"))
    assert [(event["data"], event["changes"]) for event in events] == [({"client": client["client"]}, {})] * 2
    assert list_client_events(partner)[0]["data"] == public(client)


def test_webhooks_get_client_events_only_if_they_name_them(partner: Caller) -> None:
    for globs in (["*"], ["*.*"], ["*.created"], ["client.*"], ["client.deleted"]):
        body = {"url": "https://93.184.215.14/hook", "events": globs}
        assert partner("POST", "/webhooks", json=body).status_code == 201
    partner("DELETE", client_path(create_client(partner)))
    publish_all(get_mount(partner.app).storage)
    webhooks = {row["id"]: row["events"] for row in fetch_rows(partner.app, "webhooks", partner_id=partner.partner)}
    events = {row["id"]: row["type"] for row in fetch_rows(partner.app, "events", partner_id=partner.partner)}
    deliveries = fetch_rows(partner.app, "deliveries", partner_id=partner.partner)
    received = sorted((str(webhooks[row["webhook_id"]]), events[row["event_id"]]) for row in deliveries)
    assert [(globs.strip("[]'\""), kind) for globs, kind in received] == [
        ("client.*", "client.created"), ("client.*", "client.deleted"), ("client.deleted", "client.deleted"),
    ]  # fmt: skip


def test_the_host_hears_of_clients_by_signals(partner: Caller) -> None:
    heard: list[dict[str, Any]] = []

    def hear(_app: Flask, event: dict[str, Any]) -> None:
        heard.append(event)

    with client_created.connected_to(hear), client_rotated.connected_to(hear):
        client = create_client(partner)
        partner("POST", client_path(client, "/rotate-secret"))
    assert [(event["type"], event["data"]["client"]) for event in heard] == [
        ("client.created", client["client"]), ("client.rotated", client["client"]),
    ]  # fmt: skip
