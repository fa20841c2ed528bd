from typing import Literal

DeliveryHistoryState = Literal["failed", "pending", "succeeded"] | str


def check_delivery_history_state(value: str) -> DeliveryHistoryState:
    """Return `value`, also one that this version does not know."""
    return value
