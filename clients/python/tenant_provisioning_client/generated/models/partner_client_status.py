from typing import Literal

PartnerClientStatus = Literal["disabled", "enabled"] | str


def check_partner_client_status(value: str) -> PartnerClientStatus:
    """Return `value`, also one that this version does not know."""
    return value
