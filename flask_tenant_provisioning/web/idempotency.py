"""``Idempotency-Key``: a repeated request takes effect once (draft-ietf-httpapi-idempotency-key-header).

The response is stored in the transaction of the write. The record's unique key is the lock: a repeated request waits
for the first one to commit and then reads its response; if the first one fails, its record is rolled back too.
Responses with a secret are encrypted and bound to their key.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from flask import request
from sqlalchemy import (
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    bindparam,
    select,
    tuple_,
)

from ..access.principal import Principal
from ..database.errors import LockTimeout, StaleRead
from ..database.ids import format_instant
from ..database.pages import is_after
from ..database.session import Session, Storage
from ..database.statements import SQL, bind_columns, bind_new_values
from ..database.types import Identifier, Instant, JsonText, name_table, ordered_text
from ..errors import IdempotencyInProgress, IdempotencyKeyReused, InvalidIdempotencyKey, SecretUnavailable
from ..keyring import Keyring, UnsealError


def idempotency_table(metadata: MetaData) -> Table:
    """Return the table of keys: one row for each key of a partner, with the request's fingerprint and the response.

    `tenant_id` is the tenant that the response is about, if any.
    """
    return Table(
        name_table(metadata, "idempotency"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("key", ordered_text(255), nullable=False),
        Column("fingerprint", String(64), nullable=False),
        Column("expires_at", Instant, nullable=False),
        Column("status", Integer),
        Column("headers", JsonText),
        Column("body", JsonText),
        Column("tenant_id", Identifier),
        PrimaryKeyConstraint("partner_id", "key"),
        Index(None, "expires_at"),
        sqlite_with_rowid=False,
    )


#: An unquoted key has no comma: repeated headers are joined by commas.
_BARE = re.compile(r"[ !#-+\--~]+")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_ESCAPED = re.compile(r'\\(["\\])')
MAX_KEY_LENGTH = 255


class IdempotencyKey(NamedTuple):
    """The partner that sent a key, the key, and the fingerprint of the request."""

    partner: str
    key: str
    fingerprint: str


def read_key(
    principal: Principal, body: Any, *, validate_only: bool = False, binds_permissions: bool = False
) -> IdempotencyKey | None:
    """Return the key of this request from `principal` with the JSON `body`; None if the header is absent.

    With `validate_only`, the fingerprint is that of the write that the dry run stands for. With `binds_permissions`,
    the principal's permissions are part of it. Raises `InvalidIdempotencyKey`.
    """
    header = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if header is None:
        return None
    query = request.query_string.decode("latin-1")
    if validate_only:
        query = "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) != "validate_only")
    # A partner never receives an administrator's response.
    parts = [principal.sees_every_partner, request.method, request.path, query, body]
    if binds_permissions:
        parts.append(sorted(principal.permissions))
    return IdempotencyKey(principal.partner, _parse_key(header), make_fingerprint(*parts))


def _parse_key(header: str) -> str:
    """Return the key, which is sent bare or as a string of a structured field (RFC 8941 §3.3.3)."""
    value = header.strip(" \t")
    quoted = _QUOTED.fullmatch(value)
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else value
    if not is_valid_key(key) or not (quoted or _BARE.fullmatch(key)):
        raise InvalidIdempotencyKey(f"The key must have 1 to {MAX_KEY_LENGTH} printable ASCII characters.")
    return key


def is_valid_key(text: Any) -> bool:
    """Return True if `text` is a string of 1 to 255 printable ASCII characters."""
    return isinstance(text, str) and 1 <= len(text) <= MAX_KEY_LENGTH and text.isascii() and text.isprintable()


def make_fingerprint(*parts: Any) -> str:
    """Return the SHA-256 of JSON values in hexadecimal, independent of their spelling."""
    return hashlib.sha256(json.dumps(_canonicalize([*parts]), sort_keys=True).encode()).hexdigest()


def _canonicalize(value: Any) -> Any:
    """Return the same JSON with every whole number as an integer."""
    if isinstance(value, dict):
        return {name: _canonicalize(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_canonicalize(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: How long a repeated request waits for the first one, in seconds.
WAIT_SECONDS = 3
#: Number of responses that one unit of work deletes or examines.
SWEEP_SIZE = 1000
#: Prefix of the keys of bulk rows. No key in a header can have it, since it contains a line feed.
ROW_PREFIX = "row\n"


class StoredResponse(NamedTuple):
    """A complete response. `has_secret` is True if the body holds one; `tenant_id` is its tenant, if any."""

    status: int
    headers: dict[str, str]
    body: str
    has_secret: bool = False
    tenant_id: str | None = None

    @property
    def is_sealed(self) -> bool:
        """True if the body is encrypted: it then is a JSON string, which no response is."""
        return self.body.startswith('"')


class ResponseSQL(SQL):
    """The statements for keys of single requests."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        table = storage.table("idempotency")
        t, bound = table.c, bind_columns(table)
        is_key = (t.partner_id == bound["partner_id"]) & (t.key == bound["key"])
        insert = self._insert(table)
        names = ("partner_id", "key", "fingerprint", "expires_at")
        row = {name: bound[name] for name in names}
        now = bindparam("now", type_=t.expires_at.type)
        claim = insert.values(row).on_conflict_do_update(
            index_elements=[t.partner_id, t.key],
            set_={name: insert.excluded[name] for name in ("fingerprint", "expires_at")},
            where=t.expires_at <= now,
        )
        response = bind_new_values(t, ("status", "headers", "body", "tenant_id"))
        self.claim = self._compile(claim)
        self.read = self._compile(select(t.fingerprint, t.status, t.headers, t.body).where(is_key))
        self.save = self._compile(table.update().where(is_key).values(response))
        key = (t.partner_id, t.key)
        expired = select(*key).where(t.expires_at <= now).order_by(t.expires_at).limit(SWEEP_SIZE)
        self.delete_expired = self._compile(table.delete().where(tuple_(*key).in_(expired)))
        page = select(*key, t.tenant_id).where(is_after(*key)).order_by(*key).limit(SWEEP_SIZE)
        self.read_page = self._compile(page)
        self.erase = self._compile(table.update().where(is_key).values(bind_new_values(t, ("body",))))


def claim_key(session: Session, identity: IdempotencyKey, hours: int) -> StoredResponse | None:
    """Claim the key for this transaction and return None, or return the response that is stored under it.

    An expired key counts as new. Raises `IdempotencyInProgress` if the first request takes longer than `WAIT_SECONDS`,
    and `IdempotencyKeyReused` if the key belongs to a different request.
    """
    storage, sql = session.storage, session.storage.once(ResponseSQL)
    key = {"partner_id": identity.partner, "key": identity.key}
    now = storage.clock()
    row = {
        "fingerprint": identity.fingerprint,
        "expires_at": format_instant(now + hours * 3600),
        "now": format_instant(now),
    }
    session.wait_for_locks(WAIT_SECONDS)
    try:
        if session.run(sql.claim, {**key, **row}).rowcount == 1:
            return None
    except LockTimeout as error:
        raise IdempotencyInProgress(headers={"Retry-After": "1"}) from error
    return _load_response(session.run(sql.read, key).fetchone(), identity)


def save_response(session: Session, identity: IdempotencyKey, response: StoredResponse) -> None:
    """Store the response to the request that claimed the key."""
    values = {
        "partner_id": identity.partner,
        "key": identity.key,
        "new_status": response.status,
        "new_headers": json.dumps(response.headers),
        "new_body": response.body or None,
        "new_tenant_id": response.tenant_id,
    }
    session.run(session.storage.once(ResponseSQL).save, values)


def delete_expired(session: Session) -> int:
    """Delete at most `SWEEP_SIZE` expired responses and return their number."""
    storage, sql = session.storage, session.storage.once(ResponseSQL)
    count: int = session.run(sql.delete_expired, {"now": format_instant(storage.clock())}).rowcount
    return count


def erase_tenants(storage: Storage, tenants: Collection[str]) -> int:
    """Erase the bodies of the stored responses about these tenants, and return how many there were.

    The records stay: a repeated request still has no effect and returns the status of the first. Each unit of work
    examines `SWEEP_SIZE` records.
    """
    count, after = 0, ("", "")
    while page := storage.read(partial(_read_page, after=after)):
        after = page[-1][:2]
        if rows := [row for row in page if row[2] in tenants]:
            storage.transaction(partial(_erase_bodies, rows=rows))
            count += len(rows)
    return count


def _read_page(session: Session, after: tuple[str, str]) -> list[tuple[str, str, str | None]]:
    sql, values = session.storage.once(ResponseSQL), {"after_partner_id": after[0], "after_key": after[1]}
    rows: list[tuple[str, str, str | None]] = session.run(sql.read_page, values).fetchall()
    return rows


def _erase_bodies(session: Session, rows: Sequence[tuple[str, str, str | None]]) -> None:
    values = [
        {"partner_id": partner, "key": key, "new_body": json.dumps(_make_erased_body(key, tenant))}
        for partner, key, tenant in rows
    ]
    session.run_many(session.storage.once(ResponseSQL).erase, values)


def _make_erased_body(key: str, tenant: str | None) -> Any:
    """Return what remains of a response about a tenant: its id. Responses to bulk rows are lists."""
    return [tenant, None] if key.startswith(ROW_PREFIX) else {"tenant": tenant, "erased": True}


def _load_response(row: tuple[str, int, str, str | None] | None, identity: IdempotencyKey) -> StoredResponse:
    if row is None:
        raise StaleRead("the record is gone")
    fingerprint, status, headers, body = row
    if fingerprint != identity.fingerprint:
        raise IdempotencyKeyReused("Another request was sent with this key before.")
    return StoredResponse(status, json.loads(headers), body or "")


logger = logging.getLogger(__name__)


def seal_response(response: StoredResponse, identity: IdempotencyKey, keyring: Keyring) -> StoredResponse:
    """Return `response` with its body encrypted, as a JSON string."""
    body = json.dumps(keyring.seal(response.body, _make_binding(identity)))
    return response._replace(body=body, has_secret=False)


def open_response(response: StoredResponse, identity: IdempotencyKey, keyring: Keyring) -> StoredResponse:
    """Return `response` with its body decrypted. Raises `SecretUnavailable` if the key ring cannot open it."""
    try:
        body = keyring.open(json.loads(response.body), _make_binding(identity))
        return response._replace(body=body, has_secret=True)
    except UnsealError as error:
        logger.error(
            "the response stored under an Idempotency-Key cannot be decrypted: %s",
            error,
            extra={"partner": identity.partner},
        )
        raise SecretUnavailable("The response to the first request can no longer be decrypted.") from error


def _make_binding(identity: IdempotencyKey) -> str:
    return json.dumps(["idempotency", identity.partner, identity.key])
