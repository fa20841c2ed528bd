"""Tokens of an isolated mount: the host's, by its settings and loaders, or those of another issuer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import current_app
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity
from werkzeug.test import TestResponse

from flask_tenant_provisioning import ConfigurationError, current_principal, requires
from tests.support.assertions import check_problem
from tests.support.commands import run_command
from tests.support.hosts import PREFIX
from tests.support.isolated_hosts import IsolatedHost, Make

pytestmark = pytest.mark.one_database("about tokens, whatever the database")

SECRET = "hunter2"
PAIR = generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = PAIR.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


# Whose tokens


def test_host_without_jwt_manager_gets_no_manager(host: IsolatedHost) -> None:
    assert host.open()("GET", "/tenants").status_code == 200
    assert "flask-jwt-extended" not in host.app.extensions


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_hosts_loaders_are_asked_in_its_context_whenever_its_manager_came(host: IsolatedHost, when: str) -> None:
    calls: list[tuple[str, bool]] = []

    def make_loader(what: str, response: Any) -> Callable[..., Any]:
        def ask(_header: dict[str, Any], _claims: dict[str, Any]) -> Any:
            calls.append((what, current_app == host.app))
            return response

        return ask

    def bring() -> None:
        manager = JWTManager(host.app)
        manager.decode_key_loader(make_loader("key", host.app.config["JWT_SECRET_KEY"]))
        manager.token_in_blocklist_loader(make_loader("blocklist", False))
        manager.token_verification_loader(make_loader("claims", True))
        manager.user_lookup_loader(make_loader("user", None))

    if when == "before":
        bring()
    partner = host.open()
    if when == "after":
        bring()
    assert partner("GET", "/tenants").status_code == 200
    assert {*calls} == {("key", True), ("blocklist", True), ("claims", True)}
    calls.clear()
    assert partner("GET", "/tenants").status_code == 200
    assert calls == [("key", True), ("blocklist", True), ("claims", True)]


def test_a_manager_that_takes_the_place_of_another_is_asked(host: IsolatedHost) -> None:
    JWTManager(host.app)
    partner = host.open()
    assert partner("GET", "/tenants").status_code == 200
    JWTManager(host.app).token_in_blocklist_loader(lambda _header, _claims: True)
    check_problem(partner("GET", "/tenants"), status=401, code="invalid-token")


def test_without_loaders_of_its_own_the_hosts_context_is_not_opened(host: IsolatedHost) -> None:
    calls: list[str] = []
    JWTManager(host.app)
    host.app.teardown_appcontext(lambda _error: calls.append("closed"))
    partner = host.open()
    calls.clear()
    assert partner("GET", "/tenants").status_code == 200
    assert calls == []


def test_changed_key_invalidates_cached_tokens(host: IsolatedHost) -> None:
    partner = host.open()
    assert partner("GET", "/tenants").status_code == 200
    host.app.config["JWT_SECRET_KEY"] = "another key, that is 32 bytes long or more"
    check_problem(partner("GET", "/tenants"), status=401, code="invalid-token")


def test_later_audience_invalidates_cached_tokens(host: IsolatedHost) -> None:
    partner = host.open()
    assert partner("GET", "/tenants").status_code == 200
    host.app.config["JWT_DECODE_AUDIENCE"] = "provisioning"
    check_problem(partner("GET", "/tenants"), status=401, code="invalid-token")


def test_a_manager_that_has_the_secret_key_alone_will_do(host: IsolatedHost) -> None:
    del host.app.config["JWT_SECRET_KEY"]
    JWTManager(host.app)
    assert host.open()("GET", "/tenants").status_code == 200


def test_the_hosts_secret_key_verifies_nothing_unless_a_manager_says_so(make: Make) -> None:
    host = make(JWT_SECRET_KEY=None)
    with pytest.raises(ConfigurationError) as caught:
        host.open()
    assert str(caught.value) == (
        "Tokens cannot be verified yet: set JWT_SECRET_KEY (JWT_ALGORITHM is HS256), "
        "or call JWTManager(app) before provisioning.init_app(app)."
    )


def test_a_fault_in_a_loader_of_the_hosts_is_a_problem(make: Make) -> None:
    host = make(TESTING=True)

    def broken(_header: dict[str, Any], _claims: dict[str, Any]) -> bool:
        raise RuntimeError(SECRET)

    JWTManager(host.app).token_in_blocklist_loader(broken)
    response = host.open()("GET", "/tenants")
    check_problem(response, status=401, code="invalid-token")
    assert SECRET not in response.text


# Settings of the mount's own

OWN = "a key of the mount's own, that is 32 bytes or more"


def token(key: Any = OWN, algorithm: str = "HS256", **claims: Any) -> dict[str, str]:
    """The header of a partner whose identity provider is not the host's."""
    named = {"sub": "someone", "roles": ["partner-admin"], "partner_id": "acme", "exp": time.time() + 60, **claims}
    return {"Authorization": f"Bearer {pyjwt.encode(named, key, algorithm)}"}


def list_tenants(host: IsolatedHost, **headers: str) -> TestResponse:
    return host.app.test_client().get(f"{PREFIX}/tenants", headers=headers)


def test_with_settings_of_its_own_the_mount_takes_other_tokens_than_the_host(make: Make) -> None:
    host = make(PROVISIONING_JWT_SECRET_KEY=OWN)
    JWTManager(host.app)
    host.open()
    with host.app.app_context():
        hosts = create_access_token("someone", additional_claims={"roles": ["partner-admin"]})
    assert list_tenants(host, **token()).status_code == 200
    check_problem(list_tenants(host, Authorization=f"Bearer {hosts}"), status=401, code="invalid-token")


def test_separate_jwt_settings_ignore_the_host(make: Make) -> None:
    def fails(*_arguments: Any) -> Any:
        raise AssertionError("was asked")

    host = make(PROVISIONING_JWT_SECRET_KEY=OWN, JWT_DECODE_AUDIENCE="the host's", JWT_ALGORITHM="RS256")
    manager = JWTManager(host.app)
    for loader in ("decode_key", "token_in_blocklist", "token_verification", "user_lookup"):
        getattr(manager, f"{loader}_loader")(fails)
    host.open()
    assert [list_tenants(host, **token()).status_code for _ in range(2)] == [200, 200]


def test_audience_issuer_and_leeway_of_its_own_are_demanded(make: Make) -> None:
    host = make(
        PROVISIONING_JWT_SECRET_KEY=OWN,
        PROVISIONING_JWT_DECODE_AUDIENCE=["provisioning", "partners"],
        PROVISIONING_JWT_DECODE_ISSUER="https://id.example.com",
        PROVISIONING_JWT_DECODE_LEEWAY=30,
    )
    host.open()
    good = {"aud": "partners", "iss": "https://id.example.com"}
    assert list_tenants(host, **token(**good)).status_code == 200
    assert list_tenants(host, **token(**good, exp=time.time() - 20)).status_code == 200
    check_problem(list_tenants(host, **token(**good, exp=time.time() - 40)), code="token-expired")
    for wrong in ({"aud": "partners"}, {"iss": good["iss"]}, {**good, "aud": "others"}, {**good, "iss": "x"}):
        check_problem(list_tenants(host, **token(**wrong)), status=401, code="invalid-token")


def test_a_key_pair_of_its_own_will_do(make: Make) -> None:
    host = make(PROVISIONING_JWT_ALGORITHM="RS256", PROVISIONING_JWT_PUBLIC_KEY=PUBLIC)
    host.mount()
    assert list_tenants(host, **token(PRIVATE, "RS256")).status_code == 200
    check_problem(list_tenants(host, **token()), status=401, code="invalid-token")


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        ({"DECODE_AUDIENCE": "a"}, "PROVISIONING_JWT_SECRET_KEY (PROVISIONING_JWT_ALGORITHM is HS256)"),
        ({"ALGORITHM": "ES256"}, "PROVISIONING_JWT_PUBLIC_KEY (PROVISIONING_JWT_ALGORITHM is ES256)"),
        (
            {"ALGORITHM": "RS256", "SECRET_KEY": OWN},
            "PROVISIONING_JWT_PUBLIC_KEY (PROVISIONING_JWT_ALGORITHM is RS256)",
        ),
    ],
)
def test_settings_of_its_own_need_a_key_of_its_own(make: Make, config: dict[str, Any], missing: str) -> None:
    host = make(**{f"PROVISIONING_JWT_{name}": value for name, value in config.items()})
    JWTManager(host.app)
    before = host.app.wsgi_app
    with pytest.raises(ConfigurationError) as caught:
        host.mount()
    assert str(caught.value) == (
        f"Tokens cannot be verified yet: set {missing}; a mount with PROVISIONING_JWT_* keys ignores the host's."
    )
    assert (host.app.wsgi_app, host.app.extensions["tenant_provisioning"]) == (before, {})


def test_mixed_algorithms_are_warned_of(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    make(PROVISIONING_JWT_SECRET_KEY=OWN, PROVISIONING_JWT_DECODE_ALGORITHMS=["HS256", "RS256"]).mount()
    assert "PROVISIONING_JWT_DECODE_ALGORITHMS mixes algorithms for shared secrets and for public keys" in caplog.text


def test_settings_of_its_own_are_warned_of_with_a_blueprint(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    host = make(PROVISIONING_MOUNT="blueprint", PROVISIONING_JWT_SECRET_KEY=OWN, PROVISIONING_JWT_DECODE_LEEWAY=5)
    partner = host.open()
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        (
            "PROVISIONING_JWT_SECRET_KEY, PROVISIONING_JWT_DECODE_LEEWAY: no effect "
            "unless PROVISIONING_MOUNT is 'isolated'; the JWT_* keys apply"
        )
    ]
    assert partner("GET", "/tenants").status_code == 200
    check_problem(list_tenants(host, **token()), status=401, code="invalid-token")


def test_two_mounts_have_settings_of_their_own(host: IsolatedHost) -> None:
    host.mount_another("eu", url_prefix="/eu", jwt_secret_key=OWN)
    host.mount()
    client = host.app.test_client()
    assert client.get("/eu/tenants", headers=token()).status_code == 200
    check_problem(list_tenants(host, **token()), status=401, code="invalid-token")


# The host's own views


def views(host: IsolatedHost) -> None:
    """Give the host a guarded view."""

    @host.app.get("/mine")
    @requires("tenant:read")
    def mine() -> dict[str, Any]:
        app: Any = current_app
        return {
            "partner": current_principal().partner,
            "identity": get_jwt_identity(),
            "in the host": app._get_current_object() is host.app,
        }


@pytest.mark.parametrize("config", [{}, {"PROVISIONING_JWT_SECRET_KEY": OWN}], ids=["the host's", "its own"])
@pytest.mark.parametrize("licensed", [True, False], ids=["mounted", "no licence"])
def test_the_hosts_guarded_views_take_the_tokens_that_the_api_takes(
    make: Make, config: dict[str, Any], licensed: bool
) -> None:
    host = make(**config, **({} if licensed else {"PROVISIONING_LICENSE": None}))
    JWTManager(host.app).user_lookup_loader(lambda _header, _claims: None)
    views(host)
    host.mount()
    client = host.app.test_client()
    good = token(config.get("PROVISIONING_JWT_SECRET_KEY", host.app.config["JWT_SECRET_KEY"]))
    assert client.get("/mine", headers=good).get_json() == {
        "partner": "acme",
        "identity": "someone",
        "in the host": True,
    }
    check_problem(
        client.get("/mine", headers=token("a key of nobody's, that is 32 bytes or more")), code="invalid-token"
    )
    check_problem(client.get("/mine"), status=401, code="authentication-required", instance="/mine")


def test_without_a_licence_nothing_stands_before_the_host(make: Make) -> None:
    host = make(PROVISIONING_LICENSE=None)
    before = host.app.wsgi_app
    host.mount()
    assert host.app.wsgi_app == before
    assert list_tenants(host, **token()).mimetype == "text/html"


# Tokens from the command line


def make_token_header(host: IsolatedHost, *arguments: str) -> dict[str, str]:
    """The header with a token that the command prints."""
    result = run_command(host.app, "token", *arguments)
    assert (result.status, result.err) == (0, "")
    return {"Authorization": f"Bearer {result.out.strip()}"}


SIGNED: dict[str, dict[str, Any]] = {
    "the host's": {},
    "its own": {"SECRET_KEY": OWN},
    "its own, addressed": {"SECRET_KEY": OWN, "DECODE_AUDIENCE": ["a", "b"], "DECODE_ISSUER": ["c", "d"]},
    "its own pair": {"ALGORITHM": "RS256", "PUBLIC_KEY": PUBLIC, "PRIVATE_KEY": PRIVATE},
}


@pytest.mark.parametrize("settings", SIGNED.values(), ids=SIGNED)
@pytest.mark.parametrize("has_manager", [True, False], ids=["manager", "no manager"])
def test_token_command_signs_an_accepted_token(make: Make, settings: dict[str, Any], has_manager: bool) -> None:
    host = make(**{f"PROVISIONING_JWT_{name}": value for name, value in settings.items()})
    if has_manager:
        JWTManager(host.app).additional_claims_loader(lambda _identity: {"house": "ours"})
    host.mount()
    assert list_tenants(host, **make_token_header(host)).status_code == 200


def test_token_command_names_the_missing_key(make: Make) -> None:
    host = make(PROVISIONING_JWT_ALGORITHM="RS256", PROVISIONING_JWT_PUBLIC_KEY=PUBLIC)
    host.mount()
    assert run_command(host.app, "token") == (
        1,
        "",
        (
            "Error: This app signs no tokens: PROVISIONING_JWT_PRIVATE_KEY must be set "
            'to use asymmetric cryptography algorithm "RS256"\n'
        ),
    )


@pytest.mark.parametrize("how", ["blueprint", "isolated"])
def test_token_command_reports_a_refused_host_token(make: Make, how: str) -> None:
    host = make(PROVISIONING_MOUNT=how, JWT_DECODE_ISSUER="somebody")
    host.mount()
    assert run_command(host.app, "token") == (
        1,
        "",
        (
            'Error: The API refuses this app\'s tokens: MissingRequiredClaimError: Token is missing the "iss" claim; '
            "use the same key, issuer and audience for signing and verifying in JWT_*.\n"
        ),
    )


def test_token_command_reports_a_foreign_verification_key(make: Make) -> None:
    host = make()
    manager = JWTManager(host.app)
    manager.decode_key_loader(lambda _header, _claims: "a key of the provider's, that is 32 bytes or more")
    host.mount()
    result = run_command(host.app, "token")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("Error: The API refuses this app's tokens: InvalidSignatureError: ")
