from typing import Literal

EventWebhookDisabledReasonType0 = Literal["failing", "gone"] | str


def check_event_webhook_disabled_reason_type_0(value: str) -> EventWebhookDisabledReasonType0:
    """Return `value`, also one that this version does not know."""
    return value
