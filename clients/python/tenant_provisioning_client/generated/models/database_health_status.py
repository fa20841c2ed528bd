from typing import Literal

DatabaseHealthStatus = Literal["ok", "read-only"] | str


def check_database_health_status(value: str) -> DatabaseHealthStatus:
    """Return `value`, also one that this version does not know."""
    return value
