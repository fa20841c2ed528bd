from typing import Literal

ApiClientStatus = Literal["disabled", "enabled"] | str


def check_api_client_status(value: str) -> ApiClientStatus:
    """Return `value`, also one that this version does not know."""
    return value
