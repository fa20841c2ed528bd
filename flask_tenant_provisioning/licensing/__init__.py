"""The signed licence: read, verify, state (valid, warn, grace, expired), hot reload.

It reminds of a contract and is no copy protection: no call home, no clock traps, and a bad file stops no host.
"""

from .document import FEATURE, License, State, verify
from .errors import LicenseError
from .source import LicenseSource

__all__ = ["FEATURE", "License", "LicenseError", "LicenseSource", "State", "verify"]
