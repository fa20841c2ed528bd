"""The contract's example (§2), and what follows from it."""

from __future__ import annotations

from typing import Any

from ..tenants.models import WRITABLE
from ..tenants.schemas import tenant_input
from ..web.api import Api

TENANT: dict[str, Any] = {
    "tenant": "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f",
    "partner": "acme",
    "external_id": None,
    "client_name": "Example Corp",
    "email": "admin@example.com",
    "phone_number": "+1234567890",
    "industry": "Technology",
    "plan": None,
    "metadata": {},
    "status": "active",
    "suspended_reason": None,
    "version": 1,
    "created_at": "2025-02-10T16:30:00.000Z",
    "updated_at": "2025-02-10T16:30:00.000Z",
    "deleted_at": None,
    "purge_at": None,
}
NEW_TENANT = {name: TENANT[name] for name in WRITABLE if TENANT[name]}


def examples(api: Api) -> dict[str, Any]:
    """An example for each component that has one, such as this host would take and answer it."""
    return {
        "Tenant": TENANT,
        "TenantPage": {"items": [TENANT], "next": None},
        "TenantInput": _accepted(NEW_TENANT, api),
        "TenantByExternalIdInput": _accepted(NEW_TENANT, api),
        "TenantPatch": {"industry": None, "metadata": {"region": "eu-west"}},
    }


def _accepted(values: dict[str, Any], api: Api) -> dict[str, Any]:
    """Those of `values` that the host's schema accepts."""
    refused = tenant_input(api).validate(values)
    return {name: value for name, value in values.items() if name not in refused}
