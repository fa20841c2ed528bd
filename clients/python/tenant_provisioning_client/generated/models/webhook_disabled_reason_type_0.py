from typing import Literal

WebhookDisabledReasonType0 = Literal["failing", "gone"] | str


def check_webhook_disabled_reason_type_0(value: str) -> WebhookDisabledReasonType0:
    """Return `value`, also one that this version does not know."""
    return value
