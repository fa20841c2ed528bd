"""The invitation that the host's functions receive, and the exceptions of accepting one."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple


class InvitedAdmin(NamedTuple):
    """The person who is invited to administer a tenant: the email address, and if known the name and the locale.

    `locale` is a language tag (BCP 47) such as ``pt-BR``.
    """

    email: str
    name: str | None
    locale: str | None


@dataclasses.dataclass(frozen=True)
class Invitation:
    """An invitation of a person to administer a tenant.

    `tenant` is the tenant's document. `token` is valid once and until `expires_at` (RFC 3339); `link` has it in
    ``PROVISIONING_INVITATION_URL``, and is None if that is not set. Treat both as passwords: neither is in the
    `repr`. `attempt` counts the attempts to send this token, from 1; `idempotency_key` is the same for all of them.
    """

    id: str
    tenant: dict[str, Any]
    admin: InvitedAdmin
    expires_at: str
    token: str = dataclasses.field(repr=False)
    link: str | None = dataclasses.field(repr=False)
    attempt: int
    idempotency_key: str


class InvitationRefused(Exception):
    """An invitation cannot be accepted. `code` says why, and the message says so to the person who was invited."""

    code: ClassVar[str] = "refused"
    message: ClassVar[str] = "This invitation cannot be accepted."

    def __init__(self) -> None:
        super().__init__(self.message)


class InvitationUnknown(InvitationRefused):
    """The token is wrong or was replaced by a newer one, or its tenant was removed for good."""

    code = "unknown"
    message = "This invitation is not valid. Use the newest one that you were sent."


class InvitationExpired(InvitationRefused):
    """The invitation was not accepted in time."""

    code = "expired"
    message = "This invitation has expired. Ask for a new one."


class InvitationRevoked(InvitationRefused):
    """The invitation was revoked, by a partner or because its tenant was deleted."""

    code = "revoked"
    message = "This invitation was withdrawn."


class InvitationAccepted(InvitationRefused):
    """The invitation was accepted before."""

    code = "accepted"
    message = "This invitation was accepted already."


class TenantUnavailable(InvitationRefused):
    """The tenant is not active: it is suspended or deleted."""

    code = "tenant-unavailable"
    message = "The organisation that this invitation is for is not active at present."
