"""``flask provisioning …``"""

from __future__ import annotations

import click

from .deferred import Deferred

provisioning = click.Group(
    "provisioning",
    help="Tenant provisioning: tenants, partners, events, webhooks, licence, database, tokens, and if all is well.",
    commands=Deferred(
        __name__,
        {
            "db": ".db:database_commands",
            "doctor": ".doctor:doctor",
            "events": ".events:event_commands",
            "license": ".license:license_commands",
            "openapi": ".openapi:openapi",
            "partners": ".partners:partner_commands",
            "purge": ".purge:purge",
            "rekey": ".rekey:rekey",
            "tenants": ".tenants:tenant_commands",
            "token": ".token:token",
            "webhooks": ".webhooks:webhook_commands",
            "worker": ".worker:worker",
        },
    ),
)
