"""Whether and where the API is mounted: a place of its own, a licence, and who serves it."""

from __future__ import annotations

import logging

from flask import Flask

from .access.authority import Authority
from .config import PREFIX, ConfigurationError, Settings
from .isolated import Isolated, PrivateApp
from .licensing import LicenseError, LicenseSource
from .web.failures import answer_errors
from .web.mount import Mount

logger = logging.getLogger(__name__)


def require_place(app: Flask, mounts: dict[str, Mount], name: str, settings: Settings) -> None:
    """Raise `ConfigurationError` where the mount's name or its prefix is taken."""
    if name in mounts:
        raise ConfigurationError(
            f"This app has a mount named {name!r} already; "
            f"give the second one a name and a prefix: TenantProvisioning(name='eu', url_prefix='/eu')."
        )
    if settings.mount == "blueprint" and name in app.blueprints:
        raise ConfigurationError(
            f"This app has a blueprint named {name!r} already; "
            f"give the mount another name: TenantProvisioning(name='partners')."
        )
    for other in mounts.values():
        if other.settings.url_prefix == settings.url_prefix:
            raise ConfigurationError(
                f"The mount {other.name!r} is at {settings.url_prefix!r} already; "
                f"give {name!r} a prefix: TenantProvisioning(name={name!r}, url_prefix='/{name}')."
            )


def is_licensed(license: LicenseSource, settings: Settings) -> bool:
    """Whether a licence lets it mount; where none does, a line of the log says why."""
    if settings.edition == "community":
        advice = "PROVISIONING_EDITION is 'community'. Set it to 'enterprise' to use the licence."
        logger.info("the provisioning API is not mounted: %s", advice, extra={"reason": "community"})
        return False
    try:
        license.load()
    except LicenseError as error:
        logger.warning("the provisioning API is not mounted: %s", error, extra={"reason": error.reason})
        return False
    return True


def authority_of(app: Flask, settings: Settings) -> Authority:
    """Who vouches for the mount's tokens, and serves it: the host, or a private app."""
    if settings.mount == "isolated":
        return PrivateApp(app, settings).authority
    if settings.own_jwt:
        names = ", ".join(PREFIX + name for name in settings.own_jwt)
        logger.warning(
            "%s: without effect, since PROVISIONING_MOUNT is not 'isolated'; the JWT_* keys count",
            names,
            extra={"keys": names},
        )
    return Authority(app, app)


def isolate(app: Flask, mount: Mount, mounts: dict[str, Mount]) -> None:
    """Let the private app serve what is below the prefix."""
    answer_errors(mount.app, mount)
    mount.entrance = app.wsgi_app = Isolated(app, mount, mounts)  # type: ignore[method-assign]
