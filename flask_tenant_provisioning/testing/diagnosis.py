"""What of the host's probably came between, told by the answer."""

from __future__ import annotations

REDIRECT = (
    "Something of the host's redirects, such as a login wall: let a request pass whose blueprint is "
    "provisioning.blueprint.name, or mount the API isolated."
)
CSRF = "A CSRF wall stands before the API: call csrf.exempt(provisioning.blueprint), or mount the API isolated."
PAGE = (
    "A page of the host's stands where the API should answer: if a hook or a handler makes it, mount the API isolated."
)
REFUSED = (
    "The app refuses a token of the suite's: override the fixture provisioning_token, so that it signs one that "
    "the app's JWT manager and user lookup know."
)
STORAGE = "Is the database there, and has `flask provisioning db upgrade` made its tables?"
LIMITED = (
    "A rate limit stopped the suite, which sends some hundred requests as one partner: let it run with larger "
    "PROVISIONING_RATE_LIMITS, or without any."
)
COOKIES = (
    "A hook of the host's reads or writes the session: let a request pass whose blueprint is "
    "provisioning.blueprint.name, or mount the API isolated."
)
PACKED = (
    "Something of the host's packs the answer, such as Flask-Compress: leave the API to the proxy in front, or mount "
    "it isolated."
)
BODY = "Where the host demands more of a tenant, override the fixture provisioning_tenant_body."

HOOK = (
    "A hook of the host's refuses it: override the fixtures provisioning_tenant_body and provisioning_new_partner, "
    "so that they make what the host takes."
)


def diagnosis(status: int, media_type: str, text: str) -> str:
    """A sentence about the likely cause, after a space; empty where there is no telling."""
    found = _cause(status, media_type, text)
    return f" {found}" if found else ""


def _cause(status: int, media_type: str, text: str) -> str:
    if 300 <= status < 400 and status != 304:
        return REDIRECT
    if status == 400 and "CSRF" in text:
        return CSRF
    if media_type == "text/html":
        return PAGE
    if status == 401 and "invalid-token" in text:
        return REFUSED
    if status == 429:
        return LIMITED
    if status == 503:
        return STORAGE
    return BODY if status == 400 and "validation-error" in text else ""
