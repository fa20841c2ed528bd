from typing import Literal

ApiClientSecretAuthentication = Literal["client_secret", "private_key_jwt"] | str


def check_api_client_secret_authentication(value: str) -> ApiClientSecretAuthentication:
    """Return `value`, also one that this version does not know."""
    return value
