"""HTTP routes of a tenant's settings, and of a partner's defaults for its tenants."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response

from ..encoding import dump_json
from ..errors import (
    InvalidCursor,
    InvalidParameter,
    InvalidState,
    PartnerNotFound,
    SettingsOutdated,
    SettingsVersionNotFound,
    TenantNotFound,
)
from ..partners.routes import PARTNER_PATH, parse_partner_id, require_partner_manager
from ..tenants.routes import TENANT_PATH, parse_tenant_id
from ..web.headers import JSON, MERGE_PATCH, format_etag
from ..web.pagination import open_cursor, render_page
from ..web.parameters import NoQuery, WriteQuery
from ..web.request import Request, make_precondition_check, partner_scope
from ..web.routing import BODY_PROBLEMS, IDEMPOTENCY_PROBLEMS, PRECONDITION_PROBLEMS, Routes
from ..web.write import Result, execute
from . import actions, versions
from .actions import SettingsTarget
from .namespaces import make_json_schema
from .resolution import SettingsState
from .schemas import ExplicitSettingsSchema, RollbackSchema, SettingsHistoryQuery, SettingsHistorySchema, SettingsSchema
from .storage import StorageOptions

#: Problems of both lists of versions.
HISTORY_PROBLEMS = (InvalidParameter, InvalidCursor)


def handle_read(call: Request, target: SettingsTarget) -> Response:
    """Return the settings of `target`."""
    call.query(NoQuery)
    result = make_result(call.mount.storage.read(partial(actions.read, keyring=call.mount.keyring, target=target)))
    return call.json_response(result.document, result.headers)


def handle_write(
    call: Request, target: SettingsTarget, action: Callable[..., SettingsState], *media_types: str
) -> Response:
    """Run `action`, which is `put`, `patch` or `rollback`, with the body, and return the settings."""
    query, body = call.query(WriteQuery), call.body(*media_types)
    work = partial(
        action,
        actor=call.actor(),
        options=StorageOptions(call.mount.keyring, call.mount.config.settings_history),
        target=target._replace(check_version=make_precondition_check(call)),
        body=body,
    )
    return execute(call, work, make_result, body=hide_secrets(call, body), validate_only=query["validate_only"])


def make_result(state: SettingsState) -> Result:
    """Build the response with the settings. No 304 is returned: effective values can change without the version."""
    return Result(200, state.document(), {"ETag": format_etag(state.row.version)})


def hide_secrets(call: Request, body: Any) -> Any:
    """Return `body` with secrets sealed, for the digest stored with an ``Idempotency-Key``.

    A digest of the plain values would let a reader of the database guess passwords offline.
    """
    namespaces, seal = call.mount.registry.namespaces, call.mount.cursors.seal
    if not isinstance(body, dict):
        return body
    secret_keys = {
        name: {key for key, declared in namespace.keys.items() if declared.secret}
        for name, namespace in namespaces.items()
    }
    return {
        name: {
            key: seal(dump_json(value), repr((name, key)))
            if value is not None and key in secret_keys.get(name, ())
            else value
            for key, value in values.items()
        }
        if isinstance(values, dict)
        else values
        for name, values in body.items()
    }


def handle_history(call: Request, target: SettingsTarget, cursor_scope: str) -> Response:
    """Return a page of versions; `cursor_scope` binds the cursor to this list."""
    query = call.query(SettingsHistoryQuery)
    position = open_cursor(call, query, cursor_scope)
    before = None if position is None else int(position)
    keyring, limit = call.mount.keyring, query["limit"]
    work = partial(actions.list_versions, keyring=keyring, target=target, limit=limit, before=before)
    page = call.mount.storage.read(work)
    items = [versions.render_version(page.state, version) for version in page.versions]
    return render_page(call, items, None if page.next_version is None else str(page.next_version), cursor_scope)


routes = Routes()
TENANT_SETTINGS = f"{TENANT_PATH}/settings"
_JSON_SCHEMA_SHAPE = {
    "x-component": "SettingsJsonSchema",
    "type": "object",
    "description": "A JSON Schema (draft 2020-12) of all settings, by namespace and key.",
    "examples": [
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Settings",
            "type": "object",
            "properties": {},
            "additionalProperties": False,
        }
    ],
}
_TENANT_WRITE_PROBLEMS = (*BODY_PROBLEMS, *PRECONDITION_PROBLEMS, TenantNotFound, InvalidState)


@routes.add(
    "GET",
    TENANT_SETTINGS,
    permissions=("settings:read",),
    responses={200: SettingsSchema},
    problems=(InvalidParameter, TenantNotFound),
)
def read_settings(call: Request, tenant_id: str) -> Response:
    """Read a tenant's settings. Its own values take precedence over its plan's, its partner's and the defaults.

    The version is 0 until something is set.
    """
    return handle_read(call, _parse_tenant(call, tenant_id))


@routes.add(
    "GET",
    "/settings-schema",
    permissions=("settings:read",),
    responses={200: {JSON: _JSON_SCHEMA_SHAPE}},
    problems=(InvalidParameter,),
)
def read_settings_schema(call: Request) -> Response:
    """Read the JSON Schema of all settings.

    It has types and defaults, and says which keys are secret (draft 2020-12).
    """
    call.query(NoQuery)
    return call.json_response(make_json_schema(call.mount.registry.namespaces))


@routes.add(
    "PUT",
    TENANT_SETTINGS,
    permissions=("settings:update",),
    body=ExplicitSettingsSchema,
    query=WriteQuery,
    responses={200: SettingsSchema},
    problems=_TENANT_WRITE_PROBLEMS,
)
def replace_settings(call: Request, tenant_id: str) -> Response:
    """Replace a tenant's settings. Keys that are left out are inherited."""
    return handle_write(call, _parse_tenant(call, tenant_id), actions.put, JSON)


@routes.add(
    "PATCH",
    TENANT_SETTINGS,
    permissions=("settings:update",),
    body=ExplicitSettingsSchema,
    consumes=(MERGE_PATCH, JSON),
    query=WriteQuery,
    responses={200: SettingsSchema},
    problems=(*_TENANT_WRITE_PROBLEMS, *IDEMPOTENCY_PROBLEMS),
)
def patch_settings(call: Request, tenant_id: str) -> Response:
    """Change some of a tenant's settings (RFC 7396). A key or namespace that is null is inherited again."""
    return handle_write(call, _parse_tenant(call, tenant_id), actions.patch, MERGE_PATCH, JSON)


@routes.add(
    "GET",
    f"{TENANT_SETTINGS}/history",
    permissions=("settings:read",),
    query=SettingsHistoryQuery,
    responses={200: SettingsHistorySchema},
    problems=(*HISTORY_PROBLEMS, TenantNotFound),
)
def list_settings_versions(call: Request, tenant_id: str) -> Response:
    """List the versions of a tenant's settings, newest first. Each has its author, its time and its changes."""
    target = _parse_tenant(call, tenant_id)
    return handle_history(call, target, repr(("settings", target.partner, target.tenant_id)))


@routes.add(
    "POST",
    f"{TENANT_SETTINGS}/rollback",
    permissions=("settings:update",),
    body=RollbackSchema,
    query=WriteQuery,
    responses={200: SettingsSchema},
    problems=(*_TENANT_WRITE_PROBLEMS, *IDEMPOTENCY_PROBLEMS, SettingsVersionNotFound, SettingsOutdated),
)
def roll_settings_back(call: Request, tenant_id: str) -> Response:
    """Set the values of an earlier version again. This makes a new version; version 0 sets nothing."""
    return handle_write(call, _parse_tenant(call, tenant_id), actions.rollback, JSON)


def _parse_tenant(call: Request, tenant_id: str) -> SettingsTarget:
    """Return the tenant, among those that the caller sees. Raises `TenantNotFound` unless the id is a UUID."""
    return SettingsTarget(partner_scope(call), parse_tenant_id(tenant_id))


partner_routes = Routes()
PARTNER_SETTINGS = f"{PARTNER_PATH}/settings"
_PARTNER_WRITE_PROBLEMS = (*BODY_PROBLEMS, *PRECONDITION_PROBLEMS, PartnerNotFound)


@partner_routes.add(
    "GET",
    PARTNER_SETTINGS,
    permissions=("settings:read",),
    responses={200: SettingsSchema},
    problems=(InvalidParameter, PartnerNotFound),
)
def read_partner_settings(call: Request, partner_id: str) -> Response:
    """Read a partner's defaults for its tenants.

    Tenants inherit them where neither they nor their plans set a value.
    """
    return handle_read(call, _parse_readable_partner(call, partner_id))


@partner_routes.add(
    "PUT",
    PARTNER_SETTINGS,
    permissions=("partner:manage",),
    body=ExplicitSettingsSchema,
    query=WriteQuery,
    responses={200: SettingsSchema},
    problems=_PARTNER_WRITE_PROBLEMS,
)
def replace_partner_settings(call: Request, partner_id: str) -> Response:
    """Replace all of a partner's defaults for its tenants."""
    return handle_write(call, _parse_managed_partner(call, partner_id), actions.put, JSON)


@partner_routes.add(
    "PATCH",
    PARTNER_SETTINGS,
    permissions=("partner:manage",),
    body=ExplicitSettingsSchema,
    consumes=(MERGE_PATCH, JSON),
    query=WriteQuery,
    responses={200: SettingsSchema},
    problems=(*_PARTNER_WRITE_PROBLEMS, *IDEMPOTENCY_PROBLEMS),
)
def patch_partner_settings(call: Request, partner_id: str) -> Response:
    """Change some of a partner's defaults for its tenants (RFC 7396)."""
    return handle_write(call, _parse_managed_partner(call, partner_id), actions.patch, MERGE_PATCH, JSON)


@partner_routes.add(
    "GET",
    f"{PARTNER_SETTINGS}/history",
    permissions=("settings:read",),
    query=SettingsHistoryQuery,
    responses={200: SettingsHistorySchema},
    problems=(*HISTORY_PROBLEMS, PartnerNotFound),
)
def list_partner_settings_versions(call: Request, partner_id: str) -> Response:
    """List the versions of a partner's defaults for its tenants, newest first."""
    return handle_history(call, _parse_readable_partner(call, partner_id), repr(("partner settings", partner_id)))


@partner_routes.add(
    "POST",
    f"{PARTNER_SETTINGS}/rollback",
    permissions=("partner:manage",),
    body=RollbackSchema,
    query=WriteQuery,
    responses={200: SettingsSchema},
    problems=(*_PARTNER_WRITE_PROBLEMS, *IDEMPOTENCY_PROBLEMS, SettingsVersionNotFound, SettingsOutdated),
)
def roll_partner_settings_back(call: Request, partner_id: str) -> Response:
    """Set a partner's defaults of an earlier version again. This makes a new version."""
    return handle_write(call, _parse_managed_partner(call, partner_id), actions.rollback, JSON)


def _parse_readable_partner(call: Request, partner_id: str) -> SettingsTarget:
    """Return the partner for a read. Raises `PartnerNotFound` if the caller is limited to another partner."""
    if partner_scope(call) not in (None, partner_id):
        raise PartnerNotFound
    return SettingsTarget(parse_partner_id(partner_id))


def _parse_managed_partner(call: Request, partner_id: str) -> SettingsTarget:
    """Return the partner for a write. Raises `Forbidden` unless the caller is an administrator."""
    require_partner_manager(call)
    return SettingsTarget(parse_partner_id(partner_id))
