"""`license keygen|issue|show|verify`, for the vendor without an app and for the host with one."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from flask_tenant_provisioning.cli.license import license_commands
from flask_tenant_provisioning.licensing import vendor
from flask_tenant_provisioning.licensing.document import verify

DAY = 86_400
PAIR = vendor.keygen("k1")
KEY = vendor.private_key(PAIR.private_pem)


def run(*arguments: object, create_app: Callable[..., Flask] | None = None) -> Result:
    def no_app() -> Flask:
        raise AssertionError("the app was loaded")

    info = ScriptInfo(create_app=create_app or no_app)
    return CliRunner().invoke(license_commands, [*map(str, arguments)], obj=info)


def issue_test_license(**changes: Any) -> str:
    return vendor.issue(KEY, "k1", **{"customer": "Example Corp", "id": "lic-1", **changes})


def host(**config: Any) -> Callable[[], Flask]:
    def create_app() -> Flask:
        app = Flask("host")
        app.config.update(PROVISIONING_LICENSE_PUBLIC_KEYS={"k1": PAIR.public}, **config)
        return app

    return create_app


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(PAIR.private_pem)
    return path


@pytest.fixture
def license_file(tmp_path: Path) -> Path:
    path = tmp_path / "license.jws"
    path.write_text(issue_test_license() + "\n")
    return path


def test_the_group_is_named_license() -> None:
    assert isinstance(license_commands, click.Group)
    assert license_commands.name == "license"
    assert sorted(license_commands.commands) == ["issue", "keygen", "show", "verify"]


def test_keygen_writes_a_private_file_and_prints_the_line_to_paste(tmp_path: Path) -> None:
    result = run("keygen", "--kid", "2027a", "--out", tmp_path / "keys")
    assert result.exit_code == 0
    path = tmp_path / "keys" / "license-2027a.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    name, _, value = result.stdout.splitlines()[-1].partition(" = ")
    assert name == "PROVISIONING_LICENSE_PUBLIC_KEYS"
    text = vendor.issue(vendor.private_key(path.read_bytes()), "2027a", customer="Example Corp")
    assert verify(text, ast.literal_eval(value), install_id=None, revoked=(), now=time.time()).kid == "2027a"


def test_keygen_makes_a_key_id_of_its_own(tmp_path: Path) -> None:
    assert run("keygen", "--out", tmp_path).exit_code == 0
    assert run("keygen", "--out", tmp_path).exit_code == 0
    assert len([*tmp_path.glob("license-*.pem")]) == 2


def test_keygen_overwrites_no_key(tmp_path: Path) -> None:
    run("keygen", "--kid", "k", "--out", tmp_path)
    before = (tmp_path / "license-k.pem").read_bytes()
    result = run("keygen", "--kid", "k", "--out", tmp_path)
    assert result.exit_code == 1
    assert "File exists" in result.output
    assert (tmp_path / "license-k.pem").read_bytes() == before


@pytest.mark.parametrize("kid", ["", "..", ".k", "../k", "a/b", "a b", "k" * 65])
def test_keygen_takes_no_key_id_that_is_no_file_name(tmp_path: Path, kid: str) -> None:
    assert run("keygen", "--kid", kid, "--out", tmp_path).exit_code == 2
    assert [*tmp_path.iterdir()] == []


def test_issue_prints_a_licence(key_file: Path) -> None:
    result = run("issue", "--key", key_file, "--kid", "k1", "--customer", "Example Corp")
    assert result.exit_code == 0
    now = time.time()
    license = verify(result.stdout, {"k1": PAIR.public}, install_id=None, revoked=(), now=now)
    assert (license.customer, license.install, license.max_tenants) == ("Example Corp", ("*",), None)
    assert license.days_left(now) in (364, 365)


def test_issue_signs_the_given_options(key_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jws"
    options = (
        "--install prod-1 --install prod-2 --expires 2030-06-30 --not-before 2026-01-01T12:00:00Z --max-tenants 5 "
        "--feature extra --warn-days 7 --grace-days 3 --issuer Vendor"
    )
    arguments = ["--key", key_file, "--kid", "k1", "--customer", "Example Corp", *options.split(), "--out", out]
    result = run("issue", *arguments)
    assert result.exit_code == 0, result.output
    assert out.read_text().strip() not in result.output
    license = verify(out.read_bytes(), {"k1": PAIR.public}, install_id="prod-2", revoked=(), now=1_900_000_000)
    assert license.install == ("prod-1", "prod-2")
    assert (license.not_before, license.expires) == (1_767_268_800, 1_909_008_000)
    assert (license.max_tenants, license.warn_days, license.grace_days) == (5, 7, 3)
    assert license.features == {"tenant-provisioning", "extra"}
    assert license.issuer == "Vendor"


def test_days_count_from_the_beginning(key_file: Path) -> None:
    arguments = ["--kid", "k1", "--customer", "x", "--days", "10", "--not-before", "2026-01-01"]
    result = run("issue", "--key", key_file, *arguments)
    license = verify(result.stdout, {"k1": PAIR.public}, install_id=None, revoked=(), now=1_800_000_000)
    assert license.expires - license.not_before == 10 * DAY


def test_issue_replaces_a_licence_in_one_stroke(key_file: Path, license_file: Path) -> None:
    before = license_file.stat().st_ino
    result = run("issue", "--key", key_file, "--kid", "k1", "--customer", "Another", "--out", license_file)
    assert result.exit_code == 0
    assert license_file.stat().st_ino != before
    assert sorted(path.name for path in license_file.parent.iterdir()) == ["key.pem", "license.jws"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("--days 3 --expires 2030-01-01", 2),
        ("--days 0", 2),
        ("--expires tomorrow", 2),
        ("--max-tenants -1", 2),
        ("--expires 2020-01-01", 1),
        ("--grace-days 100000", 1),
        ("--days 999999", 1),
    ],
)
def test_issue_refuses_invalid_options(key_file: Path, options: str, status: int) -> None:
    result = run("issue", "--key", key_file, "--kid", "k1", "--customer", "x", *options.split())
    assert result.exit_code == status
    assert "Traceback" not in result.output


def test_issue_refuses_a_malformed_key(license_file: Path) -> None:
    result = run("issue", "--key", license_file, "--kid", "k1", "--customer", "x")
    assert result.exit_code == 1
    assert "no private Ed25519 key" in result.output


def test_show_decodes_a_file_without_app_and_key(license_file: Path) -> None:
    result = run("show", license_file)
    assert result.exit_code == 0
    assert "Example Corp" in result.output
    assert "The signature was not checked" in result.output


def test_show_as_json_says_state_dates_and_days_left(tmp_path: Path) -> None:
    path = tmp_path / "license.jws"
    path.write_text(issue_test_license(not_before=1_700_000_000, expires=32_000_000_000, max_tenants=9))
    shown = json.loads(run("show", path, "--json", "--public-key", f"k1={PAIR.public}").stdout)
    assert shown.pop("days_left") > 300_000
    assert shown == {
        "id": "lic-1",
        "customer": "Example Corp",
        "issuer": "flask-tenant-provisioning",
        "kid": "k1",
        "install": ["*"],
        "edition": "enterprise",
        "features": ["tenant-provisioning"],
        "max_tenants": 9,
        "not_before": "2023-11-14T22:13:20Z",
        "expires": "2984-01-15T08:53:20Z",
        "warns_from": "2983-12-16T08:53:20Z",
        "grace_ends": "2984-01-29T08:53:20Z",
        "state": "valid",
        "verified": True,
        "problem": None,
    }


def test_show_tells_a_signature_that_does_not_fit(license_file: Path) -> None:
    shown = json.loads(run("show", license_file, "--json", "--public-key", f"k1={vendor.keygen().public}").stdout)
    assert shown["verified"] is False
    assert "signature does not fit" in shown["problem"]


def test_show_without_a_file_shows_the_apps_licence(license_file: Path) -> None:
    result = run("show", "--json", create_app=host(PROVISIONING_LICENSE_FILE=str(license_file)))
    shown = json.loads(result.stdout)
    assert (shown["id"], shown["verified"], shown["problem"]) == ("lic-1", True, None)


def test_show_tells_that_the_apps_licence_is_bound_elsewhere() -> None:
    result = run("show", "--json", create_app=host(PROVISIONING_LICENSE=issue_test_license(install="prod-1")))
    shown = json.loads(result.stdout)
    assert shown["verified"] is True
    assert "bound to another installation" in shown["problem"]


def test_show_refuses_a_file_without_a_licence(key_file: Path) -> None:
    result = run("show", key_file)
    assert result.exit_code == 1
    assert "not a compact JWS" in result.output


def test_verify_with_file_and_key_needs_no_app(license_file: Path) -> None:
    result = run("verify", license_file, "--public-key", f"k1={PAIR.public}")
    assert result.exit_code == 0
    assert result.output.startswith("Licence lic-1 of Example Corp can be used: valid, until ")


def test_verify_uses_the_keys_of_the_app_by_default(license_file: Path) -> None:
    assert run("verify", license_file, create_app=host()).exit_code == 0


def test_verify_uses_an_app_context_that_is_there_already(license_file: Path) -> None:
    with host()().app_context():
        assert run("verify", license_file).exit_code == 0


def test_verify_without_a_file_verifies_the_apps_licence(license_file: Path) -> None:
    assert run("verify", create_app=host(PROVISIONING_LICENSE_FILE=str(license_file))).exit_code == 0
    assert run("verify", create_app=host(PROVISIONING_LICENSE=issue_test_license())).exit_code == 0


def test_verify_without_a_licence_tells_the_setting_to_configure() -> None:
    result = run("verify", create_app=host())
    assert result.exit_code == 1
    assert "No licence is configured. Set PROVISIONING_LICENSE_FILE" in result.output


@pytest.mark.parametrize(
    "config", [{"PROVISIONING_LICENSE_REVOKED": ["lic-1"]}, {"PROVISIONING_LICENSE_REVOKED": ["k1"]}]
)
def test_verify_refuses_a_revoked_licence(license_file: Path, config: dict[str, Any]) -> None:
    result = run("verify", license_file, create_app=host(**config))
    assert result.exit_code == 1
    assert "revoked" in result.output


def test_verify_minds_the_apps_install_id() -> None:
    text = issue_test_license(install="prod-1")
    assert run("verify", create_app=host(PROVISIONING_LICENSE=text, PROVISIONING_INSTALL_ID="prod-1")).exit_code == 0
    result = run("verify", create_app=host(PROVISIONING_LICENSE=text, PROVISIONING_INSTALL_ID="prod-2"))
    assert result.exit_code == 1
    assert "bound to another installation" in result.output


def test_verify_without_an_app_checks_the_install_id_that_is_given(license_file: Path) -> None:
    license_file.write_text(issue_test_license(install="prod-1"))
    arguments = ["verify", license_file, "--public-key", f"k1={PAIR.public}"]
    assert "It is bound to prod-1" in run(*arguments).output
    assert run(*arguments, "--install", "prod-1").exit_code == 0
    assert run(*arguments, "--install", "prod-2").exit_code == 1


def test_verify_takes_a_licence_in_its_grace(license_file: Path) -> None:
    now = int(time.time())
    license_file.write_text(issue_test_license(not_before=now - 10 * DAY, expires=now - DAY))
    result = run("verify", license_file, "--public-key", f"k1={PAIR.public}")
    assert result.exit_code == 0
    assert "grace period until" in result.output


def test_verify_refuses_a_licence_after_its_grace(license_file: Path) -> None:
    now = int(time.time())
    license_file.write_text(issue_test_license(not_before=now - 100 * DAY, expires=now - 50 * DAY))
    result = run("verify", license_file, "--public-key", f"k1={PAIR.public}")
    assert result.exit_code == 1
    assert "The licence has ended" in result.output
    assert "renewed" in result.output


def test_verify_of_a_missing_file_fails(tmp_path: Path) -> None:
    result = run("verify", tmp_path / "none", "--public-key", f"k1={PAIR.public}")
    assert result.exit_code == 1
    assert "No such file" in result.output


@pytest.mark.parametrize("pair", ["k1", "=x", "k1="])
def test_a_public_key_is_given_with_its_id(license_file: Path, pair: str) -> None:
    assert run("verify", license_file, "--public-key", pair).exit_code == 2


def test_misconfigured_app_gets_a_message(license_file: Path) -> None:
    result = run("verify", license_file, create_app=host(PROVISIONING_LICENSE_RELOAD_SECONDS="5"))
    assert result.exit_code == 1
    assert "PROVISIONING_LICENSE_RELOAD_SECONDS must be" in result.output
