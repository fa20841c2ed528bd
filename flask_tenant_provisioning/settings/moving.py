"""Settings that go with their tenant from one partner to another: sealed anew, since a secret is bound to its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..database import Session, Statement
from ..keyring import Keyring, Unsealable
from ..problems import SecretUnavailable
from .kept import Place
from .models import Revision, Stored
from .sealing import sealed_anew
from .statements import SettingsSQL


class Move(NamedTuple):
    """A tenant's way from one partner to another."""

    before: Place
    after: Place


def move(session: Session, keyring: Keyring, before_partner: str, after_partner: str, tenant_id: str) -> None:
    """Give a tenant's settings and their history to `after_partner`, in the transaction that moves the tenant.

    Raises `SecretUnavailable` where a secret cannot be opened: it would be lost.
    """
    sql, way = (
        session.storage.once(SettingsSQL),
        Move(Place(before_partner, tenant_id), Place(after_partner, tenant_id)),
    )
    where = {"partner_id": before_partner, "tenant_id": tenant_id}
    rows = [Stored._make(row) for row in session.run(sql.lock, where).fetchall()]
    versions = [Revision._make(row) for row in session.run(sql.every_version, where).fetchall()]
    for statement in (sql.remove, sql.forget):
        session.run(statement, where)
    _put(session, sql.add, _moved(keyring, way, rows))
    _put(session, sql.remember, _moved(keyring, way, versions))


def _moved(keyring: Keyring, way: Move, rows: list[Any]) -> Iterator[dict[str, Any]]:
    for row in rows:
        try:
            secrets = sealed_anew(keyring, row.secrets, way.before, way.after)
        except Unsealable as error:
            raise SecretUnavailable("A secret in the tenant's settings cannot be opened.") from error
        yield row._replace(partner_id=way.after.partner, secrets=secrets)._asdict()


def _put(session: Session, statement: Statement, rows: Iterator[dict[str, Any]]) -> None:
    for row in rows:
        session.run(statement, row)
