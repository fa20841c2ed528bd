"""The id of a partner, as somebody names one."""

from __future__ import annotations

from ..access.principal import is_partner_id
from ..web.validation import WRONG_PARTNER_ID, entry, invalid


def partner_named(partner_id: str) -> str:
    """The id of a partner to be. Raises `InvalidInput` for one that no token can name."""
    if not is_partner_id(partner_id):
        raise invalid([entry(WRONG_PARTNER_ID, "partner")])
    return partner_id
