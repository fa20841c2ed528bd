"""Who calls is unknown, or may not do this."""

from __future__ import annotations

from .root import ProvisioningError


class Unauthenticated(ProvisioningError):
    """Nobody proved who is calling (401), with an RFC 6750 challenge."""

    status = 401
    code = "authentication-required"
    title = "Authentication required"
    remedy = "Send a bearer token in the `Authorization` header."


class InvalidToken(Unauthenticated):
    """The token does not prove who is calling."""

    code = "invalid-token"
    title = "Invalid token"
    remedy = "Obtain a new token: this one is malformed, forged, revoked, or not meant for this API."


class TokenExpired(Unauthenticated):
    """The token was good once; its time is over."""

    code = "token-expired"
    title = "Token expired"
    remedy = "Obtain a new token and send the request again."


class Forbidden(ProvisioningError):
    """Who calls may not do this (403)."""

    status = 403
    code = "insufficient-permission"
    title = "Insufficient permission"
    remedy = "Ask your administrator for a role that grants the permissions in `required`."


class PartnerMissing(Forbidden):
    """The token does not name the partner on whose behalf its bearer calls."""

    code = "partner-missing"
    title = "Partner missing"
    remedy = "Obtain a token with the claim that `claim` names; an administrator can name a partner with `?partner=`."


class PartnerSuspended(Forbidden):
    """The operator has suspended the partner: none of its requests is let pass."""

    code = "partner-suspended"
    title = "Partner suspended"
    remedy = "Ask the operator why; your tenants stay as they are meanwhile."


class PartnerNotRegistered(Forbidden):
    """The operator has not registered the partner that the token names."""

    code = "partner-not-registered"
    title = "Partner not registered"
    remedy = "Ask the operator to register you, under the partner that your token names."


class QuotaExceeded(Forbidden):
    """There are as many tenants, webhooks, or bulk jobs under way, as are allowed."""

    code = "quota-exceeded"
    title = "Quota exceeded"
    remedy = "Delete what is no longer needed, or ask the operator for a larger quota."


class PlanNotAllowed(Forbidden):
    """The operator lets the partner put tenants on other plans alone."""

    code = "plan-not-allowed"
    title = "Plan not allowed"
    remedy = "Choose one of the plans in `allowed`, or ask the operator for this one."


class LicenseExpired(Forbidden):
    """The operator's licence for this API has ended, and its days of grace too."""

    code = "license-expired"
    title = "Licence expired"
    remedy = "The operator must renew the licence; reading, suspending and deleting go on meanwhile."
