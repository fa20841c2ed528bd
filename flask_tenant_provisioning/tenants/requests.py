"""What the tenants' routes have in common: whose tenant is meant, and how it is answered."""

from __future__ import annotations

from ..problems import TenantNotFound
from ..web.call import Call
from ..web.preconditions import etag
from ..web.requests import CONDITIONAL, NOT_UTF8, expectation, fence, identified, is_path_utf8
from ..web.validation import entry, invalid
from ..web.writing import Answer
from .changes import Target
from .models import Tenant

#: The problems that writes to a tenant have in common.
WRITE = (*CONDITIONAL, TenantNotFound)


def tenant_named(tenant_id: str) -> str:
    """A tenant's id in its canonical form. Raises `TenantNotFound` for what cannot be one."""
    return identified(tenant_id, TenantNotFound)


def named(external_id: str) -> str:
    """The external id in the path. Raises `InvalidInput` where the path is no UTF-8."""
    if not is_path_utf8():
        raise invalid([entry(NOT_UTF8, "external_id")])
    return external_id


def target(call: Call, tenant_id: str) -> Target:
    """The tenant that this write means, and the version that it expects."""
    return Target(fence(call), tenant_named(tenant_id), expectation(call))


def shown(call: Call, tenant: Tenant, status: int = 200, **headers: str) -> Answer:
    """The answer that shows a tenant."""
    return Answer(status, tenant.document(call.mount.hooks.fields), {"ETag": etag(tenant.version), **headers})


def created(call: Call, tenant: Tenant) -> Answer:
    """The answer that shows a new tenant and says where it is."""
    return shown(call, tenant, 201, Location=f"{call.mount.base()}/tenants/{tenant.id}")
