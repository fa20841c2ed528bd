"""`flask provisioning license`: keys and licences for the vendor, and checks of the host's own licence.

Only `show` and `verify` load the app, and only if a file or keys are not given on the command line.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
from flask import current_app
from flask.cli import ScriptInfo

from ..config import Config, ConfigurationError
from ..licensing import vendor
from ..licensing.document import (
    ANY_INSTALL,
    DAY,
    MAX_BYTES,
    PUBLIC_KEYS,
    License,
    LicenseError,
    State,
    authenticate,
    decode_unverified,
    format_time,
    require_applicable,
)
from ..licensing.source import ConfiguredLicense, LicenseFile
from ..mounts import get_mounts
from .options import find_mount

FILE_TYPE = click.Path(dir_okay=False, path_type=Path)


@contextlib.contextmanager
def report_license_errors() -> Iterator[None]:
    """Report an error of a file, a licence or the configuration in one line, and exit with status 1."""
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}.") from None
    except (LicenseError, ConfigurationError) as error:
        raise click.ClickException(str(error)) from None


class LicenseCheck(NamedTuple):
    """A licence's text and what it is checked against. The install id is checked only if `is_bound`."""

    text: str | bytes
    keys: dict[str, str]
    revoked: tuple[str, ...]
    install_id: str | None
    is_bound: bool

    def authenticate(self) -> License:
        """Return the licence. Raises `LicenseError` if its signature does not fit a key, or it is revoked."""
        return authenticate(self.text, self.keys, self.revoked)

    def verify(self, now: float) -> License:
        """Return the licence. Raises `LicenseError` if its signature, install id or time do not fit."""
        license = self.authenticate()
        require_applicable(license, self.install_id if self.is_bound else license.install[0], now)
        return license


def load_license_check(
    file: Path | None, key_options: tuple[str, ...], install: str | None, *, with_app: bool
) -> LicenseCheck:
    keys = dict(map(_parse_key, key_options))
    config = _load_config() if with_app else None
    text: str | bytes = b""
    if file is not None:
        text = _read_license_file(file)
    elif config is not None:
        text = _read_configured_license(config)
    if config is None:
        return LicenseCheck(text, keys, (), install, install is not None)
    trusted_keys = keys or config.license_public_keys
    return LicenseCheck(text, trusted_keys, config.license_revoked, install or config.install_id, True)


def _load_config() -> Config:
    """Return the app's configuration, after loading the app as Flask's own commands do if that is not done yet."""
    if not current_app:
        context = click.get_current_context()
        context.with_resource(context.ensure_object(ScriptInfo).load_app().app_context())
    return find_mount(None).config if get_mounts(current_app) else Config.read(current_app.config, {})


def _read_configured_license(config: Config) -> str | bytes:
    source = LicenseFile(config.license_file) if config.license_file else ConfiguredLicense(config.license)
    return source.read(0) or b""


def _read_license_file(file: Path) -> bytes:
    with open(file, "rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _parse_key(pair: str) -> tuple[str, str]:
    kid, _, key = pair.partition("=")
    if not kid or not key:
        raise click.BadParameter("not of the form KID=KEY.", param_hint="--public-key")
    return kid, key


def describe_check(check: LicenseCheck, now: float) -> dict[str, Any]:
    if not check.keys:
        return {"verified": None, "problem": "The signature was not checked: no public key is given or configured."}
    try:
        check.authenticate()
    except LicenseError as error:
        return {"verified": False, "problem": str(error)}
    try:
        check.verify(now)
    except LicenseError as error:
        return {"verified": True, "problem": str(error)}
    return {"verified": True, "problem": None}


def describe_license(license: License, now: float) -> dict[str, Any]:
    return {
        "id": license.id,
        "customer": license.customer,
        "issuer": license.issuer,
        "kid": license.kid,
        "install": list(license.install),
        "edition": license.edition,
        "features": sorted(license.features),
        "max_tenants": license.max_tenants,
        "not_before": format_time(license.not_before),
        "expires": format_time(license.expires),
        "warns_from": format_time(license.warns_from),
        "grace_ends": format_time(license.grace_ends),
        "state": str(license.state(now)),
        "days_left": license.days_left(now),
    }


def format_value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def format_license_state(license: License, now: float) -> str:
    expires, ends = format_time(license.expires), format_time(license.grace_ends)
    match license.state(now):
        case State.GRACE:
            return f"expired at {expires}, grace period until {ends}"
        case State.EXPIRED:
            return f"expired at {expires}, grace period ended at {ends}"
        case state:
            return f"{state}, until {expires}, {license.days_left(now)} days left"


@click.command()
@click.argument("file", type=FILE_TYPE, required=False)
@click.option("--public-key", "key_options", multiple=True, metavar="KID=KEY", help="A public key to check it with.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def show(file: Path | None, key_options: tuple[str, ...], as_json: bool) -> None:
    """Show the licence in FILE, or the app's own.

    `verified` tells if its signature is valid. FILE is checked only with the keys given here.
    """
    now = time.time()
    with report_license_errors():
        check = load_license_check(file, key_options, None, with_app=file is None)
        fields = describe_license(decode_unverified(check.text), now) | describe_check(check, now)
    if as_json:
        click.echo(json.dumps(fields, indent=2, ensure_ascii=False))
        return
    for name, value in fields.items():
        click.echo(f"{name.replace('_', ' ') + ':':<14}{format_value(value)}")


@click.command()
@click.argument("file", type=FILE_TYPE, required=False)
@click.option(
    "--public-key", "key_options", multiple=True, metavar="KID=KEY", help="A key to trust instead of the app's."
)
@click.option("--install", help="The install id to check it for; the app's own by default.")
def verify(file: Path | None, key_options: tuple[str, ...], install: str | None) -> None:
    """Verify the licence in FILE, or the app's own.

    Exit status 0 if it can be used now, also in its grace period; 1 if not, with the reason and what to do.
    """
    now = time.time()
    with report_license_errors():
        check = load_license_check(file, key_options, install, with_app=file is None or not key_options)
        license = check.verify(now)
        if license.state(now) is State.EXPIRED:
            raise LicenseError(
                f"The licence has ended: {format_license_state(license, now)}.", "Ask the vendor for a renewed one."
            )
    click.echo(f"Licence {license.id} of {license.customer} can be used: {format_license_state(license, now)}.")
    if not check.is_bound and ANY_INSTALL not in license.install:
        click.echo(f"It is bound to {', '.join(license.install)}, which was not checked: give --install to check it.")


def _parse_time(context: click.Context, option: click.Parameter, value: datetime.datetime | None) -> int | None:
    return None if value is None else int(value.replace(tzinfo=datetime.UTC).timestamp())


TIME_TYPE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
DAYS_TYPE = click.IntRange(0)
KEY_ID_PATTERN = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"


@click.command()
@click.option("--kid", help="The key's id; derived from the public key by default.")
@click.option(
    "--out", default=".", type=click.Path(file_okay=False, path_type=Path), help="Folder to write the key file to."
)
def keygen(kid: str | None, out: Path) -> None:
    """Create the vendor's key pair.

    Writes the private key to a new file that only its owner can read, and prints the public key as the line to paste
    into the hosts' configuration.
    """
    if kid is not None and not re.fullmatch(KEY_ID_PATTERN, kid):
        raise click.BadParameter("1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', no '.' first.", param_hint="--kid")
    pair = vendor.keygen(kid)
    path = out / f"license-{pair.kid}.pem"
    with report_license_errors():
        out.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pair.private_pem)
    click.echo(f"The private key is in {path}. Keep it offline: it signs licences.", err=True)
    click.echo(f"{PUBLIC_KEYS} = {json.dumps({pair.kid: pair.public})}")


@click.command()
@click.option("--key", type=FILE_TYPE, required=True, help="The vendor's private key, PEM.")
@click.option("--kid", required=True, help="The key's id, as hosts configure it.")
@click.option("--customer", required=True, help="Name of the customer.")
@click.option("--install", multiple=True, help="An install id; can be repeated. '*' (the default) is any.")
@click.option("--days", type=click.IntRange(1), help="Days that it is valid; 365 by default.")
@click.option(
    "--expires",
    type=TIME_TYPE,
    callback=_parse_time,
    help="End of the licence, instead of --days (UTC; a date means 00:00).",
)
@click.option("--not-before", type=TIME_TYPE, callback=_parse_time, help="Start of the licence (UTC); now by default.")
@click.option("--max-tenants", type=click.IntRange(0), help="Maximum number of tenants; no limit by default.")
@click.option(
    "--feature",
    "features",
    multiple=True,
    help="A further feature beside tenant-provisioning, which is always included; can be repeated.",
)
@click.option(
    "--warn-days",
    type=DAYS_TYPE,
    default=30,
    show_default=True,
    help="Days before the end in which warnings are logged.",
)
@click.option(
    "--grace-days",
    type=DAYS_TYPE,
    default=14,
    show_default=True,
    help="Days after the end in which the licence still works.",
)
@click.option("--issuer", default=vendor.ISSUER, show_default=True, help="Issuer of the licence.")
@click.option("--out", type=FILE_TYPE, help="Licence file to write or replace; printed by default.")
def issue(
    key: Path,
    kid: str,
    install: tuple[str, ...],
    days: int | None,
    not_before: int | None,
    out: Path | None,
    **claims: Any,
) -> None:
    """Sign a licence."""
    if days and claims["expires"] is not None:
        raise click.UsageError("Give --days or --expires, not both.")
    begin = int(time.time()) if not_before is None else not_before
    if days:
        claims["expires"] = begin + days * DAY
    install_claim = install[0] if len(install) == 1 else install or ANY_INSTALL
    with report_license_errors():
        private_key = vendor.private_key(key.read_bytes())
        text = vendor.issue(private_key, kid, install=install_claim, not_before=begin, **claims)
        if out is None:
            click.echo(text)
        else:
            _replace_file(out, f"{text}\n")
            click.echo(f"The licence is in {out}.", err=True)


def _replace_file(path: Path, text: str) -> None:
    """Replace the file at `path` atomically, so that a host that reads it never sees a part of it."""
    temporary_path = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary_path.write_text(text, encoding="ascii")
        os.replace(temporary_path, path)
    finally:
        temporary_path.unlink(missing_ok=True)


@click.group("license")
def license_commands() -> None:
    """Create, show and verify licences."""


for command in (keygen, issue, show, verify):
    license_commands.add_command(command)
