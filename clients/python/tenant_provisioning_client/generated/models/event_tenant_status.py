from typing import Literal

EventTenantStatus = Literal["active", "deleted", "failed", "provisioning", "suspended"] | str


def check_event_tenant_status(value: str) -> EventTenantStatus:
    """Return `value`, also one that this version does not know."""
    return value
