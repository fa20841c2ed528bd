"""The app whose JWT manager and settings verify tokens: the host, or the private app of an isolated mount."""

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
    """A JWT manager that registers no error handler: a host without one may raise PyJWT's exceptions itself."""

    def _set_error_handler_callbacks(self, app: Flask) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class Authority:
    """The `app` by whose JWT settings and manager tokens are verified.

    `host` is the app that those come from in the end; None where an isolated mount has settings of its own.
    """

    app: Flask
    host: Flask | None

    def verifying(self) -> contextlib.AbstractContextManager[Any]:
        """The application context in which Flask-JWT-Extended verifies."""
        return enter_app_context(self.app)

    def signing(self) -> contextlib.AbstractContextManager[Any]:
        """The application context in which Flask-JWT-Extended signs what is accepted, where anything does."""
        return enter_app_context(self.app if self.host is None or find_jwt_manager(self.host) is None else self.host)

    @property
    def manager(self) -> JWTManager | None:
        """The manager whose loaders are asked; None where there is none."""
        return find_jwt_manager(self.app if self.host is None else self.host)

    def setting(self, name: str) -> str:
        """What the host calls the setting that Flask-JWT-Extended knows as `name`."""
        return f"{PREFIX}{name}" if self.host is None else name

    def require_key(self) -> None:
        """See that something can verify tokens; make a manager where the host has none.

        Raises `ConfigurationError` where there is neither a manager of the host's nor the key that the algorithm needs.
        """
        config = self.app.config
        self._warn_of_mixed_algorithms(config.get("JWT_DECODE_ALGORITHMS") or ())
        if self.host is not None and find_jwt_manager(self.host) is not None:
            return
        algorithm = config.get("JWT_ALGORITHM", "HS256")
        needed = "JWT_PUBLIC_KEY" if algorithm in requires_cryptography else "JWT_SECRET_KEY"
        if not config.get(needed):
            raise ConfigurationError(self._advice(needed, algorithm))
        if find_jwt_manager(self.app) is None:
            QuietManager(self.app)

    def _advice(self, needed: str, algorithm: str) -> str:
        found = f"set {self.setting(needed)} ({self.setting('JWT_ALGORITHM')} is {algorithm})"
        if self.host is None:
            return (
                f"Nothing can verify tokens yet: {found}; with settings of its own, the mount asks none of the host's."
            )
        return f"Nothing can verify tokens yet: {found}, or call JWTManager(app) before provisioning.init_app(app)."

    def _warn_of_mixed_algorithms(self, algorithms: Iterable[str]) -> None:
        """One algorithm a key (RFC 8725 §3.1): a public key must never be tried as an HMAC secret."""
        if len({name in requires_cryptography for name in algorithms}) > 1:
            name = self.setting("JWT_DECODE_ALGORITHMS")
            logger.warning("%s mixes shared secrets and public keys; name one kind alone", name, extra={"key": name})


def find_jwt_manager(app: Flask) -> JWTManager | None:
    """The app's JWT manager."""
    found: JWTManager | None = app.extensions.get(JWT_EXTENSION)
    return found


def enter_app_context(app: Flask) -> contextlib.AbstractContextManager[Any]:
    """The application context of `app`, unless it is there."""
    return contextlib.nullcontext() if has_app_context() and current_app == app else app.app_context()
