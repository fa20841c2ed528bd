"""Access tokens of API clients: what they say, who accepts them, and what ends them."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from flask import Flask, jsonify
from flask_jwt_extended import JWTManager, get_jwt, get_jwt_identity, jwt_required
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning, current_principal, requires
from flask_tenant_provisioning.access.client_tokens import ClientTokens, make_client_tokens
from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.clients import actions
from flask_tenant_provisioning.clients.actions import Target
from flask_tenant_provisioning.config import Config
from flask_tenant_provisioning.database.ids import format_instant, shorten_instant
from flask_tenant_provisioning.encoding import dump_json
from flask_tenant_provisioning.errors import AddressNotAllowed, InvalidToken
from tests.support.assertions import assert_problem, check_problem
from tests.support.callers import Caller
from tests.support.clients import ClientCaller, client_path, create_client, issue_token
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_rows
from tests.support.hosts import PREFIX, get_mount, make_config
from tests.support.issuers import sign_token
from tests.support.rate_limits.clocked_storage import ManualClock, hand as hand
from tests.support.rate_limits.requests import read_rate_limit_headers

MakeApp = Callable[..., Flask]
INVALID = 'Bearer realm="provisioning", error="invalid_token"'
GENERIC = "Invalid token."
FORBIDDEN_ADDRESS = "The token's client may not be used at this address."


def make_clock() -> Clock:
    """A clock at a whole second: what is added to it is exact."""
    return Clock(float(int(time.time())))


def get_tokens(app: Flask, name: str = "provisioning") -> ClientTokens:
    tokens = get_mount(app, name).client_tokens
    assert tokens is not None
    return tokens


def decode_part(token: str, index: int) -> Any:
    part = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def sign(
    app: Flask, client: dict[str, Any], header: dict[str, Any] | None = None, key: Any = None, **claims: Any
) -> str:
    """A token with other claims or another header than the mount's; None leaves a claim out."""
    tokens = get_tokens(app)
    issued = decode_part(issue_token(app, client), 1)
    given = {name: value for name, value in {**issued, **claims}.items() if value is not None}
    names = {"typ": "at+jwt", "kid": tokens.key.kid, **(header or {})}
    algorithm = names.pop("alg", "HS256")
    return jwt.encode(given, tokens.key.signing if key is None else key, algorithm, headers=names)


def assert_refused(response: TestResponse, detail: str = GENERIC) -> None:
    assert_problem(response, 401, "invalid-token", detail)
    assert response.headers["WWW-Authenticate"] == INVALID


# What a token says.


def test_a_token_is_an_rfc_9068_access_token(make_app: MakeApp) -> None:
    clock = Clock(1_900_000_000.5)
    app = make_app(mount={"clock": clock}, PROVISIONING_LICENSE=None)
    tokens = get_tokens(app)
    issued = tokens.issue(
        client_id="7",
        partner="acme",
        permissions=["tenant:read", "bulk:read"],
        generation=3,
        issuer="https://a.example",
    )
    assert (issued.expires_in, issued.scope) == (900, "tenant:read bulk:read")
    header, claims = (decode_part(issued.access_token, index) for index in range(2))
    assert header == {"alg": "HS256", "kid": tokens.key.kid, "typ": "at+jwt"}
    assert claims == {
        "iss": "https://a.example",
        "aud": "urn:flask-tenant-provisioning:provisioning",
        "sub": "7",
        "client_id": "7",
        "partner_id": "acme",
        "scope": "tenant:read bulk:read",
        "generation": 3,
        "jti": claims["jti"],
        "iat": 1_900_000_000,
        "exp": 1_900_000_900,
    }
    again = tokens.issue(client_id="7", partner="acme", permissions=[], generation=3, issuer="https://a.example")
    assert decode_part(again.access_token, 1)["jti"] != claims["jti"]


def test_a_token_does_what_its_permissions_allow(partner: Caller) -> None:
    client = create_client(partner)
    caller = ClientCaller(partner.app, client)
    tenant = caller.create()
    assert tenant["partner"] == partner.partner
    assert caller("GET", "/tenants").get_json()["items"] == [tenant]
    response = caller("DELETE", f"/tenants/{tenant['tenant']}")
    check_problem(response, status=403, code="insufficient-permission", required=["tenant:delete"])
    (event_row,) = fetch_rows(partner.app, "events", tenant_id=tenant["tenant"])
    assert (event_row["actor_subject"], event_row["actor_partner"]) == (client["client"], partner.partner)


def test_a_scope_narrows_the_permissions(partner: Caller) -> None:
    caller = ClientCaller(partner.app, create_client(partner), ["tenant:read"])
    assert caller("GET", "/tenants").status_code == 200
    check_problem(caller("POST", "/tenants", json={}), status=403, code="insufficient-permission")


def test_an_empty_scope_allows_nothing(partner: Caller) -> None:
    caller = ClientCaller(partner.app, create_client(partner), [])
    check_problem(caller("GET", "/tenants"), status=403, code="insufficient-permission")


def test_a_client_sees_its_partner_alone_whatever_its_permissions(partner: Caller) -> None:
    administrator = Caller(partner.app, "operator", roles=["provisioning-admin"])
    body = {"name": "CRM", "permissions": ["tenant:read", "partner:manage", "client:read"]}
    client = administrator("POST", "/clients", query_string={"partner": partner.partner}, json=body).get_json()
    other = Caller(partner.app).create()
    caller = ClientCaller(partner.app, client)
    check_problem(caller("GET", f"/tenants/{other['tenant']}"), status=404, code="tenant-not-found")
    check_problem(caller("GET", "/tenants", query_string={"partner": other["partner"]}), status=403)
    check_problem(caller("PUT", f"/partners/{other['partner']}", json={}), status=403)
    assert [each["client"] for each in caller("GET", "/clients").get_json()["items"]] == [client["client"]]


def test_a_client_gives_no_more_than_its_token_has(partner: Caller) -> None:
    client = create_client(partner, permissions=["client:write", "tenant:read", "tenant:create"])
    caller = ClientCaller(partner.app, client, ["client:write", "tenant:read"])
    body = {"name": "CRM", "permissions": ["tenant:create"]}
    check_problem(caller("POST", "/clients", json=body), status=403, required=["tenant:create"])
    assert create_client(caller, permissions=["tenant:read"])["created_by"] == client["client"]


# Forgeries.

HOST_KEY = "another secret of the host, 32 bytes and more"
FORGED: dict[str, dict[str, Any]] = {
    "signed with the host's key": {"key": HOST_KEY},
    "signed with the host's secret": {"key": "a secret of the host, long enough"},
    "without signature": {"header": {"alg": "none"}, "key": ""},
    "with another algorithm": {"header": {"alg": "HS384"}, "key": b"k" * 64},
    "of another mount": {"aud": "urn:flask-tenant-provisioning:eu"},
    "without audience": {"aud": None},
    "without issuer": {"iss": None},
    "without time": {"iat": None},
    "of another client than its subject": {"client_id": "8"},
    "without client": {"client_id": None},
    "without partner": {"partner_id": None},
    "of a partner that is no text": {"partner_id": ["acme"]},
    "of a partner with a path": {"partner_id": "../acme"},
    "without scope": {"scope": None},
    "with a list as scope": {"scope": ["tenant:read"]},
    "without generation": {"generation": None},
    "with a text as generation": {"generation": "1"},
    "with true as generation": {"generation": True},
    "with a key id that is a number": {"header": {"kid": "7"}},
}


@pytest.mark.parametrize("forgery", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused(partner: Caller, forgery: dict[str, Any]) -> None:
    client = create_client(partner)
    caller = ClientCaller(partner.app, client)
    assert caller("GET", "/tenants").status_code == 200
    caller.token = sign(partner.app, client, **forgery)
    response = caller("GET", "/tenants")
    check_problem(response, status=401, code="invalid-token")
    assert response.headers["WWW-Authenticate"] == INVALID


def test_another_type_of_token_is_refused(partner: Caller) -> None:
    client = create_client(partner)
    caller = ClientCaller(partner.app, client)
    caller.token = sign(partner.app, client, {"typ": "JWT"})
    assert_refused(caller("GET", "/tenants"), "The token is of another kind.")
    caller.token = sign(partner.app, client, {"typ": "application/AT+JWT"})
    assert caller("GET", "/tenants").status_code == 200


def test_a_token_expires(make_app: MakeApp) -> None:
    clock = make_clock()
    app = make_app(mount={"clock": clock}, PROVISIONING_CLIENT_TOKEN_SECONDS=60, **LONG_LIVED_TOKENS)
    caller = ClientCaller(app, create_client(Caller(app)))
    clock.now += 59
    assert caller("GET", "/tenants").status_code == 200
    clock.now += 6  # with the accepted clock difference of 5 seconds
    check_problem(caller("GET", "/tenants"), status=401, code="token-expired")


def test_a_token_of_a_later_time_is_refused(make_app: MakeApp) -> None:
    clock = make_clock()
    app = make_app(mount={"clock": clock}, **LONG_LIVED_TOKENS)
    partner = Caller(app)
    client = create_client(partner)
    clock.now += 30
    caller = ClientCaller(app, client)
    clock.now -= 30
    assert_refused(caller("GET", "/tenants"), "The token is not valid yet.")
    clock.now += 26
    assert caller("GET", "/tenants").status_code == 200


def test_two_mounts_with_one_secret_refuse_each_others_tokens(database_url: str) -> None:
    app = Flask("host")
    app.config.update(make_config())
    for name, prefix in (("provisioning", PREFIX), ("eu", "/eu")):
        TenantProvisioning(name=name, url_prefix=prefix, table_prefix=f"{name}_").init_app(app, database_url)
    partner = Caller(app)
    client = create_client(partner)
    caller = ClientCaller(app, client)
    assert caller("GET", "/tenants").status_code == 200
    headers = {"Authorization": f"Bearer {caller.token}"}
    check_problem(caller.client.get("/eu/tenants", headers=headers), status=401, code="invalid-token")
    assert get_tokens(app).key.kid != get_tokens(app, "eu").key.kid
    for name in ("provisioning", "eu"):
        get_mount(app, name).storage.engine.dispose()


def test_only_the_configured_issuer_is_accepted(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_OAUTH_ISSUER="https://api.example.com/partners")
    client = create_client(Caller(app))
    caller = ClientCaller(app, client)
    assert decode_part(caller.token, 1)["iss"] == "https://api.example.com/partners"
    assert caller("GET", "/tenants").status_code == 200
    caller.token = sign(app, client, iss="https://evil.example")
    assert_refused(caller("GET", "/tenants"))


# Keys.


def make_pem(private: Any) -> str:
    pem: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


PRIVATE_KEYS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("algorithm", PRIVATE_KEYS)
def test_tokens_can_be_signed_with_a_private_key(make_app: MakeApp, algorithm: str) -> None:
    app = make_app(PROVISIONING_CLIENT_PRIVATE_KEY=make_pem(PRIVATE_KEYS[algorithm]()))
    client = create_client(Caller(app))
    caller, public = ClientCaller(app, client), get_tokens(app).key.public_jwk
    assert public is not None
    assert caller("GET", "/tenants").status_code == 200
    assert decode_part(caller.token, 0) == {"alg": algorithm, "kid": public["kid"], "typ": "at+jwt"}
    assert not {"d", "p", "q", "k"} & public.keys()
    audience = "urn:flask-tenant-provisioning:provisioning"
    claims = jwt.decode(caller.token, jwt.PyJWK({**public}).key, [algorithm], audience=audience)
    assert claims["client_id"] == client["client"]
    # The public key, which everybody knows, must not be taken for a shared secret (RFC 8725 §2.1).
    header = {"alg": "HS256", "kid": public["kid"], "typ": "at+jwt"}
    caller.token = sign_token(header, decode_part(caller.token, 1), dump_json({**public}).encode())
    assert_refused(caller("GET", "/tenants"))


def test_the_key_id_is_the_keys_thumbprint() -> None:
    # The key and the thumbprint of RFC 8037, appendices A.1 and A.3.
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    pem = make_pem(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
    config = Config.read({"PROVISIONING_CLIENT_PRIVATE_KEY": pem}, {})
    tokens = make_client_tokens(Flask("host"), config, "a", clock=Clock(), new_id=str)
    assert tokens is not None
    assert tokens.key.public_jwk == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "use": "sig",
        "alg": "EdDSA",
    }


WRONG_PEMS: dict[str, Callable[[], str]] = {
    "no key": lambda: "a text",
    "a broken key": lambda: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    "a short RSA key": lambda: make_pem(rsa.generate_private_key(65537, 1024)),
    "another curve": lambda: make_pem(ec.generate_private_key(ec.SECP384R1())),
    "DSA": lambda: make_pem(dsa.generate_private_key(1024)),
    "a passphrase": lambda: (
        ed25519.Ed25519PrivateKey.generate()
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        .decode()
    ),
}


@pytest.mark.one_database
@pytest.mark.parametrize("pem", WRONG_PEMS.values(), ids=WRONG_PEMS)
def test_another_private_key_stops_the_start(pem: Callable[[], str], database_url: str) -> None:
    app, key = Flask("host"), pem()
    app.config.update(make_config(PROVISIONING_CLIENT_PRIVATE_KEY=key))
    with pytest.raises(ConfigurationError, match=r"^PROVISIONING_CLIENT_PRIVATE_KEY must be a private key") as error:
        TenantProvisioning().init_app(app, database_url)
    assert key not in str(error.value)


def test_without_a_secret_there_are_no_tokens() -> None:
    assert make_client_tokens(Flask("host"), Config.read({}, {}), "a", clock=Clock(), new_id=str) is None


# The host.


@pytest.fixture
def host(database_url: str) -> Iterator[Flask]:
    """A host whose JWT manager refuses every token of its own, with views that it guards."""
    app = Flask("host")
    app.config.update(make_config())
    manager = JWTManager(app)
    provisioning = TenantProvisioning()
    provisioning.init_app(app, database_url)

    @manager.token_in_blocklist_loader
    def is_revoked(_header: Any, claims: dict[str, Any]) -> bool:
        return "client_id" in claims

    @manager.token_verification_loader
    def is_valid(_header: Any, claims: dict[str, Any]) -> bool:
        return "client_id" not in claims

    @manager.user_lookup_loader
    def find_user(_header: Any, claims: dict[str, Any]) -> str | None:
        return None if "client_id" in claims else claims["sub"]

    app.get("/host")(jwt_required()(lambda: "host"))

    @app.get("/mine")
    @requires("tenant:read")
    def show_mine() -> Any:
        principal = {**dataclasses.asdict(current_principal()), "roles": None, "permissions": None}
        return jsonify(principal=principal, claims=get_jwt(), identity=get_jwt_identity())

    @provisioning.hook("tenant.create")
    def note_creator(principal: Principal) -> None:
        assert (principal.partner != "", principal.client_generation) == (True, 1)

    yield app
    get_mount(app).storage.engine.dispose()


def test_a_view_that_only_flask_jwt_extended_guards_refuses_it(host: Flask) -> None:
    partner = Caller(host)
    caller = ClientCaller(host, create_client(partner))
    response = caller.client.get("/host", headers={"Authorization": f"Bearer {caller.token}"})
    assert (response.status_code, response.get_json()) == (422, {"msg": "Signature verification failed"})
    assert caller.client.get("/host", headers={"Authorization": f"Bearer {partner.token}"}).data == b"host"


def test_the_hosts_loaders_are_not_asked_about_it(host: Flask) -> None:
    caller = ClientCaller(host, create_client(Caller(host)))
    assert caller.create()["partner"] == caller.partner


def test_a_guarded_view_of_the_host_accepts_it(host: Flask) -> None:
    client = create_client(Caller(host))
    caller = ClientCaller(host, client)
    headers = {"Authorization": f"Bearer {caller.token}"}
    shown = caller.client.get("/mine", headers=headers).get_json()
    assert shown["principal"] == {
        "subject": client["client"],
        "partner": client["partner"],
        "roles": None,
        "permissions": None,
        "sees_every_partner": False,
        "client_generation": 1,
    }
    assert (shown["identity"], shown["claims"]["client_id"]) == (client["client"], client["client"])
    Caller(host, client["partner"])("DELETE", client_path(client))
    check_problem(caller.client.get("/mine", headers=headers), status=401, code="invalid-token")


@pytest.mark.one_database
def test_a_host_without_licence_refuses_it(database_url: str) -> None:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_LICENSE=None))
    JWTManager(app)
    TenantProvisioning().init_app(app, database_url)
    app.get("/mine")(requires("tenant:read")(lambda: "mine"))
    client = {"client": "7", "partner": "acme", "permissions": ["tenant:read"], "generation": 1}
    headers = {"Authorization": f"Bearer {issue_token(app, client)}"}
    check_problem(app.test_client().get("/mine", headers=headers), status=401, code="invalid-token")


# What ends a token.

Ending = tuple[str, str, dict[str, Any], str]
ENDINGS: dict[str, Ending] = {
    "disabled": ("PATCH", "", {"status": "disabled"}, "The token's client is disabled."),
    "deleted": ("DELETE", "", {}, "The token's client does not exist."),
    "expired": ("PATCH", "", {"expires_at": "2020-01-01T00:00:00Z"}, "The token's client has expired."),
    "rotated at once": ("POST", "/rotate-secret", {"overlap_seconds": 0}, "The token was revoked."),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_change_ends_the_tokens_at_once_in_its_process(make_app: MakeApp, ending: Ending) -> None:
    method, action, body, detail = ending
    partner = Caller(make_app(PROVISIONING_PARTNER_CACHE_SECONDS=3600))
    client, other = create_client(partner), create_client(partner)
    caller, bystander = ClientCaller(partner.app, client), ClientCaller(partner.app, other)
    assert caller("GET", "/tenants").status_code == 200
    assert partner(method, client_path(client, action), json=body).status_code < 300
    assert_refused(caller("GET", "/tenants"), detail)
    assert bystander("GET", "/tenants").status_code == 200


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_other_processes_follow_within_the_cache_seconds(make_app: MakeApp, ending: Ending) -> None:
    method, action, body, detail = ending
    clock = make_clock()
    first, second = (
        make_app(mount={"clock": clock}, PROVISIONING_PARTNER_CACHE_SECONDS=60, **LONG_LIVED_TOKENS) for _ in range(2)
    )
    partner = Caller(first)
    client = create_client(partner)
    elsewhere = ClientCaller(second, client)
    assert elsewhere("GET", "/tenants").status_code == 200
    assert partner(method, client_path(client, action), json=body).status_code < 300
    clock.now += 59
    assert elsewhere("GET", "/tenants").status_code == 200
    clock.now += 1
    assert_refused(elsewhere("GET", "/tenants"), detail)


def test_a_client_expires_at_its_time(make_app: MakeApp) -> None:
    clock = make_clock()
    app = make_app(mount={"clock": clock}, PROVISIONING_PARTNER_CACHE_SECONDS=3600, **LONG_LIVED_TOKENS)
    caller = ClientCaller(app, create_client(Caller(app), expires_at=format_instant(clock.now + 10)))
    clock.now += 9
    assert caller("GET", "/tenants").status_code == 200
    clock.now += 1
    assert_refused(caller("GET", "/tenants"), "The token's client has expired.")


def test_tokens_outlive_a_rotation_with_overlap(partner: Caller) -> None:
    client = create_client(partner)
    caller = ClientCaller(partner.app, client)
    partner("POST", client_path(client, "/rotate-secret"))
    assert caller("GET", "/tenants").status_code == 200


def test_enabling_a_client_revives_no_token(partner: Caller) -> None:
    client = create_client(partner)
    caller = ClientCaller(partner.app, client)
    for status in ("disabled", "enabled"):
        client = partner("PATCH", client_path(client), json={"status": status}).get_json()
    assert_refused(caller("GET", "/tenants"), "The token was revoked.")
    assert ClientCaller(partner.app, client)("GET", "/tenants").status_code == 200


def test_revoked_tokens_end_and_later_ones_do_not(partner: Caller) -> None:
    client = create_client(partner)
    caller, mount = ClientCaller(partner.app, client), get_mount(partner.app)
    actor = Actor(Principal("oauth", partner.partner))
    target = Target(partner.partner, client["client"])
    revoked = mount.storage.transaction(lambda session: actions.revoke_tokens(session, actor, target))
    assert_refused(caller("GET", "/tenants"), "The token was revoked.")
    assert ClientCaller(partner.app, client, generation=revoked.generation)("GET", "/tenants").status_code == 200
    assert ClientCaller(partner.app, client, generation=revoked.generation + 1)("GET", "/tenants").status_code == 401


def test_a_permission_that_the_client_loses_is_lost_at_once(partner: Caller) -> None:
    client = create_client(partner)
    caller = ClientCaller(partner.app, client)
    caller.create()
    partner("PATCH", client_path(client), json={"permissions": ["tenant:read", "tenant:delete"]})
    response = caller("POST", "/tenants", json={})
    check_problem(response, status=403, code="insufficient-permission", required=["tenant:create"])
    assert caller("GET", "/tenants").status_code == 200
    tenant = caller("GET", "/tenants").get_json()["items"][0]["tenant"]
    check_problem(caller("DELETE", f"/tenants/{tenant}"), status=403, required=["tenant:delete"])


def test_a_suspended_partners_client_is_refused(partner: Caller) -> None:
    caller = ClientCaller(partner.app, create_client(partner))
    administrator = Caller(partner.app, "operator", roles=["provisioning-admin"])
    administrator("PUT", f"/partners/{partner.partner}", json={"status": "suspended"})
    check_problem(caller("GET", "/tenants"), status=403, code="partner-suspended")


def test_a_running_download_is_checked_again(partner: Caller) -> None:
    client = create_client(partner, networks=["192.0.2.0/24"])
    header, guard = f"Bearer {issue_token(partner.app, client)}", get_mount(partner.app).guard
    guard.readmit(header, ["tenant:read"], "192.0.2.1")
    guard.readmit(header, ["tenant:read"])
    with pytest.raises(AddressNotAllowed):
        guard.readmit(header, ["tenant:read"], "192.0.3.1")
    partner("DELETE", client_path(client))
    with pytest.raises(InvalidToken):
        guard.readmit(header, ["tenant:read"], "192.0.2.1")


# Networks.


def get_from(caller: Caller, address: str, **headers: str) -> TestResponse:
    return caller("GET", "/tenants", environ_base={"REMOTE_ADDR": address}, headers=headers)


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("192.0.2.1", True),
        ("192.0.2.255", True),
        ("::ffff:192.0.2.1", True),
        ("192.0.3.1", False),
        ("::ffff:192.0.3.1", False),
        ("2001:db8::1", True),
        ("2001:DB8:ffff::", True),
        ("2001:db9::1", False),
        ("::192.0.2.1", False),
        ("", False),
        ("unix:", False),
        ("192.0.2.1:443", False),
        ("192.0.2.1, 192.0.2.2", False),
    ],
)
def test_a_client_is_used_in_its_networks_alone(partner: Caller, address: str, is_allowed: bool) -> None:
    caller = ClientCaller(partner.app, create_client(partner, networks=["192.0.2.0/24", "2001:db8::/32"]))
    response = get_from(caller, address)
    if is_allowed:
        assert response.status_code == 200
    else:
        assert_problem(response, 403, "address-not-allowed", FORBIDDEN_ADDRESS)


def test_a_client_without_networks_is_used_anywhere(partner: Caller) -> None:
    caller = ClientCaller(partner.app, create_client(partner))
    for address in ("192.0.2.1", "2001:db8::1", "", "unix:"):
        assert get_from(caller, address).status_code == 200


def test_a_request_without_an_address_is_outside_every_network(make_app: MakeApp) -> None:
    app = make_app()
    partner = Caller(app)
    caller = ClientCaller(app, create_client(partner, networks=["192.0.2.0/24"]))
    application = app.wsgi_app

    def drop_address(environ: dict[str, Any], start_response: Any) -> Any:
        del environ["REMOTE_ADDR"]
        return application(environ, start_response)

    app.wsgi_app = drop_address  # type: ignore[method-assign]
    assert_problem(caller("GET", "/tenants"), 403, "address-not-allowed", FORBIDDEN_ADDRESS)
    assert partner("GET", "/tenants").status_code == 200


def test_a_forwarded_address_counts_only_behind_proxyfix(make_app: MakeApp) -> None:
    app = make_app()
    caller = ClientCaller(app, create_client(Caller(app), networks=["192.0.2.0/24"]))
    spoofed = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1", "X-Real-IP": "192.0.2.1"}
    assert_problem(get_from(caller, "10.0.0.1", **spoofed), 403, "address-not-allowed", FORBIDDEN_ADDRESS)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]
    assert get_from(caller, "10.0.0.1", **{"X-Forwarded-For": "203.0.113.9, 192.0.2.1"}).status_code == 200
    response = get_from(caller, "10.0.0.1", **{"X-Forwarded-For": "192.0.2.1, 203.0.113.9"})
    assert_problem(response, 403, "address-not-allowed", FORBIDDEN_ADDRESS)


def test_a_refused_client_uses_no_requests_up(make_app: MakeApp, hand: ManualClock) -> None:
    limits = {"PROVISIONING_RATE_LIMITS": {"read": "2/hour"}, "PROVISIONING_RATE_LIMIT_STORAGE": hand.url}
    partner = Caller(make_app(mount={"clock": hand.clock}, **limits, **LONG_LIVED_TOKENS))
    client = create_client(partner, networks=["192.0.2.0/24"])
    caller = ClientCaller(partner.app, client)
    for _ in range(5):
        response = get_from(caller, "10.0.0.1")
        assert (response.status_code, read_rate_limit_headers(response)) == (403, (None, None, None))
    assert read_rate_limit_headers(get_from(caller, "192.0.2.1"))[0] == '"read";r=1;t=3600'
    partner("PATCH", client_path(client), json={"status": "disabled"})
    for _ in range(5):
        response = get_from(caller, "192.0.2.1")
        assert (response.status_code, read_rate_limit_headers(response)) == (401, (None, None, None))
    assert read_rate_limit_headers(partner("GET", "/tenants"))[0] == '"read";r=0;t=3600'


def test_a_refused_address_is_logged(partner: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = create_client(partner, networks=["192.0.2.0/24"])
    get_from(ClientCaller(partner.app, client), "10.0.0.1")
    (record,) = (record for record in caplog.records if getattr(record, "reason", None) == "address-not-allowed")
    assert vars(record)["subject"] == client["client"]
    assert (vars(record)["partner"], vars(record)["address"]) == (partner.partner, "10.0.0.1")


# The last use.


def update_row(app: Flask, client: dict[str, Any], **columns: Any) -> None:
    """Change a client's row as no request can: nothing hears of it."""
    storage = get_mount(app).storage
    table = storage.table("clients")
    with storage.engine.begin() as connection:
        connection.execute(table.update().where(table.c.client_id == client["client"]).values(columns))


def get_last_use(partner: Caller, client: dict[str, Any]) -> Any:
    return partner("GET", client_path(client)).get_json()["last_used_at"]


@pytest.fixture
def clock() -> Clock:
    """A clock at the first second of a minute."""
    return Clock(time.time() // 60 * 60)


@pytest.fixture
def used(make_app: MakeApp, clock: Clock) -> tuple[Caller, dict[str, Any], ClientCaller]:
    """A partner, its client, and a caller with a token of it, by the same clock."""
    options = {"PROVISIONING_CLIENT_TOKEN_SECONDS": 86_400, **LONG_LIVED_TOKENS}
    partner = Caller(make_app(mount={"clock": clock}, **options))
    client = create_client(partner)
    return partner, client, ClientCaller(partner.app, client)


Used = tuple[Caller, dict[str, Any], ClientCaller]


def test_the_last_use_is_known_to_the_minute(used: Used, clock: Clock) -> None:
    partner, client, caller = used
    assert get_last_use(partner, client) is None
    minutes = [shorten_instant(format_instant(clock.now + seconds)) for seconds in (0, 60)]
    clock.now += 30
    caller("GET", "/tenants")
    assert get_last_use(partner, client) == minutes[0]
    clock.now += 60
    caller("GET", "/tenants")
    assert get_last_use(partner, client) == minutes[1]
    document = partner("GET", client_path(client)).get_json()
    assert (document["version"], document["updated_at"]) == (1, client["updated_at"])
    assert [event["type"] for event in partner("GET", "/events").get_json()["items"]] == ["client.created"]


def test_the_last_use_is_written_once_a_minute(used: Used, clock: Clock) -> None:
    partner, client, caller = used
    following = shorten_instant(format_instant(clock.now + 60))
    caller("GET", "/tenants")
    update_row(partner.app, client, last_used_at=None)
    for _ in range(10):
        caller("GET", "/tenants")
        clock.now += 5
    assert get_last_use(partner, client) is None
    clock.now += 10
    caller("GET", "/tenants")
    assert get_last_use(partner, client) == following


def test_a_later_use_elsewhere_is_not_overwritten(used: Used) -> None:
    partner, client, caller = used
    update_row(partner.app, client, last_used_at="2099-01-01T00:00:00.000000Z")
    caller("GET", "/tenants")
    assert get_last_use(partner, client) == "2099-01-01T00:00:00.000Z"


def test_a_refused_request_is_no_use(used: Used) -> None:
    partner, client, caller = used
    assert caller("GET", "/clients").status_code == 403
    partner("PATCH", client_path(client), json={"networks": ["192.0.2.1"]})
    assert caller("GET", "/tenants").status_code == 403
    assert get_last_use(partner, client) is None


def test_a_use_that_cannot_be_saved_fails_no_request(
    used: Used, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    partner, client, caller = used
    engine = get_mount(partner.app).storage.engine
    with engine.connect() as connection:
        if database == "sqlite":
            trigger = "CREATE TRIGGER refuse BEFORE UPDATE OF last_used_at ON provisioning_clients"
            connection.exec_driver_sql(f"{trigger} BEGIN SELECT RAISE(ABORT, 'refused'); END")
            connection.commit()
        else:  # another transaction is changing the client
            for statement in ("BEGIN", "SELECT * FROM provisioning_clients FOR UPDATE"):
                connection.exec_driver_sql(statement)
        assert caller("GET", "/tenants").status_code == 200
        assert caller("GET", "/tenants").status_code == 200
        if database == "postgresql":
            connection.exec_driver_sql("ROLLBACK")
    (record,) = (record for record in caplog.records if record.name.endswith("clients.directory"))
    assert record.levelname == "WARNING"
    assert (vars(record)["client"], vars(record)["partner"]) == (client["client"], partner.partner)
    assert get_last_use(partner, client) is None


def test_an_unknown_client_is_remembered(make_app: MakeApp) -> None:
    partner = Caller(make_app(PROVISIONING_PARTNER_CACHE_SECONDS=3600))
    client = create_client(partner)
    caller, storage = ClientCaller(partner.app, client), get_mount(partner.app).storage
    (row,) = fetch_rows(partner.app, "clients")
    partner("DELETE", client_path(client))
    assert_refused(caller("GET", "/tenants"), "The token's client does not exist.")
    with storage.engine.begin() as connection:  # whoever looked again would find it
        connection.execute(storage.table("clients").insert(), row)
    assert_refused(caller("GET", "/tenants"), "The token's client does not exist.")
