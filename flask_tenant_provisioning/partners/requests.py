"""Whose things a request may read: its own partner's, those of the partners below it, or everybody's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..web.call import Call
from . import family


def below(call: Call) -> Callable[[str], bool]:
    """What tells whether a partner stands below the caller's."""
    ancestor = call.principal.partner
    return lambda name: call.mount.storage.read(partial(family.descends, partner_id=name, ancestor=ancestor))
