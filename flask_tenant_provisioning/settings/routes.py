"""The HTTP of a tenant's settings."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..problems import InvalidParameter, InvalidState, SettingsOutdated, SettingsVersionNotFound, TenantNotFound
from ..tenants.requests import tenant_named
from ..tenants.routes import ONE
from ..web.parameters import NO_QUERY, write_query
from ..web.requests import CONDITIONAL, REPEATABLE, WITH_BODY, fence
from ..web.routing import JSON, MERGE_PATCH, Call, Routes
from . import actions, requests
from .actions import FindOwner
from .json_schema import json_schema
from .requests import HISTORY
from .schemas import SettingsHistorySchema, SettingsSchema, history_query, rollback_input, settings_input

routes = Routes()

SETTINGS = f"{ONE}/settings"
_SCHEMA = {"type": "object", "required": ["$schema", "type", "properties"]}
_WRITE = (*WITH_BODY, *CONDITIONAL, TenantNotFound, InvalidState)


@routes.add(
    "GET",
    SETTINGS,
    permissions=("settings:read",),
    answers={200: SettingsSchema},
    problems=(InvalidParameter, TenantNotFound),
)
def read_settings(call: Call, tenant_id: str) -> Response:
    """Read a tenant's settings: what it sets counts over its plan's, its partner's and the defaults.

    Until something is set their version is 0.
    """
    return requests.read(call, _of(call, tenant_id))


@routes.add(
    "GET",
    "/settings-schema",
    permissions=("settings:read",),
    answers={200: {JSON: _SCHEMA}},
    problems=(InvalidParameter,),
)
def read_settings_schema(call: Call) -> Response:
    """Read which settings there are, as JSON Schema (draft 2020-12): their types, defaults, which are secret."""
    call.asked(NO_QUERY)
    return call.answer(json_schema(call.mount.hooks.namespaces))


@routes.add(
    "PUT",
    SETTINGS,
    permissions=("settings:update",),
    body=settings_input,
    query=write_query,
    answers={200: SettingsSchema},
    problems=_WRITE,
)
def replace_settings(call: Call, tenant_id: str) -> Response:
    """Replace everything that a tenant sets; what is left out is inherited."""
    return requests.put(call, _of(call, tenant_id))


@routes.add(
    "PATCH",
    SETTINGS,
    permissions=("settings:update",),
    body=settings_input,
    consumes=(MERGE_PATCH, JSON),
    query=write_query,
    answers={200: SettingsSchema},
    problems=(*_WRITE, *REPEATABLE),
)
def patch_settings(call: Call, tenant_id: str) -> Response:
    """Change some of what a tenant sets (RFC 7396); a key, or a namespace, that is null is inherited again."""
    return requests.patch(call, _of(call, tenant_id))


@routes.add(
    "GET",
    f"{SETTINGS}/history",
    permissions=("settings:read",),
    query=history_query,
    answers={200: SettingsHistorySchema},
    problems=(*HISTORY, TenantNotFound),
)
def list_settings_versions(call: Call, tenant_id: str) -> Response:
    """List the versions of a tenant's settings, the newest first: who set them when, and what changed."""
    id = tenant_named(tenant_id)
    return requests.history(call, _of(call, id), repr(("settings", fence(call), id)))


@routes.add(
    "POST",
    f"{SETTINGS}/rollback",
    permissions=("settings:update",),
    body=rollback_input,
    query=write_query,
    answers={200: SettingsSchema},
    problems=(*_WRITE, *REPEATABLE, SettingsVersionNotFound, SettingsOutdated),
)
def roll_settings_back(call: Call, tenant_id: str) -> Response:
    """Set what a tenant set in an earlier version, as a new version; in version 0 that is nothing."""
    return requests.rollback(call, _of(call, tenant_id))


def _of(call: Call, tenant_id: str) -> FindOwner:
    return partial(actions.of_tenant, partner=fence(call), tenant_id=tenant_named(tenant_id))
