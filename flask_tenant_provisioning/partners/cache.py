"""The cache of partners, whose status every request checks."""

from __future__ import annotations

from functools import partial

from ..cache import TTLCache
from ..errors import PartnerNotRegistered, PartnerSuspended, StorageUnavailable
from ..mount import Mount
from . import actions
from .models import Partner
from .statements import MAX_DEPTH


class PartnerCache:
    """The partners that one process has cached; ``mount.once(PartnerCache)`` is a mount's."""

    def __init__(self, mount: Mount) -> None:
        self._storage = mount.storage
        self._registers_automatically = mount.config.partner_registration == "automatic"
        self._cache: TTLCache[str, Partner | None] = TTLCache(mount.storage.clock, mount.config.partner_cache_seconds)

    def get(self, partner_id: str) -> Partner | None:
        """Return the partner, at most `PROVISIONING_PARTNER_CACHE_SECONDS` old; None if it can be registered.

        Raises `PartnerNotRegistered` if it is unknown and only administrators register partners.
        """
        partner = self._cache.get(partner_id)
        if partner is None:
            partner = self._cache.load(partner_id, partial(self._read, partner_id))
        if partner is None and not self._registers_automatically:
            raise PartnerNotRegistered
        return partner

    def get_or_register(self, partner_id: str) -> Partner:
        """Return the partner, registered now if it is unknown. Call it only for authorized requests.

        If the database does not accept writes now, return a partner with default values that is not registered.
        """
        partner = self._cache.get(partner_id)
        if partner is None:
            partner = self._cache.load(partner_id, partial(self._register, partner_id))
        return actions.make_unregistered_partner(partner_id, self._storage.clock()) if partner is None else partner

    def require_active(self, partner_id: str) -> bool:
        """Return whether the partner is registered.

        Raises `PartnerSuspended` if it or a partner above it is suspended, and `PartnerNotRegistered` as `get` does.
        """
        partner = self.get(partner_id)
        if partner is None:
            return False
        for _ in range(MAX_DEPTH + 1):
            if partner.status == "suspended":
                raise PartnerSuspended
            if partner.parent is None:
                break
            partner = self.get_or_register(partner.parent)
        return True

    def invalidate(self, partner_id: str) -> None:
        """Remove a partner from the cache, so that the next request reads it again."""
        self._cache.invalidate([partner_id])

    def _read(self, partner_id: str) -> Partner | None:
        return self._storage.read(partial(actions.find_partner, partner_id=partner_id))

    def _register(self, partner_id: str) -> Partner | None:
        """Read the partner, or register it. Return None if the database does not accept writes now."""
        partner = self._read(partner_id)
        if partner is not None:
            return partner
        try:
            return self._storage.transaction(partial(actions.register_partner, partner_id=partner_id))
        except StorageUnavailable:
            return None
