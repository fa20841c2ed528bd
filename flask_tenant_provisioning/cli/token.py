"""`flask provisioning token`: a bearer token for trying the API, and the check that the mount accepts it."""

from __future__ import annotations

from datetime import timedelta

import click
from flask.cli import with_appcontext
from flask_jwt_extended import create_access_token, decode_token

from ..access.principal import Principal
from ..access.tokens import parse_token
from ..errors import ProvisioningError
from ..mount import Mount
from .options import find_mount, mount_option

_NOT_SERVED = "the API is not mounted. `flask provisioning doctor` shows why."


@click.command("token", help="Print a bearer token that this app accepts. It is signed with the app's own JWT key.")
@click.option("--role", "roles", multiple=True, default=("partner-admin",), show_default=True)
@click.option("--partner", default="acme", show_default=True, help="The partner that the token is for.")
@click.option("--subject", default="cli", show_default=True, help="The `sub` of the token.")
@click.option(
    "--permission", "permissions", multiple=True, help="Limit the permissions of the roles to these; can be repeated."
)
@click.option("--hours", type=click.IntRange(1, 24 * 365), default=1, show_default=True)
@mount_option
@with_appcontext
def token(
    roles: tuple[str, ...], partner: str, subject: str, permissions: tuple[str, ...], hours: int, mount_name: str | None
) -> None:
    mount = find_mount(mount_name)
    config = mount.config
    unknown = set(roles) - set(config.roles)
    if unknown:
        names = ", ".join(config.roles)
        raise click.ClickException(f"There is no role {', '.join(sorted(unknown))}. Roles of this app: {names}.")
    claims: dict[str, object] = {config.roles_claim: list(roles), config.partner_claim: partner}
    if permissions and config.permissions_claim:
        claims[config.permissions_claim] = list(permissions)
    signed_token = _sign_token(mount, subject, claims, timedelta(hours=hours))
    _require_accepted(mount, signed_token)
    click.echo(signed_token)
    if not mount.is_mounted:
        click.echo(f"The token cannot be used yet: {_NOT_SERVED}", err=True)


def _sign_token(mount: Mount, subject: str, claims: dict[str, object], lifetime: timedelta) -> str:
    try:
        with mount.authority.signing_context():
            token: str = create_access_token(subject, additional_claims=claims, expires_delta=lifetime)
    except RuntimeError as error:
        reason = str(error).replace("JWT_", mount.authority.config_name("JWT_"))
        raise click.ClickException(
            f"This app signs no tokens: {reason if mount.is_mounted else _NOT_SERVED}"
        ) from error
    except Exception as error:  # raised by the host's loaders of identities, additional claims or keys
        raise click.ClickException(f"This app signs no tokens: {type(error).__name__}: {error}") from error
    return token


def _require_accepted(mount: Mount, token: str) -> None:
    try:
        verify_own_token(mount, token)
    except Exception as error:
        reason = error.detail if isinstance(error, ProvisioningError) else f"{type(error).__name__}: {error}"
        advice = make_key_advice(mount)
        raise click.ClickException(f"The API refuses this app's tokens: {reason}; {advice}.") from error


def verify_own_token(mount: Mount, token: str) -> Principal:
    """Verify `token` as the mount does and return its principal. The host's blocklist and user lookup are not called.

    Raises `InvalidToken`, `PartnerMissing`, or an exception of Flask-JWT-Extended or PyJWT if the mount refuses it.
    """
    with mount.authority.verification_context():
        parse_token(token)
        principal = Principal.from_claims(decode_token(token), mount.config)
    if not principal.sees_every_partner:
        principal.require_partner(mount.config.partner_claim)
    return principal


def make_key_advice(mount: Mount) -> str:
    """Return the advice for a mount that refuses tokens of its own app."""
    return f"use the same key, issuer and audience for signing and verifying in {mount.authority.config_name('JWT_*')}"
