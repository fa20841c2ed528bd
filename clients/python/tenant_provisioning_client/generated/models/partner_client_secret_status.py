from typing import Literal

PartnerClientSecretStatus = Literal["disabled", "enabled"] | str


def check_partner_client_secret_status(value: str) -> PartnerClientSecretStatus:
    """Return `value`, also one that this version does not know."""
    return value
