"""The settings of tenants: how much of their past is kept, and how soon a change is known everywhere."""

from __future__ import annotations

from ..checks import number
from ..declaring import key


class TenantSettingsKeys:
    """What tenants and partners set by `provisioning.settings`."""

    settings_history: int = key(
        100,
        "How many versions of a tenant's or a partner's settings are kept to be read and rolled back to.",
        number(1, 10_000),
    )
    settings_cache_seconds: int = key(
        1,
        "For how many seconds a process may go by the settings that it has read; 0 reads them anew each time. What it "
        "changes itself it knows at once.",
        number(0, 3600),
    )
