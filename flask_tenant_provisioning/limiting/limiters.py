"""The Flask-Limiter that counts: the host's where it has one, else one of ours, which no app of the host's knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask, current_app

from ..web.mount import Mount

if TYPE_CHECKING:
    from flask_limiter import Limiter

EXTENSION, ENABLED = "limiter", "RATELIMIT_ENABLED"
#: For how many seconds a storage of ours may let a request wait for a connection, or for an answer.
PATIENCE = 0.25


def limiter_of(mount: Mount) -> Limiter | None:
    """The limiter that counts for `mount`; None where the host has turned Flask-Limiter off before it registered."""
    with mount.in_host():
        if (found := hosts_limiter(mount)) is not None:
            return found
        if not current_app.config.get(ENABLED, True):
            return None
    return _own(mount.settings.rate_limit_storage)


def hosts_limiter(mount: Mount) -> Limiter | None:
    """The host's limiter; of several, the one whose key prefix comes first."""
    with mount.in_host():
        found = current_app.extensions.get(EXTENSION) or ()
    every = found if isinstance(found, set) else [found] if found else []
    return min(every, key=prefix_of, default=None)


def prefix_of(limiter: Limiter) -> str:
    """What its keys begin with; Flask-Limiter offers no other way to it."""
    return limiter._key_prefix or ""


def _own(url: str) -> Limiter:
    """A limiter of a private app, which serves nothing: what `init_app` hooks into it never runs."""
    from flask_limiter import Limiter

    app = Flask(__name__, static_folder=None)
    return Limiter(_nobody, app=app, storage_uri=url, storage_options=_bounded(url), strategy="fixed-window")


def _nobody() -> str:
    """Whom a request comes from: not asked, since no request comes to a private app."""
    raise RuntimeError("a limiter of ours counts only what it is told")


def _bounded(url: str) -> dict[str, Any]:
    """The options with which a storage's driver waits no longer than `PATIENCE` at a time."""
    scheme = urlsplit(url).scheme
    if scheme.startswith(("redis", "valkey")):
        return {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    if scheme.startswith("memcached"):
        return {"timeout": PATIENCE, "connect_timeout": PATIENCE}
    if scheme.startswith("mongodb"):
        names = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
        return dict.fromkeys(names, int(PATIENCE * 1000))
    return {}
