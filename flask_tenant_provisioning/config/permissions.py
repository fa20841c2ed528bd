"""What there is to permit, and what each role of the default map may do; ``PROVISIONING_ROLES`` replaces the map."""

from __future__ import annotations

PARTNER_ADMIN = (
    "tenant:create", "tenant:read", "tenant:update", "tenant:delete",
    "settings:read", "settings:update", "bulk:create", "bulk:read",
    "webhook:read", "webhook:manage", "event:read",
)  # fmt: skip
PARTNER_VIEWER = tuple(p for p in PARTNER_ADMIN if p.endswith(":read"))
PROVISIONING_ADMIN = (*PARTNER_ADMIN, "tenant:purge", "partner:read", "partner:manage", "audit:read", "license:read")
PERMISSIONS = frozenset(PROVISIONING_ADMIN)
DEFAULT_ROLES: dict[str, tuple[str, ...]] = {
    "partner-admin": PARTNER_ADMIN,
    "partner-viewer": PARTNER_VIEWER,
    "provisioning-admin": PROVISIONING_ADMIN,
}
