"""Durable provisioning and deprovisioning steps that a host registers.

routes → schemas → actions → runs → statements → models is what the API does. `lifecycle` starts, pauses and ends runs
in the tenant's own transactions. Workers go through claims → execution; `context` is what a step receives and raises,
and `export` the step that archives a tenant before it is purged.
"""

from __future__ import annotations
