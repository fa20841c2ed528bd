"""The rows of a chunk: parsed (`parsing`), validated into actions (`operations`), and executed.

Rows are executed together (`batch`), or one by one if a hook or a step may refuse one (`row_by_row`). `duplicates`
finds rows that refer to the same tenant, `idempotency` rows that repeat a key; `dry_run` leaves nothing but results.
"""

from __future__ import annotations
