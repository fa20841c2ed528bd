"""What a request may do with other partners: read those below its own; change any, for an administrator alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..web.call import Call
from . import family


def below(call: Call) -> Callable[[str], bool]:
    """What tells whether a partner stands below the caller's."""
    ancestor = call.principal.partner
    return lambda name: call.mount.storage.read(partial(family.descends, partner_id=name, ancestor=ancestor))


def require_manager(call: Call) -> None:
    """Raise `Forbidden` for whoever may not change partners: nobody grants themselves more than they have."""
    call.require_administrator("Only an administrator may change a partner.")
