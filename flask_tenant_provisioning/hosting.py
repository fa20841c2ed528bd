"""The host app: its context, its secret, and its CSRF wall."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any

from flask import Blueprint, Flask, current_app, has_app_context

from .config import ConfigurationError, Settings
from .keyring import Keyring

logger = logging.getLogger(__name__)


def inside(app: Flask) -> contextlib.AbstractContextManager[Any]:
    """The application context of `app`, unless it is there."""
    return contextlib.nullcontext() if has_app_context() and current_app == app else app.app_context()


def exempt_from_csrf(app: Flask, blueprint: Blueprint) -> None:
    """Tell a host-wide Flask-WTF `CSRFProtect` that this blueprint reads no cookie."""
    flask_wtf, csrf = sys.modules.get("flask_wtf.csrf"), app.extensions.get("csrf")
    if flask_wtf is not None and isinstance(csrf, flask_wtf.CSRFProtect):
        csrf.exempt(blueprint)
        name = blueprint.name
        logger.info(
            "the blueprint %r is exempt from CSRFProtect: it reads bearer tokens, no cookie",
            name,
            extra={"mount": name},
        )


def secret(app: Flask, settings: Settings) -> str | None:
    """What seals the cursors."""
    found = settings.secret_key or app.secret_key or app.config.get("JWT_SECRET_KEY")
    return found.hex() if isinstance(found, bytes) else found


def require_secret(app: Flask, settings: Settings) -> None:
    """Raise `ConfigurationError` where nothing seals the cursors."""
    if not secret(app, settings):
        raise ConfigurationError("Set PROVISIONING_SECRET_KEY (or SECRET_KEY): it seals the cursors of lists.")


def keyring(app: Flask, settings: Settings) -> Keyring:
    """What seals the secrets in the database. Raises `ConfigurationError` where there is nothing to seal with."""
    found = settings.encryption_keys or tuple(filter(None, [secret(app, settings)]))
    if not found:
        raise ConfigurationError("Set PROVISIONING_ENCRYPTION_KEYS: it seals the secrets in the database.")
    return Keyring(found)
