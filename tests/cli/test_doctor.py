"""`doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask
from flask_jwt_extended import JWTManager
from flask_wtf import CSRFProtect
from sqlalchemy import create_engine

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from flask_tenant_provisioning.cli.doctor.command import CHECKS
from flask_tenant_provisioning.database.migration import get_head_revision
from tests.support.commands import CommandResult, run_command
from tests.support.doctor import run_doctor
from tests.support.hosts import get_engine, is_isolated, issue_license, make_config

DAY = 86_400
WORDS = "sensitive-word-that-nobody-may-see-0123456789"
KEY = generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

#: What differs from run to run, from server to server, and from release to release.
VARYING = {
    r"\d+\.\d ms": "0.1 ms",
    r"\d+ days left": "9 days left",
    r"mark \S{4}:": "mark abcd:",
    r"\w+ [\d.]+ \(\w+\) at \S+,": "SERVER at PLACE,",
    r"of \d+ keys": "of 99 keys",
    r"\d+ routes": "99 routes",
    r"\d+ of ours": "99 of ours",
    r"\d+ permissions": "99 permissions",
    r"\d{4} \(newest\)": "0001 (newest)",
    r"SQLite has no roles|\S+ may read and write each of \d+ tables": "the role may read and write",
}

HEALTHY = (
    "ok    configuration   6 of 99 keys are set\n"
    "ok    license         lic-1 of Test Host, for any installation, "
    "valid, until 2096-10-02T07:06:40Z, 9 days left\n"
    "ok    tenants         0 of 10\n"
    "ok    database        SERVER at PLACE, 0.1 ms\n"
    "ok    pool            QueuePool, 5 connections and 10 overflow, waits 5 s for a free one\n"
    "ok    pooler          none\n"
    "ok    privileges      the role may read and write\n"
    "ok    migrations      0001 (newest)\n"
    "ok    tables          99 of ours, named provisioning_…\n"
    "ok    autogenerate    no Flask-Migrate\n"
    "ok    tenant-rows     no table of the host has a column that names a tenant\n"
    "ok    jwt             the extension's own JWTManager, since the app has none\n"
    "ok    jwt-users       no user_lookup_loader\n"
    "ok    jwt-algorithms  HS256\n"
    "ok    jwt-key         JWT_SECRET_KEY, 45 bytes\n"
    "ok    jwt-expiry      tokens live 0:15:00\n"
    "ok    jwt-probe       a token was signed and accepted, with 99 permissions\n"
    "ok    issuers         no identity providers: PROVISIONING_ISSUERS is not set\n"
    "ok    mount           provisioning, 99 routes at /api/provisioning\n"
    "ok    csrf            no CSRFProtect\n"
    "ok    hooks           the host has no before_request function\n"
    "ok    answers         the host has no after_request function\n"
    "ok    sessions        no hook around a request uses sessions or cookies\n"
    "ok    compression     no Flask-Compress\n"
    "ok    middleware      every wrapper of app.wsgi_app also wraps the API\n"
    "ok    routes          no route of the host below /api/provisioning\n"
    "ok    isolation       the app names no resolvers\n"
    "ok    isolated-rows   the app names no strategy\n"
    "ok    cursors         sealed by SECRET_KEY, mark abcd: it must be the same in every process and at every start\n"
    "ok    rate-limits     off: PROVISIONING_RATE_LIMITS is empty\n"
    "ok    webhook-keys    there are none yet / "
    "set PROVISIONING_ENCRYPTION_KEYS before the first, or the app's secret key encrypts it\n"
    "ok    webhook-reach   https, port 443, 8443, and no internal network\n"
    "ok    settings-keys   no settings contain a secret\n"
    "ok    worker          external, 0 steps, 0 due\n"
    "ok    invitations     the app sends no invitations: it has no @provisioning.invite()\n"
    "ok    telemetry       off: PROVISIONING_TELEMETRY is empty\n"
)
#: What an isolated mount is told otherwise.
ISOLATED = {
    "6 of 99 keys": "7 of 99 keys",
    "the extension's own JWTManager, since the app has none": "the app's JWTManager",
    "99 routes at /api/provisioning": "99 routes at /api/provisioning, isolated",
    "no CSRFProtect": "the mount is isolated: no code of the host runs before it",
    "the host has no before_request function": "the mount is isolated: no code of the host runs before it",
    "the host has no after_request function": "the mount is isolated: no code of the host runs before it",
    "no hook around a request uses sessions or cookies": "the mount is isolated: no code of the host runs before it",
    "no Flask-Compress": "the mount is isolated: no code of the host runs before it",
}
HEALTHY_ISOLATED = functools.reduce(lambda text, pair: text.replace(*pair), ISOLATED.items(), HEALTHY)

Make = Callable[..., Flask]


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The URL of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/provisioning.sqlite3"


@pytest.fixture
def make_mounted(file: str) -> Callable[..., Flask]:
    """Makes licensed hosts on SQLite; `prepare` is called before the API is mounted."""

    def make(prepare: Callable[[Flask], Any] = lambda _app: None, **config: Any) -> Flask:
        app = Flask("host")
        app.config.update(make_config(**config))
        prepare(app)
        TenantProvisioning().init_app(app, file)
        return app

    return make


def unwell(app: Flask | Callable[[], Flask], *arguments: str) -> dict[str, tuple[str, str, str]]:
    """The same, without what is well."""
    return {name: finding for name, finding in run_doctor(app, *arguments).items() if finding[0] != "ok"}


def test_healthy_host_gets_a_line_for_each_check(make_app: Make, database: str) -> None:
    text = issue_license(id="lic-1", not_before=int(time.time()) - DAY, expires=4_000_000_000, max_tenants=10)
    app = make_app(PROVISIONING_LICENSE=text)
    url = get_engine(app).url
    result = run_command(app, "doctor")
    out = result.out
    for varying, fixed in VARYING.items():
        out = re.sub(varying, fixed, out)
    assert (result.status, result.err) == (0, "")
    assert out == (HEALTHY_ISOLATED if is_isolated() else HEALTHY)
    server = re.search(r"(\w+) [\d.]+ \((\w+)\) at (\S+),", result.out)
    assert server is not None
    assert (server[1], server[2]) == (database, "pysqlite" if database == "sqlite" else "psycopg")
    assert server[3].endswith(str(url.database))


def test_json_holds_the_same(make_mounted: Make) -> None:
    app = make_mounted()
    lines = run_command(app, "doctor").out.splitlines()
    checks = run_doctor(app)
    assert [*checks] == [*CHECKS]
    assert [line.split()[:2] for line in lines] == [[status, name] for name, (status, _, _) in checks.items()]


def test_unknown_key_suggests_a_similar_one(make_mounted: Make) -> None:
    assert unwell(make_mounted(PROVISIONING_RETENTION_DAY=3)) == {
        "configuration": ("warn", "there is no PROVISIONING_RETENTION_DAY", "did you mean PROVISIONING_RETENTION_DAYS?")
    }


def test_value_set_after_init_app_is_reported(make_mounted: Make) -> None:
    app = make_mounted()
    app.config.update(PROVISIONING_RETENTION_DAYS=-1, PROVISIONING_DATABASE_URL=7)
    assert unwell(app) == {
        "configuration": (
            "warn",
            (
                "PROVISIONING_DATABASE_URL must be a text (in an environment variable, a number within double quotes). "
                "PROVISIONING_RETENTION_DAYS must be a whole number from 0 to 36500, not -1."
            ),
            "it has no effect on this mount; correct it anyway",
        )
    }


def test_admin_role_without_permissions_is_reported(make_mounted: Make) -> None:
    assert unwell(make_mounted(PROVISIONING_ADMIN_ROLES=["root"])) == {
        "configuration": (
            "warn",
            "PROVISIONING_ADMIN_ROLES names root, which PROVISIONING_ROLES does not define",
            "define the role there, or remove it",
        )
    }


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (-10, 20.5, ("warn", "warn, until {end}, 20 days left")),
        (-10, -1, ("warn", "expired at {end}, grace period until {grace}")),
        (-100, -50, ("fail", "expired at {end}, grace period ended at {grace}")),
    ],
)
def test_a_licence_near_its_end_and_after_it(
    make_mounted: Make, begin: float, end: float, expected: tuple[str, str]
) -> None:
    now = int(time.time())
    begins, ends = now + int(begin * DAY), now + int(end * DAY)
    app = make_mounted(PROVISIONING_LICENSE=issue_license(id="lic-1", not_before=begins, expires=ends))
    status, standing = expected
    message = standing.format(end=iso(ends), grace=iso(ends + 14 * DAY))
    renew = "Ask the vendor for a renewed licence; a replaced licence file is picked up without a restart."
    assert unwell(app) == {"license": (status, f"lic-1 of Test Host, for any installation, {message}", renew)}


def iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_a_licence_names_its_installation(make_mounted: Make) -> None:
    app = make_mounted(
        PROVISIONING_LICENSE=issue_license(id="lic-1", install="prod-1"), PROVISIONING_INSTALL_ID="prod-1"
    )
    assert "lic-1 of Test Host, for prod-1, valid, until" in run_doctor(app)["license"][1]


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, ("warn", "1 of 1: no more can be created", "ask the vendor for a larger licence")),
        (2, ("ok", "1 of 2", "")),
    ],
)
def test_doctor_compares_the_tenants_with_the_limit(make_app: Make, most: int, expected: tuple[str, str, str]) -> None:
    app = make_app(PROVISIONING_LICENSE=issue_license(max_tenants=most))
    new = ("tenants", "create", "--partner", "acme", "--email", "a@example.com", "--client-name", "A")
    assert run_command(app, *new).status == 0
    assert run_doctor(app)["tenants"] == expected


def test_an_unlicensed_app_is_looked_at_all_the_same_and_no_file_is_made(make_mounted: Make, tmp_path: Path) -> None:
    assert unwell(make_mounted(PROVISIONING_LICENSE=None)) == {
        "license": (
            "fail",
            "No licence is configured.",
            "Set PROVISIONING_LICENSE_FILE to the path of the vendor's licence file.",
        ),
        "database": (
            "fail",
            f"there is no file {tmp_path}/provisioning.sqlite3",
            "run `flask provisioning db upgrade`",
        ),
        "migrations": ("fail", "there are no tables", "run `flask provisioning db upgrade`"),
        "mount": ("warn", "nothing is mounted at /api/provisioning", "see the line `license`"),
    }
    assert [*tmp_path.iterdir()] == []


def test_the_community_edition_needs_nothing(make_mounted: Make) -> None:
    make_mounted()
    assert unwell(make_mounted(PROVISIONING_EDITION="community", PROVISIONING_LICENSE=None)) == {
        "mount": ("warn", "nothing is mounted at /api/provisioning", "see the line `license`")
    }


@pytest.mark.without_tables
def test_missing_tables_fail(make_app: Make) -> None:
    app = make_app(PROVISIONING_AUTO_MIGRATE=False)
    get_engine(app).connect().close()
    missing = ("fail", "there are no tables", "run `flask provisioning db upgrade`")
    assert unwell(app) == {"migrations": missing, "worker": missing}


def test_tables_of_another_release_fail(make_app: Make) -> None:
    app = make_app()
    with get_engine(app).begin() as connection:
        connection.exec_driver_sql("UPDATE provisioning_alembic_version SET version_num = '9999'")
    assert unwell(app) == {
        "migrations": (
            "fail",
            f"the tables are at 9999, this release needs {get_head_revision()}",
            "run `flask provisioning db upgrade`",
        )
    }


def test_tables_that_differ_fail(make_app: Make) -> None:
    app = make_app()
    with get_engine(app).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE provisioning_events ADD COLUMN stray INTEGER")
    assert unwell(app) == {
        "migrations": (
            "fail",
            f"at {get_head_revision()}, with 1 differences",
            "`flask provisioning db check` lists them",
        )
    }


def test_a_database_that_does_not_answer_fails_and_the_rest_goes_on() -> None:
    app = Flask("host")
    limited = issue_license(max_tenants=5)
    app.config.update(make_config(PROVISIONING_AUTO_MIGRATE=False, PROVISIONING_LICENSE=limited))
    url = f"postgresql+psycopg://someone:{WORDS}@127.0.0.1:1/none?sslpassword={WORDS}"
    TenantProvisioning().init_app(app, url)
    checks = unwell(app)
    skipped = ("fail", "not checked: the database cannot be reached", "")
    unseen = (
        "tenants", "pooler", "privileges", "migrations", "tables", "tenant-rows", "webhook-keys", "settings-keys",
        "invitations",
    )  # fmt: skip
    assert {*checks} == {*unseen, "database", "worker"}
    assert [checks[name] for name in unseen] == [skipped] * len(unseen)
    status, detail, advice = checks["database"]
    assert status == "fail"
    assert detail.startswith("OperationalError: ")
    assert "127.0.0.1" in detail
    assert advice == "check that it runs, its address and the credentials"
    assert WORDS not in run_command(app, "doctor").out


def test_a_file_that_is_no_database_fails(make_mounted: Make, tmp_path: Path) -> None:
    (tmp_path / "provisioning.sqlite3").write_text("no database at all, " * 100)
    checks = unwell(make_mounted(PROVISIONING_AUTO_MIGRATE=False))
    assert checks["database"] == (
        "fail",
        "DatabaseError: file is not a database",
        "check that it runs, its address and the credentials",
    )


def test_a_password_with_an_at_sign_is_not_shown() -> None:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_AUTO_MIGRATE=False))
    TenantProvisioning().init_app(app, f"postgresql+psycopg://someone:p@{WORDS}@localhost/none")
    result = run_command(app, "doctor")
    assert WORDS not in result.out
    assert "fail  database        the password in the URL contains an @ / write it as %40 in the URL\n" in result.out


def test_slow_and_blocking_host_engine_is_reported(tmp_path: Path) -> None:
    app = Flask("host")
    app.config.update(make_config())
    TenantProvisioning().init_app(app, create_engine(f"sqlite:///{tmp_path}/hosts.sqlite3"))
    checks = unwell(app)
    assert [*checks] == ["database", "pool"]
    status, detail, advice = checks["database"]
    assert (status, advice) == ("warn", "set `PRAGMA journal_mode=WAL`: readers wait for writers")
    assert detail.endswith(" ms, journal mode delete")
    assert checks["pool"] == (
        "warn",
        "QueuePool, 5 connections and 10 overflow, waits 30 s for a free one",
        "give the engine a pool_timeout of a few seconds, so that a full pool returns 503 soon",
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"JWT_SECRET_KEY": "x" * 31},
            {
                "jwt-key": (
                    "fail",
                    "JWT_SECRET_KEY has 31 bytes, HS256 needs 32",
                    "create one with python -c 'import secrets; print(secrets.token_hex(32))'",
                )
            },
        ),
        (
            {"JWT_ALGORITHM": "HS512", "JWT_SECRET_KEY": "ä" * 31},
            {
                "jwt-key": (
                    "fail",
                    "JWT_SECRET_KEY has 62 bytes, HS512 needs 64",
                    "create one with python -c 'import secrets; print(secrets.token_hex(32))'",
                )
            },
        ),
        (
            {"JWT_DECODE_ALGORITHMS": ["HS256", "RS256"]},
            {
                "jwt-algorithms": (
                    "fail",
                    "HS256, RS256: shared secrets and public keys are mixed",
                    "use one kind only",
                )
            },
        ),
        (
            {"JWT_DECODE_ALGORITHMS": ["HS256", "none"]},
            {
                "jwt-algorithms": (
                    "fail",
                    "HS256, none: none accepts unsigned tokens",
                    "remove none from JWT_DECODE_ALGORITHMS",
                )
            },
        ),
        (
            {"JWT_DECODE_ALGORITHMS": ["HS265"]},
            {"jwt-algorithms": ("fail", "there is no HS265", "correct JWT_ALGORITHM and JWT_DECODE_ALGORITHMS")},
        ),
        (
            {"JWT_ACCESS_TOKEN_EXPIRES": False},
            {
                "jwt-expiry": (
                    "fail",
                    "JWT_ACCESS_TOKEN_EXPIRES is False, and the API refuses tokens that never expire",
                    "set it to a timedelta",
                ),
                "jwt-probe": (
                    "fail",
                    "the API refuses this app's tokens: The token must carry exp, as a number of seconds.",
                    "",
                ),
            },
        ),
        (
            {"JWT_ACCESS_TOKEN_EXPIRES": timedelta(days=2)},
            {
                "jwt-expiry": (
                    "warn",
                    "tokens live 2 days, 0:00:00",
                    "a stolen one is valid for as long: shorten JWT_ACCESS_TOKEN_EXPIRES",
                )
            },
        ),
        (
            {"JWT_DECODE_ISSUER": "somebody"},
            {
                "jwt-probe": (
                    "fail",
                    'the API refuses this app\'s tokens: MissingRequiredClaimError: Token is missing the "iss" claim',
                    "use the same key, issuer and audience for signing and verifying in JWT_*",
                )
            },
        ),
        ({"JWT_ALGORITHM": "RS256", "JWT_PUBLIC_KEY": PUBLIC}, {}),
        ({"JWT_ALGORITHM": "RS256", "JWT_PUBLIC_KEY": PUBLIC, "JWT_PRIVATE_KEY": PRIVATE}, {}),
        (
            {"SECRET_KEY": "short"},
            {"cursors": ("warn", "sealed by SECRET_KEY, mark ????; it is short", "use 16 characters or more")},
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_token_and_secret_faults_are_reported(
    make_mounted: Make, config: dict[str, Any], expected: dict[str, tuple[str, str, str]]
) -> None:
    checks = unwell(make_mounted(**config))
    assert {
        name: (first, re.sub("mark ....", "mark ????", two), three) for name, (first, two, three) in checks.items()
    } == (expected)


def test_app_without_signing_key_is_reported(make_mounted: Make) -> None:
    checks = run_doctor(make_mounted(JWT_ALGORITHM="RS256", JWT_PUBLIC_KEY=PUBLIC))
    none = ("ok", "this app signs no tokens", "")
    assert (checks["jwt-key"], checks["jwt-expiry"], checks["jwt-probe"]) == (
        ("ok", "JWT_PUBLIC_KEY, 2048 bits", ""),
        none,
        none,
    )


def test_a_public_key_that_is_none_fails(make_mounted: Make) -> None:
    checks = run_doctor(make_mounted(JWT_ALGORITHM="RS256", JWT_PUBLIC_KEY=WORDS))
    assert checks["jwt-key"][0] == "fail"
    assert checks["jwt-probe"][0] == "ok"


def test_keys_that_a_host_loads_itself_are_left_to_it(make_mounted: Make) -> None:
    def prepare(app: Flask) -> None:
        manager = JWTManager(app)
        manager.decode_key_loader(lambda _header, _claims: app.config["JWT_SECRET_KEY"])

    checks = run_doctor(make_mounted(prepare))
    assert checks["jwt"] == ("ok", "the app's JWTManager", "")
    assert checks["jwt-key"] == ("ok", "the host's decode_key_loader chooses one for each token", "")
    assert checks["jwt-probe"][0] == "ok"


def test_loaders_that_fail_on_text_are_reported(make_mounted: Make) -> None:
    def prepare(app: Flask) -> None:
        JWTManager(app).user_identity_loader(lambda user: user.id)

    assert unwell(make_mounted(prepare)) == {
        "jwt-probe": (
            "warn",
            "no token could be signed: AttributeError: 'str' object has no attribute 'id'",
            "the host's loaders accept no text as identity, or the key cannot sign",
        )
    }


@pytest.mark.blueprint("no wall stands before an isolated mount")
def test_a_csrf_wall_that_came_later_fails(make_mounted: Make) -> None:
    app = make_mounted()
    CSRFProtect(app)
    checks = run_doctor(app)
    assert checks["csrf"] == (
        "fail",
        "CSRFProtect refuses partners' requests",
        "call csrf.exempt(provisioning.blueprint), or set PROVISIONING_MOUNT = 'isolated'",
    )
    assert checks["hooks"] == ("ok", "the host has no before_request function", "")


@pytest.mark.blueprint("no wall stands before an isolated mount")
def test_earlier_csrf_protection_is_ok(make_mounted: Make) -> None:
    assert run_doctor(make_mounted(CSRFProtect))["csrf"] == ("ok", "the API is exempt from CSRFProtect", "")


@pytest.mark.blueprint("no wall stands before an isolated mount")
def test_a_check_that_breaks_fails_without_a_secret_and_the_others_go_on(make_mounted: Make) -> None:
    class Broken:
        def __contains__(self, _name: object) -> bool:
            raise AssertionError

        @property
        def _exempt_blueprints(self) -> set[object]:
            raise ValueError(f"cannot say\n {WORDS}")

    app = make_mounted(SECRET_KEY=WORDS)
    app.extensions["csrf"] = Broken()
    assert unwell(app) == {"csrf": ("fail", "ValueError: cannot say ***", "")}


@pytest.mark.parametrize("broken", ["license", "provision"])
def test_app_that_does_not_load_is_reported(broken: str) -> None:
    def create_app() -> Flask:
        if broken == "license":
            raise ConfigurationError("PROVISIONING_A must be 1.\nPROVISIONING_B must be 2.")
        raise ValueError(WORDS)

    result = run_command(create_app, "doctor")
    expected = {
        "license": "PROVISIONING_A must be 1. PROVISIONING_B must be 2. / correct the configuration",
        "provision": "the app does not load: ValueError at test_doctor.py:NN / `flask routes` shows the traceback",
    }[broken]
    assert (result.status, re.sub(r"py:\d+", "py:NN", result.out)) == (1, f"fail  app             {expected}\n")


def test_app_without_the_extension_is_reported() -> None:
    app = Flask("host")
    assert run_command(app, "doctor") == CommandResult(
        1, "", "Error: This app has no TenantProvisioning: call init_app(app) first.\n"
    )


def test_a_mount_is_looked_at_by_its_name(make_mounted: Make, tmp_path: Path) -> None:
    app = make_mounted()
    TenantProvisioning(name="eu", url_prefix="/eu").init_app(app, f"sqlite:///{tmp_path}/eu.sqlite3")
    for arguments, place in (([], "at /api/provisioning"), (["--mount", "eu"], "at /eu")):
        status, detail, _ = run_doctor(app, *arguments)["mount"]
        assert (status, detail.split(" routes ")[1].removesuffix(", isolated")) == ("ok", place)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_no_secret_is_ever_printed(make_mounted: Make, arguments: list[str]) -> None:
    secrets = {
        "SECRET_KEY": f"{WORDS}-1",
        "JWT_SECRET_KEY": f"{WORDS}-2",
        "PROVISIONING_SECRET_KEY": f"{WORDS}-3",
        "PROVISIONING_DATABASE_URL": f"sqlite:///{WORDS}",
    }
    app = make_mounted(**secrets)
    result = run_command(app, "doctor", *arguments)
    assert result.status == 0
    assert WORDS not in result.out + result.err
    assert app.config["PROVISIONING_LICENSE"] not in result.out
