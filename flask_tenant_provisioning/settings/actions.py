"""Read, replace, patch and roll back settings.

Each public function is one unit of work, wherever it is called from. A write saves the row, its version in the history
and the event in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..access.principal import Actor
from ..database.errors import StaleRead
from ..database.ids import add_microsecond, format_instant
from ..database.pages import FEW_ROWS, measure_row, measure_text, read_page
from ..database.session import Session
from ..database.statements import write_version
from ..encoding import diff_json, dump_json
from ..errors import InvalidInput, SettingsOutdated
from ..events.actions import build_event, record_event
from ..keyring import Keyring
from ..partners import actions as partners
from ..tenants import mutations
from ..tenants.actions import require_changeable
from ..tenants.models import render_tenant_document
from ..tenants.mutations import Target, lock_tenant
from ..validation import load, make_entry, make_invalid_input
from .models import PARTNER_SCOPE, SettingsRow, VersionSummary
from .resolution import MASK, Owner, SettingsState, load_state
from .schemas import RollbackSchema
from .statements import SettingsSQL
from .storage import (
    UNREADABLE,
    FlatSettings,
    SettingPath,
    StorageOptions,
    StoredSettings,
    encode_columns,
    is_same_value,
    is_secret,
    make_contents,
    measure_size,
)
from .validation import MAX_BYTES, TOO_LARGE, read_merge_patch, read_replacement, validate
from .versions import NEWEST_COLUMNS, VersionPage, choose_encoding, load_version, make_newest_version, save_version

CheckVersion = Callable[[int], None]
#: Loads the owner of the settings; with True, locks it for a write.
FindOwner = Callable[[Session, bool], Owner]


def find_tenant_owner(session: Session, for_update: bool, *, partner: str | None, tenant_id: str) -> Owner:
    """Load a tenant of `partner`, or of any partner if that is None; lock it if `for_update`.

    Raises `TenantNotFound`, and for an update `InvalidState` if the tenant cannot be changed.
    """
    if not for_update:
        tenant = mutations.load_tenant(session, partner, tenant_id)
    else:
        tenant = lock_tenant(session, Target(partner, tenant_id))
        require_changeable(tenant)
    return Owner(tenant.partner_id, tenant)


def find_partner_owner(session: Session, for_update: bool, *, partner: str) -> Owner:
    """Load a partner, whose settings are the defaults of its tenants; lock its settings if `for_update`.

    Raises `PartnerNotFound`.
    """
    partners.load_partner(session, partner)
    if for_update:
        where = {"partner_id": partner, "tenant_id": PARTNER_SCOPE}
        session.run(session.storage.once(SettingsSQL).lock, where).fetchall()
    return Owner(partner)


def read(session: Session, options: StorageOptions, find_owner: FindOwner) -> SettingsState:
    """Return the settings of the owner. Raises what `find_owner` raises."""
    return load_state(session, options.get_keyring, find_owner(session, False))


def put(
    session: Session,
    actor: Actor,
    options: StorageOptions,
    find_owner: FindOwner,
    body: Any,
    check_version: CheckVersion,
) -> SettingsState:
    """Replace everything that the owner sets by `body`.

    Raises `InvalidInput`, and what `find_owner` and `check_version` raise.
    """
    current = _load_for_update(session, options, find_owner, check_version)
    return save(session, actor, options, current, validate(current, *read_replacement(current, body)))


def patch(
    session: Session,
    actor: Actor,
    options: StorageOptions,
    find_owner: FindOwner,
    body: Any,
    check_version: CheckVersion,
) -> SettingsState:
    """Apply a merge patch (RFC 7396) to what the owner sets; a key that is null is inherited again.

    Raises what `put` raises.
    """
    current = _load_for_update(session, options, find_owner, check_version)
    return save(session, actor, options, current, validate(current, *read_merge_patch(current, body)))


def rollback(
    session: Session,
    actor: Actor,
    options: StorageOptions,
    find_owner: FindOwner,
    body: Any,
    check_version: CheckVersion,
) -> SettingsState:
    """Set the values of an earlier version again, as a new version; version 0 sets nothing.

    Raises `InvalidInput`, `SettingsVersionNotFound`, `SettingsOutdated` if the values are no longer valid, and what
    `find_owner` and `check_version` raise.
    """
    current = _load_for_update(session, options, find_owner, check_version)
    version = load(RollbackSchema(), body)["version"]
    stored = load_version(session, options, current, version)
    try:
        return save(session, actor, options, current, validate(current, stored.values), stored)
    except InvalidInput as error:
        detail = f"The settings of version {version} are no longer valid."
        raise SettingsOutdated(detail, errors=error.errors, **error.members) from error


def list_versions(
    session: Session, options: StorageOptions, find_owner: FindOwner, limit: int, before: int | None
) -> VersionPage:
    """Return at most `limit` versions older than `before`, newest first. Raises what `find_owner` raises."""
    state = read(session, options, find_owner)
    scope = state.owner.scope
    where = {"partner_id": scope.partner, "tenant_id": scope.tenant}

    def load_rows(count: int, version: int | None) -> list[VersionSummary]:
        older = {**where, "before": state.version + 1 if version is None else version, "limit": count}
        return [
            VersionSummary._make(row)
            for row in session.run(session.storage.once(SettingsSQL).select_older_versions, older).fetchall()
        ]

    page, next_version = read_page(load_rows, limit, before, lambda revision: revision.version, measure_row, FEW_ROWS)
    return VersionPage(state, page, next_version)


def _load_for_update(
    session: Session, options: StorageOptions, find_owner: FindOwner, check_version: CheckVersion
) -> SettingsState:
    """Lock and return the settings before a write. Raises what `find_owner` and `check_version` raise."""
    current = load_state(session, options.get_keyring, find_owner(session, True))
    check_version(current.version)
    return current


def save(
    session: Session,
    actor: Actor,
    options: StorageOptions,
    current: SettingsState,
    values: FlatSettings,
    *known: StoredSettings,
) -> SettingsState:
    """Write valid `values` in place of the current ones, unless they are the same, and return the new state.

    A secret whose value is in `known` keeps the sealed text that it has there. Raises `InvalidInput` if the values are
    too large, and `StaleRead` if the row has been changed since it was read.
    """
    updated = _seal_secrets(options.keyring, current, values, (*known, current.stored))
    paths = [path for path in {**current.stored.values, **values} if _is_changed(current.stored, updated, path)]
    if not paths:
        return current
    if measure_size(updated) > MAX_BYTES:
        raise make_invalid_input([make_entry(TOO_LARGE)])
    timestamp, contents = _next_timestamp(session, current), make_contents(updated)
    row = SettingsRow(
        *current.owner.scope,
        current.version + 1,
        **encode_columns(contents),
        updated_at=timestamp,
        history_bytes=0,
    )
    changes = {".".join(path): _describe_change(current, updated, path) for path in paths}
    version = make_newest_version(actor, row, changes)
    previous = NEWEST_COLUMNS
    if current.row is not None:
        previous, history_bytes = choose_encoding(
            row, current.row, sum(measure_text(text) for text in version if isinstance(text, str))
        )
        row = row._replace(history_bytes=history_bytes)
    _save_row(session, current.version, row)
    save_version(session, version, previous, options.max_versions)
    _record_event(session, actor, current, timestamp, changes)
    return current.replace_stored(row, updated.reorder(contents))


def _seal_secrets(
    keyring: Keyring, current: SettingsState, values: FlatSettings, known: Sequence[StoredSettings]
) -> StoredSettings:
    """Seal every secret; a value that is unchanged keeps its sealed text."""
    sealed: dict[SettingPath, str] = {}
    for path, value in values.items():
        text = next(
            (
                settings.sealed[path]
                for settings in known
                if path in settings.sealed and is_same_value(settings.values[path], value)
            ),
            None,
        )
        if text is not None:
            sealed[path] = text
        elif is_secret(current.namespaces, path):
            sealed[path] = keyring.seal(dump_json(value), current.owner.scope.sealing_context(path))
    return current.stored._replace(values=values, sealed=sealed)


def _is_changed(before: StoredSettings, after: StoredSettings, path: SettingPath) -> bool:
    if path not in before.values or path not in after.values:
        return True
    old, new = before.values[path], after.values[path]
    return before.sealed[path] != after.sealed[path] if old is new is UNREADABLE else not is_same_value(old, new)


def _describe_change(current: SettingsState, after: StoredSettings, path: SettingPath) -> dict[str, Any]:
    masked = is_secret(current.namespaces, path) or path in current.stored.sealed or path in after.sealed
    old, new = (_mask_value(settings, path, masked) for settings in (current.stored, after))
    return diff_json(old, new)


def _mask_value(settings: StoredSettings, path: SettingPath, masked: bool) -> Any:
    """Return a value as events and versions show it; None if it is not set."""
    if path not in settings.values:
        return None
    return MASK if masked else settings.values[path]


def _next_timestamp(session: Session, current: SettingsState) -> str:
    """Return the current time, or just after the owner's last change if another process's clock was ahead."""
    tenant = current.owner.tenant
    past = [at for at in (current.updated_at, tenant and tenant.updated_at) if at]
    return max(format_instant(session.storage.clock()), *map(add_microsecond, past), "")


def _save_row(session: Session, version: int, row: SettingsRow) -> None:
    sql, values = session.storage.once(SettingsSQL), row._asdict()
    if version:
        key = {"partner_id": row.partner_id, "tenant_id": row.tenant_id}
        write_version(session, sql.change, key, version, values)
    elif session.run(sql.add, values).rowcount != 1:
        raise StaleRead(row.tenant_id)


def _record_event(
    session: Session, actor: Actor, current: SettingsState, timestamp: str, changes: dict[str, Any]
) -> None:
    partner, tenant, storage = current.owner.partner, current.owner.tenant, session.storage
    if tenant:
        kind, document = "tenant.settings_updated", render_tenant_document(tenant, storage.registry.fields)
    else:
        kind, document = "partner.settings_updated", partners.load_partner(session, partner).document()
    record_event(session, build_event(storage, actor, kind, partner, document, timestamp, changes))
