"""Bulk provisioning: many tenants by one upload.

A request passes `routes`, `upload` (body, reader, formats) and `actions`, which store the rows in chunks. A worker
claims a chunk (`worker`, `chunks`), executes its rows (`execution`, `rows`) and saves their results in the same
transaction. `results`, `results_csv` and `progress` are how callers read them; `retention` removes them.
"""

from __future__ import annotations
