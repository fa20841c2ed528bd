"""Events: what has happened to tenants, partners and webhooks, in order.

One table is the outbox, the feed and the audit trail.

actions.py       build an event's row and record it in the transaction that it reports
feed.py          give committed events their positions, read a page, follow a feed
routes.py        GET /events
schemas.py       the query and the documents of GET /events, and the list of event types
statements.py    the SQL
models.py        the tables, and an event as JSON
retention.py     remove old events, erase purged tenants from the others
"""

from __future__ import annotations
