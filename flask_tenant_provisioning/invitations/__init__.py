"""Invitations: how a tenant's administrators are invited, and accept.

An API request passes routes → schemas → actions → statements → models. `reaction` makes, sends, revokes and moves
invitations in the tenant's own transactions. Workers send and expire them (`sending`), with the one-time tokens of
`tokens`. The host reads and accepts them by `acceptance`; `context` holds what its functions receive and catch.
"""

from __future__ import annotations
