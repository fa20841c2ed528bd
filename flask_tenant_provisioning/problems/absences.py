"""What is asked for is not there, or not any more."""

from __future__ import annotations

from .root import ProvisioningError


class NotFound(ProvisioningError):
    """There is nothing at this address (404)."""

    status = 404
    code = "not-found"
    title = "Not found"
    remedy = "Check the path against the API's documentation."


class TenantNotFound(NotFound):
    """There is no such tenant: it never was, was purged, or belongs to another partner."""

    code = "tenant-not-found"
    title = "Tenant not found"
    remedy = "Check the id: there is no such tenant among those that you may see."


class PartnerNotFound(NotFound):
    """There is no such partner, or not for this caller, which look the same."""

    code = "partner-not-found"
    title = "Partner not found"
    remedy = "Check the id: there is no such partner among those that you may see."


class WebhookNotFound(NotFound):
    """There is no such webhook: it never was, was deleted, or belongs to another partner."""

    code = "webhook-not-found"
    title = "Webhook not found"
    remedy = "Check the id: there is no such webhook among those that you may see."


class DeliveryNotFound(NotFound):
    """There is no such delivery: it never was, went with its webhook, or belongs to another partner."""

    code = "delivery-not-found"
    title = "Delivery not found"
    remedy = "Check the id: there is no such delivery among those that you may see."


class SettingsVersionNotFound(NotFound):
    """There is no such version of these settings: it never was, or is older than those that are kept."""

    code = "settings-version-not-found"
    title = "No such version of the settings"
    remedy = "Choose one that the history of these settings lists."


class CursorExpired(ProvisioningError):
    """The cursor of the feed is older than what is kept (410): events that its reader has not seen are gone."""

    code = "cursor-expired"
    status = 410
    title = "Cursor expired"
    remedy = "Read your tenants anew with `GET /tenants`, then follow the feed from its beginning, without `after`."


class BulkJobNotFound(NotFound):
    """There is no such bulk job, or not for this caller, which look the same."""

    code = "bulk-job-not-found"
    title = "No such bulk job"
    remedy = "Check the id. Jobs are removed some time after they have ended."
