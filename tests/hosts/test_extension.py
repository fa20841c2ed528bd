"""Mounting: on which database, how often, where, under which licence and by whose tokens."""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Blueprint, Flask
from flask_jwt_extended import JWTManager
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, create_engine, event, inspect, make_url, text
from werkzeug.test import TestResponse

import flask_tenant_provisioning
from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from flask_tenant_provisioning.licensing import vendor
from tests.support.assertions import check_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import KEYS, PREFIX, get_engine, get_mount, issue_license, make_config, make_host

DAY = 86_400


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """A host that has configured everything and mounted nothing."""
    app = Flask("host", instance_path=str(tmp_path / "instance"))
    app.config.update(make_config())
    yield app
    close(app)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/mine.sqlite3"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log, from DEBUG upwards."""
    caplog.set_level(logging.DEBUG)
    return caplog


def close(app: Flask) -> None:
    """Close what the mounts of `app` opened."""
    for mount in app.extensions.get("tenant_provisioning", {}).values():
        if "storage" in vars(mount):
            mount.storage.engine.dispose()


def refusal(mount: Callable[[], Any]) -> str:
    """Return the message of the `ConfigurationError` that `mount` raises."""
    with pytest.raises(ConfigurationError) as caught:
        mount()
    return str(caught.value)


def tables(engine: Engine) -> set[str]:
    """The tables in a database."""
    return set(inspect(engine).get_table_names())


def call_url(caller: Caller, method: str, url: str, **options: Any) -> TestResponse:
    """Return the response to `caller` at a URL that is not under the usual prefix."""
    headers = {"Authorization": f"Bearer {caller.token}", **options.pop("headers", {})}
    return caller.client.open(url, method=method, headers=headers, **options)


# Factories and databases


def test_an_app_factory_mounts_with_one_line(app: Flask, url: str) -> None:
    TenantProvisioning().init_app(app, url)
    assert Caller(app)("POST", "/tenants", json=EXAMPLE).status_code == 201


def test_constructor_with_an_app_mounts_the_api(app: Flask, url: str) -> None:
    TenantProvisioning(app, url)
    assert Caller(app)("POST", "/tenants", json=EXAMPLE).status_code == 201


@pytest.fixture(params=["URL as text", "URL", "configured URL", "Engine", "Flask-SQLAlchemy"])
def kept(request: pytest.FixtureRequest, app: Flask, database_url: str) -> Iterator[Engine]:
    """The database of a mount that was given it in each possible way, as the host itself opens it."""
    engine = create_engine(database_url)
    database_argument: Any = {"URL as text": database_url, "URL": make_url(database_url), "Engine": engine}.get(
        request.param
    )
    if request.param == "configured URL":
        app.config["PROVISIONING_DATABASE_URL"] = database_url
    if request.param == "Flask-SQLAlchemy":
        app.config["SQLALCHEMY_DATABASE_URI"] = database_url
        database_argument = SQLAlchemy(app)
    TenantProvisioning().init_app(app, database_argument)
    yield engine
    engine.dispose()


def test_tenants_are_kept_in_the_database_that_the_host_names(app: Flask, kept: Engine) -> None:
    tenant = Caller(app).create()["tenant"]
    with kept.connect() as connection:
        assert [str(row.id) for row in connection.execute(text("SELECT id FROM provisioning_tenants"))] == [tenant]


def test_the_hosts_engine_is_used_itself(app: Flask, database_url: str) -> None:
    engine = create_engine(database_url)
    TenantProvisioning().init_app(app, engine)
    assert get_engine(app) is engine


def test_a_database_that_is_given_beats_one_that_is_configured(app: Flask, url: str, tmp_path: Path) -> None:
    app.config["PROVISIONING_DATABASE_URL"] = f"sqlite:///{tmp_path}/configured.sqlite3"
    TenantProvisioning().init_app(app, url)
    Caller(app).create()
    assert (tmp_path / "mine.sqlite3").exists()
    assert not (tmp_path / "configured.sqlite3").exists()


def test_without_a_database_tenants_are_kept_in_the_instance_folder(app: Flask) -> None:
    del app.config["PROVISIONING_AUTO_MIGRATE"]
    TenantProvisioning().init_app(app)
    tenant = Caller(app).create()
    engine = create_engine(f"sqlite:///{app.instance_path}/provisioning.sqlite3")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT id FROM provisioning_tenants")) == tenant["tenant"]
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    engine.dispose()


def test_a_database_of_the_hosts_own_is_not_migrated_unasked(
    app: Flask, url: str, log: pytest.LogCaptureFixture
) -> None:
    del app.config["PROVISIONING_AUTO_MIGRATE"]
    TenantProvisioning().init_app(app, url)
    partner = Caller(app)
    log.clear()
    check_problem(partner("GET", "/tenants"), status=503, code="storage-unavailable")
    assert "run `flask provisioning db upgrade`" in log.text
    assert tables(get_engine(app)) == set()


def test_flask_sqlalchemy_must_be_initialised_first(app: Flask, url: str) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db = SQLAlchemy()
    message = refusal(lambda: TenantProvisioning().init_app(app, db))
    assert message == "Call db.init_app(app) before provisioning.init_app(app, db), with SQLALCHEMY_DATABASE_URI set."


@pytest.mark.parametrize("db", [5, b"sqlite://", ["sqlite://"], {"url": "sqlite://"}, Path("/x"), JWTManager()])
def test_a_database_of_another_type_is_refused(app: Flask, db: Any) -> None:
    message = refusal(lambda: TenantProvisioning().init_app(app, db))
    assert message == f"db must be a Flask-SQLAlchemy object, an Engine, a URL or None, not {type(db).__name__}."


@pytest.mark.parametrize("db", [Flask, SQLAlchemy])
def test_a_class_is_no_database(app: Flask, db: Any) -> None:
    message = refusal(lambda: TenantProvisioning().init_app(app, db))
    assert message == f"db must be a Flask-SQLAlchemy object, an Engine, a URL or None, not the class {db.__name__}."


@pytest.mark.parametrize(
    ("db", "options", "expected"),
    [
        ("", {}, "The database must be a URL such as postgresql://host/name."),
        ("nonsense", {}, "The database must be a URL such as postgresql://host/name."),
        ("carrier-pigeon://coop/north", {}, "The database must be a URL such as postgresql://host/name."),
        ("mysql+mysqldb://host/x", {}, "The database's driver is missing (MySQLdb): use postgresql or sqlite."),
        ("sqlite:////tmp/x.db", {"bogus": 1}, "PROVISIONING_DATABASE_OPTIONS does not suit create_engine: "),
        ("sqlite:///file:x?mode=memory&uri=true", {}, "A SQLite database in memory belongs to one connection: name a"),
        ("sqlite:///file::memory:?uri=true", {}, "A SQLite database in memory belongs to one connection: name a file"),
    ],
)
def test_unreachable_database_url_is_refused_with_a_message(
    app: Flask, db: str, options: dict[str, Any], expected: str
) -> None:
    message = refusal(lambda: TenantProvisioning(database_options=options).init_app(app, db))
    assert message.startswith(expected)


@pytest.mark.parametrize("db", ["sqlite://", "sqlite:///:memory:", make_url("sqlite://")])
def test_sqlite_in_memory_is_refused(app: Flask, db: Any) -> None:
    message = refusal(lambda: TenantProvisioning().init_app(app, db))
    assert message == "A SQLite database in memory belongs to one connection: name a file instead."


def test_a_mount_that_failed_can_be_tried_again(app: Flask, url: str) -> None:
    provisioning = TenantProvisioning()
    refusal(lambda: provisioning.init_app(app, "sqlite://"))
    provisioning.init_app(app, url)
    assert Caller(app)("POST", "/tenants", json=EXAMPLE).status_code == 201


# Several apps, several mounts


@pytest.fixture
def neighbours(tmp_path: Path) -> Iterator[tuple[Flask, Flask]]:
    """Two apps of one process that share one `TenantProvisioning` and nothing else."""
    provisioning, apps = TenantProvisioning(), (Flask("one"), Flask("two"))
    for app in apps:
        app.config.update(make_config(JWT_SECRET_KEY=f"the secret of {app.name}, 32 bytes and more"))
        provisioning.init_app(app, f"sqlite:///{tmp_path}/{app.name}.sqlite3")
    yield apps
    for app in apps:
        close(app)


def test_two_apps_do_not_see_each_others_tenants(neighbours: tuple[Flask, Flask]) -> None:
    here, there = (Caller(app, "acme") for app in neighbours)
    tenant = here.create()["tenant"]
    check_problem(there("GET", f"/tenants/{tenant}"), code="tenant-not-found")
    assert there("GET", "/tenants").get_json() == {"items": [], "next": None}


def test_two_apps_do_not_take_each_others_tokens(neighbours: tuple[Flask, Flask]) -> None:
    here, there = (Caller(app, "acme") for app in neighbours)
    assert here("GET", "/tenants").status_code == 200
    there.token = here.token
    check_problem(there("GET", "/tenants"), code="invalid-token")


@pytest.fixture
def twice(app: Flask, url: str) -> Flask:
    """An app with two mounts on one database, in tables of their own."""
    TenantProvisioning().init_app(app, url)
    TenantProvisioning(name="eu", url_prefix="/eu", table_prefix="eu_").init_app(app, url)
    return app


def test_two_mounts_keep_their_tenants_apart(twice: Flask) -> None:
    partner = Caller(twice)
    tenant = partner.create()["tenant"]
    check_problem(call_url(partner, "GET", f"/eu/tenants/{tenant}"), code="tenant-not-found")
    assert call_url(partner, "POST", "/eu/tenants", json=EXAMPLE).status_code == 201


def test_two_mounts_have_tables_of_their_own(twice: Flask) -> None:
    names = (
        "tenants", "events", "feeds", "usage", "idempotency", "runs", "steps", "webhooks", "deliveries", "attempts",
        "bulk_jobs", "bulk_chunks", "bulk_keys", "partners", "settings", "settings_history", "erasures",
        "clients", "assertions", "invitations", "alembic_version",
    )  # fmt: skip
    assert tables(get_engine(twice)) == {f"{prefix}{name}" for prefix in ("provisioning_", "eu_") for name in names}


def test_two_mounts_speak_of_their_own_addresses(twice: Flask) -> None:
    partner = Caller(twice)
    created = call_url(partner, "POST", "/eu/tenants", json=EXAMPLE)
    assert created.headers["Location"] == f"/eu/tenants/{created.get_json()['tenant']}"
    refused = check_problem(call_url(partner, "GET", "/eu/nowhere"), code="not-found")
    assert (refused["type"], refused["instance"]) == ("/eu/problems/not-found", "/eu/nowhere")


def test_one_mount_below_another_answers_for_itself(app: Flask, url: str) -> None:
    TenantProvisioning(url_prefix="/api").init_app(app, url)
    TenantProvisioning(name="eu", url_prefix="/api/eu", table_prefix="eu_").init_app(app, url)
    partner = Caller(app)
    assert call_url(partner, "POST", "/api/eu/tenants", json=EXAMPLE).status_code == 201
    assert call_url(partner, "GET", "/api/tenants").get_json() == {"items": [], "next": None}
    assert check_problem(call_url(partner, "GET", "/api/eu/x"))["type"] == "/api/eu/problems/not-found"
    assert check_problem(call_url(partner, "GET", "/api/us/x"))["type"] == "/api/problems/not-found"


def test_the_options_of_init_app_beat_those_of_the_constructor(app: Flask, url: str) -> None:
    TenantProvisioning(url_prefix="/eu").init_app(app, url, url_prefix="/us")
    assert call_url(Caller(app), "GET", "/us/tenants").status_code == 200


def test_a_second_mount_of_the_same_name_is_refused(app: Flask, url: str) -> None:
    TenantProvisioning().init_app(app, url)
    assert refusal(lambda: TenantProvisioning(url_prefix="/eu").init_app(app, url)) == (
        "This app has a mount named 'provisioning' already; "
        "give the second one a name and a prefix: TenantProvisioning(name='eu', url_prefix='/eu')."
    )


def test_a_second_mount_at_the_same_place_is_refused(app: Flask, url: str) -> None:
    TenantProvisioning().init_app(app, url)
    assert refusal(lambda: TenantProvisioning(name="eu").init_app(app, url)) == (
        "The mount 'provisioning' is at '/api/provisioning' already; "
        "give 'eu' a prefix: TenantProvisioning(name='eu', url_prefix='/eu')."
    )


@pytest.mark.blueprint("an isolated mount adds none to the host")
def test_a_name_that_is_taken_by_a_blueprint_of_the_hosts_is_refused(app: Flask, url: str) -> None:
    app.register_blueprint(Blueprint("provisioning", __name__))
    assert refusal(lambda: TenantProvisioning().init_app(app, url)) == (
        "This app has a blueprint named 'provisioning' already; "
        "give the mount another name: TenantProvisioning(name='partners')."
    )


@pytest.mark.blueprint("an isolated mount registers nothing in the host")
def test_init_app_after_the_first_request_raises(app: Flask, url: str) -> None:
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="can no longer be called on the application"):
        TenantProvisioning().init_app(app, url)


def test_the_blueprint_is_there_after_init_app_only(app: Flask, url: str) -> None:
    provisioning = TenantProvisioning()
    with pytest.raises(RuntimeError, match=re.escape("Call provisioning.init_app(app) first.")):
        _ = provisioning.blueprint
    provisioning.init_app(app, url)
    assert provisioning.blueprint is get_mount(app).app.blueprints["provisioning"]


# Prefixes


@pytest.fixture(params=["", "/shop", "/a/b"])
def script_name(request: pytest.FixtureRequest) -> str:
    """The path that a server puts before every path of the app (``SCRIPT_NAME``)."""
    return str(request.param)


@pytest.fixture(params=["/api/provisioning", "/a/b/c"])
def base(request: pytest.FixtureRequest, app: Flask, url: str, script_name: str) -> str:
    """The path of a mount as a caller sees it."""
    TenantProvisioning(url_prefix=request.param).init_app(app, url)
    return f"{script_name}{request.param}"


def request_behind(app: Flask, script_name: str, method: str, path: str, **options: Any) -> TestResponse:
    """Return the response to a partner from a server that strips `outside` from `path`."""
    inner = path.removeprefix(script_name)
    return call_url(Caller(app, "acme"), method, inner, environ_overrides={"SCRIPT_NAME": script_name}, **options)


def test_location_leads_to_the_tenant(app: Flask, script_name: str, base: str) -> None:
    created = request_behind(app, script_name, "POST", f"{base}/tenants", json=EXAMPLE)
    assert created.headers["Location"] == f"{base}/tenants/{created.get_json()['tenant']}"
    assert request_behind(app, script_name, "GET", created.headers["Location"]).get_json() == created.get_json()


def test_link_leads_to_the_next_page(app: Flask, script_name: str, base: str) -> None:
    emails = ["a@example.com", "b@example.com"]
    for email in emails:
        request_behind(app, script_name, "POST", f"{base}/tenants", json={**EXAMPLE, "email": email})
    first = request_behind(app, script_name, "GET", f"{base}/tenants?limit=1&sort=created_at")
    match = re.fullmatch(r'<(.*)>; rel="next"', first.headers["Link"])
    assert match is not None
    assert match[1].startswith(f"{base}/tenants?")
    second = request_behind(app, script_name, "GET", match[1])
    assert [page.get_json()["items"][0]["email"] for page in (first, second)] == emails


def test_a_problem_names_its_type_and_instance_as_the_caller_sees_them(app: Flask, script_name: str, base: str) -> None:
    document = check_problem(request_behind(app, script_name, "GET", f"{base}/nowhere"))
    assert (document["type"], document["instance"]) == (f"{base}/problems/not-found", f"{base}/nowhere")


def test_the_type_of_a_problem_may_be_kept_elsewhere(app: Flask, url: str) -> None:
    TenantProvisioning(problem_base_uri="https://example.com/p/problems/").init_app(app, url)
    document = check_problem(app.test_client().get(f"{PREFIX}/nowhere"))
    assert document["type"] == "https://example.com/p/problems/not-found"


# Headers and methods that every answer and every route has


@pytest.fixture(scope="module")
def partner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A partner of a host with the API mounted."""
    new_app = make_host(f"sqlite:///{tmp_path_factory.mktemp('extension')}/provisioning.sqlite3")
    yield Caller(new_app)
    close(new_app)


@pytest.mark.parametrize("path", ["/tenants", "/nowhere", "/openapi.json"])
@pytest.mark.parametrize("sent", ["a", "A-Z._09", "x" * 128])
def test_a_request_id_is_echoed(partner: Caller, path: str, sent: str) -> None:
    assert partner("GET", path, headers={"X-Request-ID": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", [None, "", "a b", "a\tb", "x" * 129, "a,b", "é", "{}", "<script>"])
def test_missing_or_invalid_request_id_is_replaced(partner: Caller, sent: str | None) -> None:
    headers = {} if sent is None else {"X-Request-ID": sent}
    request_ids = [partner("GET", "/tenants", headers=headers).headers["X-Request-ID"] for _ in range(2)]
    assert [name for name in request_ids if not re.fullmatch("[0-9a-f]{32}", name)] == []
    assert request_ids[0] != request_ids[1]


@pytest.mark.parametrize("path", ["/tenants", "/nowhere", "/openapi.json", "/docs", "/problems"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_responses_forbid_caching(partner: Caller, path: str, method: str) -> None:
    assert partner(method, path).headers["Cache-Control"] == "no-store"


def test_head_answers_as_get_without_the_body(partner: Caller) -> None:
    path = f"/tenants/{partner.create()['tenant']}"
    headers = {"X-Request-ID": "r-1"}
    get, head = partner("GET", path, headers=headers), partner("HEAD", path, headers=headers)
    assert (head.status_code, list(head.headers), head.data) == (200, list(get.headers), b"")


def test_head_needs_a_token_as_get_does(partner: Caller) -> None:
    response = partner.app.test_client().head(f"{PREFIX}/tenants")
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="provisioning"')


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/tenants", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/tenants/x", {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"}),
        ("/openapi.json", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_options_needs_no_token(partner: Caller, path: str, allowed: set[str]) -> None:
    response = partner.app.test_client().options(PREFIX + path, headers={"X-Request-ID": "r-1"})
    assert (response.status_code, set(response.allow), response.data) == (200, allowed, b"")
    assert response.headers["X-Request-ID"] == "r-1"


# The licence

FORGED = vendor.issue(vendor.private_key(vendor.keygen(KEYS.kid).private_pem), KEYS.kid, customer="Somebody")
OTHER = issue_license(install="another")
ASK, COPY = "Ask the vendor for a new licence file.", "Copy the vendor's file again, byte for byte."
NO_LICENSE: dict[str, tuple[dict[str, Any], str]] = {
    "none": (
        {"LICENSE": None},
        "No licence is configured. Set PROVISIONING_LICENSE_FILE to the path of the vendor's licence file.",
    ),
    "missing": (
        {"LICENSE_FILE": "/nowhere/at-all"},
        (
            "The licence file '/nowhere/at-all' cannot be read: No such file or directory. "
            "Check PROVISIONING_LICENSE_FILE, and that the file exists and this process may read it."
        ),
    ),
    "malformed": (
        {"LICENSE": "nonsense"},
        f"The licence is not a compact JWS: three parts with two dots between them. {COPY}",
    ),
    "forged": ({"LICENSE": FORGED}, f"The licence's signature does not fit the public key 'test'. {COPY}"),
    "unknown key": (
        {"LICENSE_PUBLIC_KEYS": {}},
        (
            "The licence is signed with the key 'test', and no public key of that id is configured. Add the vendor's "
            "public key of that id to PROVISIONING_LICENSE_PUBLIC_KEYS, or ask for a licence signed with a known key."
        ),
    ),
    "revoked key": (
        {"LICENSE_REVOKED": ["test"]},
        f"The licence is signed with the key 'test', which is revoked. {ASK}",
    ),
    "other installation": (
        {"LICENSE": OTHER, "INSTALL_ID": "mine"},
        (
            "The licence is bound to another installation ('another'; this one is 'mine'). "
            "Set PROVISIONING_INSTALL_ID to the id that the licence names, or ask the vendor for one for this id."
        ),
    ),
    "community": (
        {"EDITION": "community"},
        "PROVISIONING_EDITION is 'community'. Set it to 'enterprise' to use the licence.",
    ),
}


@pytest.fixture(params=NO_LICENSE)
def case(request: pytest.FixtureRequest) -> str:
    """Why nothing is mounted."""
    return str(request.param)


@pytest.fixture
def unlicensed_app(app: Flask, case: str) -> Flask:
    """A host that may not mount, and has neither a JWT key nor a database."""
    del app.config["JWT_SECRET_KEY"]
    app.config.update({f"PROVISIONING_{name}": value for name, value in NO_LICENSE[case][0].items()})
    app.add_url_rule("/", view_func=lambda: "the host's own page")
    return app


def test_without_a_licence_the_host_starts(unlicensed_app: Flask) -> None:
    TenantProvisioning().init_app(unlicensed_app)
    client = unlicensed_app.test_client()
    assert client.get("/").text == "the host's own page"
    assert client.get(f"{PREFIX}/tenants").content_type == "text/html; charset=utf-8"


def test_without_a_licence_nothing_is_mounted(unlicensed_app: Flask) -> None:
    def state(app: Flask) -> tuple[Any, ...]:
        return list(app.url_map.iter_rules()), dict(app.config), dict(app.error_handler_spec), dict(app.blueprints)

    before = state(unlicensed_app)
    TenantProvisioning().init_app(unlicensed_app)
    assert state(unlicensed_app) == before
    assert set(unlicensed_app.extensions) == {"tenant_provisioning"}


def test_without_a_licence_no_database_is_made(unlicensed_app: Flask) -> None:
    TenantProvisioning().init_app(unlicensed_app)
    assert not os.path.exists(unlicensed_app.instance_path)


def test_missing_licence_logs_one_line_with_cause_and_fix(
    unlicensed_app: Flask, case: str, log: pytest.LogCaptureFixture
) -> None:
    TenantProvisioning().init_app(unlicensed_app)
    level = logging.INFO if case == "community" else logging.WARNING
    line = f"the provisioning API is not mounted: {NO_LICENSE[case][1]}"
    assert log.record_tuples == [("flask_tenant_provisioning.extension", level, line)]


def test_a_licence_that_has_expired_mounts_still(app: Flask, url: str) -> None:
    long_ago = {"not_before": 1_000_000_000, "expires": 1_000_000_000 + DAY}
    app.config["PROVISIONING_LICENSE"] = issue_license(**long_ago)
    TenantProvisioning().init_app(app, url)
    partner = Caller(app)
    assert partner("GET", "/tenants").status_code == 200
    check_problem(partner("POST", "/tenants", json=EXAMPLE), status=403, code="license-expired")


# The JWT manager and the keys


def test_missing_jwt_key_raises_with_the_fix(app: Flask, url: str) -> None:
    del app.config["JWT_SECRET_KEY"]
    assert refusal(lambda: TenantProvisioning().init_app(app, url)) == (
        "Tokens cannot be verified yet: set JWT_SECRET_KEY (JWT_ALGORITHM is HS256), "
        "or call JWTManager(app) before provisioning.init_app(app)."
    )


def test_a_key_for_another_algorithm_is_no_key(app: Flask, url: str) -> None:
    app.config["JWT_ALGORITHM"] = "RS256"
    assert refusal(lambda: TenantProvisioning().init_app(app, url)) == (
        "Tokens cannot be verified yet: set JWT_PUBLIC_KEY (JWT_ALGORITHM is RS256), "
        "or call JWTManager(app) before provisioning.init_app(app)."
    )


def test_a_key_pair_will_do(app: Flask, url: str) -> None:
    key = generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    del app.config["JWT_SECRET_KEY"]
    app.config.update(JWT_ALGORITHM="RS256", JWT_PRIVATE_KEY=private, JWT_PUBLIC_KEY=public)
    TenantProvisioning().init_app(app, url)
    assert Caller(app)("GET", "/tenants").status_code == 200


def test_missing_cursor_secret_raises_with_the_fix(app: Flask, url: str) -> None:
    JWTManager(app)
    app.config.update(SECRET_KEY=None, JWT_SECRET_KEY=None)
    message = refusal(lambda: TenantProvisioning().init_app(app, url))
    assert message == "Set PROVISIONING_SECRET_KEY (or SECRET_KEY): it seals the cursors of lists."


@pytest.mark.blueprint("an isolated mount makes none in the host")
def test_jwt_manager_is_created_if_missing(app: Flask, url: str) -> None:
    TenantProvisioning().init_app(app, url)
    assert isinstance(app.extensions["flask-jwt-extended"], JWTManager)
    assert Caller(app)("GET", "/tenants").status_code == 200


@pytest.mark.parametrize("when", ["before", "after"])
def test_host_jwt_manager_verifies_tokens_in_either_init_order(app: Flask, url: str, when: str) -> None:
    def make() -> None:
        manager = JWTManager(app)
        manager.token_in_blocklist_loader(lambda _header, claims: claims["sub"] == "revoked")

    if when == "before":
        make()
    TenantProvisioning().init_app(app, url)
    if when == "after":
        make()
    assert Caller(app)("GET", "/tenants").status_code == 200
    check_problem(Caller(app, sub="revoked")("GET", "/tenants"), code="invalid-token")


def test_the_hosts_jwt_manager_needs_no_key_in_the_configuration(app: Flask, url: str) -> None:
    del app.config["JWT_SECRET_KEY"]
    manager = JWTManager(app)
    manager.encode_key_loader(lambda _identity: "a key out of the host's vault, long enough")
    manager.decode_key_loader(lambda _header, _claims: "a key out of the host's vault, long enough")
    TenantProvisioning().init_app(app, url)
    assert Caller(app)("GET", "/tenants").status_code == 200


# What mounting costs


def test_no_thread_is_started(app: Flask, url: str) -> None:
    before = threading.active_count()
    TenantProvisioning().init_app(app, url)
    Caller(app).create()
    assert threading.active_count() == before


def test_no_connection_is_opened_before_the_first_request(app: Flask, database_url: str) -> None:
    opened: list[Any] = []
    engine = create_engine(database_url)
    event.listen(engine, "do_connect", lambda *_arguments: opened.append(1))
    event.listen(engine, "checkout", lambda *_arguments: opened.append(1))
    TenantProvisioning(auto_migrate=False).init_app(app, engine)
    partner = Caller(app)
    assert opened == []
    partner("GET", "/tenants")
    assert opened != []
    engine.dispose()


def test_a_database_that_is_down_does_not_keep_the_host_from_starting(app: Flask) -> None:
    TenantProvisioning(auto_migrate=False).init_app(app, "postgresql://nobody@127.0.0.1:1/nothing")
    check_problem(Caller(app)("GET", "/tenants"), status=503, code="storage-unavailable")


START = """
import importlib, json, sys, time
config, url, loaded = json.load(sys.stdin)
for name in loaded:
    importlib.import_module(name)
from flask import Flask
before, began = set(sys.modules), time.process_time()
import flask_tenant_provisioning
app = Flask("host")
app.config.update(config)
provisioning = flask_tenant_provisioning.TenantProvisioning(auto_migrate=False)
{declarations}
provisioning.init_app(app, url)
took = time.process_time() - began
came = sorted(set(sys.modules) - before)
mounted = [name for name, mount in app.extensions["tenant_provisioning"].items() if mount.is_mounted]
print(json.dumps({{"took": took, "mounted": mounted, "came": came}}))
"""
#: What a host has loaded that serves the API; what one has loaded that does not.
SERVING, PLAIN = ["flask_jwt_extended", "sqlalchemy.dialects.sqlite"], ["flask"]


def start(folder: Path, config: dict[str, Any], loaded: list[str], declarations: str = "") -> dict[str, Any]:
    """Return the modules that a fresh process loads on top of `loaded` until `init_app` returns."""
    sent = json.dumps([config, f"sqlite:///{folder}/provisioning.sqlite3", loaded])
    command = [sys.executable, "-c", START.format(declarations=declarations)]
    ran = subprocess.run(command, input=sent, capture_output=True, text=True, check=True)
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def packages(start_report: dict[str, Any]) -> set[str]:
    """Return the packages from which a start loaded a module."""
    return {name.partition(".")[0] for name in start_report["came"]}


def own_modules(start_report: dict[str, Any]) -> list[str]:
    return [name for name in start_report["came"] if name.partition(".")[0] == "flask_tenant_provisioning"]


@pytest.fixture(scope="module")
def start_report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A start with a licence."""
    loaded = start(tmp_path_factory.mktemp("start"), make_config(), SERVING)
    assert loaded["mounted"] == ["provisioning"]
    return loaded


@pytest.mark.parametrize(
    "heavy",
    [
        "alembic",
        "apispec",
        "celery",
        "dns",
        "flask_sqlalchemy",
        "flask_wtf",
        "mako",
        "opentelemetry",
        "phonenumbers",
        "prometheus_client",
        "psycopg",
    ],
)
def test_a_start_does_not_load(start_report: dict[str, Any], heavy: str) -> None:
    assert heavy not in packages(start_report)


def test_start_loads_no_unneeded_modules(start_report: dict[str, Any]) -> None:
    rooms = {".".join(name.split(".")[1:3]) for name in own_modules(start_report)}
    assert not {"cli", "engine", "workers.celery", "workers.tasks", "openapi.document", "openapi.examples"} & rooms


def test_a_start_takes_no_seconds(start_report: dict[str, Any]) -> None:
    assert start_report["took"] < 2


UNLICENSED = {
    "no licence": {"PROVISIONING_LICENSE": None},
    "community": {"PROVISIONING_EDITION": "community"},
    "isolated": {"PROVISIONING_LICENSE": None, "PROVISIONING_MOUNT": "isolated"},
}


@pytest.mark.parametrize("config", UNLICENSED.values(), ids=UNLICENSED)
def test_without_a_licence_a_start_loads_next_to_nothing(tmp_path: Path, config: dict[str, Any]) -> None:
    loaded = start(tmp_path, make_config(**config), PLAIN)
    assert loaded["mounted"] == []
    assert not packages(loaded) - {"flask_tenant_provisioning", *sys.stdlib_module_names}
    assert len(own_modules(loaded)) <= 20
    assert loaded["took"] < 0.3


REGISTRATIONS = """
from marshmallow import Schema, fields
from flask_tenant_provisioning import Principal, StepContext, StepFailed, current_principal, requires, to_folder
from flask_tenant_provisioning.signals import tenant_created

class Mail(Schema):
    sender = fields.Email(load_default="noreply@example.com")

@provisioning.hook("tenant.create")
def open_workspace(session, tenant): ...

@provisioning.step("bucket")
def make_bucket(tenant, context): ...

@provisioning.export("files")
def files(tenant):
    yield {}

@provisioning.usage("seats")
def seats(session, tenant): ...

@requires("tenant:read")
def view(): ...

provisioning.archive(to_folder("archives"))
provisioning.map_error(ValueError, status=409, code="refused-here")
provisioning.settings("mail", Mail)
provisioning.plan("pro", limits={"seats": 5}, settings={"mail": {"sender": "pro@example.com"}})
"""


def test_without_a_licence_registrations_load_no_sqlalchemy(tmp_path: Path) -> None:
    loaded = start(tmp_path, make_config(PROVISIONING_LICENSE=None), PLAIN, REGISTRATIONS)
    assert loaded["mounted"] == []
    assert "sqlalchemy" not in packages(loaded)
    assert len(own_modules(loaded)) <= 40


TENANT_FIELDS = """
from marshmallow import Schema, fields

class Billing(Schema):
    region = fields.String(required=True)

provisioning.tenant_fields(Billing, filterable=["region"])
"""


def test_without_a_licence_custom_fields_load_no_sqlalchemy(tmp_path: Path) -> None:
    found = start(tmp_path, make_config(PROVISIONING_LICENSE=None), PLAIN, TENANT_FIELDS)
    assert found["mounted"] == []
    assert "sqlalchemy" not in packages(found)
    assert len(own_modules(found)) <= 30


LOOK = """
import sys
before = set(sys.modules)
import {module}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""


@pytest.mark.parametrize(
    ("module", "loaded"),
    [
        ("flask_tenant_provisioning", {"flask_tenant_provisioning"}),
        ("flask_tenant_provisioning.cli", {"flask_tenant_provisioning", "click"}),
    ],
)
def test_importing_the_package_loads_no_flask(module: str, loaded: set[str]) -> None:
    command = [sys.executable, "-c", LOOK.format(module=module)]
    came = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in came if name not in sys.stdlib_module_names} == loaded


def test_every_public_name_can_be_imported_and_is_listed() -> None:
    source = ast.parse(Path(flask_tenant_provisioning.__file__).read_text(encoding="utf-8"))
    typed = {name.asname for node in ast.walk(source) if isinstance(node, ast.ImportFrom) for name in node.names}
    names: list[str] = vars(flask_tenant_provisioning)["__all__"]
    assert {*names} == typed - {None}
    assert {*names} <= {*dir(flask_tenant_provisioning)}
    for name in names:
        exported = getattr(flask_tenant_provisioning, name)
        home = vars(flask_tenant_provisioning)["_HOMES"][name]
        assert exported is getattr(sys.modules[f"flask_tenant_provisioning{home}"], name)


def test_a_name_that_does_not_exist_is_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'flask_tenant_provisioning' has no attribute 'Typo'"):
        flask_tenant_provisioning.Typo  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Typo'"):
        from flask_tenant_provisioning import Typo  # type: ignore[attr-defined]  # noqa: F401
