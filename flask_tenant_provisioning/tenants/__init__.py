"""Tenants: what a partner provisions.

routes.py               the HTTP of tenants
schemas.py              what clients send and read, and the query parameters
fields.py               field types, comparison keys, and the fast path for plain values
custom_fields.py        the fields that the host adds (custom_field_checks.py checks their declaration)
quotas.py               the licence's and the partners' quotas: counters and reservations
actions.py              create, update and upsert
lifecycle.py            suspend, reactivate, delete, restore, purge, move
mutations.py            load and lock a tenant, write a change with its event, refuse duplicates
plans.py                the plans that a tenant may be on
hook_runner.py          run the host's hooks in the transaction
listing.py              pages of tenants, and counts by status
bulk_insert.py, bulk_update.py    create and update many tenants at once
statements.py           the SQL
models.py               the table, its indexes, and a tenant as JSON
erasure.py              the list of purged tenants whose traces are still to be erased
"""

from __future__ import annotations
