from typing import Literal

ApiClientAuthentication = Literal["client_secret", "private_key_jwt"] | str


def check_api_client_authentication(value: str) -> ApiClientAuthentication:
    """Return `value`, also one that this version does not know."""
    return value
