"""The revisions of the tables, and the table that holds the current one. Alembic is not needed to compare them."""

from __future__ import annotations

#: The packaged revisions, the oldest first.
REVISIONS = ("0001",)


def name_version_table(prefix: str) -> str:
    """Return the name of the table that holds the current revision."""
    return f"{prefix}alembic_version"
