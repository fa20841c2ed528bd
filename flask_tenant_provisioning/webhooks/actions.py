"""Create, load, update and delete webhook endpoints. What takes a `Session` runs in the caller's unit of work.

Every change writes an event that names its actor and contains no secret. Functions that create, enable, disable or
delete an endpoint lock the partner's event feed, as the feed's publisher does. The webhook quota is therefore exact,
and no delivery is created for an endpoint that is being deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from ..access.principal import Actor
from ..database.ids import format_instant
from ..database.pages import measure_row, read_page
from ..database.session import Session
from ..database.statements import write_version
from ..encoding import dump_json
from ..errors import QuotaExceeded, WebhookNotFound
from ..events.actions import build_event, record_event
from ..events.feed import lock_feed
from ..keyring import Keyring
from . import endpoint_secrets, models
from .models import DELIVERY_WORK, Endpoint
from .signing import Scheme
from .statements import WebhookSQL

Values = Mapping[str, Any]
#: The values of a new endpoint for fields that the request omits.
DEFAULTS: Values = {"description": None, "events": ["*"], "signing": "v1", "enabled": True}
_HEALTHY: Values = {"disabled_reason": None, "failing_since": None, "failures": 0, "rests_until": None}


class Target(NamedTuple):
    """The endpoint that an action applies to: its id, looked up among those of `partner`, or of all partners if None.

    `check_version` is called with the endpoint's current version; it raises if the caller requires another version.
    """

    partner: str | None
    id: str
    check_version: Callable[[int], None] = lambda _version: None


class EndpointWithSecret(NamedTuple):
    """An endpoint and its new secret, which its owner is shown once; the secret is None for ``v1a``."""

    endpoint: Endpoint
    secret: str | None


def create_endpoint(
    session: Session, actor: Actor, keyring: Keyring, partner: str, values: Values, quota: int
) -> EndpointWithSecret:
    """Create an endpoint of `partner` from validated `values`. Raises `QuotaExceeded` at `quota` endpoints."""
    storage, sql = session.storage, session.storage.once(WebhookSQL)
    lock_feed(session, partner)
    if session.run(sql.count, {"partner_id": partner}).fetchone()[0] >= quota:
        raise QuotaExceeded(f"The limit of {quota} webhooks is reached.", limit=quota)
    id, fields = storage.new_id(), {**DEFAULTS, **values}
    sealed = endpoint_secrets.create_secret(keyring, id, fields["signing"])
    endpoint = _build_endpoint(id, partner, fields, sealed.column, format_instant(storage.clock()))
    session.run(sql.insert, endpoint._asdict())
    _record_event(session, actor, "webhook.created", None, endpoint, endpoint.created_at)
    return EndpointWithSecret(endpoint, sealed.secret)


def load_endpoint(session: Session, partner: str | None, webhook_id: str) -> Endpoint:
    """Return the endpoint with this id of `partner`, or of any partner if None. Raises `WebhookNotFound`."""
    sql = session.storage.once(WebhookSQL)
    statement = sql.read_of_any_partner if partner is None else sql.read
    return _require_endpoint(session.run(statement, {"partner_id": partner, "id": webhook_id}).fetchone())


def list_endpoints(
    session: Session, partner: str | None, limit: int, after: str | None
) -> tuple[list[Endpoint], str | None]:
    """Return a page of endpoints, the oldest first, that starts after the endpoint with the id `after`.

    The second value is the id of the last endpoint on the page if another page follows, else None.
    """

    def load_rows(count: int, after: str | None) -> list[Endpoint]:
        sql = session.storage.once(WebhookSQL)
        statement = sql.list_endpoints(of_partner=partner is not None, after=after is not None)
        values = {"partner_id": partner, "after": after, "limit": count}
        return [Endpoint._make(row) for row in session.run(statement, values).fetchall()]

    return read_page(load_rows, limit, after, lambda endpoint: endpoint.id, measure_row)


def update_endpoint(session: Session, actor: Actor, target: Target, values: Values) -> Endpoint:
    """Update an endpoint with `values`; equal values write nothing. Re-enabling clears its failures and its rest.

    Raises `WebhookNotFound`, and any error that `target.check_version` raises.
    """
    before = lock_endpoint_and_feed(session, target)
    after = before._replace(**_encode_columns(values))
    if after.enabled > before.enabled:
        after = after._replace(**_HEALTHY, due_at=_find_due_at(session, before))
        if after.due_at is not None:
            session.notify_worker((DELIVERY_WORK, after.partner_id, after.id))
    elif after.enabled < before.enabled:
        after = after._replace(due_at=None)
    return _save_changes(session, actor, "webhook.updated", before, after)


def rotate_secret(
    session: Session, actor: Actor, target: Target, keyring: Keyring, overlap_hours: int
) -> EndpointWithSecret:
    """Give an endpoint a new secret. Replaced secrets keep signing for at most `overlap_hours`.

    Raises the same errors as `update_endpoint`.
    """
    before = lock_endpoint_and_feed(session, target)
    now = session.storage.clock()
    until, scheme = format_instant(now + overlap_hours * 3600), cast(Scheme, before.signing)
    sealed = endpoint_secrets.rotate_secret(keyring, before.id, scheme, before.secrets, format_instant(now), until)
    after = _save_changes(session, actor, "webhook.rotated", before, before._replace(secrets=sealed.column))
    return EndpointWithSecret(after, sealed.secret)


def reseal_secrets(session: Session, target: Target, keyring: Keyring) -> bool:
    """Seal an endpoint's secrets with the keyring's first key. Return whether any was sealed with another key.

    The endpoint's version stays the same. Raises `WebhookNotFound`, and `UnsealError` if the keyring lacks a key.
    """
    endpoint = lock_endpoint(session, target)
    column = endpoint_secrets.reseal_secrets(keyring, endpoint)
    if column == endpoint.secrets:
        return False
    statement = session.storage.once(WebhookSQL).update(("secrets",))
    write_version(session, statement, endpoint.key, endpoint.version, {"secrets": column})
    return True


def delete_endpoint(session: Session, actor: Actor, target: Target) -> None:
    """Delete an endpoint with its deliveries and their attempts. Raises the same errors as `update_endpoint`."""
    endpoint, sql = lock_endpoint_and_feed(session, target), session.storage.once(WebhookSQL)
    for statement in (sql.delete_attempts, sql.delete_deliveries, sql.delete):
        session.run(statement, endpoint.key)
    _record_event(
        session, actor, "webhook.deleted", endpoint, endpoint, session.storage.next_timestamp(endpoint.updated_at)
    )


def lock_endpoint(session: Session, target: Target) -> Endpoint:
    """Load the endpoint of `target` and lock its row against other writers. Raises `WebhookNotFound`."""
    partner = target.partner
    if partner is None:
        partner = load_endpoint(session, None, target.id).partner_id
    where = {"partner_id": partner, "id": target.id}
    return _require_endpoint(session.run(session.storage.once(WebhookSQL).lock, where).fetchone())


def lock_endpoint_and_feed(session: Session, target: Target) -> Endpoint:
    """Lock the partner's feed, then the endpoint, and check its version.

    No event of the partner is published until the transaction ends. Raises `WebhookNotFound`, and any error that
    `target.check_version` raises.
    """
    partner = load_endpoint(session, target.partner, target.id).partner_id
    lock_feed(session, partner)
    endpoint = lock_endpoint(session, target._replace(partner=partner))
    target.check_version(endpoint.version)
    return endpoint


def _require_endpoint(row: tuple[Any, ...] | None) -> Endpoint:
    if row is None:
        raise WebhookNotFound
    return Endpoint._make(row)


def _encode_columns(values: Values) -> dict[str, Any]:
    """Encode `values` as they are stored in the columns."""
    encoders: dict[str, Callable[[Any], Any]] = {"events": dump_json, "enabled": int}
    return {name: encoders[name](value) if name in encoders else value for name, value in values.items()}


def _find_due_at(session: Session, endpoint: Endpoint) -> str | None:
    """Return the current instant if the endpoint has pending deliveries, else None."""
    pending = session.run(session.storage.once(WebhookSQL).select_pending, endpoint.key).fetchone()
    return format_instant(session.storage.clock()) if pending else None


def _record_event(session: Session, actor: Actor, kind: str, before: Endpoint | None, after: Endpoint, at: str) -> None:
    """Record an event about an endpoint. Its list of changes leaves out `version` and `updated_at`."""
    new = models.render_endpoint(after)
    old = new if before is None else models.render_endpoint(before)
    differing = (name for name in new if old[name] != new[name] and name not in ("version", "updated_at"))
    changes = {name: {"previous": old[name], "new": new[name]} for name in differing}
    record_event(session, build_event(session.storage, actor, kind, after.partner_id, new, at, changes))


def _save_changes(session: Session, actor: Actor, kind: str, before: Endpoint, after: Endpoint) -> Endpoint:
    """Write the changed columns as the next version, with its event. Raises `StaleRead` if another write came first."""
    if after == before:
        return before
    at = session.storage.next_timestamp(before.updated_at)
    after = after._replace(version=before.version + 1, updated_at=at)
    old, new = before._asdict(), after._asdict()
    values = {name: new[name] for name in new if new[name] != old[name]}
    statement = session.storage.once(WebhookSQL).update(tuple(values))
    write_version(session, statement, before.key, before.version, values)
    _record_event(session, actor, kind, before, after, at)
    return after


def _build_endpoint(id: str, partner: str, values: Values, column: str, at: str) -> Endpoint:
    return Endpoint(
        partner_id=partner,
        id=id,
        url=values["url"],
        description=values["description"],
        events=dump_json(values["events"]),
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
