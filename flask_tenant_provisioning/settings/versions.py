"""Versions of settings, each kept as its difference from the one after it.

A row of the history says how its version differs from the next one; the newest version is what the table `settings`
holds. Reading a version starts from the newest one and goes back, difference by difference. So that this stays
bounded, a version is kept whole once the rows since the last whole one take as many bytes as it does, and reading
starts there. Reading a version therefore takes no more bytes than two whole versions, however many versions there are,
and the history takes at most twice what differences alone would. A small document is kept whole each time.

Differences go backwards since versions are removed at the old end alone: a row that goes takes with it what only its
own version held, and no other row needs it.

A difference is JSON:

- ``[value]``: the older version has `value` here. For a whole document, that is the version kept whole.
- ``[value, index]``: the same of a member that the newer version lacks; `index` is its place among the older members.
- ``[]``: the older version lacks this member.
- ``{name: difference}``: both versions have an object here, whose other members are the same. Their order is, too.

A secret is sealed as one value, and so differs as one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from ..database import Session
from ..database.paging import FEW, text_size
from ..events import compact
from .kept import Contents, Place, parse
from .models import Past, Revision, Stored
from .sealing import Resealed
from .statements import SettingsSQL

Difference = list[Any] | dict[str, Any]
_ABSENT: Difference = []
#: No version has a greater number.
_LATEST = (1 << 31) - 1


class Row(Protocol):
    """What a row of the history holds of its version."""

    @property
    def document(self) -> str: ...
    @property
    def secrets(self) -> str | None: ...


class Columns(NamedTuple):
    """What a row of the history holds of its version."""

    document: str
    secrets: str | None


#: The columns of the newest version, which does not differ from what the table `settings` holds.
NEWEST = Columns("{}", None)


def compare(newer: Any, older: Any) -> Difference | None:
    """Return how the JSON value `older` differs from `newer`, to the order of members; None where it does not."""
    if newer is older:
        return None
    if isinstance(newer, dict) and isinstance(older, dict):
        if [name for name in newer if name in older] != [name for name in older if name in newer]:
            return [older]
        found: dict[str, Any] = {name: _ABSENT for name in newer if name not in older}
        for index, (name, value) in enumerate(older.items()):
            if name not in newer:
                found[name] = [value, index]
            elif (below := compare(newer[name], value)) is not None:
                found[name] = below
        return found or None
    return None if compact(newer) == compact(older) else [older]


def apply(newer: Any, difference: Difference) -> Any:
    """Return the older value that differs so from `newer`, which stays as it is."""
    if isinstance(difference, list):
        return difference[0]
    names = [name for name in newer if difference.get(name) != _ABSENT]
    for index, name in sorted((one[1], name) for name, one in difference.items() if isinstance(one, list) and one[1:]):
        names.insert(index, name)
    return {name: apply(newer.get(name), difference[name]) if name in difference else newer[name] for name in names}


def write_difference(newer: Contents, older: Contents) -> Columns:
    """Return the columns of the version `older`, before `newer`."""
    document, secrets = (compare(*pair) for pair in zip(newer, older, strict=True))
    return Columns(compact(document or {}), None if secrets is None else compact(secrets))


def write_whole(version: Contents) -> Columns:
    """Return the columns of a version that is kept whole."""
    return Columns(*(compact([one]) for one in version))


def choose(after: Stored, before: Stored, row_bytes: int) -> tuple[Columns, int]:
    """Return what the history holds of the version `before`, and how many bytes it has since the last whole version.

    `row_bytes` is how many a row takes besides.
    """
    older = parse(before.document, before.secrets)
    difference, whole = write_difference(parse(after.document, after.secrets), older), write_whole(older)
    taken = before.history_bytes + row_bytes + _size(difference)
    return (whole, 0) if taken >= _size(whole) else (difference, taken)


def go_back(newer: Contents, row: Row) -> Contents:
    """Return what the version of `row` sets, where the one after it sets `newer`."""
    secrets = newer.secrets if row.secrets is None else apply(newer.secrets, json.loads(row.secrets))
    return Contents(apply(newer.document, json.loads(row.document)), secrets)


class Rewritten(NamedTuple):
    """A row of the history, what it set before and after it was changed, and the columns that say so."""

    row: Revision
    contents: Resealed
    columns: Columns
    is_changed: bool


def rewrite(
    session: Session, place: Place, newest: Resealed, reseal: Callable[[Contents, Resealed], Resealed]
) -> Iterator[Rewritten]:
    """Yield every version that is remembered, the newest first, as it is to be kept once `newest` is what is set.

    `reseal` is given a version, and what came of the one after it. What was kept whole stays so.
    """
    newer = newest
    for row in _newest_first(session, place):
        older = reseal(go_back(newer.old, row), newer)
        columns = write_whole(older.new) if is_whole(row) else write_difference(newer.new, older.new)
        yield Rewritten(row, older, columns, older.is_changed or newer.is_changed)
        newer = older


def read_version(session: Session, newest: Stored | None, place: Place, version: int) -> Contents | None:
    """Return what a version set, where `newest` is the owner's row; None where it is not remembered."""
    rows = list(_up_to_a_whole(session, place, version))
    if newest is None or not rows or rows[0].version != version:
        return None
    found = parse(newest.document, newest.secrets)
    for row in reversed(rows):
        found = go_back(found, row)
    return found


def is_whole(row: Row) -> bool:
    """Return whether a row holds its version whole."""
    return row.document.startswith("[")


def _up_to_a_whole(session: Session, place: Place, version: int) -> Iterator[Past]:
    """The rows from this version on, the oldest first, to the first that is whole; read in steps."""
    sql, where = session.storage.once(SettingsSQL), {"partner_id": place.partner, "tenant_id": place.tenant}
    while True:
        rows = session.run(sql.later, {**where, "version": version, "limit": FEW}).fetchall()
        for row in map(Past._make, rows):
            yield row
            if is_whole(row):
                return
        if len(rows) < FEW:
            return
        version = Past._make(rows[-1]).version + 1


def _newest_first(session: Session, place: Place) -> Iterator[Revision]:
    """Every row of an owner, read in steps."""
    sql, where = session.storage.once(SettingsSQL), {"partner_id": place.partner, "tenant_id": place.tenant}
    before = _LATEST
    while rows := session.run(sql.page_of_rows, {**where, "before": before, "limit": FEW}).fetchall():
        found = [Revision._make(row) for row in rows]
        yield from found
        before = found[-1].version


def _size(columns: Columns) -> int:
    return sum(map(text_size, columns))
