"""``flask provisioning token``: a bearer token for trying the API out."""

from __future__ import annotations

from datetime import timedelta

import click
from flask.cli import with_appcontext
from flask_jwt_extended import create_access_token

from .mounts import chosen_mount, mount_option


@click.command("token", help="Print a token that this app accepts, signed with its own JWT key.")
@click.option("--role", "roles", multiple=True, default=("partner-admin",), show_default=True)
@click.option("--partner", default="acme", show_default=True, help="On whose behalf the holder calls.")
@click.option("--subject", default="cli", show_default=True, help="Who the holder is.")
@click.option("--permission", "permissions", multiple=True, help="Narrow what the roles grant to these.")
@click.option("--hours", type=click.IntRange(1, 24 * 365), default=1, show_default=True)
@mount_option
@with_appcontext
def token(
    roles: tuple[str, ...], partner: str, subject: str, permissions: tuple[str, ...], hours: int, mount: str | None
) -> None:
    settings = chosen_mount(mount).settings
    if unknown := set(roles) - set(settings.roles):
        known = ", ".join(settings.roles)
        raise click.ClickException(f"There is no role {', '.join(sorted(unknown))}; there is {known}.")
    claims: dict[str, object] = {settings.roles_claim: list(roles), settings.partner_claim: partner}
    if permissions and settings.permissions_claim:
        claims[settings.permissions_claim] = list(permissions)
    try:
        made = create_access_token(subject, additional_claims=claims, expires_delta=timedelta(hours=hours))
    except RuntimeError as error:
        raise click.ClickException(f"This app signs no tokens: {error}") from error
    click.echo(made)
