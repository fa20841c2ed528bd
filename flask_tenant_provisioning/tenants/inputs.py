"""What clients send about a tenant, checked as a whole: everybody's fields, and the host's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..problems import Fault
from ..web.api import Api
from ..web.validation import entry, invalid, load, together
from . import own_fields
from .models import Tenant
from .patches import patched
from .plain import plainly
from .schemas import tenant_input

OTHER_ID = Fault("mismatch", "Must be the external id in the path, or absent.")


def load_tenant(api: Api, body: Any) -> dict[str, Any]:
    """The valid values of a whole tenant. Raises `InvalidInput` that lists everything wrong with it."""
    own = api.hooks.fields
    if own is None or not isinstance(body, dict):
        return _load(api, body)
    ours, theirs = own_fields.split(own, body)
    values, fields = together(partial(_load, api, ours), partial(own_fields.load, own, theirs))
    return {**values, "fields": fields}


def _load(api: Api, body: Any) -> dict[str, Any]:
    """The valid values of everybody's fields; what is plainly valid needs no whole look."""
    return api.once(_plainly)(body) or load(tenant_input(api), body)


def _plainly(api: Api) -> Callable[[Any], dict[str, Any] | None]:
    return plainly(api.settings, api.plans)


def load_upsert(api: Api, external_id: str, body: Any) -> dict[str, Any]:
    """The valid values of an upsert, whose path names the external id; the body may repeat it.

    Raises `InvalidInput`.
    """
    whole = {**body, "external_id": external_id} if isinstance(body, dict) else body
    values, _ = together(partial(load_tenant, api, whole), partial(_require_same, body, external_id))
    return values


def load_patch(api: Api, body: Any) -> Callable[[Tenant], Mapping[str, Any]]:
    """What gives a tenant's values after a merge patch (RFC 7396).

    Raises `InvalidInput`. What the host's own fields become depends on the tenant: where the patch names any,
    everything wrong with it is said by the function that is returned.
    """
    own = api.hooks.fields
    ours, theirs = own_fields.split(own, body) if own is not None and isinstance(body, dict) else (body, {})
    if own is None or not theirs:
        return partial(patched, patch=load(tenant_input(api), ours, partial=True))

    def change(tenant: Tenant) -> dict[str, Any]:
        values, fields = together(
            lambda: patched(tenant, load(tenant_input(api), ours, partial=True)),
            lambda: own_fields.patched(own, tenant.fields, theirs),
        )
        return {**values, "fields": fields}

    return change


def _require_same(body: Any, external_id: str) -> dict[str, Any]:
    if isinstance(body, dict) and body.get("external_id", external_id) != external_id:
        raise invalid([entry(OTHER_ID, "external_id")])
    return {}
