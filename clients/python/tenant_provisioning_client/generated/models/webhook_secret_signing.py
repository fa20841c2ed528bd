from typing import Literal

WebhookSecretSigning = Literal["v1", "v1a"] | str


def check_webhook_secret_signing(value: str) -> WebhookSecretSigning:
    """Return `value`, also one that this version does not know."""
    return value
