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
#: Finds whose settings are meant, and locks them where they are to be written.
FindOwner = Callable[[Session, bool], Owner]


def find_tenant_owner(session: Session, write: bool, *, partner: str | None, tenant_id: str) -> Owner:
    """A tenant of `partner`, or of anybody where that is None. Raises `TenantNotFound`, to write `InvalidState` too."""
    if not write:
        tenant = mutations.load_tenant(session, partner, tenant_id)
    else:
        tenant = lock_tenant(session, Target(partner, tenant_id))
        require_changeable(tenant)
    return Owner(tenant.partner_id, tenant)


def find_partner_owner(session: Session, write: bool, *, partner: str) -> Owner:
    """A partner, whose settings are its tenants' defaults. Raises `PartnerNotFound`."""
    partners.load_partner(session, partner)
    if write:
        where = {"partner_id": partner, "tenant_id": PARTNER_SCOPE}
        session.run(session.storage.once(SettingsSQL).lock, where).fetchall()
    return Owner(partner)


def read(session: Session, shelf: StorageOptions, find: FindOwner) -> SettingsState:
    """The settings of whom `find` finds. Raises what `find` raises."""
    return load_state(session, shelf.open, find(session, False))


def put(
    session: Session, actor: Actor, shelf: StorageOptions, find: FindOwner, sent: Any, expected: CheckVersion
) -> SettingsState:
    """Set what was `sent` and nothing else. Raises `InvalidInput`, and what `find` and `expected` raise."""
    before = _load_for_update(session, shelf, find, expected)
    return _save_and_reload(session, actor, shelf, before, validate(before, *read_replacement(before, sent)))


def patch(
    session: Session, actor: Actor, shelf: StorageOptions, find: FindOwner, sent: Any, expected: CheckVersion
) -> SettingsState:
    """Set what a merge patch (RFC 7396) makes of what is set; null returns to what is inherited.

    Raises what `put` raises.
    """
    before = _load_for_update(session, shelf, find, expected)
    return _save_and_reload(session, actor, shelf, before, validate(before, *read_merge_patch(before, sent)))


def rollback(
    session: Session, actor: Actor, shelf: StorageOptions, find: FindOwner, sent: Any, expected: CheckVersion
) -> SettingsState:
    """Set what was set in the `version` that was sent, as a new version; 0 is that in which nothing was.

    Raises `InvalidInput`, `SettingsVersionNotFound`, `SettingsOutdated` where that is not valid any more, and what
    `find` and `expected` raise.
    """
    before = _load_for_update(session, shelf, find, expected)
    version = load(rollback_input(), sent)["version"]
    then = load_version(session, shelf, before, version)
    try:
        return _save_and_reload(session, actor, shelf, before, validate(before, then.values), then)
    except InvalidInput as error:
        detail = f"What version {version} held is not valid any more."
        raise SettingsOutdated(detail, errors=error.errors, **error.members) from error


def list_versions(
    session: Session, shelf: StorageOptions, find: FindOwner, limit: int, before: int | None
) -> VersionPage:
    """Versions older than `before`, the newest first. Raises what `find` raises."""
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
    """The settings before a write, which nobody else writes meanwhile, in the version that is expected."""
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
    """Write valid `values` in place of those `before`, unless they are the same; `most` versions are remembered.

    What is `known` lends its sealed texts. Raises `InvalidInput` where there is too much, and `Outdated` where somebody
    else was faster.
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
    """The values with every secret sealed, by the text that it has already where it has one."""
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
    """A value as it is told, null where there is none."""
    if path not in kept.values:
        return None
    return MASK if masked else kept.values[path]


def _next_timestamp(session: Session, before: SettingsState) -> str:
    """Now, and later than what happened before to the owner, whose process may have had a faster clock."""
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
