"""The name and the version of this client."""

from __future__ import annotations

import platform
from importlib.metadata import version

DISTRIBUTION = "tenant-provisioning-client"


def make_user_agent(program: str | None = None) -> str:
    """Return the value of ``User-Agent``: `program`, if it is given, then the client and Python with their versions."""
    own = f"{DISTRIBUTION}/{version(DISTRIBUTION)} Python/{platform.python_version()}"
    return f"{program} {own}" if program else own
