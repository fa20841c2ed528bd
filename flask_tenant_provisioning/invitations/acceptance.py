"""Read and accept an invitation by its token, for the sign-up view of the host."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

from ..access.principal import Actor, Principal
from ..database.ids import format_instant, shorten_instant
from ..database.session import Session
from ..errors import TenantNotFound
from ..mount import Mount
from ..tenants import mutations
from ..tenants.models import Tenant, render_tenant_document
from . import actions
from .context import (
    Invitation,
    InvitationAccepted,
    InvitationExpired,
    InvitationRevoked,
    InvitationUnknown,
    InvitedAdmin,
    TenantUnavailable,
)
from .models import InvitationRow
from .sending import make_link
from .tokens import hash_token, parse_invitation_id

T = TypeVar("T")
_ENDINGS = {"accepted": InvitationAccepted, "revoked": InvitationRevoked, "expired": InvitationExpired}


def find_invitation(mount: Mount, token: str) -> Invitation:
    """Return the invitation of a token, which stays valid. Raises `InvitationRefused` if it cannot be accepted."""
    work = partial(_find, token=token)
    current = mount.storage.current_session
    tenant, row = work(current) if current is not None else mount.storage.read(work)
    return _make_invitation(mount, tenant, row, token)


def accept_invitation(mount: Mount, token: str, host_session: Any = None) -> Invitation:
    """Accept the invitation of a token, once, and return it. Raises `InvitationRefused` if it cannot be accepted.

    This happens in the transaction of `host_session`; without one, in that of the host's Flask-SQLAlchemy session if
    `init_app` was given its database, and otherwise in a transaction of its own. Inside a hook it is the hook's.
    """
    tenant, row = _run(mount, partial(_accept, token=token), host_session)
    return _make_invitation(mount, tenant, row, token)


def _run(mount: Mount, work: Callable[[Session], T], host_session: Any) -> T:
    storage = mount.storage
    if host_session is None and storage.current_session is not None:
        return work(storage.current_session)
    if host_session is None and mount.open_host_session is not None:
        host_session = mount.open_host_session()
    if host_session is None:
        return storage.transaction(work)
    # A scoped session, such as Flask-SQLAlchemy's, is called for the session of this scope.
    return storage.run_in(host_session() if callable(host_session) else host_session, work)


def _find(session: Session, token: str) -> tuple[Tenant, InvitationRow]:
    row = _require_token(_load_row(session, token), token)
    try:
        tenant = mutations.load_tenant(session, row.partner_id, row.tenant_id)
    except TenantNotFound as error:
        raise InvitationUnknown from error
    _require_acceptable(session, tenant, row)
    return tenant, row


def _accept(session: Session, token: str) -> tuple[Tenant, InvitationRow]:
    found = _require_token(_load_row(session, token), token)
    try:
        tenant = mutations.lock_tenant(session, mutations.Target(found.partner_id, found.tenant_id))
    except TenantNotFound as error:
        raise InvitationUnknown from error
    row = _require_token(actions.lock(session, found.key), token)
    _require_acceptable(session, tenant, row)
    actor = Actor(Principal(f"invitation:{row.id}", row.partner_id))
    return tenant, actions.end(session, actor, "accepted", row)


def _load_row(session: Session, token: str) -> InvitationRow | None:
    invitation_id = parse_invitation_id(token)
    return None if invitation_id is None else actions.find(session, None, invitation_id)


def _require_token(row: InvitationRow | None, token: str) -> InvitationRow:
    """Return the row if this is its current token. Raises `InvitationUnknown`."""
    expected = row.token_hash if row is not None else ""
    if row is None or not hmac.compare_digest(expected, hash_token(token)):
        raise InvitationUnknown
    return row


def _require_acceptable(session: Session, tenant: Tenant, row: InvitationRow) -> None:
    """Raise the `InvitationRefused` that says why the invitation cannot be accepted."""
    if row.state in _ENDINGS:
        _refuse(row.state)
    if tenant.status != "active" or row.state == "waiting":
        raise TenantUnavailable
    if (row.expires_at or "") <= format_instant(session.storage.clock()):
        _refuse("expired")


def _refuse(ending: str) -> NoReturn:
    raise _ENDINGS[ending]


def _make_invitation(mount: Mount, tenant: Tenant, row: InvitationRow, token: str) -> Invitation:
    return Invitation(
        id=row.id,
        tenant=render_tenant_document(tenant, mount.registry.fields),
        admin=InvitedAdmin(row.email, row.name, row.locale),
        expires_at=shorten_instant(row.expires_at) or "",
        token=token,
        link=make_link(mount.config.invitation_url, token),
        attempt=row.attempts,
        idempotency_key=f"invitation:{row.id}:{row.generation}",
    )
