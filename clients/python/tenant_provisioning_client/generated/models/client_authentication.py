from typing import Literal

ClientAuthentication = Literal["client_secret", "private_key_jwt"] | str


def check_client_authentication(value: str) -> ClientAuthentication:
    """Return `value`, also one that this version does not know."""
    return value
