"""A host that invites administrators, and keeps what it would have sent."""

from __future__ import annotations

from typing import Any

from flask_tenant_provisioning import Invitation, InvitedAdmin
from tests.support.callers import Caller, tenant_path
from tests.support.workers.step_hosts import StepHost

URL = "https://app.example.com/welcome/{token}"
ADMIN = {"email": "jo@example.com", "name": "Jo Doe", "locale": "pt-BR"}


class InvitationHost(StepHost):
    """A host whose function for invitations keeps them in `outbox`, or raises what a test puts into `failures`."""

    def __init__(self, database_url: str, *, invites: bool = True, **config: Any) -> None:
        super().__init__(database_url, **{"PROVISIONING_INVITATION_URL": URL, **config})
        self.outbox: list[Invitation] = []
        self.failures: list[Exception] = []
        if invites:
            self.provisioning.invite(retries=2)(self._send)

    def _send(self, tenant: dict[str, Any], admin: InvitedAdmin, invitation: Invitation) -> None:
        assert tenant == invitation.tenant
        assert admin == invitation.admin
        self.outbox.append(invitation)
        if self.failures:
            raise self.failures.pop(0)

    def find(self, token: str) -> Invitation:
        """The invitation of a token, as the host's form finds it."""
        with self.app.app_context():
            return self.provisioning.find_invitation(token)

    def accept(self, token: str, session: Any = None) -> Invitation:
        """Accept an invitation as the host's sign-up view does."""
        with self.app.app_context():
            return self.provisioning.accept_invitation(token, session)


def read_invitations(caller: Caller, tenant: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    """A tenant's invitations, as the API lists them."""
    response = caller("GET", f"{tenant_path(tenant)}/invitations{query}")
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.get_json()["items"]
    return items


def read_invitation(caller: Caller, tenant: dict[str, Any]) -> dict[str, Any]:
    """The only invitation of a tenant."""
    (invitation,) = read_invitations(caller, tenant)
    return invitation


def invite(caller: Caller, tenant: dict[str, Any], **admin: Any) -> dict[str, Any]:
    """Invite a person by the API and return the invitation."""
    response = caller("POST", f"{tenant_path(tenant)}/invitations", json={"admin": {**ADMIN, **admin}})
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.get_json()
    return document


def invitation_path(invitation: dict[str, Any], action: str = "") -> str:
    """The path of an invitation, or of what is done with it."""
    path = f"/tenants/{invitation['tenant']}/invitations/{invitation['invitation']}"
    return f"{path}/{action}" if action else path
