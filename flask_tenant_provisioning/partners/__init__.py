"""Partners: the organisations that own tenants, with their status, quota, allowed plans and parent.

routes.py        the HTTP of partners
schemas.py       the fields and the query parameters of partners
actions.py       register, read, list and update partners
hierarchy.py     partners below partners
statements.py    the SQL
models.py        the table, and a partner as JSON
cache.py         the status of the calling partner, cached for every request
"""

from __future__ import annotations
