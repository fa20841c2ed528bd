"""Move and delete settings in the transaction that moves or purges their tenant.

Secrets are sealed again on a move, since each is bound to the row that it is stored in.
"""

from __future__ import annotations

from collections.abc import Callable

from ..database.session import Session
from ..errors import SecretUnavailable
from ..keyring import Keyring
from ..tenants.models import Tenant
from ..tenants.mutations import TenantChange
from .models import SettingsRow
from .resealing import ResealedVersion, Sealer, rewrite_history
from .statements import SettingsSQL
from .storage import RowContents, Scope, encode_columns, parse_columns


class SettingsReaction:
    """Reaction to moves and purges of tenants: moves or deletes their settings in the same transaction."""

    def __init__(self, keyring: Callable[[], Keyring]) -> None:
        self._keyring = keyring

    def concerns(self, operation: str) -> bool:
        """Return whether `operation` affects settings."""
        return operation in ("tenant.purge", "tenant.move")

    def defers(self, session: Session, operation: str, tenant: Tenant | None) -> bool:
        """Return False: settings never defer an operation."""
        return False

    def require_ready(self, session: Session, operation: str, tenant: Tenant) -> None:
        """Do nothing: settings never block an operation."""

    def __call__(self, session: Session, change: TenantChange) -> None:
        """Delete the settings of a purged tenant, or move those of a moved one."""
        before, after = change.before, change.after
        if change.operation == "tenant.purge":
            delete_settings(session, after.partner_id, after.id)
        elif change.operation == "tenant.move" and before is not None and before.partner_id != after.partner_id:
            move_settings(session, self._keyring(), before.partner_id, after.partner_id, after.id)


def move_settings(session: Session, keyring: Keyring, before_partner: str, after_partner: str, tenant_id: str) -> None:
    """Move a tenant's settings and their history to `after_partner`, in the transaction that moves the tenant.

    Raises `SecretUnavailable` if a secret cannot be opened, since it would be lost.
    """
    sql, where = session.storage.once(SettingsSQL), {"partner_id": before_partner, "tenant_id": tenant_id}
    source, target = Scope(before_partner, tenant_id), Scope(after_partner, tenant_id)
    sealer = Sealer(keyring, source, target)
    record = session.run(sql.lock, where).fetchone()
    if record is None:
        return
    row = SettingsRow._make(record)
    newest = _reseal_or_refuse(sealer, parse_columns(row.document, row.secrets))
    moved = row._replace(partner_id=after_partner, **encode_columns(newest.new))
    session.run(sql.add, moved._asdict())
    for version in rewrite_history(session, source, newest, lambda old, newer: _reseal_or_refuse(sealer, old, newer)):
        session.run(
            sql.add_version, version.row._replace(partner_id=after_partner, **version.columns._asdict())._asdict()
        )
    for statement in (sql.delete, sql.delete_history):
        session.run(statement, where)


def _reseal_or_refuse(sealer: Sealer, version: RowContents, newer: ResealedVersion | None = None) -> ResealedVersion:
    resealed = sealer.reseal(version, newer)
    if resealed.error is not None:
        raise SecretUnavailable("A secret in the tenant's settings cannot be opened.") from resealed.error
    return resealed


def delete_settings(session: Session, partner: str, tenant_id: str) -> None:
    """Delete the settings of a tenant and their history."""
    sql = session.storage.once(SettingsSQL)
    for statement in (sql.delete, sql.delete_history):
        session.run(statement, {"partner_id": partner, "tenant_id": tenant_id})
