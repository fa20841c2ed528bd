from typing import Literal

ClientSecretAuthentication = Literal["client_secret", "private_key_jwt"] | str


def check_client_secret_authentication(value: str) -> ClientSecretAuthentication:
    """Return `value`, also one that this version does not know."""
    return value
