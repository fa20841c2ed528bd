"""The suite that hosts run holds on good hosts of every kind, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import create_engine, inspect, make_url, text

from flask_tenant_provisioning.testing.callers import wait_until_settled
from tests.support.conformance import ESSENTIALS, assert_suite_passes, fetch_host_rows, run_suite, write_host
from tests.support.snippets import DOCS, ROOT, find_snippets

slow = pytest.mark.slow
alike = pytest.mark.blueprint("alike with either mount")
#: Why tests are left out on a host that sets nothing.
OF_NO_CONCERN = {
    "the app's settings name no public key",
    "the host declares no plans",
    "the tenants that the suite makes here have no plan",
    "this host registers no steps",
    "this host sends no invitations",
    "the host allows more rows than the 1000 that the suite sends at most",
    "the host sets no rate limits",
    "this host declares no setting with a default that can be changed",
}


def count_rows(url: str) -> Iterator[tuple[str, int]]:
    """Return the number of rows of each table of the database."""
    engine = create_engine(url)
    with engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            yield name, connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
    engine.dispose()


@slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_quickstart_conforms(database_url: str) -> None:
    config = {"PROVISIONING_DATABASE_URL": database_url}
    run = run_suite(ROOT / "examples/quickstart", app="app:create_app", config=config)
    assert_suite_passes(run, 700)
    assert run.left_out == {*OF_NO_CONCERN, "this host sends invitations"} - {"this host sends no invitations"}
    left = dict(count_rows(database_url))
    assert [left[f"provisioning_{name}"] for name in ("tenants", "webhooks", "deliveries", "attempts")] == [0, 0, 0, 0]


@slow
def test_the_host_of_hooks_conforms(database_url: str) -> None:
    if version("flask-sqlalchemy") < "3.1":
        pytest.skip("this example is written for Flask-SQLAlchemy 3.1")
    url = make_url(database_url)
    named = url.set(drivername="postgresql+psycopg") if url.drivername.startswith("postgresql") else url
    config = {"SQLALCHEMY_DATABASE_URI": named.render_as_string(hide_password=False)}
    run = run_suite(ROOT / "examples/hooks_host", app="app:create_app", config=config)
    assert_suite_passes(run, 700)
    assert run.left_out == OF_NO_CONCERN
    counts = dict(count_rows(database_url))
    assert (counts["provisioning_tenants"], counts["workspaces"]) == (0, 0)


SETTINGS = """
from marshmallow import Schema, fields

class Mail(Schema):
    password = fields.String(load_default="hunter22", metadata={"secret": True})
    region = fields.String(load_default="eu", metadata={"immutable": True})
    sender = fields.Email(data_key="from", load_default="noreply@example.com")

provisioning.settings("mail", Mail)
"""

#: Everything that a host can set and the API's callers can see.
ODD = {
    "PROVISIONING_URL_PREFIX": "/partners/v1.0/tenancy",
    "PROVISIONING_TABLE_PREFIX": "odd_",
    "PROVISIONING_REALM": "odd realm",
    "PROVISIONING_REQUIRE_IF_MATCH": True,
    "PROVISIONING_PUBLIC_DOCS": False,
    "PROVISIONING_PROBLEM_BASE_URI": "https://example.com/problems/",
    "PROVISIONING_PLANS": ["gold", "silver"],
    "PROVISIONING_PHONE_E164": True,
    "PROVISIONING_ROLES_CLAIM": "https://example.com/roles",
    "PROVISIONING_PARTNER_CLAIM": "azp",
    "PROVISIONING_PERMISSIONS_CLAIM": None,
    "PROVISIONING_ROLES": {
        "operator": [
            *("tenant:create", "tenant:read", "tenant:update", "tenant:delete", "tenant:purge"),
            *("event:read", "audit:read", "webhook:read", "webhook:manage", "bulk:create", "bulk:read"),
            *("partner:read", "partner:manage"),
        ],
        "reader": ["tenant:read"],
        "nothing": [],
        "writer": ["tenant:create", "tenant:read", "tenant:update"],
        "remover": ["tenant:read", "tenant:delete"],
        "follower": ["event:read"],
        "onlooker": ["webhook:read"],
        "caller": ["webhook:manage"],
        "uploader": ["bulk:create", "tenant:create", "tenant:update"],
        "sweeper": ["bulk:create", "tenant:delete"],
        "watcher": ["bulk:read"],
        "setter": ["settings:read", "settings:update"],
        "inviter": ["invitation:read", "invitation:write"],
        "programmer": ["client:read", "client:write", "tenant:create", "tenant:read"],
    },
    "PROVISIONING_ADMIN_ROLES": ["operator"],
    "PROVISIONING_RATE_LIMITS": dict.fromkeys(("read", "write", "bulk"), "10000/second;100000/minute"),
    "PROVISIONING_WEBHOOK_LIMIT": 3,
    "PROVISIONING_WEBHOOK_SCHEMES": ["http"],
    "PROVISIONING_WEBHOOK_PORTS": [8080, 8081],
    "PROVISIONING_WEBHOOK_ALLOWED_NETWORKS": ["10.0.0.0/8", "127.0.0.0/8", "fc00::/7"],
    "PROVISIONING_BULK_MAX_ROWS": 20,
    "PROVISIONING_BULK_ATOMIC_ROWS": 10,
    "PROVISIONING_BULK_MAX_BYTES": 250_000,
    "PROVISIONING_MAX_BODY_BYTES": 300_000,
    "MAX_CONTENT_LENGTH": 200_000,
    "APPLICATION_ROOT": "/app",
    "SERVER_NAME": "api.example.com:8443",
    "JWT_TOKEN_LOCATION": ["cookies"],
    "JWT_DECODE_LEEWAY": 5,
    "JWT_ENCODE_ISSUER": "odd",
    "JWT_DECODE_ISSUER": "odd",
}


@alike
@slow
def test_a_host_that_sets_everything_otherwise_conforms(tmp_path: Path) -> None:
    write_host(tmp_path, registered=SETTINGS)
    run = run_suite(tmp_path, config=ODD)
    assert_suite_passes(run, 480)
    assert run.left_out == {
        "PROVISIONING_PERMISSIONS_CLAIM is None: no claim narrows a role",
        "PROVISIONING_PROBLEM_BASE_URI leads elsewhere",
        "PROVISIONING_WEBHOOK_ALLOWED_NETWORKS allows this address",
        "the app's settings name no public key",
        "no role of an administrator's grants metrics:read",
        "this host sends no invitations",
        "this host registers no steps",
    }
    assert fetch_host_rows(tmp_path, "SELECT count(*) FROM odd_tenants") == [(0,)]


@slow
def test_a_host_that_invites_and_one_that_does_not_conform(tmp_path: Path) -> None:
    inviting = "\n@provisioning.invite()\ndef send(invitation):\n    raise AssertionError('the suite invites nobody')\n"
    for name, registered, reason in (
        ("inviting", inviting, "this host sends invitations"),
        ("plain", "", "this host sends no invitations"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        write_host(folder, registered=registered)
        run = run_suite(folder, "-k", "test_invitations")
        assert_suite_passes(run, 3)
        assert run.left_out == {reason}


@slow
def test_a_host_that_splits_its_roles_and_has_no_administrator_conforms(tmp_path: Path) -> None:
    write_host(tmp_path)
    roles = {"maker": ["tenant:create"], "reader": ["tenant:read"], "keeper": ["tenant:update", "tenant:delete"]}
    run = run_suite(tmp_path, "-k", "test_lifecycle or test_upserts", config={"PROVISIONING_ROLES": roles})
    assert_suite_passes(run, 15)
    assert run.left_out == {
        "no role that sees one partner's tenants alone grants tenant:create and tenant:update",
        "no role of an administrator's grants tenant:delete and tenant:purge",
    }
    left = fetch_host_rows(tmp_path, "SELECT DISTINCT status FROM provisioning_tenants")
    assert left == [("deleted",)], "where nobody may purge, tenants are deleted"


@slow
def test_host_that_purges_deleted_tenants_immediately_conforms(tmp_path: Path) -> None:
    write_host(tmp_path)
    only = ("-k", "deleted or deletion or restored or DELETE")
    run = run_suite(tmp_path, *only, config={"PROVISIONING_RETENTION_DAYS": 0})
    assert_suite_passes(run, 5)
    assert "PROVISIONING_RETENTION_DAYS is 0: a deleted tenant is gone at once" in run.left_out


@slow
def test_the_host_of_celery_conforms_while_an_embedded_worker_does_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("celery")
    monkeypatch.setenv("INSTANCE_PATH", str(tmp_path))
    config = {"PROVISIONING_DATABASE_URL": f"sqlite:///{tmp_path}/host.sqlite3", "PROVISIONING_ENGINE": "embedded"}
    only = ("-k", "test_mounting or test_provisioning or test_lifecycle")
    run = run_suite(ROOT / "examples/celery_host", *only, app="app:create_app", config=config)
    assert_suite_passes(run, 30)
    assert run.left_out == set()


def write_steps_app(folder: Path) -> None:
    """Write the app of the guide to steps."""
    pytest.importorskip("flask_sqlalchemy")
    code = next(
        snippet.code for snippet in find_snippets("python", DOCS / "provisioning.md") if snippet.file == "steps_app.py"
    )
    (folder / "steps_app.py").write_text(code, encoding="utf-8")


@alike
@slow
def test_a_host_with_steps_conforms_while_its_worker_works(tmp_path: Path) -> None:
    write_steps_app(tmp_path)
    only = ("-k", "test_provisioning or test_mounting or purge or created or restored or repeated or bulk_items")
    run = run_suite(tmp_path, *only, app="steps_app:create_app", config={"PROVISIONING_ENGINE": "embedded"})
    assert_suite_passes(run, 30)
    assert run.left_out == set()


@slow
def test_host_with_steps_conforms_with_a_settle_fixture(tmp_path: Path) -> None:
    write_steps_app(tmp_path)
    (shown,) = (
        snippet.code
        for snippet in find_snippets("python", DOCS / "testing.md")
        if "provisioning_settle" in snippet.code
    )
    (tmp_path / "conftest.py").write_text(f"import pytest\n\n{shown}", encoding="utf-8")
    run = run_suite(tmp_path, "-k", "test_provisioning or test_lifecycle", app="steps_app:create_app")
    assert_suite_passes(run, 20)
    assert run.left_out == set()


def test_wait_ends_with_the_first_settled_status() -> None:
    states = iter(["provisioning", "provisioning", "active"])
    assert wait_until_settled(lambda: {"status": next(states)}) == {"status": "active"}


@slow
def test_a_host_signs_with_its_own_private_key(tmp_path: Path) -> None:
    key = generate_private_key(65537, 2048)
    keys = {
        "JWT_ALGORITHM": "RS256",
        "JWT_PRIVATE_KEY": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "JWT_PUBLIC_KEY": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    }
    write_host(tmp_path)
    run = run_suite(tmp_path, "-k", "test_authentication and not missing_token", config=keys)
    assert_suite_passes(run, 40)
    assert run.left_out == set()


FIELDS = """
from marshmallow import Schema, fields

class Own(Schema):
    region = fields.String(required=True)
    seats = fields.Integer(load_default=1)

provisioning.tenant_fields(Own, filterable=["region"])
"""
TOLD_OF_FIELDS = """
import pytest

@pytest.fixture
def provisioning_tenant_body(provisioning_tenant_body):
    return lambda **fields: provisioning_tenant_body(**{"region": "eu", **fields})
"""


@slow
def test_host_with_custom_fields_conforms_once_the_suite_knows_them(tmp_path: Path) -> None:
    write_host(tmp_path, registered=FIELDS)
    untold = run_suite(tmp_path, "-k", "test_a_tenant_is_created")
    assert untold.failed == {"test_a_tenant_is_created"}
    assert "Where the host demands more of a tenant, override the fixture provisioning_tenant_body." in untold.output
    (tmp_path / "conftest.py").write_text(TOLD_OF_FIELDS, encoding="utf-8")
    assert_suite_passes(run_suite(tmp_path, "-k", "not authentication and not permissions and not malformed"), 350)


@slow
def test_a_host_with_settings_conforms(tmp_path: Path) -> None:
    write_host(tmp_path, registered=SETTINGS)
    run = run_suite(tmp_path, "-k", "test_settings or test_isolation and settings")
    assert_suite_passes(run, 20)
    assert run.left_out == set()


FROZEN = """
class Frozen(Exception):
    pass

provisioning.map_error(Frozen, status=409, code="frozen")

@provisioning.hook("tenant.suspend")
def refuse():
    raise Frozen("Nobody is suspended today.")
"""


@alike
@slow
def test_operations_that_a_hook_refuses_are_left_out_by_name(tmp_path: Path) -> None:
    write_host(tmp_path, registered=FROZEN)
    run = run_suite(tmp_path, "-k", "test_lifecycle")
    assert_suite_passes(run, 12)
    assert run.left_out == {"a hook of this host refuses POST: 409 frozen"}


@slow
def test_rate_limit_tests_are_left_out_if_the_limiter_is_off(tmp_path: Path) -> None:
    write_host(tmp_path)
    config = {"PROVISIONING_RATE_LIMITS": {"read": "1/hour"}, "RATELIMIT_ENABLED": False}
    run = run_suite(tmp_path, "-k", "test_rate_limits or test_reading", config=config)
    assert_suite_passes(run, 10)
    assert run.left_out == {"the host has turned Flask-Limiter off"}


SECOND = """
more = {"url_prefix": "/us", "table_prefix": "us_", "roles": {"all": ["tenant:read"]}}
TenantProvisioning(name="us", **more).init_app(app)
"""


@slow
def test_suite_runs_on_the_selected_mount(tmp_path: Path) -> None:
    write_host(tmp_path, after=SECOND)
    assert_suite_passes(run_suite(tmp_path, *ESSENTIALS), 12)
    other = run_suite(tmp_path, *ESSENTIALS, "--provisioning-mount=us")
    assert_suite_passes(other, 3)
    assert "no role that sees one partner's tenants alone grants tenant:create" in other.left_out
    nothing = run_suite(tmp_path, *ESSENTIALS, "--provisioning-mount=eu")
    assert nothing.failed == {"test_the_api_is_mounted"}
    assert "This app has no mount named 'eu'; it has provisioning, us." in nothing.output
