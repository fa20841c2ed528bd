from typing import Literal

InvitationState = Literal["accepted", "expired", "failed", "revoked", "sending", "sent", "waiting"] | str


def check_invitation_state(value: str) -> InvitationState:
    """Return `value`, also one that this version does not know."""
    return value
