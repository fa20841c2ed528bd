"""The tokens that the app itself issues, where it issues any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import current_app
from flask_jwt_extended import create_access_token
from flask_jwt_extended.config import config
from flask_jwt_extended.default_callbacks import default_encode_key_callback

from ...access.authority import manager_of
from ...problems import ProvisioningError
from ..signing import read_back, same_settings
from .findings import FAIL, OK, WARN, Finding, Patient

_NONE = "this app signs no tokens"
_LONG = timedelta(days=1)


def expire(patient: Patient) -> Finding:
    """What is issued expires, and soon."""
    if not _signs(patient):
        return Finding(OK, _NONE)
    with patient.authority.signing():
        lifetime = config.access_expires
    if lifetime is False:
        detail = "JWT_ACCESS_TOKEN_EXPIRES is False, and the API refuses tokens that never expire"
        return Finding(FAIL, detail, "set it to a timedelta")
    if datetime.now(UTC) + lifetime > datetime.now(UTC) + _LONG:
        return Finding(
            WARN, f"tokens live {lifetime}", "a stolen one is good for as long: shorten JWT_ACCESS_TOKEN_EXPIRES"
        )
    return Finding(OK, f"tokens live {lifetime}")


def are_accepted(patient: Patient) -> Finding:
    """A token that the app signs now is one that the API takes; the host's blocklist and users are not asked."""
    if not _signs(patient):
        return Finding(OK, _NONE)
    try:
        token = probe(patient)
    except Exception as error:
        advice = "the host's loaders take no text as identity, or the key does not sign"
        return Finding(WARN, f"no probe could be signed: {patient.reason(error)}", advice)
    try:
        found = read_back(patient.mount, token)
    except ProvisioningError as problem:
        return Finding(FAIL, f"the API refuses what this app signs: {problem.detail}")
    except Exception as error:
        detail = f"the API refuses what this app signs: {patient.reason(error)}"
        return Finding(FAIL, detail, same_settings(patient.mount))
    return Finding(OK, f"a probe was signed and read: {len(found.permissions)} permissions")


def probe(patient: Patient) -> str:
    """A token of a partner's, as the app signs it. Raises what Flask-JWT-Extended and the host's loaders do."""
    with patient.authority.signing():
        return str(create_access_token(patient.subject, additional_claims=patient.claims()))


def _signs(patient: Patient) -> bool:
    with patient.authority.signing():
        manager = manager_of(current_app)
        if manager is None:
            return False
        custom = manager._encode_key_callback is not default_encode_key_callback
        return custom or not config.is_asymmetric or bool(current_app.config.get("JWT_PRIVATE_KEY"))
