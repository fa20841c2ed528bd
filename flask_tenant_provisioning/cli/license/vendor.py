"""`license keygen` and `license issue`: what the vendor does, offline."""

from __future__ import annotations

import datetime
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import click

from ...licensing import vendor
from ...licensing.document import ANY_INSTALL, DAY
from ...licensing.keys import SETTING
from .failures import A_FILE, told


def _seconds(context: click.Context, option: click.Parameter, value: datetime.datetime | None) -> int | None:
    return None if value is None else int(value.replace(tzinfo=datetime.UTC).timestamp())


A_DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
DAYS = click.IntRange(0)
KEY_ID = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"


@click.command()
@click.option("--kid", help="The key's id; made from the public key by default.")
@click.option("--out", default=".", type=click.Path(file_okay=False, path_type=Path), help="Where the key file goes.")
def keygen(kid: str | None, out: Path) -> None:
    """Make the vendor's key pair.

    Writes the private key to a new file that only its owner can read, and prints the public key as the line to paste
    into the hosts' configuration.
    """
    if kid is not None and not re.fullmatch(KEY_ID, kid):
        raise click.BadParameter("1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', no '.' first.", param_hint="--kid")
    pair = vendor.keygen(kid)
    path = out / f"license-{pair.kid}.pem"
    with told():
        out.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pair.private_pem)
    click.echo(f"The private key is in {path}. Keep it offline: it signs licences.", err=True)
    click.echo(f"{SETTING} = {json.dumps({pair.kid: pair.public})}")


@click.command()
@click.option("--key", type=A_FILE, required=True, help="The vendor's private key, PEM.")
@click.option("--kid", required=True, help="That key's id, as the hosts know it.")
@click.option("--customer", required=True, help="Who is licensed.")
@click.option("--install", multiple=True, help="An install id; several times for several. '*' (the default) is any.")
@click.option("--days", type=click.IntRange(1), help="How long it lasts; 365 by default.")
@click.option("--expires", type=A_DATE, callback=_seconds, help="Instead of --days: its end (UTC; a date: at 00:00).")
@click.option("--not-before", type=A_DATE, callback=_seconds, help="Its beginning (UTC); now by default.")
@click.option("--max-tenants", type=click.IntRange(0), help="The largest number of tenants; no limit by default.")
@click.option("--feature", "features", multiple=True, help="A feature beside tenant-provisioning, always in.")
@click.option("--warn-days", type=DAYS, default=30, show_default=True, help="Days before the end to warn from.")
@click.option("--grace-days", type=DAYS, default=14, show_default=True, help="Days after the end without effect.")
@click.option("--issuer", default=vendor.ISSUER, show_default=True, help="Who issues it.")
@click.option("--out", type=A_FILE, help="The licence file to write or replace; printed by default.")
def issue(
    key: Path,
    kid: str,
    install: tuple[str, ...],
    days: int | None,
    not_before: int | None,
    out: Path | None,
    **rest: Any,
) -> None:
    """Sign a licence."""
    if days and rest["expires"] is not None:
        raise click.UsageError("Give --days or --expires, not both.")
    begin = int(time.time()) if not_before is None else not_before
    if days:
        rest["expires"] = begin + days * DAY
    bound = install[0] if len(install) == 1 else install or ANY_INSTALL
    with told():
        text = vendor.issue(vendor.private_key(key.read_bytes()), kid, install=bound, not_before=begin, **rest)
        if out is None:
            click.echo(text)
        else:
            _replace(out, f"{text}\n")
            click.echo(f"The licence is in {out}.", err=True)


def _replace(path: Path, text: str) -> None:
    """Put a whole file in the place of `path`, so that a host which looks at it never sees half of one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="ascii")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
