"""What a request may do with other partners: read those below its own; change any, for an administrator alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..access.principal import is_partner_id
from ..problems import PartnerNotFound
from ..web.call import Call
from ..web.requests import NOT_UTF8, is_path_utf8
from ..web.validation import entry, invalid
from . import family
from .inputs import partner_named


def below(call: Call) -> Callable[[str], bool]:
    """What tells whether a partner stands below the caller's."""
    ancestor = call.principal.partner
    return lambda name: call.mount.storage.read(partial(family.descends, partner_id=name, ancestor=ancestor))


def new_partner(partner_id: str) -> str:
    """The id of a partner to be, from the path. Raises `InvalidInput` for one that no partner may have."""
    if not is_path_utf8():
        raise invalid([entry(NOT_UTF8, "partner")])
    return partner_named(partner_id)


def known_partner(partner_id: str) -> str:
    """The id of a partner, from the path. Raises `PartnerNotFound` for one that no partner may have."""
    if not is_path_utf8() or not is_partner_id(partner_id):
        raise PartnerNotFound
    return partner_id


def require_manager(call: Call) -> None:
    """Raise `Forbidden` for whoever may not change partners: nobody grants themselves more than they have."""
    call.require_administrator("Only an administrator may change a partner.")
