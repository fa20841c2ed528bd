from typing import Literal

EventWebhookSigning = Literal["v1", "v1a"] | str


def check_event_webhook_signing(value: str) -> EventWebhookSigning:
    """Return `value`, also one that this version does not know."""
    return value
