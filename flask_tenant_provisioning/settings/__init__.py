"""Settings of tenants: typed keys in namespaces that the application declares, set by tenants, plans and partners.

routes → schemas → actions → resolution → validation → storage and versions → statements → models.
`namespaces` checks what a host declares, `tenant_settings` is what the host's code reads, `reaction` moves or deletes
settings with their tenant, and `key_rotation` seals secrets again with the newest key; both do it by `resealing`.
"""

from __future__ import annotations
