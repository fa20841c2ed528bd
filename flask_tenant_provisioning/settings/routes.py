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
from .actions import FindOwner
from .namespaces import make_json_schema
from .resolution import SettingsState
from .schemas import ExplicitSettingsSchema, RollbackSchema, SettingsHistoryQuery, SettingsHistorySchema, SettingsSchema
from .storage import SettingPath, StorageOptions, is_declared, is_secret

#: Problems of both lists of versions.
HISTORY_PROBLEMS = (InvalidParameter, InvalidCursor)


def storage_options(call: Request) -> StorageOptions:
    """Return the keyring and the number of stored versions of this mount."""
    return StorageOptions(call.mount.keyring, call.mount.config.settings_history)


def make_result(state: SettingsState) -> Result:
    """Build the response with the settings. No 304 is returned: effective values can change without the version."""
    return Result(200, state.document(), {"ETag": format_etag(state.version)})


def handle_read(call: Request, find_owner: FindOwner) -> Response:
    """Return the settings of the owner."""
    call.query(NoQuery)
    result = make_result(
        call.mount.storage.read(partial(actions.read, options=storage_options(call), find_owner=find_owner))
    )
    return call.json_response(result.document, result.headers)


def handle_put(call: Request, find_owner: FindOwner) -> Response:
    """Replace everything that the owner sets."""
    return _handle_write(call, find_owner, actions.put, call.query(WriteQuery), call.body(JSON))


def handle_patch(call: Request, find_owner: FindOwner) -> Response:
    """Apply a merge patch to what the owner sets."""
    return _handle_write(call, find_owner, actions.patch, call.query(WriteQuery), call.body(MERGE_PATCH, JSON))


def handle_rollback(call: Request, find_owner: FindOwner) -> Response:
    """Set the values of an earlier version again."""
    return _handle_write(call, find_owner, actions.rollback, call.query(WriteQuery), call.body(JSON))


def handle_history(call: Request, find_owner: FindOwner, question: str) -> Response:
    """Return a page of versions; `question` binds the cursor to this list."""
    query = call.query(SettingsHistoryQuery)
    position = open_cursor(call, query, question)
    before = None if position is None else int(position)
    work = partial(
        actions.list_versions, options=storage_options(call), find_owner=find_owner, limit=query["limit"], before=before
    )
    page = call.mount.storage.read(work)
    items = [versions.render_version(page.state, version) for version in page.versions]
    return render_page(call, items, None if page.next_version is None else str(page.next_version), question)


def _handle_write(
    call: Request, find_owner: FindOwner, action: Callable[..., SettingsState], query: dict[str, Any], body: Any
) -> Response:
    work = partial(action, **_collect_arguments(call, find_owner), body=body)
    return execute(call, work, make_result, body=hide_secrets(call, body), validate_only=query["validate_only"])


def hide_secrets(call: Request, body: Any) -> Any:
    """Return `body` with secrets sealed, for the digest stored with an ``Idempotency-Key``.

    A digest of the plain values would let a reader of the database guess passwords offline.
    """
    namespaces, seal = call.mount.registry.namespaces, call.mount.cursors.seal

    def seal_secret(path: SettingPath, value: Any) -> Any:
        is_plain = value is None or not is_declared(namespaces, path) or not is_secret(namespaces, path)
        return value if is_plain else seal(dump_json(value), repr(path))

    if not isinstance(body, dict):
        return body
    return {
        name: {key: seal_secret((name, key), value) for key, value in values.items()}
        if isinstance(values, dict)
        else values
        for name, values in body.items()
    }


def _collect_arguments(call: Request, find_owner: FindOwner) -> dict[str, Any]:
    return {
        "actor": call.actor(),
        "options": storage_options(call),
        "find_owner": find_owner,
        "check_version": make_precondition_check(call),
    }


routes = Routes()
TENANT_SETTINGS = f"{TENANT_PATH}/settings"
_JSON_SCHEMA_SHAPE = {"type": "object", "required": ["$schema", "type", "properties"]}
_TENANT_WRITE_PROBLEMS = (*BODY_PROBLEMS, *PRECONDITION_PROBLEMS, TenantNotFound, InvalidState)


@routes.add(
    "GET",
    TENANT_SETTINGS,
    permissions=("settings:read",),
    responses={200: SettingsSchema},
    problems=(InvalidParameter, TenantNotFound),
)
def read_settings(call: Request, tenant_id: str) -> Response:
    """Read a tenant's settings: its own values take precedence over its plan's, its partner's and the defaults.

    The version is 0 until something is set.
    """
    return handle_read(call, _find_tenant(call, tenant_id))


@routes.add(
    "GET",
    "/settings-schema",
    permissions=("settings:read",),
    responses={200: {JSON: _JSON_SCHEMA_SHAPE}},
    problems=(InvalidParameter,),
)
def read_settings_schema(call: Request) -> Response:
    """Read the declared settings as JSON Schema (draft 2020-12): types, defaults, and which keys are secret."""
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
    """Replace everything that a tenant sets; keys that are left out are inherited."""
    return handle_put(call, _find_tenant(call, tenant_id))


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
    """Change some of a tenant's settings (RFC 7396); a key or namespace that is null is inherited again."""
    return handle_patch(call, _find_tenant(call, tenant_id))


@routes.add(
    "GET",
    f"{TENANT_SETTINGS}/history",
    permissions=("settings:read",),
    query=SettingsHistoryQuery,
    responses={200: SettingsHistorySchema},
    problems=(*HISTORY_PROBLEMS, TenantNotFound),
)
def list_settings_versions(call: Request, tenant_id: str) -> Response:
    """List the versions of a tenant's settings, newest first: author, time and changes of each."""
    id = parse_tenant_id(tenant_id)
    return handle_history(call, _find_tenant(call, id), repr(("settings", partner_scope(call), id)))


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
    """Set the values of an earlier version again, as a new version; version 0 sets nothing."""
    return handle_rollback(call, _find_tenant(call, tenant_id))


def _find_tenant(call: Request, tenant_id: str) -> FindOwner:
    return partial(actions.find_tenant_owner, partner=partner_scope(call), tenant_id=parse_tenant_id(tenant_id))


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
    """Read a partner's defaults, which its tenants inherit where neither they nor their plans set a value."""
    return handle_read(call, _find_readable_partner(call, partner_id))


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
    return handle_put(call, _find_managed_partner(call, partner_id))


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
    return handle_patch(call, _find_managed_partner(call, partner_id))


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
    return handle_history(call, _find_readable_partner(call, partner_id), repr(("partner settings", partner_id)))


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
    """Set a partner's defaults of an earlier version again, as a new version."""
    return handle_rollback(call, _find_managed_partner(call, partner_id))


def _find_readable_partner(call: Request, partner_id: str) -> FindOwner:
    """Return the owner for a read. Raises `PartnerNotFound` if the caller is limited to another partner."""
    if partner_scope(call) not in (None, partner_id):
        raise PartnerNotFound
    return partial(actions.find_partner_owner, partner=parse_partner_id(partner_id))


def _find_managed_partner(call: Request, partner_id: str) -> FindOwner:
    """Return the owner for a write. Raises `Forbidden` unless the caller is an administrator."""
    require_partner_manager(call)
    return partial(actions.find_partner_owner, partner=parse_partner_id(partner_id))
