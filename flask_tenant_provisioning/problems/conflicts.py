"""What is asked for does not fit what there is already."""

from __future__ import annotations

from .root import ProvisioningError


class Conflict(ProvisioningError):
    """The request does not fit the present state (409)."""

    status = 409
    code = "conflict"
    title = "Conflict"
    remedy = "Read the resource again and decide anew."


class TenantExists(Conflict):
    """Another tenant of the same partner holds an email or external id that must be unique."""

    code = "tenant-exists"
    title = "Tenant exists already"
    remedy = "`field` names what is taken. Use the tenant in `conflicting_tenant`, or choose another value."


class InvalidState(Conflict):
    """The tenant, or the bulk job, is in a state in which this cannot be done to it."""

    code = "invalid-state"
    title = "Not possible in this state"
    remedy = (
        "The state that `detail` names does not allow this. "
        "A deleted tenant can only be read, restored and purged; a bulk job that has ended stays as it is."
    )


class PlanLimitExceeded(Conflict):
    """The tenant uses more than the plan that it is to be put on allows."""

    code = "plan-limit-exceeded"
    title = "Plan limit exceeded"
    remedy = "Let the tenant use less of what `limits` names, or choose a plan that allows as much."


class WebhookDisabled(Conflict):
    """Nothing is sent to a webhook that is disabled."""

    code = "webhook-disabled"
    title = "Webhook disabled"
    remedy = "Enable the webhook first: `PATCH` it with `enabled: true`."


class SettingsOutdated(Conflict):
    """What an earlier version of the settings held is not valid any more: its rules have changed since."""

    code = "settings-outdated"
    title = "Settings of another time"
    remedy = "`errors` says what is no longer valid. Send the settings that you want instead."


class IdempotencyInProgress(Conflict):
    """The first request with this Idempotency-Key has not been answered yet."""

    code = "idempotency-in-progress"
    title = "Still in progress"
    remedy = "Repeat the request with the same key after `Retry-After` seconds."


class IdempotencyKeyReused(ProvisioningError):
    """The Idempotency-Key was used for another request (422)."""

    status = 422
    code = "idempotency-key-reused"
    title = "Idempotency-Key reused"
    remedy = "Use a new key for each new request; the same key is for repeating the very same one."


class DuplicateRow(Conflict):
    """An earlier row of the same upload means the same tenant."""

    code = "duplicate-row"
    title = "Another row means the same tenant"
    remedy = "Leave one row a tenant in the upload: `first_row` is the one that counted."
