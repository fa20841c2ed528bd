"""Check of invitations: the app sends them, and none is stuck."""

from __future__ import annotations

from ...database.session import Session
from ...invitations.statements import InvitationSQL
from .context import FAIL, OK, WARN, DoctorContext, Finding


def check_invitations(context: DoctorContext) -> Finding:
    """Check that the app has a function that sends invitations if any waits, and that none could not be sent."""
    skipped = context.make_skip_finding("invited")
    if skipped is not None:
        return skipped
    counts = context.mount.storage.read(_count_by_state)
    unsent, failed = counts.get("waiting", 0) + counts.get("sending", 0), counts.get("failed", 0)
    detail = f"{unsent} to be sent, {counts.get('sent', 0)} sent and open, {failed} failed"
    if context.mount.registry.invite is None:
        if unsent:
            return Finding(FAIL, f"{detail}, and no function sends them", "register one with @provisioning.invite()")
        return Finding(OK, "the app sends no invitations: it has no @provisioning.invite()")
    if failed:
        advice = "see the log for the reason, then `flask provisioning invitations resend`"
        return Finding(WARN, detail, advice)
    if context.mount.config.invitation_url is None:
        return Finding(OK, f"{detail}; PROVISIONING_INVITATION_URL is not set, so the function makes the links")
    return Finding(OK, detail)


def _count_by_state(session: Session) -> dict[str, int]:
    return dict(session.run(session.storage.once(InvitationSQL).count_by_state, {}).fetchall())
