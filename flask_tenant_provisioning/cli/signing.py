"""Tokens that the app itself signs, read back as its mount reads them."""

from __future__ import annotations

from flask_jwt_extended import decode_token

from ..access import Principal
from ..access.strict import wellformed
from ..web.mount import Mount


def read_back(mount: Mount, token: str) -> Principal:
    """Whom the mount reads in `token`; the host's blocklist and users are not asked.

    Raises `InvalidToken`, `PartnerMissing`, or what Flask-JWT-Extended and PyJWT raise, where the mount refuses it.
    """
    with mount.authority.verifying():
        wellformed(token)
        principal = Principal.of_claims(decode_token(token), mount.settings)
    if not principal.sees_every_partner:
        principal.require_partner(mount.settings.partner_claim)
    return principal


def same_settings(mount: Mount) -> str:
    """What to do where a mount refuses what its own app signs."""
    return f"let {mount.authority.setting('JWT_*')} name the same key, issuer and audience for signing and verifying"
