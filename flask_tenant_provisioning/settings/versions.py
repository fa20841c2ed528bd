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
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from ..access.principal import Actor
from ..database.errors import StaleRead
from ..database.ids import shorten_instant
from ..database.pages import FEW_ROWS
from ..database.session import Session
from ..database.statements import write_version
from ..encoding import dump_json
from ..errors import SettingsVersionNotFound
from ..keyring import Keyring
from .models import SettingsRow, SettingsVersion, VersionDifference, VersionSummary
from .namespaces import find_key
from .resolution import SettingsState
from .statements import SettingsSQL
from .storage import EMPTY_SETTINGS, MASK, RowContents, Scope, StoredSettings, parse_columns, unseal_contents

Difference = list[Any] | dict[str, Any]
_ABSENT: Difference = []


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
    document = make_difference(newer.document, older.document)
    secrets = make_difference(newer.secrets, older.secrets)
    return HistoryColumns(dump_json(document or {}), None if secrets is None else dump_json(secrets))


def encode_whole(version: RowContents) -> HistoryColumns:
    """Return the columns of a version that is stored whole."""
    return HistoryColumns(*(dump_json([part]) for part in version))


def choose_encoding(after: RowContents, before: RowContents, history_bytes: int) -> tuple[HistoryColumns, int]:
    """Choose how the history stores the version `before`: whole, or as its difference from `after`.

    `history_bytes` is the size of the history rows since the last whole version, with the other columns of this row.
    Returns the columns, and that size with them; 0 for a whole version.
    """
    difference, whole = encode_difference(after, before), encode_whole(before)
    history_bytes += _measure_columns(difference)
    return (whole, 0) if history_bytes >= _measure_columns(whole) else (difference, history_bytes)


def _measure_columns(columns: HistoryColumns) -> int:
    return len(f"{columns.document}{columns.secrets or ''}".encode())


def save_version(
    session: Session,
    actor: Actor,
    current: SettingsState,
    row: SettingsRow,
    contents: RowContents,
    changes: dict[str, Any],
    max_versions: int,
) -> SettingsRow:
    """Write the next version `row`, which has these `contents`, and delete the oldest ones beyond `max_versions`.

    `changes` are those from the current version, with secrets masked. Returns the row with its `history_bytes`. Raises
    `StaleRead` if another write came first.
    """
    version = row.version
    where = {"partner_id": row.partner_id, "tenant_id": row.tenant_id}
    record = SettingsVersion(
        *current.owner.scope,
        version,
        *NEWEST_COLUMNS,
        changes=dump_json(changes),
        at=row.updated_at,
        actor_subject=actor.principal.subject,
        actor_partner=actor.principal.partner,
        request_id=actor.request_id,
    )
    previous = NEWEST_COLUMNS
    if version > 1:
        row_bytes = len("".join(text for text in record if isinstance(text, str)).encode())
        history_bytes = current.row.history_bytes + row_bytes
        previous, history_bytes = choose_encoding(contents, current.stored.contents, history_bytes)
        row = row._replace(history_bytes=history_bytes)
    sql = session.storage.once(SettingsSQL)
    if version == 1:
        if session.run(sql.add, row._asdict()).rowcount != 1:
            raise StaleRead(row.tenant_id)
    else:
        write_version(session, sql.change, where, version - 1, row._asdict())
        columns = {"new_document": previous.document, "new_secrets": previous.secrets}
        session.run(sql.update_version, {**where, "version": version - 1, **columns})
    session.run(sql.add_version, record._asdict())
    if version > max_versions:
        session.run(sql.delete_old_versions, {**where, "before": version - max_versions + 1})
    return row


def restore_older(newer: RowContents, row: HistoryRow) -> RowContents:
    """Return the contents of the version of `row`, given the contents of the next version, `newer`."""
    secrets = newer.secrets if row.secrets is None else apply_difference(newer.secrets, json.loads(row.secrets))
    return RowContents(apply_difference(newer.document, json.loads(row.document)), secrets)


def restore_version(session: Session, newest: SettingsRow, scope: Scope, version: int) -> RowContents | None:
    """Return the contents of a version, given the owner's current row, `newest`; None if it is not stored."""
    rows = list(_iterate_to_whole_version(session, scope, version))
    if not rows or rows[0].version != version:
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


class VersionPage(NamedTuple):
    """A page of versions of the settings `state`; `next_version` is the last one's number if more follow."""

    state: SettingsState
    versions: list[VersionSummary]
    next_version: int | None


def load_version(session: Session, keyring: Keyring, current: SettingsState, version: int) -> StoredSettings:
    """Return what the owner set in `version`. Raises `SettingsVersionNotFound`."""
    if version == 0:
        return EMPTY_SETTINGS
    scope = current.owner.scope
    contents = restore_version(session, current.row, scope, version)
    if contents is None:
        raise SettingsVersionNotFound
    return unseal_contents(current.namespaces, scope, contents, keyring)


def render_version(state: SettingsState, version: VersionSummary) -> dict[str, Any]:
    """Return a version as the API shows it: author, time, and the changes of declared keys."""
    changes: dict[str, Any] = {}
    for path, change in json.loads(version.changes).items():
        declared = find_key(state.namespaces, *path.split(".", 1))
        if declared is not None:
            changes[path] = mask_change(change) if declared.secret else change
    return {
        "version": version.version,
        "timestamp": shorten_instant(version.at),
        "actor": {"sub": version.actor_subject, "partner": version.actor_partner},
        "request_id": version.request_id,
        "changes": changes,
    }


def mask_change(change: dict[str, Any]) -> dict[str, Any]:
    """Mask a change that was recorded before its key was declared secret."""
    return {side: None if value is None else MASK for side, value in change.items()}
