"""Permissions by role and partner; a cached token grants no more than a new one."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token, get_jwt, get_jwt_header

from flask_tenant_provisioning import ConfigurationError, Principal, TenantProvisioning, current_principal, requires
from flask_tenant_provisioning.access.guard import PUBLIC
from flask_tenant_provisioning.config import DEFAULT_ROLES, PERMISSIONS, Config
from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.web.request import Request
from flask_tenant_provisioning.web.routing import Route, Routes
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.hosts import PREFIX, get_engine, is_isolated, make_config, make_host as host, signing_context

MakeApp = Callable[..., Flask]
MANAGER = "flask-jwt-extended"
OTHER_SECRET = "a secret that the host turned to later, 32 bytes"
GUARDED = [route for route in ROUTES if not route.public]
ROLES: dict[str, tuple[str, ...]] = {**DEFAULT_ROLES, "no role": (), "a role that nobody knows": ()}


def challenge(*permissions: str) -> str:
    """The exact challenge of a 403."""
    return f'Bearer realm="provisioning", error="insufficient_scope", scope="{" ".join(permissions)}"'


def address(route: Route) -> str:
    """A path that matches the route, to something that does not exist."""
    numbers = re.sub(r"<(int|float):[^>]+>", "1", route.rule)
    return re.sub(r"<[^>]+>", "01890000-0000-7000-8000-000000000000", numbers)


# Every route and every role.


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.rule}")
def test_role_opens_only_routes_with_granted_permissions(app: Flask, route: Route, role: str) -> None:
    assert isinstance(route.permissions, tuple)
    response = Caller(app, roles=[role])(route.method, address(route))
    missing = [permission for permission in route.permissions if permission not in ROLES[role]]
    if not missing:
        assert response.status_code not in (401, 403), response.text
        assert "WWW-Authenticate" not in response.headers
        return
    refusal = {"status": 403, "code": "insufficient-permission", "required": list(route.permissions)}
    assert check_problem(response, **refusal)["detail"] == f"This needs the permission {' and '.join(missing)}."
    assert response.headers.getlist("WWW-Authenticate") == [challenge(*route.permissions)]


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.rule}")
def test_no_route_but_a_public_one_opens_without_a_token(app: Flask, route: Route) -> None:
    response = app.test_client().open(PREFIX + address(route), method=route.method)
    check_problem(response, status=401, code="authentication-required")
    assert response.headers.getlist("WWW-Authenticate") == ['Bearer realm="provisioning"']


def test_public_routes_are_the_probes_and_the_documents() -> None:
    documents = {"/openapi.json", "/docs", "/docs/{asset}", "/problems", "/problems/{code}"}
    probes = {"/health/live", "/health/ready"}
    public = [route for route in ROUTES if route.public]
    assert {(route.method, route.path_template) for route in public} == {("GET", path) for path in probes | documents}
    assert {route.path_template for route in public if not route.required_permissions(False)} == probes


def test_permission_is_checked_before_existence_and_input(app: Flask) -> None:
    viewer = Caller(app, roles=["partner-viewer"])
    check_problem(viewer("DELETE", "/tenants/no-such-thing?unknown=1"), status=403, code="insufficient-permission")
    check_problem(viewer("POST", "/tenants", data=b"{", content_type="text/plain"), status=403)


def test_viewer_cannot_delete_a_tenant(partner: Caller) -> None:
    tenant = partner.create()
    refused = partner.with_roles("partner-viewer")("DELETE", f"/tenants/{tenant['tenant']}")
    check_problem(refused, status=403, code="insufficient-permission")
    assert partner("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant


def test_the_realm_is_the_hosts_to_name(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_REALM="Example Corp (EU)")
    bare = app.test_client().get(f"{PREFIX}/tenants")
    assert bare.headers["WWW-Authenticate"] == 'Bearer realm="Example Corp (EU)"'
    denied = Caller(app, roles=[])("GET", "/tenants")
    expected = 'Bearer realm="Example Corp (EU)", error="insufficient_scope", scope="tenant:read"'
    assert denied.headers["WWW-Authenticate"] == expected


def test_a_route_that_declares_no_permission_does_not_register() -> None:
    with pytest.raises(ConfigurationError, match="GET /secrets declares no permission; say PUBLIC"):
        Routes().add("GET", "/secrets", responses={})


@pytest.mark.parametrize(
    "permissions", [(), ("tenant:everything",), ("tenant:read", "x"), "tenant:read", (None,), ([],)]
)
def test_a_route_whose_permission_does_not_exist_does_not_register(permissions: Any) -> None:
    with pytest.raises(ConfigurationError, match="Declare permissions out of audit:read, "):
        Routes().add("GET", "/secrets", permissions=permissions, responses={})


def test_a_public_route_must_say_so() -> None:
    routes = Routes()

    @routes.add("GET", "/open", permissions=PUBLIC, responses={})
    def open_to_all(call: Request) -> Any:
        """Open to all."""

    assert [route.public for route in routes] == [True]
    assert repr(PUBLIC) == "PUBLIC"


# From claims to permissions.


def principal(claims: dict[str, Any], **config: Any) -> Principal:
    """The principal of these claims under this configuration."""
    return Principal.from_claims({"sub": "someone", **claims}, Config.read(config, {}))


def test_the_default_roles_are_those_of_the_contract() -> None:
    reads = {"tenant:read", "settings:read", "bulk:read", "webhook:read", "event:read", "client:read"}
    reads |= {"invitation:read"}
    writes = {"tenant:create", "tenant:update", "tenant:delete", "settings:update", "bulk:create", "webhook:manage"}
    writes |= {"client:write", "invitation:write"}
    admin = {"tenant:purge", "partner:read", "partner:manage", "audit:read", "license:read", "metrics:read"}
    assert {role: set(granted) for role, granted in DEFAULT_ROLES.items()} == {
        "partner-viewer": reads,
        "partner-admin": reads | writes,
        "provisioning-admin": reads | writes | admin,
    }


def test_roles_add_up() -> None:
    caller = principal({"roles": ["partner-viewer", "buyer"]}, PROVISIONING_ROLES={
        "partner-viewer": ["tenant:read"], "buyer": ["tenant:create"],
    })  # fmt: skip
    assert caller.permissions == {"tenant:read", "tenant:create"}


ALL = frozenset(DEFAULT_ROLES["partner-admin"])
NARROWED: dict[str, tuple[Any, frozenset[str]]] = {
    "a list": (["tenant:read"], frozenset({"tenant:read"})),
    "a text": ("tenant:read tenant:create", frozenset({"tenant:read", "tenant:create"})),
    "a text with odd spaces": ("  tenant:read\t\ntenant:create ", frozenset({"tenant:read", "tenant:create"})),
    "what the role grants and more": (sorted(PERMISSIONS), ALL),
    "only what the role does not grant": (["tenant:purge", "audit:read"], frozenset()),
    "unknown words": (["tenant:everything", "*", "tenant:*", "TENANT:READ"], frozenset()),
    "unknown words among known": ("openid profile tenant:read", frozenset({"tenant:read"})),
    "a list with spaces inside": (["tenant:read tenant:create"], frozenset()),
    "a list of other things too": (["tenant:read", 5, None, ["tenant:create"]], frozenset({"tenant:read"})),
    "commas": ("tenant:read,tenant:create", frozenset()),
    "an empty list": ([], frozenset()),
    "an empty text": ("", frozenset()),
    "null": (None, frozenset()),
    "true": (True, frozenset()),
    "a number": (1, frozenset()),
    "an object": ({"tenant:read": True}, frozenset()),
}


@pytest.mark.parametrize(("claim", "left"), NARROWED.values(), ids=NARROWED)
def test_the_permissions_claim_narrows_and_never_widens(claim: Any, left: frozenset[str]) -> None:
    assert principal({"roles": ["partner-admin"], "permissions": claim}).permissions == left


def test_missing_permissions_claim_keeps_all_granted_permissions() -> None:
    assert principal({"roles": ["partner-admin"]}).permissions == ALL


@pytest.mark.parametrize("claim", [sorted(PERMISSIONS), " ".join(PERMISSIONS)], ids=["list", "text"])
def test_permissions_without_a_role_grant_nothing(claim: Any) -> None:
    assert principal({"permissions": claim}).permissions == frozenset()


def test_scope_is_not_read_unless_the_host_names_it() -> None:
    claims = {"roles": ["partner-admin"], "scope": "openid tenant:read"}
    assert principal(claims).permissions == ALL
    assert principal(claims, PROVISIONING_PERMISSIONS_CLAIM="scope").permissions == {"tenant:read"}


def test_the_permissions_claim_may_be_switched_off() -> None:
    app = Config.read({}, {"permissions_claim": None})
    caller = Principal.from_claims({"sub": "s", "roles": "partner-admin", "permissions": []}, app)
    assert caller.permissions == ALL


def test_missing_dotted_permissions_claim_grants_all_and_invalid_one_none() -> None:
    config = {"PROVISIONING_PERMISSIONS_CLAIM": "api.permissions"}
    assert principal({"roles": "partner-admin", "api": {}}, **config).permissions == ALL
    assert principal({"roles": "partner-admin", "api": "x"}, **config).permissions == frozenset()
    assert principal({"roles": "partner-admin", "api": {"permissions": ["bulk:read"]}}, **config).permissions == {
        "bulk:read"
    }


def test_a_narrowed_token_is_refused_over_http(app: Flask) -> None:
    caller = Caller(app, permissions=["tenant:read"])
    assert caller("GET", "/tenants").status_code == 200
    response = caller("POST", "/tenants", json={"client_name": "x", "email": "x@example.com"})
    check_problem(response, status=403, code="insufficient-permission", required=["tenant:create"])
    assert response.headers["WWW-Authenticate"] == challenge("tenant:create")
    assert caller("GET", "/tenants").get_json()["items"] == []


URL_CLAIM = "https://example.com/claims/roles"
ROLE_CLAIMS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "a list": ("roles", {"roles": ["partner-viewer"]}, True),
    "a single text": ("roles", {"roles": "partner-viewer"}, True),
    "a list with other things": ("roles", {"roles": [5, None, {"a": 1}, ["x"], "partner-viewer"]}, True),
    "a dotted path": ("realm_access.roles", {"realm_access": {"roles": ["partner-viewer"]}}, True),
    "a longer path": ("a.b.c", {"a": {"b": {"c": "partner-viewer"}}}, True),
    "a dotted name as it is": ("realm_access.roles", {"realm_access.roles": ["partner-viewer"]}, True),
    "a URL": (URL_CLAIM, {URL_CLAIM: ["partner-viewer"]}, True),
    "another claim than the host's": ("groups", {"roles": ["partner-viewer"]}, False),
    "absent": ("roles", {}, False),
    "null": ("roles", {"roles": None}, False),
    "true": ("roles", {"roles": True}, False),
    "a number": ("roles", {"roles": 5}, False),
    "an object": ("roles", {"roles": {"partner-viewer": True}}, False),
    "a nested list": ("roles", {"roles": [["partner-viewer"]]}, False),
    "words in one text": ("roles", {"roles": "partner-viewer partner-admin"}, False),
    "other case": ("roles", {"roles": ["Partner-Viewer"]}, False),
    "spaces around": ("roles", {"roles": [" partner-viewer "]}, False),
    "a path through a text": ("realm_access.roles", {"realm_access": "roles"}, False),
    "a path through a list": ("realm_access.roles", {"realm_access": [{"roles": "partner-viewer"}]}, False),
    "a path that ends in an object": ("realm_access", {"realm_access": {"roles": ["partner-viewer"]}}, False),
    "a URL's parts": (URL_CLAIM, {"https://example": {"com/claims/roles": 5}}, False),
}


@pytest.mark.parametrize(("name", "claims", "granted"), ROLE_CLAIMS.values(), ids=ROLE_CLAIMS)
def test_roles_come_from_the_claim_that_the_host_names(name: str, claims: dict[str, Any], granted: bool) -> None:
    caller = principal(claims, PROVISIONING_ROLES_CLAIM=name)
    assert caller.permissions == (frozenset(DEFAULT_ROLES["partner-viewer"]) if granted else frozenset())


@pytest.mark.parametrize("roles", [None, 5, True, {"partner-admin": 1}, [["partner-admin"]]], ids=repr)
def test_roles_of_a_wrong_type_are_a_403_over_http(app: Flask, roles: Any) -> None:
    caller = Caller(app, roles=[])
    with signing_context(app):
        caller.token = create_access_token("someone", additional_claims={"partner_id": "p", "roles": roles})
    response = caller("GET", "/tenants")
    check_problem(response, status=403, code="insufficient-permission")
    assert response.headers["WWW-Authenticate"] == challenge("tenant:read")


def test_provisioning_roles_replaces_the_whole_map(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_ROLES={"reader": ["tenant:read"]})
    assert Caller(app, roles=["reader"])("GET", "/tenants").status_code == 200
    check_problem(Caller(app, roles=["reader"])("POST", "/tenants"), status=403)
    check_problem(Caller(app, roles=["partner-admin", "provisioning-admin"])("GET", "/tenants"), status=403)


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"reader": ["tenant:raed", "tenant:read"]}, "unknown: tenant:raed"),
        ({"reader": ["*"]}, r"unknown: \*"),
        ({"reader": "tenant:read"}, ""),
        ({"": ["tenant:read"]}, ""),
        ({"reader": [5]}, ""),
        (["partner-admin"], ""),
    ],
)
def test_a_map_of_roles_that_cannot_be_used_is_refused_at_start(roles: Any, message: str) -> None:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_ROLES=roles))
    with pytest.raises(ConfigurationError, match=rf"PROVISIONING_ROLES must be .*{message}"):
        TenantProvisioning().init_app(app)


# On whose behalf.

PARTNER_CLAIMS: dict[str, tuple[str, dict[str, Any], str]] = {
    "partner_id": ("partner_id", {"partner_id": "acme"}, "acme"),
    "absent": ("partner_id", {}, ""),
    "another name": ("org", {"org": "acme", "partner_id": "other"}, "acme"),
    "a dotted path": ("org.id", {"org": {"id": "acme"}}, "acme"),
    "a dotted path that ends early": ("org.id", {"org": {}}, ""),
    "a URL": ("https://example.com/partner", {"https://example.com/partner": "acme"}, "acme"),
    "not ASCII": ("partner_id", {"partner_id": "Ørsted & Söhne"}, "Ørsted & Söhne"),
}


@pytest.mark.parametrize(("name", "claims", "partner"), PARTNER_CLAIMS.values(), ids=PARTNER_CLAIMS)
def test_the_partner_comes_from_its_claim(name: str, claims: dict[str, Any], partner: str) -> None:
    assert principal(claims, PROVISIONING_PARTNER_CLAIM=name).partner == partner
    from_sub = principal(claims, PROVISIONING_PARTNER_CLAIM=name, PROVISIONING_PARTNER_FROM_SUB=True)
    assert from_sub.partner == (partner or "someone")


@pytest.mark.parametrize("spoilt", [None, 5, True, [], ["acme"], {}, {"name": "acme"}, "", "\x00"], ids=repr)
def test_a_partner_of_a_wrong_type_does_not_fall_back_to_sub(app: Flask, spoilt: Any) -> None:
    victim = Caller(app)
    victim.create()
    attacker = Caller(app, sub=victim.partner, partner_id=spoilt)
    check_problem(attacker("GET", "/tenants"), status=401, code="invalid-token")


def test_a_partner_path_through_something_else_does_not_fall_back_to_sub(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_PARTNER_CLAIM="org.id")
    check_problem(Caller(app, org="acme")("GET", "/tenants"), status=401, code="invalid-token")
    assert Caller(app, org={"id": "acme"})("GET", "/tenants").status_code == 200


def test_partner_from_sub_reads_the_partner_from_sub(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_PARTNER_FROM_SUB=True)
    caller = Caller(app)
    with signing_context(app):
        caller.token = create_access_token(caller.partner, additional_claims={"roles": ["partner-admin"]})
    assert caller.create()["partner"] == caller.partner


@pytest.mark.parametrize("role", ["partner-admin", "partner-viewer"])
@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_naming_a_partner_is_for_administrators(app: Flask, role: str, whose: str) -> None:
    other, caller = Caller(app), Caller(app, roles=[role])
    other.create()
    named = caller.partner if whose == "its own" else other.partner
    check_problem(caller("GET", f"/tenants?partner={named}"), status=403, code="insufficient-permission")


def test_an_administrator_sees_every_partner(app: Flask) -> None:
    first, second, admin = Caller(app), Caller(app), Caller(app, roles=["provisioning-admin"])
    tenants = [first.create(), second.create()]
    for tenant in tenants:
        assert admin("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant
        assert admin("GET", f"/tenants?partner={tenant['partner']}").get_json()["items"] == [tenant]
    listed = admin("GET", "/tenants?sort=-created_at&limit=1000").get_json()["items"]
    assert [tenant["tenant"] for tenant in listed if tenant in tenants] == [tenants[1]["tenant"], tenants[0]["tenant"]]


def test_administrator_creates_for_the_partner_parameter_or_its_own_partner(app: Flask) -> None:
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    body = {"client_name": "Example Corp", "email": "admin@example.com"}
    named = admin("POST", f"/tenants?partner={partner.partner}", json=body)
    assert (named.status_code, named.get_json()["partner"]) == (201, partner.partner)
    assert admin("POST", "/tenants", json=body).get_json()["partner"] == admin.partner
    assert partner("GET", "/tenants").get_json()["items"] == [named.get_json()]


def test_administrator_role_is_configurable() -> None:
    config = {"PROVISIONING_ROLES": {"root": ["tenant:read"]}, "PROVISIONING_ADMIN_ROLES": ["root"]}
    assert principal({"roles": ["root"]}, **config).sees_every_partner
    assert not principal({"roles": ["provisioning-admin"]}, **config).sees_every_partner


def test_an_administrator_whose_permissions_are_narrowed_still_needs_the_permission(app: Flask) -> None:
    tenant = Caller(app).create()
    admin = Caller(app, roles=["provisioning-admin"], permissions=["tenant:read"])
    assert admin("GET", f"/tenants/{tenant['tenant']}").status_code == 200
    check_problem(admin("DELETE", f"/tenants/{tenant['tenant']}"), status=403, code="insufficient-permission")


# A token that was verified once is admitted again without a signature check; never where a fresh check would refuse.


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[MakeApp]:
    """Builds hosts on SQLite: the database plays no part in this."""
    apps: list[Flask] = []

    def make(**config: Any) -> Flask:
        apps.append(host(f"sqlite:///{tmp_path}/provisioning.sqlite3", **config))
        return apps[-1]

    yield make
    for app in apps:
        get_engine(app).dispose()


def token(app: Flask, expires: float | timedelta = timedelta(hours=1), **claims: Any) -> str:
    """A token of the host's own; `expires` is a time or from now on."""
    names: dict[str, Any] = {"roles": ["partner-admin"], "partner_id": "acme", **claims}
    if not isinstance(expires, timedelta):
        names["exp"], expires = expires, timedelta(hours=1)
    with signing_context(app):
        signed: str = create_access_token("someone", additional_claims=names, expires_delta=expires)
    return signed


def status(app: Flask, bearer: str, path: str = f"{PREFIX}/tenants") -> int | str:
    """200, or the code of the problem."""
    response = app.test_client().get(path, headers={"Authorization": f"Bearer {bearer}"})
    return 200 if response.status_code == 200 else str(check_problem(response)["code"])


def cached_tokens(app: Flask, mount: str = "provisioning") -> dict[bytes, Any]:
    """The tokens that a mount remembers."""
    entries: dict[bytes, Any] = app.extensions["tenant_provisioning"][mount].guard._tokens._cache._entries
    return entries


@pytest.mark.parametrize(
    ("leeway", "grace"), [(0, 0), (10, 10), (timedelta(seconds=2.5), 2.5)], ids=["none", "seconds", "timedelta"]
)
def test_a_remembered_token_expires_to_the_second(make_host: MakeApp, leeway: Any, grace: float) -> None:
    end = int(time.time()) + 600
    clock = Clock(end - 600)
    app = make_host(mount={"clock": clock}, JWT_DECODE_LEEWAY=leeway)
    bearer = token(app, end)
    assert status(app, bearer) == 200
    clock.now = end + grace - 0.001
    assert status(app, bearer) == 200
    clock.now = end + grace
    assert status(app, bearer) == "token-expired"


def test_a_fraction_of_a_second_is_not_given_to_a_remembered_token(make_host: MakeApp) -> None:
    """A fresh check cuts it off (PyJWT), hence so does this one."""
    end = int(time.time()) + 600
    clock = Clock(end - 600)
    app = make_host(mount={"clock": clock})
    bearer = token(app, end + 0.9)
    assert status(app, bearer) == 200
    clock.now = end + 0.5
    assert status(app, bearer) == "token-expired"


def test_an_expired_token_is_refused_again_and_again(make_host: MakeApp) -> None:
    clock = Clock(time.time())
    app = make_host(mount={"clock": clock})
    bearer = token(app, int(clock.now) + 300)
    assert status(app, bearer) == 200
    clock.now += 300
    assert [status(app, bearer) for _ in range(3)] == ["token-expired"] * 3


def test_token_within_the_leeway_is_refused_after_it(make_host: MakeApp) -> None:
    app = make_host(JWT_DECODE_LEEWAY=120)
    expired, early = token(app, int(time.time()) - 60), token(app, nbf=int(time.time()) + 60)
    assert (status(app, expired), status(app, early)) == (200, 200)
    app.config["JWT_DECODE_LEEWAY"] = 0
    assert (status(app, expired), status(app, early)) == ("token-expired", "invalid-token")


def test_token_is_verified_again_after_the_clock_moves_before_nbf(make_host: MakeApp) -> None:
    clock = Clock(time.time() + 60)
    app = make_host(mount={"clock": clock})
    bearer = token(app)
    assert status(app, bearer) == 200
    (first,) = cached_tokens(app).values()
    assert status(app, bearer) == 200
    assert next(iter(cached_tokens(app).values())) is first
    clock.now -= 3600
    assert status(app, bearer) == 200
    assert next(iter(cached_tokens(app).values())) is not first


def test_key_change_invalidates_cached_tokens(make_host: MakeApp) -> None:
    app = make_host()
    old = token(app)
    assert status(app, old) == 200
    before, app.config["JWT_SECRET_KEY"] = app.config["JWT_SECRET_KEY"], OTHER_SECRET
    assert status(app, old) == "invalid-token"
    assert status(app, token(app)) == 200
    app.config["JWT_SECRET_KEY"] = before
    assert status(app, old) == 200


def test_a_key_that_changes_while_a_token_is_verified_is_not_taken_for_the_one_that_verified_it(
    make_host: MakeApp,
) -> None:
    class TurnsTheKey(list[str]):
        """The issuers that the host knows; looked at after the signature and before the token is remembered."""

        def __contains__(self, issuer: object) -> bool:
            app.config["JWT_SECRET_KEY"] = OTHER_SECRET
            return super().__contains__(issuer)

    app = make_host()
    old = token(app, iss="https://id.example")
    app.config["JWT_DECODE_ISSUER"] = TurnsTheKey(["https://id.example"])
    assert status(app, old) == 200
    assert status(app, old) == "invalid-token"


def test_key_unknown_to_the_loader_invalidates_cached_tokens(make_host: MakeApp) -> None:
    app = make_host()
    keys = {"one": app.config["JWT_SECRET_KEY"]}
    app.extensions[MANAGER].decode_key_loader(lambda header, claims: keys[claims["iss"]])
    bearer = token(app, iss="one")
    assert status(app, bearer) == 200
    del keys["one"]
    assert status(app, bearer) == "invalid-token"


def test_the_hosts_key_loader_sees_the_claims_as_they_were_sent(make_host: MakeApp) -> None:
    """Flask-JWT-Extended adds `type` after its check: a loader that asks for it must name the same key ever after."""
    app = make_host()
    keys = {"foreign": app.config["JWT_SECRET_KEY"], "own": "never the one that signed it, 32 bytes and more"}
    app.extensions[MANAGER].decode_key_loader(lambda header, claims: keys["own" if "type" in claims else "foreign"])
    claims = {"sub": "someone", "partner_id": "acme", "roles": ["partner-admin"], "exp": int(time.time()) + 600}
    bearer = jwt.encode(claims, keys["foreign"], "HS256")
    assert status(app, bearer) == 200
    keys["foreign"] = OTHER_SECRET
    assert status(app, bearer) == "invalid-token"


def test_a_key_loader_that_takes_its_arguments_apart_changes_nothing(make_host: MakeApp) -> None:
    app = make_host()
    keys = {"one": app.config["JWT_SECRET_KEY"]}
    app.extensions[MANAGER].decode_key_loader(lambda header, claims: keys[claims.pop("iss")])
    bearer = token(app, iss="one")
    assert [status(app, bearer) for _ in range(3)] == [200, 200, 200]


SETTINGS: dict[str, tuple[str, Any, Any]] = {
    "algorithm": ("JWT_ALGORITHM", "HS256", "HS512"),
    "audience": ("JWT_DECODE_AUDIENCE", "one", "two"),
    "audience at last": ("JWT_DECODE_AUDIENCE", None, "two"),
    "issuer": ("JWT_DECODE_ISSUER", "one", "two"),
    "issuer at last": ("JWT_DECODE_ISSUER", None, "two"),
    "identity claim": ("JWT_IDENTITY_CLAIM", "sub", "user"),
}


@pytest.mark.parametrize(("key", "before", "after"), SETTINGS.values(), ids=SETTINGS)
def test_changed_setting_invalidates_cached_tokens(make_host: MakeApp, key: str, before: Any, after: Any) -> None:
    app = make_host(**{key: before})
    bearer = token(app, aud="one", iss="one")
    assert status(app, bearer) == 200
    app.config[key] = after
    assert status(app, bearer) == "invalid-token"
    app.config[key] = before
    assert status(app, bearer) == 200


@pytest.mark.parametrize("key", ["JWT_DECODE_AUDIENCE", "JWT_DECODE_ISSUER"])
def test_list_changed_in_place_invalidates_cached_tokens(make_host: MakeApp, key: str) -> None:
    app = make_host(**{key: ["one", "two"]})
    bearer = token(app, aud="one", iss="one")
    assert status(app, bearer) == 200
    app.config[key].remove("one")
    assert status(app, bearer) == "invalid-token"


def test_removed_algorithm_invalidates_cached_tokens(make_host: MakeApp) -> None:
    app = make_host()
    bearer = token(app)
    app.config.update(JWT_ALGORITHM="HS512", JWT_DECODE_ALGORITHMS=["HS512", "HS256"])
    assert status(app, bearer) == 200
    app.config["JWT_DECODE_ALGORITHMS"].remove("HS256")
    assert status(app, bearer) == "invalid-token"


def test_another_jwt_manager_verifies_tokens_again(make_host: MakeApp) -> None:
    app = make_host()
    bearer = token(app)
    assert status(app, bearer) == 200
    stricter = JWTManager()
    stricter.decode_key_loader(lambda header, claims: OTHER_SECRET)
    app.extensions[MANAGER] = stricter
    assert status(app, bearer) == "invalid-token"


def test_a_remembered_token_that_the_host_revokes_is_refused_and_may_come_back(make_host: MakeApp) -> None:
    app, revoked = make_host(), set[str]()
    app.extensions[MANAGER].token_in_blocklist_loader(lambda header, claims: claims["jti"] in revoked)
    bearer, other = token(app, jti="one"), token(app, jti="two")
    assert (status(app, bearer), status(app, other)) == (200, 200)
    revoked.add("one")
    assert (status(app, bearer), status(app, other)) == ("invalid-token", 200)
    revoked.clear()
    assert status(app, bearer) == 200


def test_the_hosts_loaders_are_asked_at_every_request_in_their_order(make_host: MakeApp) -> None:
    app, calls = make_host(), list[str]()
    manager = app.extensions[MANAGER]

    def answers(loader: str, response: bool) -> Callable[..., bool]:
        def respond(header: dict[str, Any], claims: dict[str, Any]) -> bool:
            calls.append(loader)
            return response

        return respond

    manager.token_in_blocklist_loader(answers("blocklist", False))
    manager.token_verification_loader(answers("claims", True))
    manager.user_lookup_loader(answers("user", True))
    bearer = token(app)
    assert [status(app, bearer) for _ in range(3)] == [200, 200, 200]
    assert calls == (["blocklist", "claims"] if is_isolated() else ["blocklist", "claims", "user"]) * 3


def test_loaders_that_come_after_a_token_was_remembered_are_asked(make_host: MakeApp) -> None:
    app = make_host()
    bearer = token(app)
    assert status(app, bearer) == 200
    app.extensions[MANAGER].token_verification_loader(lambda header, claims: False)
    assert status(app, bearer) == "invalid-token"


def test_changes_to_claims_end_with_the_request(make_host: MakeApp) -> None:
    app, seen = make_host(), list[tuple[Any, ...]]()

    def spoils(header: dict[str, Any], claims: dict[str, Any]) -> bool:
        seen.append((claims.pop("jti"), claims["roles"].pop(), claims["deep"]["list"].pop(), header.pop("typ")))
        return True

    app.extensions[MANAGER].token_verification_loader(spoils)
    bearer = token(app, jti="one", deep={"list": [1]})
    assert [status(app, bearer) for _ in range(3)] == [200, 200, 200]
    assert seen == [("one", "partner-admin", 1, "JWT")] * 3


def test_a_view_that_changes_its_claims_cannot_hide_a_token_from_the_blocklist(make_host: MakeApp) -> None:
    app, revoked = make_host(), set[str]()
    app.extensions[MANAGER].token_in_blocklist_loader(lambda header, claims: claims["jti"] in revoked)

    @app.get("/view")
    @requires("tenant:read")
    def view() -> str:
        get_jwt()["jti"] = "another"
        get_jwt_header()["kid"] = "another"
        return "seen"

    bearer = token(app, jti="one")
    assert status(app, bearer, "/view") == 200
    revoked.add("one")
    assert status(app, bearer, "/view") == "invalid-token"


def test_two_mounts_remember_a_token_each_by_its_own_settings(make_host: MakeApp) -> None:
    app = make_host()
    second = TenantProvisioning(name="eu", url_prefix="/eu", roles_claim="groups", partner_claim="org")
    second.init_app(app, get_engine(app))
    ours, theirs = token(app), token(app, roles=[], groups=["partner-viewer"], org="example")
    for _ in range(3):
        assert (status(app, ours), status(app, ours, "/eu/tenants")) == (200, "partner-missing")
        assert (status(app, theirs), status(app, theirs, "/eu/tenants")) == ("insufficient-permission", 200)
    assert cached_tokens(app).keys() == cached_tokens(app, "eu").keys()


def test_only_verified_tokens_are_cached_by_digest(make_host: MakeApp) -> None:
    app = make_host()
    good, bad = token(app), token(app, exp="soon")
    assert (status(app, good), status(app, bad), status(app, f"{good}x")) == (200, "invalid-token", "invalid-token")
    (digest,) = cached_tokens(app)
    assert len(digest) == 32


@pytest.mark.parametrize("size", [0, 1, 3])
def test_no_more_tokens_are_remembered_than_the_host_allows(make_host: MakeApp, size: int) -> None:
    app = make_host(PROVISIONING_TOKEN_CACHE_SIZE=size)
    bearers = [token(app, jti=f"{n}") for n in range(8)]
    for bearer in bearers * 2:
        assert status(app, bearer) == 200
        assert len(cached_tokens(app)) <= size
    assert len(cached_tokens(app)) == size


def test_a_token_that_is_verified_again_takes_no_other_tokens_place(make_host: MakeApp) -> None:
    app = make_host(PROVISIONING_TOKEN_CACHE_SIZE=2)
    first, second = (token(app, jti=f"{n}") for n in range(2))
    assert [status(app, bearer) for bearer in (first, second)] == [200, 200]
    app.config["JWT_DECODE_LEEWAY"] = 5  # what was verified before counts no more
    assert status(app, second) == 200
    assert len(cached_tokens(app)) == 2


def test_without_a_cache_a_token_is_verified_at_every_request(make_host: MakeApp) -> None:
    app = make_host(PROVISIONING_TOKEN_CACHE_SIZE=0)
    bearer = token(app)
    assert [status(app, bearer) for _ in range(2)] == [200, 200]
    app.config["JWT_SECRET_KEY"] = OTHER_SECRET
    assert status(app, bearer) == "invalid-token"


def test_a_principal_cannot_be_changed() -> None:
    caller = principal({"roles": ["partner-admin"]})
    with pytest.raises(AttributeError):
        caller.partner = "another"  # type: ignore[misc]
    assert isinstance(caller.permissions, frozenset)
    assert isinstance(caller.roles, frozenset)


def test_concurrent_threads_get_the_principal_of_their_token(make_host: MakeApp) -> None:
    app, start = make_host(PROVISIONING_TOKEN_CACHE_SIZE=5), threading.Barrier(16)

    @app.get("/whoami")
    @requires("tenant:read")
    def whoami() -> dict[str, str]:
        return {"partner": current_principal().partner, "jti": get_jwt()["jti"]}

    people = [{"partner": f"partner-{n}", "jti": f"{n}"} for n in range(16)]
    bearers = [token(app, partner_id=person["partner"], jti=person["jti"]) for person in people]

    def call(first: int) -> list[bool]:
        client = app.test_client()
        start.wait(10)
        turns = [(first + n) % 16 for n in range(48)]
        headers = [{"Authorization": f"Bearer {bearers[turn]}"} for turn in turns]
        responses = [client.get("/whoami", headers=header).get_json() for header in headers]
        return [response == people[turn] for response, turn in zip(responses, turns, strict=True)]

    with ThreadPoolExecutor(16) as pool:
        assert all(all(right) for right in pool.map(call, range(16)))
    assert len(cached_tokens(app)) == 5


# How long a token may be.


def test_a_token_of_the_largest_length_is_taken_and_one_longer_is_not(app: Flask) -> None:
    caller, taken = Caller(app), set()
    with signing_context(app):
        bare = len(create_access_token("someone", additional_claims={"partner_id": "p", "pad": ""}))
    about = (8192 - bare) * 3 // 4
    for pad in range(about - 4, about + 5):
        with signing_context(app):
            caller.token = create_access_token("someone", additional_claims={"partner_id": "p", "pad": "x" * pad})
        length = len(caller.token)
        if 8190 <= length <= 8195 and length not in taken:
            taken.add(length)
            expected = "insufficient-permission" if length <= 8192 else "invalid-token"
            check_problem(caller("GET", "/tenants"), code=expected)
    assert {8192, 8193} & taken
    assert min(taken) <= 8192 < max(taken)
