"""The app whose JWT manager and configuration verify tokens: the host, or the private app of an isolated mount."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterable
from typing import Any

from flask import Flask, current_app, has_app_context
from flask_jwt_extended import JWTManager
from jwt.algorithms import requires_cryptography

from ..config import PREFIX, ConfigurationError

logger = logging.getLogger(__name__)
JWT_EXTENSION = "flask-jwt-extended"


class QuietManager(JWTManager):
    """A JWT manager that registers no error handlers, which could handle the host's own PyJWT exceptions."""

    def _set_error_handler_callbacks(self, app: Flask) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class Authority:
    """The `app` whose JWT configuration and manager verify tokens.

    `host` is the app from which these come; None if an isolated mount has its own configuration.
    """

    app: Flask
    host: Flask | None

    def verification_context(self) -> contextlib.AbstractContextManager[Any]:
        """Return the application context in which Flask-JWT-Extended verifies tokens."""
        return enter_app_context(self.app)

    def signing_context(self) -> contextlib.AbstractContextManager[Any]:
        """Return the application context in which Flask-JWT-Extended signs tokens that this authority accepts."""
        return enter_app_context(self.app if self.host is None or find_jwt_manager(self.host) is None else self.host)

    @property
    def manager(self) -> JWTManager | None:
        """The manager whose loaders are called, or None."""
        return find_jwt_manager(self.app if self.host is None else self.host)

    def config_name(self, name: str) -> str:
        """Return the host's configuration key for Flask-JWT-Extended's key `name`."""
        return f"{PREFIX}{name}" if self.host is None else name

    def require_key(self, *, optional: bool = False) -> None:
        """Require a way to verify tokens, and create a JWT manager if the host has none.

        Raises `ConfigurationError` if the host has no manager and the key for the algorithm is not configured, unless
        that is `optional`.
        """
        config = self.app.config
        self._warn_of_mixed_algorithms(config.get("JWT_DECODE_ALGORITHMS") or ())
        if not self.has_key() and not optional:
            raise ConfigurationError(self._make_advice())
        if self.manager is None and find_jwt_manager(self.app) is None:
            QuietManager(self.app)

    def has_key(self) -> bool:
        """Return whether tokens of the app's own can be verified: its manager chooses the key, or it is configured."""
        manager = find_jwt_manager(self.host) if self.host is not None else None
        if manager is not None and not isinstance(manager, QuietManager):
            return True
        return bool(self.app.config.get(self._needed_key))

    @property
    def _needed_key(self) -> str:
        algorithm = self.app.config.get("JWT_ALGORITHM", "HS256")
        return "JWT_PUBLIC_KEY" if algorithm in requires_cryptography else "JWT_SECRET_KEY"

    def _make_advice(self) -> str:
        algorithm = self.app.config.get("JWT_ALGORITHM", "HS256")
        advice = f"set {self.config_name(self._needed_key)} ({self.config_name('JWT_ALGORITHM')} is {algorithm})"
        if self.host is None:
            return f"Tokens cannot be verified yet: {advice}; a mount with PROVISIONING_JWT_* keys ignores the host's."
        return f"Tokens cannot be verified yet: {advice}, or call JWTManager(app) before provisioning.init_app(app)."

    def _warn_of_mixed_algorithms(self, algorithms: Iterable[str]) -> None:
        """Warn of symmetric beside asymmetric algorithms (RFC 8725 §3.1): a public key must not be used as an HMAC
        secret.
        """
        if len({name in requires_cryptography for name in algorithms}) > 1:
            name = self.config_name("JWT_DECODE_ALGORITHMS")
            logger.warning(
                "%s mixes algorithms for shared secrets and for public keys; use only one kind",
                name,
                extra={"key": name},
            )


def find_jwt_manager(app: Flask) -> JWTManager | None:
    """Return the app's JWT manager, or None."""
    manager: JWTManager | None = app.extensions.get(JWT_EXTENSION)
    return manager


def enter_app_context(app: Flask) -> contextlib.AbstractContextManager[Any]:
    """Return the application context of `app`, or an empty context if it is already active."""
    return contextlib.nullcontext() if has_app_context() and current_app == app else app.app_context()
