"""Who works at the command line."""

from __future__ import annotations

import getpass
import os

from ..access import Actor, Principal

_LONGEST = 255


def operator(partner: str) -> Actor:
    """The operating system's user, on behalf of `partner`; no request brings it about."""
    return Actor(Principal.operator(_user()[:_LONGEST], partner))


def _user() -> str:
    """The user's name; a container may run under a number that has none."""
    try:
        found = getpass.getuser()
    except (KeyError, OSError):
        found = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return found.encode(errors="replace").decode()
