"""The cached status of partners, which every request checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..access.principal import Principal
from ..cache import TTLCache
from ..errors import PartnerNotRegistered, PartnerSuspended, StorageUnavailable
from ..mount import Mount
from . import actions
from .models import Partner
from .statements import MAX_DEPTH


class PartnerCache:
    """What one process remembers of partners."""

    def __init__(self, mount: Mount) -> None:
        self._storage = mount.storage
        self._registers_automatically = mount.config.partner_registration == "automatic"
        self._known: TTLCache[str, Partner | None] = TTLCache(mount.storage.clock, mount.config.partner_cache_seconds)

    def find(self, partner_id: str) -> Partner | None:
        """The partner, as it was `PROVISIONING_PARTNER_CACHE_SECONDS` ago at most; None where it may be registered.

        Raises `PartnerNotRegistered` where only an administrator registers partners.
        """
        found = self._known.get(partner_id)
        if found is None:
            found = self._known.renew(partner_id, partial(self._read, partner_id))
        if found is None and not self._registers_automatically:
            raise PartnerNotRegistered
        return found

    def named(self, partner_id: str) -> Partner:
        """The partner, registered now where it has not been, for a caller who may do something for it."""
        found = self._known.get(partner_id)
        if found is None:
            found = self._known.renew(partner_id, partial(self._registered, partner_id))
        return actions.make_unregistered_partner(partner_id, self._storage.clock()) if found is None else found

    def is_suspended(self, partner: Partner) -> bool:
        """Whether the partner is suspended, or one above it."""
        for _ in range(MAX_DEPTH):
            if partner.status == "suspended" or partner.parent is None:
                break
            partner = self.named(partner.parent)
        return partner.status == "suspended"

    def forget(self, partner_id: str) -> None:
        """Ask anew at the next request."""
        self._known.forget([partner_id])

    def _read(self, partner_id: str) -> Partner | None:
        return self._storage.read(partial(actions.find_partner, partner_id=partner_id))

    def _registered(self, partner_id: str) -> Partner | None:
        """The partner, registered now if need be; None where the database takes no writes at the moment."""
        found = self._read(partner_id)
        if found is not None:
            return found
        try:
            return self._storage.transaction(partial(actions.register_partner, partner_id=partner_id))
        except StorageUnavailable:
            return None


def get_partner_cache(mount: Mount) -> PartnerCache:
    """What this process remembers of the partners of `mount`."""
    return mount.once(PartnerCache)


def require_active_partner(mount: Mount, principal: Principal) -> Callable[[], object] | None:
    """Raise `PartnerSuspended` or `PartnerNotRegistered` where no request of the principal's partner is let pass.

    Returns a function that registers the partner; None where it has been, for administrators, and where the API is not
    mounted: there are no partners either, and views of the host's own stay as they are.
    """
    if principal.sees_every_partner or not mount.is_mounted:
        return None
    known = get_partner_cache(mount)
    partner = known.find(principal.partner)
    if partner is None:
        return partial(known.named, principal.partner)
    if known.is_suspended(partner):
        raise PartnerSuspended
    return None
