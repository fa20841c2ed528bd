"""Pages of tenants, at the same cost for every page, and the number of tenants by status."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam, func, literal, select, union_all

from ..database.ids import format_instant
from ..database.pages import measure_text, read_page
from ..database.session import Session, Storage
from ..database.statements import Statement, encode_rows, select_incoming
from .custom_fields import CUSTOM_FILTER_PREFIX
from .fields import MAX_NAME_LENGTH
from .models import LIVING_STATUSES, STATUSES, Tenant, render_tenant_document
from .statements import PageShape, TenantSQL

_FILTER_NAMES = (
    "status", "email", "external_id", "plan", "industry",
    "created_after", "created_before", "updated_after", "updated_before", "q",
)  # fmt: skip
_PLACE_SEPARATOR = "\n"
_METADATA_INDEX, _FIELDS_INDEX = Tenant._fields.index("metadata"), Tenant._fields.index("fields")
#: The size of all other columns together, in bytes; rarely more.
_OTHER_COLUMNS_BYTES = 500
DEFAULT_PAGE_SIZE = 50
#: The filters that the index of each sort order also serves, for all values.
_FILTERS_OF_SORT_INDEX = {
    "created_at": {"partner", "created_after", "created_before"},
    "client_name": {"partner", "q"},
}


def make_cursor_scope(partner: str | None, query: Mapping[str, Any]) -> str:
    """Return a text that binds a cursor to its list: the partner, the sort order and the filters."""
    names = (*_collect_filter_names(query), "include_deleted")
    filters = sorted((name, query[name]) for name in names if name in query)
    return repr((partner, query["sort"], filters))


def load_page(
    session: Session, partner: str | None, query: Mapping[str, Any], place: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Load the page after `place`. Return its documents, and the place where it ends, None for the last page."""
    filters = _collect_filter_values(partner, query)
    bounds = {"now": format_instant(session.storage.clock())}
    if "q" in filters:
        bounds["q_end"] = make_prefix_end(filters["q"])

    def load_rows(count: int, after: str | None) -> Sequence[tuple[Any, ...]]:
        values = {**filters, **bounds, "limit": count}
        if after is not None:
            values["after_key"], _, values["after_id"] = after.rpartition(_PLACE_SEPARATOR)
        shape = _make_shape(filters, query, count, after is not None)
        rows: list[tuple[Any, ...]] = session.run(session.storage.once(TenantSQL).page(shape), values).fetchall()
        return rows

    rows, end = read_page(
        load_rows,
        query["limit"],
        place,
        partial(_make_place, sort=query["sort"]),
        _measure_row,
        get_max_size=_bound_page_bytes,
    )
    custom = session.storage.registry.fields
    return [render_tenant_document(row, custom) for row in rows], end


def _collect_filter_values(partner: str | None, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all filters but the status, which selects the index ranges to read."""
    values = {name: query[name] for name in _collect_filter_names(query) if name in query and name != "status"}
    return values if partner is None else {"partner": partner, **values}


def _collect_filter_names(query: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the built-in filters, and of the custom filters in the query."""
    return (*_FILTER_NAMES, *(name for name in query if name.startswith(CUSTOM_FILTER_PREFIX)))


def _make_shape(values: Mapping[str, Any], query: Mapping[str, Any], count: int, has_cursor: bool) -> PageShape:
    """Return the shape of the page's statement.

    A statement with a literal limit is planned once for all values, one with a parameter as the limit is planned for
    the values of each call. The most frequent pages use the first; pages whose best plan depends on values the second.
    """
    sort = query["sort"]
    is_frequent = count == DEFAULT_PAGE_SIZE + 1 and values.keys() <= _FILTERS_OF_SORT_INDEX[sort.lstrip("-")]
    literal_limit = count if is_frequent else None
    return PageShape(tuple(values), _select_statuses(query), sort, has_cursor, literal_limit)


def _select_statuses(query: Mapping[str, Any]) -> tuple[str, ...]:
    if "status" in query:
        return (query["status"],)
    return (*LIVING_STATUSES, "deleted") if query["include_deleted"] else LIVING_STATUSES


def make_prefix_end(prefix: str) -> str:
    """Return the greatest name key that begins with `prefix`."""
    return prefix.ljust(MAX_NAME_LENGTH, "\U0010ffff")


def _measure_row(row: tuple[Any, ...]) -> int:
    """Return the approximate size of a row in bytes. Only the columns that can be large are measured, for speed."""
    return _OTHER_COLUMNS_BYTES + measure_text(row[_METADATA_INDEX]) + measure_text(row[_FIELDS_INDEX])


def _bound_page_bytes(rows: Sequence[tuple[Any, ...]]) -> int:
    """Return an upper bound of the size of rows in bytes: four for each character of the columns that can be large."""
    fields = filter(None, map(itemgetter(_FIELDS_INDEX), rows))
    return _OTHER_COLUMNS_BYTES * len(rows) + 4 * sum(map(len, chain(map(itemgetter(_METADATA_INDEX), rows), fields)))


def _make_place(row: tuple[Any, ...], sort: str) -> str:
    tenant = Tenant._make(row[:-1])
    key = row[-1] if sort.endswith("client_name") else tenant.created_at
    return f"{key}{_PLACE_SEPARATOR}{tenant.id}"


#: The status under which the count reports deleted tenants whose retention is over.
_EXPIRED = "over"


def count_by_status(session: Session, partners: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return the number of tenants in each status, for each of `partners` that has any."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(STATUSES, 0))
    values = {
        "rows": encode_rows({"partner_id": partner} for partner in partners),
        "now": format_instant(session.storage.clock()),
    }
    for partner, status, count in session.run(session.storage.once(StatusCountSQL).count, values).fetchall():
        if status == _EXPIRED:
            counts[partner]["deleted"] -= count
        elif status in STATUSES:
            counts[partner][status] += count
    return counts


class StatusCountSQL:
    """The count by status, compiled once per storage. An index covers it, except for the few expired tenants."""

    def __init__(self, storage: Storage) -> None:
        t, dialect = storage.table("tenants").c, storage.engine.dialect
        partners = select(select_incoming(dialect, partner_id=t.partner_id.type).c.partner_id)
        is_listed = t.partner_id.in_(partners)
        number = func.count()
        by_status = select(t.partner_id, t.status, number).where(is_listed).group_by(t.partner_id, t.status)
        now: Any = bindparam("now", type_=t.purge_at.type)
        is_over = (t.purge_at <= now, t.status == "deleted", is_listed)
        over = select(t.partner_id, literal(_EXPIRED), number).where(*is_over).group_by(t.partner_id)
        self.count = Statement(union_all(by_status, over), dialect)
