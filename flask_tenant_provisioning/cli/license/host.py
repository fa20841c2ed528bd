"""`license show` and `license verify`: a look at a licence, the app's own or one in a file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from ...licensing import LicenseError, State
from ...licensing.document import ANY_INSTALL, unverified
from .case import case_of
from .description import checked, described, readable, standing
from .failures import A_FILE, told


@click.command()
@click.argument("file", type=A_FILE, required=False)
@click.option("--public-key", "given", multiple=True, metavar="KID=KEY", help="A public key to check it with.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(file: Path | None, given: tuple[str, ...], as_json: bool) -> None:
    """Decode a licence: the one in FILE, or the app's own.

    `verified` says whether its signature fits; FILE is checked with the keys given here alone.
    """
    now = time.time()
    with told():
        case = case_of(file, given, None, with_app=file is None)
        shown = described(unverified(case.text), now) | checked(case, now)
    if as_json:
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for name, value in shown.items():
        click.echo(f"{name.replace('_', ' ') + ':':<14}{readable(value)}")


@click.command()
@click.argument("file", type=A_FILE, required=False)
@click.option("--public-key", "given", multiple=True, metavar="KID=KEY", help="A key to trust instead of the app's.")
@click.option("--install", help="The install id to check it for; the app's own by default.")
def verify(file: Path | None, given: tuple[str, ...], install: str | None) -> None:
    """Say whether a licence, the one in FILE or the app's own, can be used now.

    Exit status 0 if it can, in its grace too; 1 if it cannot, with the reason and what to do.
    """
    now = time.time()
    with told():
        case = case_of(file, given, install, with_app=file is None or not given)
        license = case.admitted(now)
        if license.state(now) is State.EXPIRED:
            raise LicenseError(f"The licence has ended: {standing(license, now)}.", "Ask the vendor for a renewed one.")
    click.echo(f"Licence {license.id} of {license.customer} can be used: {standing(license, now)}.")
    if not case.bound and ANY_INSTALL not in license.install:
        click.echo(f"It is bound to {', '.join(license.install)}; that is checked with --install.")
