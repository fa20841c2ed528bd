"""The call of the Python client for each operation, by operation id."""

from __future__ import annotations

CALLS: dict[str, str] = {}
