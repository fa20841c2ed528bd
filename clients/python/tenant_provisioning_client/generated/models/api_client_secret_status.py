from typing import Literal

ApiClientSecretStatus = Literal["disabled", "enabled"] | str


def check_api_client_secret_status(value: str) -> ApiClientSecretStatus:
    """Return `value`, also one that this version does not know."""
    return value
