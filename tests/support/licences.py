"""Licences for commands that run at a fixed time."""

from __future__ import annotations

from tests.support.hosts import issue_license

DAY = 86_400
BEGIN = 1_739_205_000  # 2025-02-10T16:30:00Z
VALID = issue_license(not_before=BEGIN - DAY, expires=BEGIN + 365 * DAY)
EXPIRED = issue_license(not_before=BEGIN - 100 * DAY, expires=BEGIN - 50 * DAY)
