"""The id of a partner, as somebody names one."""

from __future__ import annotations

from ..access.principal import LONGEST_NAME
from ..problems import Fault
from ..web.validation import entry, invalid

WRONG_ID = Fault("invalid-length", f"Must have 1 to {LONGEST_NAME} characters, and no NUL.")


def partner_named(partner_id: str) -> str:
    """The id of a partner to be. Raises `InvalidInput` for one that no token can name."""
    if not 1 <= len(partner_id) <= LONGEST_NAME or "\0" in partner_id:
        raise invalid([entry(WRONG_ID, "partner")])
    return partner_id
