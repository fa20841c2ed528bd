"""What an owner sets from now on, as the next version: the row, its history and the event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..access import Actor
from ..database import Outdated, Session, following, instant, renewal
from ..database.paging import text_size
from ..events import compact, event, record
from ..keyring import Keyring
from ..partners import actions as partners
from ..tenants.own_fields import difference, same
from ..web.validation import entry, invalid
from .accepting import MOST_BYTES, TOO_LARGE
from .kept import LOST, Flat, Kept, Path, columns_of, contents, is_secret, size
from .models import Revision, Stored
from .state import MASK, State
from .statements import SettingsSQL
from .versions import NEWEST, Columns, choose


def written(
    session: Session, actor: Actor, keyring: Keyring, before: State, values: Flat, most: int, *known: Kept
) -> None:
    """Write valid `values` in place of those `before`, unless they are the same; `most` versions are remembered.

    What is `known` lends its sealed texts. Raises `InvalidInput` where there is too much, and `Outdated` where somebody
    else was faster.
    """
    after = _sealed(keyring, before, values, (*known, before.kept))
    paths = [path for path in {**before.kept.values, **values} if _differ(before.kept, after, path)]
    if not paths:
        return
    if size(after) > MOST_BYTES:
        raise invalid([entry(TOO_LARGE)])
    at = _moment(session, before)
    row = Stored(*before.owner.place, before.version + 1, **columns_of(contents(after)), updated_at=at, history_bytes=0)
    changes = {".".join(path): _change(before, after, path) for path in paths}
    revision = _revision(actor, row, changes)
    past = NEWEST
    if before.row is not None:
        past, taken = choose(row, before.row, sum(text_size(one) for one in revision if isinstance(one, str)))
        row = row._replace(history_bytes=taken)
    _store(session, before.version, row)
    _remember(session, revision, past, most)
    _tell(session, actor, before, at, changes)


def _sealed(keyring: Keyring, before: State, values: Flat, known: Sequence[Kept]) -> Kept:
    """The values with every secret sealed, by the text that it has already where it has one."""
    sealed: dict[Path, str] = {}
    for path, value in values.items():
        text = next((one.sealed[path] for one in known if path in one.sealed and _same(one.values[path], value)), None)
        if text is not None:
            sealed[path] = text
        elif is_secret(before.namespaces, path):
            sealed[path] = keyring.seal(compact(value), before.owner.place.bound_to(path))
    return before.kept._replace(values=values, sealed=sealed)


def _differ(before: Kept, after: Kept, path: Path) -> bool:
    if path not in before.values or path not in after.values:
        return True
    old, new = before.values[path], after.values[path]
    return before.sealed[path] != after.sealed[path] if old is new is LOST else not _same(old, new)


def _same(one: Any, other: Any) -> bool:
    return one is other if LOST in (one, other) else same(one, other)


def _change(before: State, after: Kept, path: Path) -> dict[str, Any]:
    masked = is_secret(before.namespaces, path) or path in before.kept.sealed or path in after.sealed
    old, new = (_told(one, path, masked) for one in (before.kept, after))
    return difference(old, new)


def _told(kept: Kept, path: Path, masked: bool) -> Any:
    """A value as it is told, null where there is none."""
    if path not in kept.values:
        return None
    return MASK if masked else kept.values[path]


def _moment(session: Session, before: State) -> str:
    """Now, and later than what happened before to the owner, whose process may have had a faster clock."""
    tenant = before.owner.tenant
    past = [at for at in (before.updated_at, tenant and tenant.updated_at) if at]
    return max(instant(session.storage.clock()), *map(following, past), "")


def _store(session: Session, expected: int, row: Stored) -> None:
    sql, values = session.storage.once(SettingsSQL), row._asdict()
    if expected:
        values = renewal(values) | values | {"expected": expected}
    if session.run(sql.change if expected else sql.add, values).rowcount != 1:
        raise Outdated(row.tenant_id)


def _revision(actor: Actor, row: Stored, changes: Mapping[str, Any]) -> Revision:
    """The newest version, as the history holds it."""
    who = actor.principal
    return Revision(
        partner_id=row.partner_id,
        tenant_id=row.tenant_id,
        version=row.version,
        **NEWEST._asdict(),
        changes=compact(changes),
        at=row.updated_at,
        actor_subject=who.subject,
        actor_partner=who.partner,
        request_id=actor.request_id,
    )


def _remember(session: Session, revision: Revision, past: Columns, most: int) -> None:
    """Add a version to the history, where `past` is what that holds of the one before from now on."""
    sql, version = session.storage.once(SettingsSQL), revision.version
    where = {"partner_id": revision.partner_id, "tenant_id": revision.tenant_id}
    if version > 1:
        session.run(sql.keep_past, {**where, "version": version - 1, **renewal(past._asdict())})
    session.run(sql.remember, revision._asdict())
    if version > most:
        session.run(sql.shorten, {**where, "before": version - most + 1})


def _tell(session: Session, actor: Actor, before: State, at: str, changes: dict[str, Any]) -> None:
    partner, tenant, storage = before.owner.partner, before.owner.tenant, session.storage
    if tenant:
        kind, shown = "tenant.settings_updated", tenant.document(storage.hooks.fields)
    else:
        kind, shown = "partner.settings_updated", partners.read(session, partner).document()
    record(session, event(storage, actor, kind, partner, shown, at, changes))
