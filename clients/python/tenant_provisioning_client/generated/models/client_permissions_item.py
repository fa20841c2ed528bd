from typing import Literal

ClientPermissionsItem = (
    Literal[
        "audit:read",
        "bulk:create",
        "bulk:read",
        "client:read",
        "client:write",
        "event:read",
        "invitation:read",
        "invitation:write",
        "license:read",
        "metrics:read",
        "partner:manage",
        "partner:read",
        "settings:read",
        "settings:update",
        "tenant:create",
        "tenant:delete",
        "tenant:purge",
        "tenant:read",
        "tenant:update",
        "webhook:manage",
        "webhook:read",
    ]
    | str
)


def check_client_permissions_item(value: str) -> ClientPermissionsItem:
    """Return `value`, also one that this version does not know."""
    return value
