"""How a partner stands, as each of its requests asks: remembered for a moment, unless this process changes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..access import Principal
from ..problems import PartnerNotRegistered, PartnerSuspended, StorageUnavailable
from ..remembered import Remembered
from ..web.mount import Mount
from . import actions
from .models import Partner
from .statements import DEPTH


class Standings:
    """What one process remembers of partners."""

    def __init__(self, mount: Mount) -> None:
        self._storage = mount.storage
        self._registers = mount.settings.partner_registration == "automatic"
        self._known: Remembered[str, Partner | None] = Remembered(
            mount.storage.clock, mount.settings.partner_cache_seconds
        )

    def find(self, partner_id: str) -> Partner | None:
        """The partner, as it was `PROVISIONING_PARTNER_CACHE_SECONDS` ago at most; None where it may be registered.

        Raises `PartnerNotRegistered` where only an administrator registers partners.
        """
        found = self._known.get(partner_id)
        if found is None:
            found = self._known.renew(partner_id, partial(self._read, partner_id))
        if found is None and not self._registers:
            raise PartnerNotRegistered
        return found

    def named(self, partner_id: str) -> Partner:
        """The partner, registered now where it has not been, for a caller who may do something for it."""
        found = self._known.get(partner_id)
        if found is None:
            found = self._known.renew(partner_id, partial(self._registered, partner_id))
        return actions.unregistered(partner_id, self._storage.clock()) if found is None else found

    def is_suspended(self, partner: Partner) -> bool:
        """Whether the partner is suspended, or one above it."""
        for _ in range(DEPTH):
            if partner.status == "suspended" or partner.parent is None:
                break
            partner = self.named(partner.parent)
        return partner.status == "suspended"

    def forget(self, partner_id: str) -> None:
        """Ask anew at the next request."""
        self._known.forget([partner_id])

    def _read(self, partner_id: str) -> Partner | None:
        return self._storage.read(partial(actions.find, partner_id=partner_id))

    def _registered(self, partner_id: str) -> Partner | None:
        """The partner, registered now if need be; None where the database takes no writes at the moment."""
        found = self._read(partner_id)
        if found is not None:
            return found
        try:
            return self._storage.transaction(partial(actions.register, partner_id=partner_id))
        except StorageUnavailable:
            return None


def standings(mount: Mount) -> Standings:
    """What this process remembers of the partners of `mount`."""
    return mount.once(Standings)


def require_standing(mount: Mount, principal: Principal) -> Callable[[], object] | None:
    """Raise `PartnerSuspended` or `PartnerNotRegistered` where no request of the principal's partner is let pass.

    Returns a function that registers the partner; None where it has been, for administrators, and where the API is not
    mounted: there are no partners either, and views of the host's own stay as they are.
    """
    if principal.sees_every_partner or not mount.served:
        return None
    known = standings(mount)
    partner = known.find(principal.partner)
    if partner is None:
        return partial(known.named, principal.partner)
    if known.is_suspended(partner):
        raise PartnerSuspended
    return None
