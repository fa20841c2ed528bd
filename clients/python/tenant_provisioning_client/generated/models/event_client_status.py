from typing import Literal

EventClientStatus = Literal["disabled", "enabled"] | str


def check_event_client_status(value: str) -> EventClientStatus:
    """Return `value`, also one that this version does not know."""
    return value
