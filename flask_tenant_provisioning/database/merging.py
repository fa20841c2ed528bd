"""Rows of several ordered selects as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, union_all
from sqlalchemy.engine import Dialect


def merged(
    parts: Sequence[Select[Any]], order: Sequence[ColumnElement[Any]], limit: ColumnElement[int], dialect: Dialect
) -> Subquery:
    """The rows of all `parts`, of which an outer select takes the first `limit` in `order`.

    PostgreSQL reads parts side by side, each as far as it must, only where each is ordered and limited by itself;
    SQLite does so unasked, and would sort anew what is limited.
    """
    if dialect.name != "sqlite":
        parts = [part.order_by(*order).limit(limit) for part in parts]
    return union_all(*parts).subquery()
