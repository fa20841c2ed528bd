from typing import Literal

HealthStatus = Literal["degraded", "ok"] | str


def check_health_status(value: str) -> HealthStatus:
    """Return `value`, also one that this version does not know."""
    return value
