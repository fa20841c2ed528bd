"""Settings as the host's code asks for them: remembered for a moment, unless this process changes them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..database import Session
from ..problems import TenantNotFound
from ..tenants.changes import whereabouts
from ..web.mount import Mount
from ..web.requests import identified
from .state import Owner, state
from .view import TenantSettings, view

#: How many tenants' settings one process remembers.
MOST = 4096


class _Known(NamedTuple):
    at: float
    partner: str
    view: TenantSettings


class Readings:
    """What one process remembers of tenants' settings."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._storage = mount.storage
        self._seconds = mount.settings.settings_cache_seconds
        self._known: dict[str, _Known] = {}
        self._changes = 0
        self._lock = threading.Lock()

    def of(self, tenant_id: str, partner: str | None = None) -> TenantSettings:
        """A tenant's settings, as they were `PROVISIONING_SETTINGS_CACHE_SECONDS` ago at most.

        In a unit of work of this thread, such as a hook's, they are read there, with what it has changed already.
        Raises `TenantNotFound`.
        """
        running = self._storage.running
        if running is None:
            known = self._known.get(tenant_id)
            fresh = known is not None and 0 <= self._storage.clock() - known.at < self._seconds
            if known is not None and fresh and partner in (None, known.partner):
                return known.view
        id = identified(str(tenant_id), TenantNotFound)
        return self._read(id, partner) if running is None else self._found(running, id, partner).view

    def forget(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Read anew what has changed with these events."""
        with self._lock:
            self._changes += 1
            for event in events if self._known else ():
                self._known.pop(event["tenant_id"], None)
                if event["type"] == "partner.settings_updated":
                    partner = event["partner_id"]
                    self._known = {id: known for id, known in self._known.items() if known.partner != partner}

    def _read(self, tenant_id: str, partner: str | None) -> TenantSettings:
        """Read and remember, unless something has changed meanwhile, after which what was read may be of before."""
        changes = self._changes
        found = self._storage.read(partial(self._found, tenant_id=tenant_id, partner=partner))
        with self._lock:
            self._known.pop(tenant_id, None)
            if changes == self._changes and self._seconds:
                while len(self._known) >= MOST:
                    del self._known[next(iter(self._known))]
                self._known[tenant_id] = found
        return found.view

    def _found(self, session: Session, tenant_id: str, partner: str | None) -> _Known:
        at = self._storage.clock()
        tenant = whereabouts(session, partner, tenant_id)
        owner = Owner(tenant.partner_id, tenant)
        found = state(session, lambda: self._mount.keyring, owner)
        return _Known(at, tenant.partner_id, view(found.namespaces, found.settled))


def readings(mount: Mount) -> Readings:
    """What this process remembers of the settings of `mount`'s tenants."""
    return mount.once(Readings)  # type: ignore[arg-type]
