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
from ..database.statements import name_new_values
from ..encoding import dump_json
from ..errors import InvalidInput, SettingsOutdated
from ..events.actions import build_event, record_event
from ..keyring import Keyring
from ..partners import actions as partners
from ..tenants import mutations
from ..tenants.actions import require_changeable
from ..tenants.custom_fields import diff_json
from ..tenants.mutations import Target, lock_tenant
from ..validation import load, make_entry, make_invalid_input
from .models import PARTNER_SCOPE, SettingsRow, VersionSummary
from .resolution import MASK, Owner, SettingsState, load_state
from .schemas import rollback_input
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


def find_tenant_owner(session: Session, write: bool, *, partner: str | None, tenant_id: str) -> Owner:
    """Load a tenant of `partner`, or of any partner if that is None; lock it if `for_update`.

    Raises `TenantNotFound`, and for an update `InvalidState` if the tenant cannot be changed.
    """
    if not write:
        tenant = mutations.load_tenant(session, partner, tenant_id)
    else:
        tenant = lock_tenant(session, Target(partner, tenant_id))
        require_changeable(tenant)
    return Owner(tenant.partner_id, tenant)


def find_partner_owner(session: Session, write: bool, *, partner: str) -> Owner:
    """Load a partner, whose settings are the defaults of its tenants; lock its settings if `for_update`.

    Raises `PartnerNotFound`.
    """
    partners.load_partner(session, partner)
    if write:
        where = {"partner_id": partner, "tenant_id": PARTNER_SCOPE}
        session.run(session.storage.once(SettingsSQL).lock, where).fetchall()
    return Owner(partner)


def read(session: Session, shelf: StorageOptions, find: FindOwner) -> SettingsState:
    """Return the settings of the owner. Raises what `find_owner` raises."""
    return load_state(session, shelf.open, find(session, False))


def put(
    session: Session, actor: Actor, shelf: StorageOptions, find: FindOwner, sent: Any, expected: CheckVersion
) -> SettingsState:
    """Replace everything that the owner sets by `body`.

    Raises `InvalidInput`, and what `find_owner` and `check_version` raise.
    """
    before = _load_for_update(session, shelf, find, expected)
    return _save_and_reload(session, actor, shelf, before, validate(before, *read_replacement(before, sent)))


def patch(
    session: Session, actor: Actor, shelf: StorageOptions, find: FindOwner, sent: Any, expected: CheckVersion
) -> SettingsState:
    """Apply a merge patch (RFC 7396) to what the owner sets; a key that is null is inherited again.

    Raises what `put` raises.
    """
    before = _load_for_update(session, shelf, find, expected)
    return _save_and_reload(session, actor, shelf, before, validate(before, *read_merge_patch(before, sent)))


def rollback(
    session: Session, actor: Actor, shelf: StorageOptions, find: FindOwner, sent: Any, expected: CheckVersion
) -> SettingsState:
    """Set the values of an earlier version again, as a new version; version 0 sets nothing.

    Raises `InvalidInput`, `SettingsVersionNotFound`, `SettingsOutdated` if the values are no longer valid, and what
    `find_owner` and `check_version` raise.
    """
    before = _load_for_update(session, shelf, find, expected)
    version = load(rollback_input(), sent)["version"]
    then = load_version(session, shelf, before, version)
    try:
        return _save_and_reload(session, actor, shelf, before, validate(before, then.values), then)
    except InvalidInput as error:
        detail = f"The settings of version {version} are no longer valid."
        raise SettingsOutdated(detail, errors=error.errors, **error.members) from error


def list_versions(
    session: Session, shelf: StorageOptions, find: FindOwner, limit: int, before: int | None
) -> VersionPage:
    """Return at most `limit` versions older than `before`, newest first. Raises what `find_owner` raises."""
    found = read(session, shelf, find)
    place = found.owner.place
    where = {"partner_id": place.partner, "tenant_id": place.tenant}

    def rows(count: int, version: int | None) -> list[VersionSummary]:
        older = {**where, "before": found.version + 1 if version is None else version, "limit": count}
        return [
            VersionSummary._make(row) for row in session.run(session.storage.once(SettingsSQL).page, older).fetchall()
        ]

    page, end = read_page(rows, limit, before, lambda revision: revision.version, measure_row, FEW_ROWS)
    return VersionPage(found, page, end)


def _load_for_update(session: Session, shelf: StorageOptions, find: FindOwner, expected: CheckVersion) -> SettingsState:
    """Lock and return the settings before a write. Raises what `find_owner` and `check_version` raise."""
    before = load_state(session, shelf.open, find(session, True))
    expected(before.version)
    return before


def _save_and_reload(
    session: Session,
    actor: Actor,
    shelf: StorageOptions,
    before: SettingsState,
    values: FlatSettings,
    *known: StoredSettings,
) -> SettingsState:
    save(session, actor, shelf.keyring, before, values, shelf.most, *known)
    return load_state(session, shelf.open, before.owner)


def save(
    session: Session,
    actor: Actor,
    keyring: Keyring,
    before: SettingsState,
    values: FlatSettings,
    most: int,
    *known: StoredSettings,
) -> None:
    """Write valid `values` in place of the current ones, unless they are the same; keep `max_versions` versions.

    A secret whose value is in `known` keeps the sealed text that it has there. Raises `InvalidInput` if the values are
    too large, and `StaleRead` if the row has been changed since it was read.
    """
    after = _seal_secrets(keyring, before, values, (*known, before.kept))
    paths = [path for path in {**before.kept.values, **values} if _is_changed(before.kept, after, path)]
    if not paths:
        return
    if measure_size(after) > MAX_BYTES:
        raise make_invalid_input([make_entry(TOO_LARGE)])
    at = _next_timestamp(session, before)
    row = SettingsRow(
        *before.owner.place, before.version + 1, **encode_columns(make_contents(after)), updated_at=at, history_bytes=0
    )
    changes = {".".join(path): _describe_change(before, after, path) for path in paths}
    revision = make_newest_version(actor, row, changes)
    past = NEWEST_COLUMNS
    if before.row is not None:
        past, taken = choose_encoding(
            row, before.row, sum(measure_text(one) for one in revision if isinstance(one, str))
        )
        row = row._replace(history_bytes=taken)
    _save_row(session, before.version, row)
    save_version(session, revision, past, most)
    _record_event(session, actor, before, at, changes)


def _seal_secrets(
    keyring: Keyring, before: SettingsState, values: FlatSettings, known: Sequence[StoredSettings]
) -> StoredSettings:
    """Seal every secret; a value that is unchanged keeps its sealed text."""
    sealed: dict[SettingPath, str] = {}
    for path, value in values.items():
        text = next(
            (one.sealed[path] for one in known if path in one.sealed and is_same_value(one.values[path], value)), None
        )
        if text is not None:
            sealed[path] = text
        elif is_secret(before.namespaces, path):
            sealed[path] = keyring.seal(dump_json(value), before.owner.place.sealing_context(path))
    return before.kept._replace(values=values, sealed=sealed)


def _is_changed(before: StoredSettings, after: StoredSettings, path: SettingPath) -> bool:
    if path not in before.values or path not in after.values:
        return True
    old, new = before.values[path], after.values[path]
    return before.sealed[path] != after.sealed[path] if old is new is UNREADABLE else not is_same_value(old, new)


def _describe_change(before: SettingsState, after: StoredSettings, path: SettingPath) -> dict[str, Any]:
    masked = is_secret(before.namespaces, path) or path in before.kept.sealed or path in after.sealed
    old, new = (_mask_value(one, path, masked) for one in (before.kept, after))
    return diff_json(old, new)


def _mask_value(kept: StoredSettings, path: SettingPath, masked: bool) -> Any:
    """Return a value as events and versions show it; None if it is not set."""
    if path not in kept.values:
        return None
    return MASK if masked else kept.values[path]


def _next_timestamp(session: Session, before: SettingsState) -> str:
    """Return the current time, or just after the owner's last change if another process's clock was ahead."""
    tenant = before.owner.tenant
    past = [at for at in (before.updated_at, tenant and tenant.updated_at) if at]
    return max(format_instant(session.storage.clock()), *map(add_microsecond, past), "")


def _save_row(session: Session, expected: int, row: SettingsRow) -> None:
    sql, values = session.storage.once(SettingsSQL), row._asdict()
    if expected:
        values = name_new_values(values) | values | {"expected": expected}
    if session.run(sql.change if expected else sql.add, values).rowcount != 1:
        raise StaleRead(row.tenant_id)


def _record_event(session: Session, actor: Actor, before: SettingsState, at: str, changes: dict[str, Any]) -> None:
    partner, tenant, storage = before.owner.partner, before.owner.tenant, session.storage
    if tenant:
        kind, shown = "tenant.settings_updated", tenant.document(storage.hooks.fields)
    else:
        kind, shown = "partner.settings_updated", partners.load_partner(session, partner).document()
    record_event(session, build_event(storage, actor, kind, partner, shown, at, changes))
