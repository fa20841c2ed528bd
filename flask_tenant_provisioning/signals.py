"""Blinker signals for the host: one per event type, sent after the commit, in the process that committed.

::

    from flask_tenant_provisioning.signals import tenant_created

    @tenant_created.connect_via(app)
    def greet(app, event, **extra):
        ...

The sender is the Flask app; `event` is the envelope that partners read in the feed. A signal is sent at most once: work
that must happen belongs in a step or a hook. An exception of a receiver is logged and has no other effect.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from blinker import NamedSignal, Namespace
from flask import current_app

from .hooks import require_result

logger = logging.getLogger(__name__)

_signals = Namespace()

tenant_created = _signals.signal("tenant.created")
tenant_provisioned = _signals.signal("tenant.provisioned")
tenant_provisioning_failed = _signals.signal("tenant.provisioning_failed")
tenant_updated = _signals.signal("tenant.updated")
tenant_suspended = _signals.signal("tenant.suspended")
tenant_reactivated = _signals.signal("tenant.reactivated")
tenant_deleted = _signals.signal("tenant.deleted")
tenant_restored = _signals.signal("tenant.restored")
tenant_moved = _signals.signal("tenant.moved")
tenant_purged = _signals.signal("tenant.purged")
tenant_settings_updated = _signals.signal("tenant.settings_updated")
partner_updated = _signals.signal("partner.updated")
partner_settings_updated = _signals.signal("partner.settings_updated")
bulk_job_finished = _signals.signal("bulk_job.finished")
invitation_created = _signals.signal("invitation.created")
invitation_sent = _signals.signal("invitation.sent")
invitation_failed = _signals.signal("invitation.failed")
invitation_resent = _signals.signal("invitation.resent")
invitation_accepted = _signals.signal("invitation.accepted")
invitation_revoked = _signals.signal("invitation.revoked")
invitation_expired = _signals.signal("invitation.expired")
webhook_created = _signals.signal("webhook.created")
webhook_updated = _signals.signal("webhook.updated")
webhook_rotated = _signals.signal("webhook.rotated")
webhook_deleted = _signals.signal("webhook.deleted")
webhook_disabled = _signals.signal("webhook.disabled")
client_created = _signals.signal("client.created")
client_updated = _signals.signal("client.updated")
client_rotated = _signals.signal("client.rotated")
client_deleted = _signals.signal("client.deleted")

#: The event types that are also logged.
_LOGGED_TYPES = {tenant_provisioning_failed.name, webhook_disabled.name}


def send_signals(rows: Sequence[Mapping[str, Any]], in_host: Callable[[], AbstractContextManager[Any]]) -> None:
    """Log events that an operator must know of, and send each event's signal in the host's application context."""
    for row in rows:
        if row["type"] in _LOGGED_TYPES:
            _log_event(row)
    heard = [row for row in rows if row["type"] in _signals and _signals[row["type"]].receivers]
    if not heard:
        return
    from .events.models import render_event  # a host that connects to a signal loads no table

    with in_host():
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        for row in heard:
            _send_signal(_signals[row["type"]], app, render_event(row))


def _log_event(row: Mapping[str, Any]) -> None:
    """Log an event for the operator. Called after the commit, so that each event is logged once."""
    data, extra = json.loads(row["data"]), {"partner": row["partner_id"], "request_id": row["request_id"]}
    if row["type"] == webhook_disabled.name:
        webhook, reason = data["webhook"], data["disabled_reason"]
        extra |= {"webhook": webhook, "reason": reason}
        logger.warning("webhook %s of partner %r is disabled: %s", webhook, row["partner_id"], reason, extra=extra)
    else:
        extra |= {"tenant": row["tenant_id"]}
        logger.error("provisioning of tenant %s of partner %r failed", row["tenant_id"], row["partner_id"], extra=extra)


def _send_signal(signal: NamedSignal, app: Any, event: dict[str, Any]) -> None:
    for receiver in list(signal.receivers_for(app)):
        try:
            require_result(receiver(app, event=event), "The receiver")
        except Exception:
            logger.exception("a receiver of %s failed", signal.name, extra={"type": signal.name})
