"""`flask provisioning doctor`: checks of configuration, licence, database, tokens, host, webhooks and workers.

`command` runs the checks in order, each with the `DoctorContext` of `context`, and prints a `Finding` for each. The
checks of one subject are in one module.
"""

from __future__ import annotations
