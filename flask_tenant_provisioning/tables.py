"""All tables of all features, for the storage and for migrations."""

from __future__ import annotations

from sqlalchemy import MetaData

from .bulk.models import bulk_chunks_table, bulk_jobs_table, bulk_keys_table
from .clients.models import assertions_table, clients_table
from .database.types import make_metadata
from .events.models import events_table, feeds_table
from .invitations.models import invitations_table
from .partners.models import partners_table
from .settings.models import settings_history_table, settings_table
from .steps.models import runs_table, steps_table
from .tenants.erasure import erasures_table
from .tenants.models import tenants_table
from .tenants.quotas import usage_table
from .web.idempotency import idempotency_table
from .webhooks.models import attempts_table, deliveries_table, webhooks_table

_TABLES = (
    tenants_table,
    erasures_table,
    events_table,
    feeds_table,
    usage_table,
    idempotency_table,
    runs_table,
    steps_table,
    webhooks_table,
    deliveries_table,
    attempts_table,
    bulk_jobs_table,
    bulk_chunks_table,
    bulk_keys_table,
    partners_table,
    settings_table,
    settings_history_table,
    clients_table,
    assertions_table,
    invitations_table,
)


def build_metadata(prefix: str = "provisioning_") -> MetaData:
    """Return the metadata of this release's tables, named with `prefix`."""
    metadata = make_metadata(prefix)
    for table in _TABLES:
        table(metadata)
    return metadata
