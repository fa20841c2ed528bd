from typing import Literal

EventClientAuthentication = Literal["client_secret", "private_key_jwt"] | str


def check_event_client_authentication(value: str) -> EventClientAuthentication:
    """Return `value`, also one that this version does not know."""
    return value
