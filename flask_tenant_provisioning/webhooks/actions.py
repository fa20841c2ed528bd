"""Create, read, change and delete endpoints. Each public function is one unit of work, wherever it is called from.

Every change is an event with its actor, and no secret in it.

Whoever changes which endpoints there are holds the partner's feed meanwhile, as its publisher does: the limit is exact,
and nothing is made for an endpoint that goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from ..access import Actor
from ..database import Outdated, Session, following, instant, renewal
from ..database.paging import read_page, row_size
from ..events import compact, event, record
from ..events.publishing import hold
from ..keyring import Keyring
from ..problems import QuotaExceeded, WebhookNotFound
from . import documents, secrets
from .models import Endpoint
from .signing import Scheme
from .statements import WebhookSQL

Values = Mapping[str, Any]

#: What an endpoint is where nothing is said of it.
EMPTY: Values = {"description": None, "events": ["*"], "signing": "v1", "enabled": True}
_WELL: Values = {"disabled_reason": None, "failing_since": None, "failures": 0, "rests_until": None}


class Target(NamedTuple):
    """Which endpoint is meant: its id, among those of `partner` or, where that is None, among everybody's.

    `expected` looks at the endpoint's version and raises where the caller meant another.
    """

    partner: str | None
    id: str
    expected: Callable[[int], None] = lambda _version: None


class Keyed(NamedTuple):
    """An endpoint with its new secret, as its owner is shown it once; None for ``v1a``."""

    endpoint: Endpoint
    secret: str | None


def create(session: Session, actor: Actor, keyring: Keyring, partner: str, values: Values, most: int) -> Keyed:
    """Create an endpoint of `partner` with valid `values`. Raises `QuotaExceeded` where there are `most` already."""
    storage, sql = session.storage, session.storage.once(WebhookSQL)
    hold(session, partner)
    if session.run(sql.count, {"partner_id": partner}).fetchone()[0] >= most:
        raise QuotaExceeded(f"The limit of {most} webhooks is reached.", limit=most)
    id, whole = storage.new_id(), {**EMPTY, **values}
    secret = secrets.make(keyring, id, whole["signing"])
    endpoint = _new(id, partner, whole, secret.column, instant(storage.clock()))
    session.run(sql.insert, endpoint._asdict())
    _tell(session, actor, "webhook.created", None, endpoint, endpoint.created_at)
    return Keyed(endpoint, secret.shown)


def read(session: Session, partner: str | None, webhook_id: str) -> Endpoint:
    """The endpoint with this id of `partner`, or of anybody where that is None. Raises `WebhookNotFound`."""
    sql = session.storage.once(WebhookSQL)
    statement, where = (sql.read_anyones, {}) if partner is None else (sql.read, {"partner_id": partner})
    return _found(session.run(statement, {**where, "id": webhook_id}).fetchone())


def page(session: Session, partner: str | None, limit: int, after: str | None) -> tuple[list[Endpoint], str | None]:
    """The endpoints behind the one with the id `after`, the oldest first, and the last one's id where more follow."""

    def rows(count: int, place: str | None) -> list[Endpoint]:
        statement = session.storage.once(WebhookSQL).page(of_partner=partner is not None, after=place is not None)
        values = {"partner_id": partner, "after": place, "limit": count}
        return [Endpoint._make(row) for row in session.run(statement, values).fetchall()]

    return read_page(rows, limit, after, lambda endpoint: endpoint.id, row_size)


def revise(session: Session, actor: Actor, target: Target, values: Values) -> Endpoint:
    """Give an endpoint `values`; the same ones change nothing. One that is enabled again has a clean slate.

    Raises `WebhookNotFound`, and what `expected` raises.
    """
    before = held(session, target)
    after = before._replace(**_stored(values))
    if after.enabled > before.enabled:
        after = after._replace(**_WELL, due_at=_due(session, before))
        if after.due_at is not None:
            session.wake((after.partner_id, after.id))
    elif after.enabled < before.enabled:
        after = after._replace(due_at=None)
    return _changed(session, actor, "webhook.updated", before, after)


def rotate(session: Session, actor: Actor, target: Target, keyring: Keyring, overlap_hours: int) -> Keyed:
    """Give an endpoint a new secret; the old ones sign too for some hours. Raises what `revise` raises."""
    before = held(session, target)
    now = session.storage.clock()
    until, scheme = instant(now + overlap_hours * 3600), cast(Scheme, before.signing)
    secret = secrets.rotate(keyring, before.id, scheme, before.secrets, instant(now), until)
    after = _changed(session, actor, "webhook.rotated", before, before._replace(secrets=secret.column))
    return Keyed(after, secret.shown)


def reseal(session: Session, target: Target, keyring: Keyring) -> bool:
    """Seal an endpoint's secrets with the keyring's first key; returns whether another had. It shows no new version.

    Raises `WebhookNotFound`, and `Unsealable` where the keyring lacks a key.
    """
    endpoint = locked(session, target)
    column = secrets.resealed(keyring, endpoint)
    if column == endpoint.secrets:
        return False
    where = {"partner_id": endpoint.partner_id, "id": endpoint.id, "expected": endpoint.version}
    session.run(session.storage.once(WebhookSQL).change(("secrets",)), {**where, "new_secrets": column})
    return True


def delete(session: Session, actor: Actor, target: Target) -> None:
    """Remove an endpoint with its deliveries and their attempts. Raises what `revise` raises."""
    endpoint, sql = held(session, target), session.storage.once(WebhookSQL)
    for statement in (sql.remove_attempts, sql.remove_deliveries, sql.remove):
        session.run(statement, {"partner_id": endpoint.partner_id, "id": endpoint.id})
    _tell(session, actor, "webhook.deleted", endpoint, endpoint, _moment(session, endpoint))


def locked(session: Session, target: Target) -> Endpoint:
    """The endpoint that `target` means, locked against other writers. Raises `WebhookNotFound`."""
    partner = target.partner
    if partner is None:
        partner = read(session, None, target.id).partner_id
    where = {"partner_id": partner, "id": target.id}
    return _found(session.run(session.storage.once(WebhookSQL).lock, where).fetchone())


def held(session: Session, target: Target) -> Endpoint:
    """The same in the version that is expected; until the transaction ends, nobody publishes what it would hear of."""
    partner = read(session, target.partner, target.id).partner_id
    hold(session, partner)
    found = locked(session, target._replace(partner=partner))
    target.expected(found.version)
    return found


def _found(row: tuple[Any, ...] | None) -> Endpoint:
    if row is None:
        raise WebhookNotFound
    return Endpoint._make(row)


def _stored(values: Values) -> dict[str, Any]:
    """`values` as the columns keep them."""
    kept: dict[str, Callable[[Any], Any]] = {"events": compact, "enabled": int}
    return {name: kept[name](value) if name in kept else value for name, value in values.items()}


def _due(session: Session, endpoint: Endpoint) -> str | None:
    """Now, where something waits to be delivered."""
    where = {"partner_id": endpoint.partner_id, "id": endpoint.id}
    waits = session.run(session.storage.once(WebhookSQL).pends, where).fetchone()
    return instant(session.storage.clock()) if waits else None


def _moment(session: Session, before: Endpoint) -> str:
    """Now, and later than the endpoint's last change."""
    return max(instant(session.storage.clock()), following(before.updated_at))


def _tell(session: Session, actor: Actor, kind: str, before: Endpoint | None, after: Endpoint, at: str) -> None:
    """Record what happened to an endpoint. A version and its time are no change by themselves."""
    new = documents.webhook(after)
    old = new if before is None else documents.webhook(before)
    differing = (name for name in new if old[name] != new[name] and name not in ("version", "updated_at"))
    changes = {name: {"previous": old[name], "new": new[name]} for name in differing}
    record(session, event(session.storage, actor, kind, after.partner_id, new, at, changes))


def _changed(session: Session, actor: Actor, kind: str, before: Endpoint, after: Endpoint) -> Endpoint:
    """Write what differs, as the next version with its event. Raises `Outdated` where another write was faster."""
    if after == before:
        return before
    at = _moment(session, before)
    after = after._replace(version=before.version + 1, updated_at=at)
    old, new = before._asdict(), after._asdict()
    columns = tuple(name for name in new if new[name] != old[name])
    values = renewal({name: new[name] for name in columns})
    where = {"partner_id": before.partner_id, "id": before.id, "expected": before.version}
    if session.run(session.storage.once(WebhookSQL).change(columns), {**where, **values}).rowcount != 1:
        raise Outdated(before.id)
    _tell(session, actor, kind, before, after, at)
    return after


def _new(id: str, partner: str, values: Values, column: str, at: str) -> Endpoint:
    return Endpoint(
        partner_id=partner,
        id=id,
        url=values["url"],
        description=values["description"],
        events=compact(values["events"]),
        signing=values["signing"],
        secrets=column,
        enabled=int(values["enabled"]),
        disabled_reason=None,
        version=1,
        created_at=at,
        updated_at=at,
        failing_since=None,
        failures=0,
        rests_until=None,
        due_at=None,
        leased_until=None,
        fence=0,
    )
