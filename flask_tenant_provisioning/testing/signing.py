"""Tokens that the host's own JWT manager signs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask
from flask_jwt_extended import create_access_token

from .mounts import NotReady, mount_of

ADVICE = "Override the fixture provisioning_token in conftest.py, so that it signs as your identity provider does."
SUBJECT = "conformance"
_LIFE = timedelta(hours=1)


def signer(app: Flask, name: str | None) -> Callable[..., str]:
    """What signs a token with a role (or none), for a partner, with further claims, which count before all others.

    It raises `NotReady` where the app has no key to sign with.
    """

    def sign(role: str | None, partner: str, **claims: Any) -> str:
        mount = mount_of(app, name)
        settings = mount.settings
        named = {settings.roles_claim: [role] if role else [], settings.partner_claim: partner, "sub": SUBJECT}
        with mount.authority.signing():
            try:
                return str(create_access_token(SUBJECT, additional_claims={**named, **claims}, expires_delta=_LIFE))
            except RuntimeError as error:
                raise NotReady(f"This app signs no tokens: {error} {ADVICE}") from error

    return sign
