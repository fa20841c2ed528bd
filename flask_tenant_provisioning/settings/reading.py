"""Settings as the host's code asks for them: remembered for a moment, unless this process changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..database import Session
from ..problems import TenantNotFound
from ..remembered import Remembered
from ..tenants.changes import whereabouts
from ..web.mount import Mount
from ..web.requests import identified
from .state import Owner, state
from .view import TenantSettings, view

#: How many tenants' settings one process remembers.
MOST = 4096


class _Known(NamedTuple):
    partner: str
    view: TenantSettings


class Readings:
    """What one process remembers of tenants' settings."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._storage = mount.storage
        self._known: Remembered[str, _Known] = Remembered(
            mount.storage.clock, mount.settings.settings_cache_seconds, MOST
        )

    def of(self, tenant_id: str, partner: str | None = None) -> TenantSettings:
        """A tenant's settings, as they were `PROVISIONING_SETTINGS_CACHE_SECONDS` ago at most.

        In a unit of work of this thread, such as a hook's, they are read there, with what it has changed already.
        Raises `TenantNotFound`.
        """
        running = self._storage.running
        if running is None:
            known = self._known.get(tenant_id)
            if known is not None and partner in (None, known.partner):
                return known.view
        id = identified(str(tenant_id), TenantNotFound)
        if running is not None:
            return self._found(running, id, partner).view
        found = partial(self._found, tenant_id=id, partner=partner)
        return self._known.renew(id, partial(self._storage.read, found)).view

    def forget(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Read anew what has changed with these events."""
        self._known.forget(event["tenant_id"] for event in events)
        partners = {event["partner_id"] for event in events if event["type"] == "partner.settings_updated"}
        if partners:
            self._known.forget_where(lambda known: known.partner in partners)

    def _found(self, session: Session, tenant_id: str, partner: str | None) -> _Known:
        tenant = whereabouts(session, partner, tenant_id)
        owner = Owner(tenant.partner_id, tenant)
        found = state(session, lambda: self._mount.keyring, owner)
        return _Known(tenant.partner_id, view(found.namespaces, found.settled))


def readings(mount: Mount) -> Readings:
    """What this process remembers of the settings of `mount`'s tenants."""
    return mount.once(Readings)
