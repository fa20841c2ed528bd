"""The versions of settings: save, load and render them, each stored as its difference from the version after it.

A row of the history says how its version differs from the next one; the newest version is what the table `settings`
holds. Loading a version starts from the newest one and goes back, difference by difference. To bound this, a version is
stored whole once the rows since the last whole version take as many bytes as it does, and loading starts there. So
loading a version reads no more bytes than two whole versions, however many versions there are, and the history takes at
most twice what differences alone would take. A small document is stored whole each time.

Differences go backwards since versions are removed at the old end only: a row that is removed takes with it what only
its own version held, and no other row needs it.

A difference is JSON:

- ``[value]``: the older version has `value` here. For a whole document, that is the version stored whole.
- ``[value, index]``: the same for a member that the newer version lacks; `index` is its place among the older members.
- ``[]``: the older version lacks this member.
- ``{name: difference}``: both versions have an object here, whose other members are the same, in the same order.

A secret is sealed as one value, and so differs as one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from ..access.principal import Actor
from ..database.ids import shorten_instant
from ..database.pages import FEW_ROWS, measure_text
from ..database.session import Session
from ..database.statements import name_new_values
from ..encoding import dump_json
from ..errors import SettingsVersionNotFound
from .models import SettingsRow, SettingsVersion, VersionDifference, VersionSummary
from .resolution import MASK, SettingsState
from .statements import SettingsSQL
from .storage import (
    EMPTY_SETTINGS,
    ResealedVersion,
    RowContents,
    Scope,
    StorageOptions,
    StoredSettings,
    is_declared,
    is_secret,
    parse_columns,
    unseal_contents,
)

Difference = list[Any] | dict[str, Any]
_ABSENT: Difference = []
#: The greatest version number.
_MAX_VERSION = (1 << 31) - 1


class HistoryRow(Protocol):
    """The columns of a history row that hold the values of its version."""

    @property
    def document(self) -> str: ...
    @property
    def secrets(self) -> str | None: ...


class HistoryColumns(NamedTuple):
    """The encoded columns of a history row: a difference, or the whole version."""

    document: str
    secrets: str | None


#: The columns of the newest version, which does not differ from what the table `settings` holds.
NEWEST_COLUMNS = HistoryColumns("{}", None)


def make_difference(newer: Any, older: Any) -> Difference | None:
    """Return how the JSON value `older` differs from `newer`, including member order; None if it does not."""
    if newer is older:
        return None
    if isinstance(newer, dict) and isinstance(older, dict):
        if [name for name in newer if name in older] != [name for name in older if name in newer]:
            return [older]
        difference: dict[str, Any] = {name: _ABSENT for name in newer if name not in older}
        for index, (name, value) in enumerate(older.items()):
            if name not in newer:
                difference[name] = [value, index]
            elif (member_difference := make_difference(newer[name], value)) is not None:
                difference[name] = member_difference
        return difference or None
    return None if dump_json(newer) == dump_json(older) else [older]


def apply_difference(newer: Any, difference: Difference) -> Any:
    """Return the older value; `newer` is not modified."""
    if isinstance(difference, list):
        return difference[0]
    names = [name for name in newer if difference.get(name) != _ABSENT]
    for index, name in sorted(
        (change[1], name) for name, change in difference.items() if isinstance(change, list) and change[1:]
    ):
        names.insert(index, name)
    return {
        name: apply_difference(newer.get(name), difference[name]) if name in difference else newer[name]
        for name in names
    }


def encode_difference(newer: RowContents, older: RowContents) -> HistoryColumns:
    """Return the columns of the version `older`, as its difference from `newer`."""
    document, secrets = (make_difference(*pair) for pair in zip(newer, older, strict=True))
    return HistoryColumns(dump_json(document or {}), None if secrets is None else dump_json(secrets))


def encode_whole(version: RowContents) -> HistoryColumns:
    """Return the columns of a version that is stored whole."""
    return HistoryColumns(*(dump_json([part]) for part in version))


def choose_encoding(after: SettingsRow, before: SettingsRow, row_bytes: int) -> tuple[HistoryColumns, int]:
    """Choose how the history stores the version `before`: whole, or as its difference from `after`.

    Returns its columns, and the bytes of history rows since the last whole version. `row_bytes` is the size of the
    other columns of a row.
    """
    older = parse_columns(before.document, before.secrets)
    difference, whole = encode_difference(parse_columns(after.document, after.secrets), older), encode_whole(older)
    history_bytes = before.history_bytes + row_bytes + _measure_columns(difference)
    return (whole, 0) if history_bytes >= _measure_columns(whole) else (difference, history_bytes)


def restore_older(newer: RowContents, row: HistoryRow) -> RowContents:
    """Return the contents of the version of `row`, given the contents of the next version, `newer`."""
    secrets = newer.secrets if row.secrets is None else apply_difference(newer.secrets, json.loads(row.secrets))
    return RowContents(apply_difference(newer.document, json.loads(row.document)), secrets)


class RewrittenVersion(NamedTuple):
    """A history row, its contents before and after they were sealed again, and its new columns."""

    row: SettingsVersion
    contents: ResealedVersion
    columns: HistoryColumns
    is_changed: bool


def rewrite_history(
    session: Session,
    scope: Scope,
    newest: ResealedVersion,
    reseal: Callable[[RowContents, ResealedVersion], ResealedVersion],
) -> Iterator[RewrittenVersion]:
    """Yield every stored version, newest first, rewritten to match `newest` as the current contents.

    `reseal` receives a version and the result for the next version. A version that was stored whole stays whole.
    """
    newer = newest
    for row in _iterate_newest_first(session, scope):
        older = reseal(restore_older(newer.old, row), newer)
        columns = encode_whole(older.new) if is_whole(row) else encode_difference(newer.new, older.new)
        yield RewrittenVersion(row, older, columns, older.is_changed or newer.is_changed)
        newer = older


def restore_version(session: Session, newest: SettingsRow | None, scope: Scope, version: int) -> RowContents | None:
    """Return the contents of a version, given the owner's current row, `newest`; None if it is not stored."""
    rows = list(_iterate_to_whole_version(session, scope, version))
    if newest is None or not rows or rows[0].version != version:
        return None
    contents = parse_columns(newest.document, newest.secrets)
    for row in reversed(rows):
        contents = restore_older(contents, row)
    return contents


def is_whole(row: HistoryRow) -> bool:
    """Return whether a row holds its version whole."""
    return row.document.startswith("[")


def _iterate_to_whole_version(session: Session, scope: Scope, version: int) -> Iterator[VersionDifference]:
    """Yield the rows from this version to the next whole one, oldest first, a page at a time."""
    sql, where = session.storage.once(SettingsSQL), {"partner_id": scope.partner, "tenant_id": scope.tenant}
    while True:
        rows = session.run(sql.select_versions_from, {**where, "version": version, "limit": FEW_ROWS}).fetchall()
        for row in map(VersionDifference._make, rows):
            yield row
            if is_whole(row):
                return
        if len(rows) < FEW_ROWS:
            return
        version = VersionDifference._make(rows[-1]).version + 1


def _iterate_newest_first(session: Session, scope: Scope) -> Iterator[SettingsVersion]:
    """Yield and lock every row of an owner, newest first, a page at a time."""
    sql, where = session.storage.once(SettingsSQL), {"partner_id": scope.partner, "tenant_id": scope.tenant}
    before = _MAX_VERSION
    while rows := session.run(sql.lock_older_versions, {**where, "before": before, "limit": FEW_ROWS}).fetchall():
        versions = [SettingsVersion._make(row) for row in rows]
        yield from versions
        before = versions[-1].version


def _measure_columns(columns: HistoryColumns) -> int:
    return sum(map(measure_text, columns))


class VersionPage(NamedTuple):
    """A page of versions of the settings `state`; `next_version` is the last one's number if more follow."""

    state: SettingsState
    versions: list[VersionSummary]
    next_version: int | None


def load_version(session: Session, options: StorageOptions, current: SettingsState, version: int) -> StoredSettings:
    """Return what the owner set in `version`. Raises `SettingsVersionNotFound`."""
    if version == 0:
        return EMPTY_SETTINGS
    scope = current.owner.scope
    contents = restore_version(session, current.row, scope, version)
    if contents is None:
        raise SettingsVersionNotFound
    return unseal_contents(current.namespaces, scope, contents, options.get_keyring)


def make_newest_version(actor: Actor, row: SettingsRow, changes: Mapping[str, Any]) -> SettingsVersion:
    """Build the history row of the newest version."""
    principal = actor.principal
    return SettingsVersion(
        partner_id=row.partner_id,
        tenant_id=row.tenant_id,
        version=row.version,
        **NEWEST_COLUMNS._asdict(),
        changes=dump_json(changes),
        at=row.updated_at,
        actor_subject=principal.subject,
        actor_partner=principal.partner,
        request_id=actor.request_id,
    )


def save_version(session: Session, version: SettingsVersion, previous: HistoryColumns, max_versions: int) -> None:
    """Add a version to the history, store the previous one as `past`, and delete all but `max_versions`."""
    sql, number = session.storage.once(SettingsSQL), version.version
    where = {"partner_id": version.partner_id, "tenant_id": version.tenant_id}
    if number > 1:
        session.run(sql.update_version, {**where, "version": number - 1, **name_new_values(previous._asdict())})
    session.run(sql.add_version, version._asdict())
    if number > max_versions:
        session.run(sql.delete_old_versions, {**where, "before": number - max_versions + 1})


def render_version(state: SettingsState, version: VersionSummary) -> dict[str, Any]:
    """Return a version as the API shows it: author, time, and the changes of declared keys."""
    changes = {tuple(name.split(".", 1)): change for name, change in json.loads(version.changes).items()}
    return {
        "version": version.version,
        "timestamp": shorten_instant(version.at),
        "actor": {"sub": version.actor_subject, "partner": version.actor_partner},
        "request_id": version.request_id,
        "changes": {
            ".".join(path): _mask_change(change) if is_secret(state.namespaces, path) else change
            for path, change in changes.items()
            if is_declared(state.namespaces, path)
        },
    }


def _mask_change(change: dict[str, Any]) -> dict[str, Any]:
    """Mask a change that was recorded before its key was declared secret."""
    return {name: None if value is None else MASK for name, value in change.items()}
