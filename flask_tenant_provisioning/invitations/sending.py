"""Send due invitations by the host's function, outside of any transaction, and expire those that were not accepted."""

from __future__ import annotations

import logging
import random
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from ..access.principal import WORKER_SUBJECT, Actor, Principal
from ..database.errors import LeaseLost
from ..database.ids import format_instant, shorten_instant
from ..database.lease import CLAIM_ATTEMPTS
from ..database.session import Session, Storage
from ..errors import StorageUnavailable
from ..hooks import require_result
from ..keyring import Keyring
from ..registry import Registry
from ..steps.execution import AttemptError, describe_exception
from ..telemetry.instruments import RETRIES
from ..tenants import mutations
from ..tenants.models import Tenant, render_tenant_document
from . import actions
from .context import Invitation, InvitedAdmin
from .models import INVITATION_WORK, MAX_CLASS_LENGTH, MAX_MESSAGE_LENGTH, InvitationRow
from .statements import InvitationSQL
from .tokens import derive_tokens, find_token, hash_token

logger = logging.getLogger(__name__)
#: The longest delay between two attempts, in seconds.
MAX_BACKOFF = 3600.0
_JITTER = 0.2
_HIDDEN_REASON = "The invitation could not be sent; the operator's log says why."
_TIMED_OUT = AttemptError("TimeoutError", "The attempt exceeded its timeout.")
_NO_FUNCTION = AttemptError("LookupError", "The application has no function that sends invitations.")


def make_link(url: str | None, token: str) -> str | None:
    """Return the link with a token, by the template of ``PROVISIONING_INVITATION_URL``; None without one."""
    return None if url is None else url.replace("{token}", token)


class InvitationWork:
    """The invitations of one mount, as a kind of work that a worker claims, runs and expires."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        keyring: Callable[[], Keyring],
        in_host: Callable[[], AbstractContextManager[Any]],
        url: str | None,
        *,
        lease: float,
        slots: int,
    ) -> None:
        self._storage, self._registry, self._keyring, self._in_host = storage, registry, keyring, in_host
        self._url = url
        self.lease, self.slots = lease, slots

    def claim(self, limit: int) -> list[InvitationRow]:
        """Claim at most `limit` due invitations, a random sample, so that concurrent workers rarely collide."""
        for _ in range(CLAIM_ATTEMPTS):
            due = self._storage.read(partial(_find_due, limit=limit * 4))
            if not due:
                break
            sample = random.sample(due, min(limit, len(due)))
            rows = self._storage.transaction(partial(_claim_sample, due=sample, lease_seconds=self.lease))
            if rows:
                return rows
        return []

    def renew(self, rows: Iterable[InvitationRow]) -> None:
        """Renew the leases of invitations that are being sent."""
        lease = self._storage.once(InvitationSQL).lease
        self._storage.transaction(partial(lease.renew, claims=rows, seconds=self.lease))

    def timeout(self, row: InvitationRow) -> float:
        """Return the timeout of an attempt, in seconds."""
        return self._registry.invite.timeout if self._registry.invite else 60.0

    def run(self, row: InvitationRow) -> None:
        """Make one attempt to send an invitation, or expire one that was sent and not accepted."""
        if row.state != "sending" or (row.expires_at or "") <= format_instant(self._storage.clock()):
            self._save(row, partial(_record_expiry, row=row))
            return
        if row.attempts > 1:
            self._storage.telemetry.count(RETRIES, 1, {"kind": INVITATION_WORK})
        try:
            self._send(row)
        except LeaseLost:
            _log_lost_lease(row)

    def expire(self, row: InvitationRow) -> None:
        """Abandon an attempt that exceeds its timeout; it is recorded as failed and retried."""
        logger.warning(
            "sending invitation %s exceeded its timeout and is abandoned", row.id, extra=_make_log_fields(row)
        )
        self._record_failure(row, _TIMED_OUT)

    def stop(self) -> None:
        """Do nothing: a running attempt cannot be interrupted."""

    def _send(self, row: InvitationRow) -> None:
        """Send an invitation and record the outcome; hold it back if its tenant is not active. Raises `LeaseLost`."""
        invite = self._registry.invite
        if invite is None:
            self._record_failure(row, _NO_FUNCTION)
            return
        load_tenant = partial(mutations.load_tenant_in_any_state, partner=row.partner_id, tenant_id=row.tenant_id)
        tenant = self._storage.read(load_tenant)
        if tenant.status != "active":
            self._save(row, partial(_record_hold, row=row))
            return
        invitation = self._make_invitation(row, tenant)
        arguments = {"tenant": invitation.tenant, "admin": invitation.admin, "invitation": invitation}
        try:
            with self._in_host():
                result = invite.function(**{name: arguments[name] for name in invite.arguments})
                require_result(result, "The function that sends invitations")
        except Exception as error:
            self._record_failure(row, _make_attempt_error(row, error, invitation.token))
        else:
            self._save(row, partial(_record_success, row=row))

    def _make_invitation(self, row: InvitationRow, tenant: Tenant) -> Invitation:
        token = self._find_token(row)
        return Invitation(
            id=row.id,
            tenant=render_tenant_document(tenant, self._storage.registry.fields),
            admin=InvitedAdmin(row.email, row.name, row.locale),
            expires_at=shorten_instant(row.expires_at) or "",
            token=token,
            link=make_link(self._url, token),
            attempt=row.attempts,
            idempotency_key=f"invitation:{row.id}:{row.generation}",
        )

    def _find_token(self, row: InvitationRow) -> str:
        """Return the token, which is the same at each attempt. Raises `LeaseLost`.

        If its key was removed from the key ring, the token is replaced by one of the first key.
        """
        keyring = self._keyring()
        token = find_token(keyring, row.id, row.generation, row.token_hash)
        if token is None:
            token = next(derive_tokens(keyring, row.id, row.generation))
            self._storage.transaction(partial(_replace_hash, row=row, token_hash=hash_token(token)))
        return token

    def _record_failure(self, row: InvitationRow, error: AttemptError) -> None:
        invite = self._registry.invite
        is_last = error.is_permanent or (invite is not None and row.attempts > invite.retries)
        backoff = invite.backoff if invite is not None else MAX_BACKOFF
        wait = min(backoff * 2 ** min(row.attempts - 1, 30), MAX_BACKOFF) * random.uniform(1 - _JITTER, 1 + _JITTER)
        self._save(row, partial(_record_failure, row=row, error=error, wait=None if is_last else wait))

    def _save(self, row: InvitationRow, record: Callable[[Session], None]) -> None:
        """Run `record` in a transaction. If that fails, the lease expires and the invitation is sent again."""
        try:
            self._storage.transaction(record)
        except LeaseLost:
            _log_lost_lease(row)
        except StorageUnavailable:
            logger.error(
                "the outcome of sending invitation %s could not be saved: the database is unavailable",
                row.id,
                extra=_make_log_fields(row),
            )


def _find_due(session: Session, limit: int) -> list[tuple[Any, ...]]:
    """Return at most `limit` due invitations, the longest due first, each as its key and its current fence."""
    parameters = {"now": format_instant(session.storage.clock()), "limit": limit}
    rows: list[tuple[Any, ...]] = session.run(session.storage.once(InvitationSQL).select_due, parameters).fetchall()
    return rows


def _claim_sample(session: Session, due: Sequence[tuple[Any, ...]], lease_seconds: float) -> list[InvitationRow]:
    sql = session.storage.once(InvitationSQL)
    keys = sql.lease.claim(session, due, lease_seconds)
    return [InvitationRow._make(session.run(sql.read, key).fetchone()) for key in keys]


def _make_attempt_error(row: InvitationRow, error: Exception, token: str) -> AttemptError:
    """Log an exception of the host's function, and return the error of the attempt, both without the token."""
    described = describe_exception(error, _HIDDEN_REASON)
    is_secret = any(token in text for text in traceback.format_exception(error))
    logger.warning(
        "sending invitation %s, attempt %d, failed: %s",
        row.id,
        row.attempts,
        described.error_class,
        exc_info=None if is_secret else error,
        extra=_make_log_fields(row),
    )
    return described._replace(message=described.message.replace(token, "***"))


def _record_hold(session: Session, row: InvitationRow) -> None:
    """Let an invitation wait until its tenant is active again. Raises `LeaseLost`."""
    actions.save_claimed(session, _make_actor(row), None, row, state="waiting", due_at=None, expires_at=None)


def _record_success(session: Session, row: InvitationRow) -> None:
    """Record that an invitation was sent; its next due time is that of its expiry. Raises `LeaseLost`."""
    values = {"state": "sent", "due_at": row.expires_at, "sent_at": format_instant(session.storage.clock())}
    actions.save_claimed(
        session, _make_actor(row), "invitation.sent", row, **values, error_class=None, error_message=None
    )


def _record_failure(session: Session, row: InvitationRow, error: AttemptError, wait: float | None) -> None:
    """Record a failed attempt: the next one follows in `wait` seconds, or none if that is None. Raises `LeaseLost`."""
    values = {
        "error_class": error.error_class[:MAX_CLASS_LENGTH],
        "error_message": error.message[:MAX_MESSAGE_LENGTH],
    }
    if wait is not None:
        due_at = min(format_instant(session.storage.clock() + wait), row.expires_at or "")
        actions.save_claimed(session, _make_actor(row), None, row, due_at=due_at, **values)
        return
    failed = {"state": "failed", "due_at": row.expires_at}
    actions.save_claimed(session, _make_actor(row), "invitation.failed", row, **failed, **values)
    logger.error(
        "invitation %s of tenant %s could not be sent, and no further attempt follows",
        row.id,
        row.tenant_id,
        extra=_make_log_fields(row),
    )


def _record_expiry(session: Session, row: InvitationRow) -> None:
    """Record that an invitation has expired. Raises `LeaseLost`."""
    ended_at = format_instant(session.storage.clock())
    actions.save_claimed(
        session, _make_actor(row), "invitation.expired", row, state="expired", due_at=None, ended_at=ended_at
    )


def _replace_hash(session: Session, row: InvitationRow, token_hash: str) -> None:
    statement = session.storage.once(InvitationSQL).update_claimed(("token_hash",))
    values = {**row.key, "fence": row.fence, "new_token_hash": token_hash}
    if session.run(statement, values).rowcount != 1:
        raise LeaseLost(row.id)


def _make_actor(row: InvitationRow) -> Actor:
    """Return the actor of changes by workers: the service itself, with the id of the request that asked for it."""
    return Actor(Principal(WORKER_SUBJECT, row.partner_id), row.request_id)


def _log_lost_lease(row: InvitationRow) -> None:
    logger.info(
        "invitation %s was changed while it was sent; the outcome is discarded", row.id, extra=_make_log_fields(row)
    )


def _make_log_fields(row: InvitationRow) -> dict[str, Any]:
    """Return the log fields of an attempt, without the person's data."""
    return {
        "partner": row.partner_id,
        "tenant": row.tenant_id,
        "invitation": row.id,
        "attempt": row.attempts,
        "request_id": row.request_id,
    }
