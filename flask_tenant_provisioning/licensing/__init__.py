"""The signed licence.

`source` finds the licence of a mount and keeps it up to date, `document` verifies its signature and its claims, and
`vendor` signs licences, offline. A licence reminds of a contract and is no copy protection: it makes no network
requests and does not detect a clock that was set back, and an invalid licence never stops the host.
"""

from __future__ import annotations
