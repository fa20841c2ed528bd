"""The host's app: how it is loaded, its mount, the tokens that it signs, and bodies that it accepts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.cli import NoAppException, ScriptInfo
from flask_jwt_extended import create_access_token

from ..licensing.document import LicenseError
from ..mount import Mount
from ..mounts import Mounts, get_mounts


class NotReady(Exception):
    """There is nothing to test; the message contains the cause and the fix."""


def find_mount(app: Flask, name: str | None) -> Mount:
    """The mount of this name, or the app's first. Raises `NotReady` where it has none."""
    mounts: Mounts[Mount] = get_mounts(app)
    if not mounts:
        raise NotReady("This app has no TenantProvisioning: call provisioning.init_app(app) in it.")
    if name is not None and name not in mounts:
        raise NotReady(f"This app has no mount named {name!r}; it has {', '.join(mounts)}.")
    return mounts[name] if name else next(iter(mounts.values()))


def require_served(mount: Mount) -> None:
    """Raise `NotReady` where the licence did not let the app serve the mount."""
    if mount.is_mounted:
        return
    if mount.config.edition == "community":
        raise NotReady("Nothing is mounted: PROVISIONING_EDITION is 'community'. Set it to 'enterprise'.")
    try:
        mount.license.load()
    except LicenseError as error:
        raise NotReady(f"Nothing is mounted: {error}") from error
    raise NotReady("Nothing is mounted: there was no licence when the app started. Start it again.")


APP_ADVICE = (
    "Run pytest with --provisioning-app=module:factory, or override the fixture provisioning_app in conftest.py."
)
APP_TWICE_ADVICE = (
    "If a fixture of your conftest.py builds the app too, and it cannot be built twice in one process, override "
    "provisioning_app so that it returns the app of that fixture, or leave your conftest.py out: -n0 --noconftest."
)


def load_app(session: pytest.Session, name: str | None) -> Flask:
    """The app of this name, found as `flask --app` finds it: below the current folder.

    Where it cannot be made, this fails, and ends the run: every other test would fail alike.
    """
    try:
        return _find_app(name)
    except BaseException as error:
        session.shouldfail = "there is no app to test"
        error.add_note(APP_TWICE_ADVICE)
        raise


def _find_app(name: str | None) -> Flask:
    if name is None:
        pytest.fail(f"No app is named. {APP_ADVICE}", pytrace=False)
    try:
        return ScriptInfo(app_import_path=name, set_debug_flag=False).load_app()
    except NoAppException as error:
        pytest.fail(f"--provisioning-app={name} names no app: {error.format_message()}", pytrace=False)


SIGNING_ADVICE = (
    "Override the fixture provisioning_token in conftest.py, so that it signs as your identity provider does."
)
SUBJECT = "conformance"
_TOKEN_LIFETIME = timedelta(hours=1)


def make_signer(app: Flask, name: str | None) -> Callable[..., str]:
    """Return a function that signs a token with a role or none, for a partner, with further claims, which win.

    It raises `NotReady` where the app has no key to sign with.
    """

    def sign(role: str | None, partner: str, **claims: Any) -> str:
        mount = find_mount(app, name)
        settings = mount.config
        named = {settings.roles_claim: [role] if role else [], settings.partner_claim: partner, "sub": SUBJECT}
        with mount.authority.signing_context():
            try:
                return str(
                    create_access_token(SUBJECT, additional_claims={**named, **claims}, expires_delta=_TOKEN_LIFETIME)
                )
            except RuntimeError as error:
                raise NotReady(f"This app signs no tokens: {error} {SIGNING_ADVICE}") from error

    return sign


def make_body_factory(app: Flask, name: str | None) -> Callable[..., dict[str, Any]]:
    """Return a function that makes the body of a new tenant: unique but for the `fields` that it is given."""

    def make(**fields: Any) -> dict[str, Any]:
        plans = find_mount(app, name).plans
        own = uuid.uuid4().hex[:12]
        body = {
            "client_name": f"Conformance {own}",
            "email": f"{own}@example.com",
            "phone_number": "+442079460958",
            "industry": "Conformance",
            "external_id": f"conformance-{own}",
        }
        return {**body, **({"plan": plans[0]} if plans else {}), **fields}

    return make
