"""Provisioning: the steps by which the application sets a tenant up, and cleans up after it.

An API request passes routes → schemas → actions → runs → statements → models. `reaction` starts, pauses and ends runs
in the tenant's own transactions. Workers use claims → execution; `context` holds what a step receives and raises, and
`export` is the step that archives a tenant before it is purged.
"""

from __future__ import annotations
