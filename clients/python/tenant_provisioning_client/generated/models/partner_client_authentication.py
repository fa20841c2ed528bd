from typing import Literal

PartnerClientAuthentication = Literal["client_secret", "private_key_jwt"] | str


def check_partner_client_authentication(value: str) -> PartnerClientAuthentication:
    """Return `value`, also one that this version does not know."""
    return value
