"""A caller of the API for one partner, in a role with the required permissions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest

from ..web.headers import format_etag
from .api import MountedApi
from .responses import ApiResponse

Document = dict[str, Any]
#: Reads the tenant, or the bulk job, that is waited for.
ReadDocument = Callable[[], Document]

TENANTS, WEBHOOKS = "/tenants", "/webhooks"
_SETTLE_SECONDS, _POLL_SECONDS, _LONG_WAIT_SECONDS = 20.0, 0.01, 1.0
_PATIENCE_ADVICE = (
    "What needs to wait for more of it is left out. Make such a step quick where the app is tested, or give the suite "
    "more time: --provisioning-patience=SECONDS."
)
#: The codes of a licence that allows no new tenant.
LICENSE_LIMIT_CODES = {"license-expired", "quota-exceeded"}


def get_tenant_path(tenant: Mapping[str, Any]) -> str:
    """The tenant's path."""
    return f"{TENANTS}/{tenant['tenant']}"


def get_upsert_path(external_id: str) -> str:
    """The path of the upsert of this external id, which needs no encoding."""
    return f"{TENANTS}/by-external-id/{external_id}"


class Caller:
    """Called with a method and a path below the mount, it sends a request with a token that may do this."""

    def __init__(
        self,
        api: MountedApi,
        partner: str,
        sign: Callable[..., str],
        body: Callable[..., Document],
        settle: Callable[[ReadDocument], Document],
        patience: Patience,
        *,
        all_partners: bool = False,
    ) -> None:
        self.api = api
        self.partner = partner
        self.body = body
        self._settle = settle
        self._patience = patience
        self._sign = sign
        self._is_administrator = all_partners
        self._tokens: dict[str, str] = {}
        self._has_written = self._has_webhooks = False

    def administrator(self) -> Caller:
        """Return a caller of the same partner that sees every partner's tenants."""
        self._has_written = True
        return Caller(self.api, self.partner, self._sign, self.body, self._settle, self._patience, all_partners=True)

    def find_role(self, *permissions: str) -> str:
        """Return a role that grants `permissions`. Skips if there is none."""
        return self.api.find_role(permissions, all_partners=self._is_administrator)

    def token(self, *permissions: str, **claims: Any) -> str:
        """A token in a role that grants `permissions`, with further `claims`. Skips where there is no such role."""
        role = self.find_role(*permissions)
        if claims:
            return self._sign(role, self.partner, **claims)
        if role not in self._tokens:
            self._tokens[role] = self._sign(role, self.partner)
        return self._tokens[role]

    def make_role_header(self, role: str | None, **claims: Any) -> dict[str, str]:
        """The header that shows a token in `role`, or in none."""
        return make_bearer_header(self._sign(role, self.partner, **claims))

    def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        also: Sequence[str] = (),
        **options: Any,
    ) -> ApiResponse:
        """Send a request; `also` are permissions in addition to those of the operation."""
        __tracebackhide__ = True
        needed = [*self.api.find_permissions(method, path), *also]
        sent = make_bearer_header(self.token(*needed)) | dict(headers or {})
        self._has_written = self._has_written or method in ("POST", "PUT")
        self._has_webhooks = self._has_webhooks or (method == "POST" and path.startswith(WEBHOOKS))
        return self.api(method, path, headers=sent, **options)

    def create(self, **fields: Any) -> Document:
        """Create a tenant with these fields, and wait until it is no longer `provisioning`."""
        __tracebackhide__ = True
        response = self("POST", TENANTS, json=self.body(**fields))
        if response.status == 403 and response.json().get("code") in LICENSE_LIMIT_CODES:
            pytest.skip(f"the licence allows no tenant here: {response.json()['detail']}")
        return self.wait_until_active(response.tenant(201))

    def wait_until_active(self, tenant: Document) -> Document:
        """The tenant once it is no longer `provisioning`."""
        __tracebackhide__ = True
        settled = self._wait_for(tenant)
        if settled["status"] != "active":
            raise AssertionError(
                f"The tenant {settled['tenant']} should become active; it is {settled['status']}. "
                f"{self._describe_open_steps(tenant)}"
            )
        return settled

    def wait(self, read: ReadDocument, describe: Callable[[], str]) -> Document:
        """Return the document of `read` once the host has done its work, or the time is up.

        Fails where the time that the whole run may wait is used up: `describe` then says for what. Skips from then on.
        """
        __tracebackhide__ = True
        return self._patience.wait(partial(self._settle, read), describe)

    def read(self, tenant: Mapping[str, Any]) -> Document:
        """The tenant as it is now."""
        __tracebackhide__ = True
        return self("GET", get_tenant_path(tenant)).tenant()

    def write(
        self,
        method: str,
        tenant: Mapping[str, Any],
        action: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> ApiResponse:
        """Change `tenant` as it stands, with ``If-Match`` where the mount demands it."""
        __tracebackhide__ = True
        return self(
            method,
            get_tenant_path(tenant) + action,
            headers={**self.make_if_match(tenant), **(headers or {})},
            **options,
        )

    def make_if_match(self, tenant: Mapping[str, Any]) -> dict[str, str]:
        """The ``If-Match`` that a write to `tenant` needs, if it does."""
        return {"If-Match": format_etag(tenant["version"])} if self.api.config.require_if_match else {}

    def delete(self, tenant: Mapping[str, Any]) -> Document:
        """Delete the tenant. Skips where it would be gone at once."""
        __tracebackhide__ = True
        self.api.require_retention()
        return self.write("DELETE", tenant).tenant()

    def purge(self, tenant: Mapping[str, Any], query: str = "") -> ApiResponse:
        """Remove the tenant for good, in a role that may: at once (204), or after work of the host's (202)."""
        __tracebackhide__ = True
        administrator = self.administrator()
        response = administrator.write("DELETE", tenant, f"?purge=true{query}", also=["tenant:purge"]).expect(204, 202)
        response.require(not response.body, "answer without a body")
        return response

    def list_tenants(self, **query: Any) -> list[Document]:
        """Every tenant on the first page of this list."""
        __tracebackhide__ = True
        parameters = urlencode({"limit": 1000, **query})
        tenants: list[Document] = self("GET", f"{TENANTS}?{parameters}").document()["items"]
        return tenants

    def clean_up(self) -> None:
        """Remove the partner's tenants and endpoints: for good if an administrator may, else as a partner can.

        What the API does not let us remove stays: the test that saw that has failed, or said so.
        """
        if self._has_webhooks:
            self._try_removal(self._delete_webhooks)
        if self._has_written and not self._try_removal(self._purge):
            self._try_removal(self._delete)

    def _try_removal(self, remove: Callable[[], None]) -> bool:
        """Return whether the API let the suite `remove` it."""
        try:
            remove()
        except (AssertionError, pytest.skip.Exception):
            return False
        return True

    def _delete_webhooks(self) -> None:
        for webhook in self("GET", f"{WEBHOOKS}?limit=1000").document()["items"]:
            self("DELETE", f"{WEBHOOKS}/{webhook['webhook']}", headers=self.make_if_match(webhook)).expect(204)

    def _purge(self) -> None:
        for tenant in self.administrator().list_tenants(partner=self.partner, include_deleted="true"):
            self.purge(self._wait_to_remove(tenant))

    def _delete(self) -> None:
        for tenant in self.list_tenants():
            self.write("DELETE", self._wait_to_remove(tenant)).expect(200)

    def _wait_for(self, tenant: Document) -> Document:
        """Return the tenant as it is when no step of it is under way, in whatever state."""
        if tenant["status"] != "provisioning":
            return tenant
        return self.wait(lambda: self.read(tenant), lambda: self._describe_open_steps(tenant))

    def _wait_to_remove(self, tenant: Document) -> Document:
        """Return the tenant as it can be removed: as it is now, where the run waits no more."""
        if tenant["status"] != "provisioning" or self._patience.is_used_up:
            return tenant
        read = partial(self._settle, lambda: self.read(tenant))
        return self._patience.spend(read, lambda: self._describe_open_steps(tenant))

    def _describe_open_steps(self, tenant: Document) -> str:
        """Name the host's steps that keep `tenant` from being active, with their errors."""
        try:
            steps = self("GET", f"{get_tenant_path(tenant)}/provisioning").document()["steps"]
        except (AssertionError, pytest.skip.Exception):
            return "Its steps cannot be read here."
        unfinished = [step for step in steps if step["state"] != "succeeded"]
        began = [step for step in unfinished if step["attempts"]] or unfinished
        return " ".join(map(_describe_step, began)) or "All of its steps have succeeded by now."


class Patience:
    """The time in `seconds` that one run of the suite waits in all for a host's steps and jobs."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._waited = 0.0
        self._cause = ""
        self._failed = False

    @property
    def is_used_up(self) -> bool:
        """Return whether the run waits no more."""
        return self._waited >= self.seconds

    def wait(self, settle: Callable[[], Document], describe: Callable[[], str]) -> Document:
        """Return the document of `settle`. Fails once if no patience is left, and skips from then on.

        `describe` names what was waited for; it is asked after each wait of a second or more.
        """
        __tracebackhide__ = True
        if not self.is_used_up:
            settled = self.spend(settle, describe)
            if not self.is_used_up:
                return settled
        message = f"The suite has waited {self.seconds:.0f} s in all for this host's work. {self._cause}"
        if self._failed:
            pytest.skip(message)
        self._failed = True
        pytest.fail(f"{message} {_PATIENCE_ADVICE}", pytrace=False)

    def spend(self, settle: Callable[[], Document], describe: Callable[[], str]) -> Document:
        """Return the document of `settle`, and count its duration."""
        __tracebackhide__ = True
        started = self._clock()
        try:
            return settle()
        finally:
            spent = self._clock() - started
            self._waited += spent
            if spent >= _LONG_WAIT_SECONDS or self.is_used_up:
                self._cause = describe()


def make_bearer_header(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def wait_until_settled(read: ReadDocument) -> Document:
    """Return the document of `read` once no worker has work left for it, or after 20 seconds."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    document = read()
    while _is_under_way(document) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        document = read()
    return document


def _describe_step(step: Mapping[str, Any]) -> str:
    """Say how a step stands, as `GET …/provisioning` shows it."""
    error = step["error"]
    raised = f", which raised {error['class']}: {error['message']}" if error and "message" in error else ""
    return f"The host's step {step['name']!r} is {step['state']} after {step['attempts']} attempts{raised}."


def _is_under_way(document: Document) -> bool:
    """Return whether a worker has work left for this tenant or bulk job."""
    return document.get("status") == "provisioning" or document.get("state") in ("queued", "running")
