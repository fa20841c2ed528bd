"""What the tenants' routes have in common: whose tenant is meant, and how it is answered."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from flask import request

from ..problems import (
    BodyTooLarge,
    Fault,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    InvalidInput,
    InvalidParameter,
    MalformedJSON,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    TenantNotFound,
    UnsupportedMediaType,
)
from ..web.call import Call
from ..web.preconditions import etag, require_match
from ..web.validation import entry, invalid
from ..web.writing import Answer
from .changes import Target
from .models import Tenant

#: The problems that routes of a kind have in common.
WITH_BODY = (BodyTooLarge, MalformedJSON, UnsupportedMediaType, InvalidInput)
REPEATABLE = (InvalidIdempotencyKey, IdempotencyInProgress, IdempotencyKeyReused)
WRITE = (InvalidParameter, TenantNotFound, PreconditionFailed, PreconditionRequired)

NOT_UTF8 = Fault("invalid-text", "Must be UTF-8.")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def fence(call: Call) -> str | None:
    """The partner whose tenants the caller sees; None means everybody's."""
    return None if call.principal.sees_every_partner else call.principal.partner


def identified(text: str, absent: type[NotFound] = TenantNotFound) -> str:
    """An id in its canonical form, a tenant's unless `absent` is another's. Raises `absent` for what cannot be one."""
    found = text.lower()
    if not _ID.fullmatch(found):
        raise absent
    return found


def named(external_id: str) -> str:
    """The external id in the path. Raises `InvalidInput` where the path is no UTF-8, which else reads as U+FFFD."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeError as error:
        raise invalid([entry(NOT_UTF8, "external_id")]) from error
    return external_id


def target(call: Call, tenant_id: str) -> Target:
    """The tenant that this write means, and the version that it expects."""
    return Target(fence(call), identified(tenant_id), expectation(call))


def expectation(call: Call) -> Any:
    """What looks at a version and raises where the request's preconditions exclude it."""
    return partial(require_match, demanded=call.mount.settings.require_if_match)


def shown(call: Call, tenant: Tenant, status: int = 200, **headers: str) -> Answer:
    """The answer that shows a tenant."""
    return Answer(status, tenant.document(call.mount.hooks.fields), {"ETag": etag(tenant.version), **headers})


def created(call: Call, tenant: Tenant) -> Answer:
    """The answer that shows a new tenant and says where it is."""
    return shown(call, tenant, 201, Location=f"{call.mount.base()}/tenants/{tenant.id}")
