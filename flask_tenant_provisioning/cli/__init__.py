"""``flask provisioning …``"""

from __future__ import annotations

from .deferred import Commands, Deferred

provisioning = Commands(
    "provisioning",
    help="Tenant provisioning: tenants, partners, settings, jobs, webhooks, licence, database, tokens, health.",
    commands=Deferred(
        __name__,
        {
            "db": ".db:database_commands",
            "doctor": ".doctor:doctor",
            "events": ".events:event_commands",
            "docs-link": ".docs_link:docs_link",
            "jobs": ".jobs:job_commands",
            "license": ".license:license_commands",
            "openapi": ".openapi:openapi",
            "partners": ".partners:partner_commands",
            "purge": ".purge:purge",
            "rekey": ".rekey:rekey",
            "settings": ".settings:settings_commands",
            "tenants": ".tenants:tenant_commands",
            "token": ".token:token",
            "webhooks": ".webhooks:webhook_commands",
            "worker": ".worker:worker",
        },
    ),
)
