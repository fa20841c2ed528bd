from typing import Literal

PartnerClientSecretAuthentication = Literal["client_secret", "private_key_jwt"] | str


def check_partner_client_secret_authentication(value: str) -> PartnerClientSecretAuthentication:
    """Return `value`, also one that this version does not know."""
    return value
