from typing import Literal

ClientSecretStatus = Literal["disabled", "enabled"] | str


def check_client_secret_status(value: str) -> ClientSecretStatus:
    """Return `value`, also one that this version does not know."""
    return value
