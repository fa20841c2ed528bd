"""Tenant settings: typed keys in namespaces that the host declares, set by tenants, plans and partners.

routes → schemas → actions → resolution → validation → storage and versions → statements → models.
`namespaces` is what a host declares, `tenant_settings` what the host's code reads, `lifecycle` how settings follow a
moved or purged tenant, and `key_rotation` how secrets are sealed again with the newest key.
"""

from __future__ import annotations
