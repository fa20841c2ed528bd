"""Refusals of a request because of its tenant, as exceptions of Werkzeug that the host handles like its own.

A host changes a response by an error handler for the class, for a class above it, or for the status::

    @app.errorhandler(TenantNotReady)
    def show_progress(refusal):
        return render_template("almost_ready.html"), 503

TenantRefused
├── TenantUnknown        404
├── TenantUnavailable    403
├── TenantConfusion      403
├── TenantNotReady       503
└── TenantsUnreachable   503
"""

from __future__ import annotations

from typing import ClassVar

from werkzeug.exceptions import Forbidden, HTTPException, NotFound, ServiceUnavailable


class TenantConflict(RuntimeError):
    """Code of one tenant has reached for another one's: a nested context, or a transaction of the tenant before.

    It is a fault of the host's code, and no `TenantRefused`.
    """


class TenantRefused(HTTPException):
    """Root of the refusals. `tenant_id` and `status` are those of the tenant, or None if it is not known."""

    #: The text of the response, which names neither the tenant nor its state.
    reason: ClassVar[str] = "This tenant cannot be used."

    def __init__(self, tenant_id: str | None = None, status: str | None = None) -> None:
        super().__init__(self.reason)
        self.tenant_id = tenant_id
        self.status = status


class TenantUnknown(TenantRefused, NotFound):
    """The request names no tenant where it needs one, or one that does not exist (404)."""

    reason = "There is no such tenant."


class TenantUnavailable(TenantRefused, Forbidden):
    """The tenant is suspended or deleted, or its provisioning has failed (403); `status` says which."""

    reason = "This tenant is not available."


class TenantConfusion(TenantRefused, Forbidden):
    """The request names one tenant, and its token or session belongs to another one (403)."""

    reason = "This request belongs to another tenant."


class TenantNotReady(TenantRefused, ServiceUnavailable):
    """The tenant is still being provisioned (503, with ``Retry-After``)."""

    reason = "This tenant is being set up. Try again soon."
    #: Seconds after which the caller may try again.
    RETRY_AFTER = 5

    def __init__(self, tenant_id: str | None = None, status: str | None = None) -> None:
        super().__init__(tenant_id, status)
        self.retry_after = self.RETRY_AFTER


class TenantsUnreachable(TenantRefused, ServiceUnavailable):
    """The database does not tell which tenant it is (503, with ``Retry-After``)."""

    reason = "The service is not available at the moment."

    def __init__(self, tenant_id: str | None = None, status: str | None = None) -> None:
        super().__init__(tenant_id, status)
        self.retry_after = 1
