from typing import Literal

WebhookSecretDisabledReasonType0 = Literal["failing", "gone"] | str


def check_webhook_secret_disabled_reason_type_0(value: str) -> WebhookSecretDisabledReasonType0:
    """Return `value`, also one that this version does not know."""
    return value
