"""A licence, and what it is checked against."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click
from flask import current_app
from flask.cli import ScriptInfo

from ...config import Settings
from ...licensing import License
from ...licensing.document import admit, authenticate
from ...licensing.jws import MAX_BYTES
from ...licensing.store import File, Text
from ..mounts import chosen_mount


class Case(NamedTuple):
    """A licence's text and what it is checked against; an install id only where `bound`."""

    text: str | bytes
    keys: dict[str, str]
    revoked: tuple[str, ...]
    install_id: str | None
    bound: bool

    def authentic(self) -> License:
        return authenticate(self.text, self.keys, self.revoked)

    def admitted(self, now: float) -> License:
        license = self.authentic()
        admit(license, self.install_id if self.bound else license.install[0], now)
        return license


def case_of(file: Path | None, given: tuple[str, ...], install: str | None, *, with_app: bool) -> Case:
    keys = dict(map(_key, given))
    settings = _settings() if with_app else None
    text = _text_in(file) if file else _text_of(settings) if settings else b""
    if settings is None:
        return Case(text, keys, (), install, install is not None)
    trusted = keys or settings.license_public_keys
    return Case(text, trusted, settings.license_revoked, install or settings.install_id, True)


def _settings() -> Settings:
    """Read the app's settings; it is loaded as Flask's own commands load it, unless its context is there already."""
    if not current_app:
        context = click.get_current_context()
        context.with_resource(context.ensure_object(ScriptInfo).load_app().app_context())
    mounts = current_app.extensions.get("tenant_provisioning", {})
    return chosen_mount(None).settings if mounts else Settings.read(current_app.config, {})


def _text_of(settings: Settings) -> str | bytes:
    store = File(settings.license_file) if settings.license_file else Text(settings.license)
    return store.read(0) or b""


def _text_in(file: Path) -> bytes:
    with open(file, "rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _key(pair: str) -> tuple[str, str]:
    kid, _, key = pair.partition("=")
    if not kid or not key:
        raise click.BadParameter("not of the form KID=KEY.", param_hint="--public-key")
    return kid, key
