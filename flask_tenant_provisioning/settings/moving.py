"""Settings that go with their tenant from one partner to another: sealed anew, since a secret is bound to its place."""

from __future__ import annotations

from ..database import Session
from ..keyring import Keyring
from ..problems import SecretUnavailable
from .kept import Contents, Place, columns_of, parse
from .models import Stored
from .sealing import Resealed, Sealer
from .statements import SettingsSQL
from .versions import rewrite


def move(session: Session, keyring: Keyring, before_partner: str, after_partner: str, tenant_id: str) -> None:
    """Give a tenant's settings and their history to `after_partner`, in the transaction that moves the tenant.

    Raises `SecretUnavailable` where a secret cannot be opened: it would be lost.
    """
    sql, where = session.storage.once(SettingsSQL), {"partner_id": before_partner, "tenant_id": tenant_id}
    before, after = Place(before_partner, tenant_id), Place(after_partner, tenant_id)
    sealer = Sealer(keyring, before, after)
    found = session.run(sql.lock, where).fetchone()
    if found is None:
        return
    row = Stored._make(found)
    newest = _resealed(sealer, parse(row.document, row.secrets))
    moved = row._replace(partner_id=after_partner, **columns_of(newest.new))
    session.run(sql.add, moved._asdict())
    for version in rewrite(session, before, newest, lambda old, newer: _resealed(sealer, old, newer)):
        session.run(sql.remember, version.row._replace(partner_id=after_partner, **version.columns._asdict())._asdict())
    for statement in (sql.remove, sql.forget):
        session.run(statement, where)


def _resealed(sealer: Sealer, version: Contents, newer: Resealed | None = None) -> Resealed:
    found = sealer.reseal(version, newer)
    if found.lost is not None:
        raise SecretUnavailable("A secret in the tenant's settings cannot be opened.") from found.lost
    return found
