"""Create, load, update and delete API clients, and end their tokens. What takes a `Session` runs in the caller's unit
of work.

Every change writes an event that names its actor and contains neither a secret nor its hash. A caller can give a client
only permissions of its own, and gets no secret of one that has more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..access.principal import Actor
from ..database.ids import format_instant
from ..database.pages import measure_row, read_page
from ..database.session import Session
from ..database.statements import write_version
from ..encoding import dump_json
from ..errors import ClientNotFound, Fault, Forbidden, InvalidState, QuotaExceeded
from ..events.actions import build_event, record_event
from ..validation import REQUIRED, make_entry, make_invalid_input
from . import models
from .client_secrets import Random, hash_secret, make_secret
from .models import CLIENT_SECRET, Client
from .statements import AssertionSQL, ClientSQL

Values = Mapping[str, Any]
#: The values of a new client for fields that the request omits.
DEFAULTS: Values = {
    "status": "enabled",
    "expires_at": None,
    "networks": [],
    "authentication": CLIENT_SECRET,
    "jwks": None,
    "jwks_url": None,
}
#: How long a recorded use waits for a change of the same client, in seconds.
_LOCK_SECONDS = 0.2
#: How many expired assertions one transaction deletes.
SWEEP_SIZE = 1000
_NO_KEY = Fault("not-applicable", "Only a client that authenticates by private_key_jwt has a key.")
_TWO_KEYS = Fault("conflicting-fields", "Send either jwks or jwks_url.")


class Target(NamedTuple):
    """The client that an action applies to: its id, looked up among those of `partner`, or of all partners if None.

    `check_version` is called with the client's current version; it raises if the caller requires another version.
    """

    partner: str | None
    id: str
    check_version: Callable[[int], None] = lambda _version: None


class ClientWithSecret(NamedTuple):
    """A client and its new secret, which is shown once; None for one that authenticates by a key of its own."""

    client: Client
    secret: str | None


def create_client(
    session: Session, actor: Actor, partner: str, values: Values, limit: int, random: Random = os.urandom
) -> ClientWithSecret:
    """Create a client of `partner` from validated `values`.

    Raises `QuotaExceeded` at `limit` clients, `Forbidden` for permissions that the actor lacks, and `InvalidInput` for
    keys that do not fit the authentication.
    """
    storage, sql = session.storage, session.storage.once(ClientSQL)
    session.lock_name(f"{storage.table('clients').name} {partner}")
    if session.run(sql.count, {"partner_id": partner}).fetchone()[0] >= limit:
        raise QuotaExceeded(f"The limit of {limit} clients is reached.", limit=limit)
    fields = {**DEFAULTS, **values}
    secret = make_secret(random) if fields["authentication"] == CLIENT_SECRET else None
    client = _build_client(storage.new_id(), partner, actor, fields, secret, format_instant(storage.clock()))
    _require_keys(client)
    _require_grantable(actor, client)
    session.run(sql.insert, client._asdict())
    _record_event(session, actor, "client.created", None, client, client.created_at)
    return ClientWithSecret(client, secret)


def find_client(session: Session, partner: str | None, client_id: str) -> Client | None:
    """Return the client with this id of `partner`, or of any partner if None; None if there is none."""
    sql = session.storage.once(ClientSQL)
    statement = sql.read_of_any_partner if partner is None else sql.read
    row = session.run(statement, {"partner_id": partner, "client_id": client_id}).fetchone()
    return Client._make(row) if row else None


def load_client(session: Session, partner: str | None, client_id: str) -> Client:
    """Return the client with this id of `partner`, or of any partner if None. Raises `ClientNotFound`."""
    client = find_client(session, partner, client_id)
    if client is None:
        raise ClientNotFound
    return client


def list_clients(
    session: Session, partner: str | None, limit: int, after: str | None
) -> tuple[list[Client], str | None]:
    """Return a page of clients, the oldest first, that starts after the client with the id `after`.

    The second value is the id of the last client on the page if another page follows, else None.
    """

    def load_rows(count: int, after: str | None) -> list[Client]:
        sql = session.storage.once(ClientSQL)
        statement = sql.list_clients(of_partner=partner is not None, after=after is not None)
        values = {"partner_id": partner, "after": after, "limit": count}
        return [Client._make(row) for row in session.run(statement, values).fetchall()]

    return read_page(load_rows, limit, after, lambda client: client.client_id, measure_row)


def update_client(session: Session, actor: Actor, target: Target, values: Values) -> Client:
    """Update a client with `values`; equal values write nothing. One kind of key replaces the other.

    A change of more than the name, other than one that disables the client, needs all permissions that the client has
    afterwards.
    All its tokens end if it is disabled, and if one of its keys is withdrawn. Raises `ClientNotFound`, `Forbidden`,
    `InvalidInput`, and any error that `target.check_version` raises.
    """
    before = _lock_client(session, target)
    values = {**values, **_drop_other_key(values)}
    after = before._replace(**_encode_columns(values))
    _require_keys(after)
    is_disabled = before.status == "enabled" and after.status == "disabled"
    harmless = before._replace(name=after.name, status=after.status if is_disabled else before.status)
    if after != harmless:
        _require_grantable(actor, after)
    if is_disabled or _withdraws_key(before, after):
        after = after._replace(generation=before.generation + 1)
    return _save_changes(session, actor, "client.updated", before, after)


def rotate_secret(
    session: Session, actor: Actor, target: Target, overlap_seconds: int, random: Random = os.urandom
) -> ClientWithSecret:
    """Give a client a new secret. The replaced one stays valid for `overlap_seconds`; with 0, all its tokens end.

    A secret that was replaced before is no longer valid. Raises `InvalidState` for a client without a secret, and as
    `update_client` does.
    """
    before = _lock_client(session, target)
    if before.authentication != CLIENT_SECRET:
        raise InvalidState(
            "This client has no secret: it authenticates by a key of its own. Change its jwks or jwks_url."
        )
    _require_grantable(actor, before)
    secret = make_secret(random)
    after = before._replace(secret_hash=hash_secret(secret), previous_secret_hash=None, previous_secret_expires_at=None)
    if overlap_seconds:
        expires_at = format_instant(session.storage.clock() + overlap_seconds)
        after = after._replace(previous_secret_hash=before.secret_hash, previous_secret_expires_at=expires_at)
    else:
        after = after._replace(generation=before.generation + 1)
    return ClientWithSecret(_save_changes(session, actor, "client.rotated", before, after), secret)


def revoke_tokens(session: Session, actor: Actor, target: Target, generation: int | None = None) -> Client:
    """End all access tokens of a client; it can get new ones. Raises `ClientNotFound`.

    With a `generation`, tokens of a later one stay valid.
    """
    before = _lock_client(session, target)
    if generation is not None and before.generation != generation:
        return before
    return _save_changes(session, actor, "client.updated", before, before._replace(generation=before.generation + 1))


def delete_client(session: Session, actor: Actor, target: Target) -> None:
    """Delete a client; all its tokens end. Raises `ClientNotFound`, and any error of `target.check_version`."""
    client = _lock_client(session, target)
    session.run(session.storage.once(AssertionSQL).delete_of_client, client.key)
    session.run(session.storage.once(ClientSQL).delete, client.key)
    _record_event(session, actor, "client.deleted", client, client, session.storage.next_timestamp(client.updated_at))


def save_last_use(session: Session, partner: str, client_id: str, minute: str) -> None:
    """Save the minute in which a client was last used, unless a later one is saved.

    Raises `LockTimeout` if the client is being changed.
    """
    session.wait_for_locks(_LOCK_SECONDS)
    values = {"partner_id": partner, "client_id": client_id, "minute": minute}
    session.run(session.storage.once(ClientSQL).save_last_use, values)


def delete_expired_assertions(session: Session) -> int:
    """Delete at most `SWEEP_SIZE` used assertions that have expired, and return their number."""
    now = format_instant(session.storage.clock())
    values = {"now": now, "limit": SWEEP_SIZE}
    count: int = session.run(session.storage.once(AssertionSQL).delete_expired, values).rowcount
    return count


def _lock_client(session: Session, target: Target) -> Client:
    """Load the client of `target`, lock its row against other writers, and check its version."""
    partner = target.partner
    if partner is None:
        partner = load_client(session, None, target.id).partner_id
    key = {"partner_id": partner, "client_id": target.id}
    row = session.run(session.storage.once(ClientSQL).lock, key).fetchone()
    if row is None:
        raise ClientNotFound
    client = Client._make(row)
    target.check_version(client.version)
    return client


def _require_grantable(actor: Actor, client: Client) -> None:
    """Raise `Forbidden` unless the actor has all permissions of the client."""
    permissions = client.list_permissions()
    missing = actor.principal.missing(permissions)
    if missing:
        detail = f"A client cannot have more permissions than you. You lack {', '.join(missing)}."
        raise Forbidden(detail, required=permissions)


def _require_keys(client: Client) -> None:
    """Raise `InvalidInput` unless a client with `private_key_jwt` has keys in one place, and any other has none."""
    given = [name for name in ("jwks", "jwks_url") if getattr(client, name) is not None]
    if client.authentication == CLIENT_SECRET:
        errors = [make_entry(_NO_KEY, name) for name in given]
    elif len(given) == 2:
        errors = [make_entry(_TWO_KEYS, name) for name in given]
    else:
        errors = [] if given else [make_entry(REQUIRED, "jwks")]
    if errors:
        raise make_invalid_input(errors)


def _drop_other_key(values: Values) -> Values:
    """Return the values that drop the keys in one place if `values` name the other place."""
    given = [name for name in ("jwks", "jwks_url") if values.get(name) is not None]
    return {"jwks": {"jwks_url": None}, "jwks_url": {"jwks": None}}[given[0]] if len(given) == 1 else {}


def _withdraws_key(before: Client, after: Client) -> bool:
    """Return whether a key by which tokens may have been issued is no longer the client's."""
    if before.jwks is None or after.jwks is None:
        return (before.jwks, before.jwks_url) != (after.jwks, after.jwks_url)
    remaining = json.loads(after.jwks)["keys"]
    return any(key not in remaining for key in json.loads(before.jwks)["keys"])


def _encode_columns(values: Values) -> dict[str, Any]:
    """Encode `values` as they are stored in the columns."""
    return {
        name: dump_json(value) if name in ("permissions", "networks", "jwks") and value is not None else value
        for name, value in values.items()
    }


def _build_client(id: str, partner: str, actor: Actor, values: Values, secret: str | None, at: str) -> Client:
    return Client(
        partner_id=partner,
        client_id=id,
        **_encode_columns(values),
        secret_hash=None if secret is None else hash_secret(secret),
        previous_secret_hash=None,
        previous_secret_expires_at=None,
        generation=1,
        last_used_at=None,
        version=1,
        created_by=actor.principal.subject,
        created_at=at,
        updated_at=at,
    )


def _save_changes(session: Session, actor: Actor, kind: str, before: Client, after: Client) -> Client:
    """Write the changed columns as the next version, with its event. Raises `StaleRead` if another write came first."""
    if after == before:
        return before
    at = session.storage.next_timestamp(before.updated_at)
    after = after._replace(version=before.version + 1, updated_at=at)
    old, new = before._asdict(), after._asdict()
    values = {name: new[name] for name in new if new[name] != old[name]}
    statement = session.storage.once(ClientSQL).update(tuple(values))
    write_version(session, statement, before.key, before.version, values)
    _record_event(session, actor, kind, before, after, at)
    return after


def _record_event(session: Session, actor: Actor, kind: str, before: Client | None, after: Client, at: str) -> None:
    """Record an event about a client. Its list of changes leaves out `version` and `updated_at`."""
    new = models.render_client(after)
    old = new if before is None else models.render_client(before)
    differing = (name for name in new if old[name] != new[name] and name not in ("version", "updated_at"))
    changes = {name: {"previous": old[name], "new": new[name]} for name in differing}
    record_event(session, build_event(session.storage, actor, kind, after.partner_id, new, at, changes))
