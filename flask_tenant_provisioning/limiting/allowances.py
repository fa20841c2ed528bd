"""What each partner is allowed: what the host's function says, else what the configuration does."""

from __future__ import annotations

import logging
from functools import partial

from ..callables import require_done
from ..remembered import Remembered
from ..web.mount import Mount
from .policies import Policy, policies

logger = logging.getLogger(__name__)

#: For how many seconds a process goes by what the host's function said.
SECONDS = 60

Policies = tuple[Policy, ...]


class Allowances:
    """The policies of one mount."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._configured = {kind: policies(kind, text) for kind, text in mount.settings.rate_limits.items()}
        self._known: Remembered[tuple[str, str], Policies] = Remembered(mount.storage.clock, SECONDS)

    def of(self, partner: str, rate_class: str) -> Policies:
        """What counts for the partner's requests of a class; nothing where they have no limit.

        Administrators whose tokens name no partner ("") share what is configured.
        """
        if self._mount.hooks.rate_limits is None or not partner:
            return self._configured.get(rate_class, ())
        known = self._known.get((partner, rate_class))
        if known is not None:
            return known
        return self._known.renew((partner, rate_class), partial(self._asked, partner, rate_class))

    def _asked(self, partner: str, rate_class: str) -> Policies:
        """What the host's function says; where it fails, what is configured."""
        function, configured = self._mount.hooks.rate_limits, self._configured.get(rate_class, ())
        try:
            with self._mount.in_host():
                said = None if function is None else function(partner, rate_class)
            require_done(said, "The rate_limits function")
            return configured if said is None else policies(rate_class, said)
        except Exception:
            logger.exception(
                "rate_limits(%r, %r) failed: what is configured counts",
                partner,
                rate_class,
                extra={"partner": partner, "rate_class": rate_class},
            )
            return configured
