"""Read, replace, patch and roll back settings.

What takes a `Session` runs in the caller's unit of work. A write saves the row, its version in the history
and the event in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..access.principal import Actor
from ..database.ids import add_microsecond, format_instant
from ..database.pages import FEW_ROWS, measure_row, read_page
from ..database.session import Session
from ..errors import InvalidInput, SettingsOutdated
from ..events.actions import build_event, record_event
from ..keyring import Keyring
from ..partners import actions as partners
from ..tenants import mutations
from ..tenants.actions import require_changeable
from ..tenants.models import render_tenant_document
from ..tenants.mutations import Target, lock_tenant
from ..validation import ErrorList, load, make_entry, make_invalid_input
from .models import PARTNER_SCOPE, SettingsRow, VersionSummary
from .resolution import SettingsState, load_state, make_partner_owner, make_tenant_owner
from .schemas import RollbackSchema
from .statements import SettingsSQL
from .storage import (
    StorageOptions,
    StoredSettings,
    Values,
    describe_changes,
    encode_columns,
    measure_size,
    seal_values,
)
from .validation import MAX_BYTES, TOO_LARGE, read_merge_patch, read_replacement, validate
from .versions import VersionPage, load_version, save_version


class SettingsTarget(NamedTuple):
    """The owner that an action addresses: a tenant, or with `tenant_id` None the partner, for its tenants' defaults.

    `partner` None means a tenant of any partner. `check_version` is called with the version of the settings before a
    write and raises if the caller's precondition does not hold.
    """

    partner: str | None
    tenant_id: str | None = None
    check_version: Callable[[int], None] = lambda _version: None


def read(session: Session, keyring: Keyring, target: SettingsTarget) -> SettingsState:
    """Return the settings of `target`. Raises `TenantNotFound` or `PartnerNotFound`."""
    if target.tenant_id is None:
        partner = partners.load_partner(session, str(target.partner))
        return load_state(session, keyring, make_partner_owner(partner.partner_id))
    tenant = mutations.load_tenant(session, target.partner, target.tenant_id)
    return load_state(session, keyring, make_tenant_owner(tenant))


def put(session: Session, actor: Actor, options: StorageOptions, target: SettingsTarget, body: Any) -> SettingsState:
    """Replace everything that `target` sets by `body`.

    Raises `InvalidInput`, what `read` raises, `InvalidState` if the tenant cannot be changed, and what the target's
    `check_version` raises.
    """
    current = _load_for_update(session, options.keyring, target)
    errors = ErrorList()
    requested = read_replacement(current, body, errors)
    return save(session, actor, options, current, validate(current, requested, errors))


def patch(session: Session, actor: Actor, options: StorageOptions, target: SettingsTarget, body: Any) -> SettingsState:
    """Apply a merge patch (RFC 7396) to what `target` sets; a key that is null is inherited again.

    Raises what `put` raises.
    """
    current = _load_for_update(session, options.keyring, target)
    errors = ErrorList()
    requested = read_merge_patch(current, body, errors)
    return save(session, actor, options, current, validate(current, requested, errors))


def rollback(
    session: Session, actor: Actor, options: StorageOptions, target: SettingsTarget, body: Any
) -> SettingsState:
    """Set the values of an earlier version again, as a new version; version 0 sets nothing.

    Raises what `put` raises, `SettingsVersionNotFound`, and `SettingsOutdated` if the values are no longer valid.
    """
    current = _load_for_update(session, options.keyring, target)
    version = load(RollbackSchema(), body)["version"]
    stored = load_version(session, options.keyring, current, version)
    requested = {name: stored.values.get(name, {}) for name in current.namespaces}
    try:
        return save(session, actor, options, current, validate(current, requested, ErrorList()), stored)
    except InvalidInput as error:
        detail = f"The settings of version {version} are no longer valid."
        raise SettingsOutdated(detail, errors=error.errors, **error.members) from error


def list_versions(
    session: Session, keyring: Keyring, target: SettingsTarget, limit: int, before: int | None
) -> VersionPage:
    """Return at most `limit` versions older than `before`, newest first. Raises what `read` raises."""
    state = read(session, keyring, target)
    scope = state.owner.scope
    where = {"partner_id": scope.partner, "tenant_id": scope.tenant}

    def load_rows(count: int, version: int | None) -> list[VersionSummary]:
        older = {**where, "before": state.row.version + 1 if version is None else version, "limit": count}
        rows = session.run(session.storage.once(SettingsSQL).select_older_versions, older).fetchall()
        return [VersionSummary._make(row) for row in rows]

    page, next_version = read_page(load_rows, limit, before, lambda version: version.version, measure_row, FEW_ROWS)
    return VersionPage(state, page, next_version)


def _load_for_update(session: Session, keyring: Keyring, target: SettingsTarget) -> SettingsState:
    """Lock and return the settings before a write. Raises what `put` raises, except `InvalidInput`."""
    if target.tenant_id is None:
        partner = partners.load_partner(session, str(target.partner))
        where = {"partner_id": partner.partner_id, "tenant_id": PARTNER_SCOPE}
        session.run(session.storage.once(SettingsSQL).lock, where).fetchall()
        owner = make_partner_owner(partner.partner_id)
    else:
        tenant = lock_tenant(session, Target(target.partner, target.tenant_id))
        require_changeable(tenant)
        owner = make_tenant_owner(tenant)
    current = load_state(session, keyring, owner)
    target.check_version(current.row.version)
    return current


def save(
    session: Session,
    actor: Actor,
    options: StorageOptions,
    current: SettingsState,
    values: Values,
    *sealed: StoredSettings,
) -> SettingsState:
    """Write valid `values` in place of the current ones, unless they are the same, and return the new state.

    A secret that is in `sealed` with the same value keeps the sealed text that it has there. Raises `InvalidInput` if
    the values are too large, and `StaleRead` if the row has been changed since it was read.
    """
    owner, before, storage = current.owner, current.stored, session.storage
    after = seal_values(current.namespaces, owner.scope, values, options.keyring, (*sealed, before))
    changes_by_path = describe_changes(current.namespaces, before, after)
    if not changes_by_path:
        return current
    if measure_size(after) > MAX_BYTES:
        raise make_invalid_input([make_entry(TOO_LARGE)])
    columns, timestamp = encode_columns(after.contents), format_instant(storage.clock())
    # The feed is ordered by these instants, and the clock of the process that wrote last may be ahead.
    last_change = max(current.row.updated_at, owner.tenant.updated_at if owner.tenant else "")
    if timestamp <= last_change:
        timestamp = add_microsecond(last_change)
    row = SettingsRow(*owner.scope, current.row.version + 1, **columns, updated_at=timestamp, history_bytes=0)
    changes = {".".join(path): change for path, change in changes_by_path.items()}
    row = save_version(session, actor, current, row, after.contents, changes, options.max_versions)
    if owner.tenant:
        event_type, document = "tenant.settings_updated", render_tenant_document(owner.tenant, storage.registry.fields)
    else:
        event_type = "partner.settings_updated"
        document = partners.load_partner(session, owner.scope.partner).document()
    record_event(session, build_event(storage, actor, event_type, owner.scope.partner, document, timestamp, changes))
    return current.replace_stored(row, after, {namespace for namespace, _ in changes_by_path})
