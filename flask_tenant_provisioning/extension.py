"""The extension itself: reads the configuration, checks the licence, and mounts the API as a guest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager

from .access import Guard
from .access.tokens import Tokens
from .blueprint import mount_blueprint
from .config import ConfigurationError, Settings
from .database.engine import resolve
from .database.identifiers import uuid7
from .database.storage import Storage
from .licensing import LicenseError, LicenseSource
from .schema import metadata
from .web.call import Mount
from .web.cursors import Cursors

logger = logging.getLogger(__name__)

KEY = "tenant_provisioning"


class TenantProvisioning:
    """Mounts the provisioning API on a Flask app, where a licence allows it.

    ::

        provisioning = TenantProvisioning()
        provisioning.init_app(app, db)

    `db` is a Flask-SQLAlchemy object, an `Engine`, a URL, or None for a SQLite file in the instance folder.
    Keyword `settings` override ``PROVISIONING_*`` keys for this mount: ``url_prefix="/eu"``. A second mount in
    one app needs a `name` of its own. `clock` gives seconds since 1970, `new_id` the ids of tenants and events.
    """

    def __init__(
        self,
        app: Flask | None = None,
        db: Any = None,
        *,
        name: str = "provisioning",
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = uuid7,
        **settings: Any,
    ) -> None:
        self.name = name
        self._clock = clock
        self._new_id = new_id
        self._overrides = settings
        if app is not None:
            self.init_app(app, db)

    def init_app(self, app: Flask, db: Any = None, **settings: Any) -> None:
        """Mount the API on `app`. Without a licence nothing is mounted, the app starts, and one log line says why.

        Raises `ConfigurationError` that says what to do about every key at fault.
        """
        mounts: dict[str, Mount] = app.extensions.setdefault(KEY, {})
        if self.name in mounts:
            raise ConfigurationError(
                f"This app has a mount named {self.name!r} already; "
                f"give the second one a name and a prefix: TenantProvisioning(name='eu', url_prefix='/eu')."
            )
        read = Settings.read(app.config, {**self._overrides, **settings})
        license = LicenseSource(read, self._clock)
        mount = mounts[self.name] = Mount(
            name=self.name,
            settings=read,
            license=license,
            guard=Guard(Tokens(read, self._clock), read.realm),
            cursors=Cursors(_secret(app, read) or ""),
            open_storage=lambda: self._storage(app, db, read),
        )
        if _licensed(license, read):
            _require_jwt(app)
            _require_secret(app, read)
            mount.storage.prepare()
            mount_blueprint(app, mount)

    def _storage(self, app: Flask, db: Any, settings: Settings) -> Storage:
        engine, ours = resolve(app, db, settings)
        embedded = db is None and settings.database_url is None
        return Storage(
            engine,
            metadata(settings.table_prefix),
            attempts=settings.transaction_attempts,
            clock=self._clock,
            new_id=self._new_id,
            autocommit=ours,
            migrate=settings.auto_migrate or (settings.auto_migrate is None and embedded),
        )


def _licensed(license: LicenseSource, settings: Settings) -> bool:
    if settings.edition == "community":
        logger.info("PROVISIONING_EDITION is community: the provisioning API is not mounted")
        return False
    try:
        license.load()
    except LicenseError as error:
        logger.warning("the provisioning API is not mounted: %s", error)
        return False
    return True


def _require_jwt(app: Flask) -> None:
    """Use the host's JWT manager; make one where there is none and a key is configured."""
    if "flask-jwt-extended" in app.extensions:
        return
    if not (app.config.get("JWT_SECRET_KEY") or app.config.get("JWT_PUBLIC_KEY")):
        raise ConfigurationError(
            "Nothing can verify tokens yet: set JWT_SECRET_KEY or JWT_PUBLIC_KEY, "
            "or call JWTManager(app) before provisioning.init_app(app)."
        )
    JWTManager(app)


def _secret(app: Flask, settings: Settings) -> str | None:
    """What seals the cursors."""
    found = settings.secret_key or app.secret_key or app.config.get("JWT_SECRET_KEY")
    return found.hex() if isinstance(found, bytes) else found


def _require_secret(app: Flask, settings: Settings) -> None:
    if not _secret(app, settings):
        raise ConfigurationError("Set PROVISIONING_SECRET_KEY (or SECRET_KEY): it seals the cursors of lists.")
