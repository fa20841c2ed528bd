"""How a partner stands, as each of its requests asks: remembered for a moment, unless this process changes it."""

from __future__ import annotations

from functools import partial

from ..access import Principal
from ..problems import PartnerNotRegistered, PartnerSuspended, StorageUnavailable
from ..web.mount import Mount
from . import actions
from .models import Partner

#: How many partners one process remembers.
_MOST = 10_000


class Standings:
    """What one process remembers of partners."""

    def __init__(self, mount: Mount) -> None:
        self._storage = mount.storage
        self._seconds = mount.settings.partner_cache_seconds
        self._registers = mount.settings.partner_registration == "automatic"
        self._known: dict[str, tuple[float, Partner | None]] = {}

    def of(self, partner_id: str) -> Partner:
        """The partner, as it was `PROVISIONING_PARTNER_CACHE_SECONDS` ago at most. Raises `PartnerNotRegistered`."""
        now = self._storage.clock()
        known = self._remembered(partner_id, now)
        if known is not None and known[1] is not None:
            return known[1]
        found = self._storage.read(partial(actions.find, partner_id=partner_id))
        return self._keep(partner_id, now, found) or self._registered(partner_id, now)

    def known(self, partner_id: str) -> Partner | None:
        """The same; None for one that has not been registered, and is not now."""
        now = self._storage.clock()
        known = self._remembered(partner_id, now)
        if known is not None:
            return known[1]
        return self._keep(partner_id, now, self._storage.read(partial(actions.find, partner_id=partner_id)))

    def forget(self, partner_id: str) -> None:
        """Ask anew at the next request."""
        self._known.pop(partner_id, None)

    def _remembered(self, partner_id: str, now: float) -> tuple[float, Partner | None] | None:
        found = self._known.get(partner_id)
        return found if found is not None and 0 <= now - found[0] < self._seconds else None

    def _keep(self, partner_id: str, now: float, found: Partner | None) -> Partner | None:
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[partner_id] = now, found
        return found

    def _registered(self, partner_id: str, now: float) -> Partner:
        """The partner, registered now; as if it were, where the database takes no writes at the moment."""
        if not self._registers:
            raise PartnerNotRegistered
        try:
            found = self._storage.transaction(partial(actions.register, partner_id=partner_id))
        except StorageUnavailable:
            return actions.unregistered(partner_id, now)
        self._keep(partner_id, now, found)
        return found


def standings(mount: Mount) -> Standings:
    """What this process remembers of the partners of `mount`."""
    return mount.once(Standings)  # type: ignore[arg-type]


def require_standing(mount: Mount, principal: Principal) -> None:
    """Raise `PartnerSuspended` or `PartnerNotRegistered` where no request of the principal's partner is let pass.

    Where the API is not mounted there are no partners either: views of the host's own stay as they are.
    """
    if principal.sees_every_partner or not mount.served:
        return
    if standings(mount).of(principal.partner).status == "suspended":
        raise PartnerSuspended
