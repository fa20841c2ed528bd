from typing import Literal

WebhookSigning = Literal["v1", "v1a"] | str


def check_webhook_signing(value: str) -> WebhookSigning:
    """Return `value`, also one that this version does not know."""
    return value
