"""Pages of tenants, each at the same cost at any depth, and the number of tenants by status."""

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
from .models import LIVING_STATUSES, STATUSES, Tenant, render_document
from .statements import PageShape, TenantSQL

_FILTER_NAMES = (
    "status", "email", "external_id", "plan", "industry",
    "created_after", "created_before", "updated_after", "updated_before", "q",
)  # fmt: skip
_PLACE_SEPARATOR = "\n"
_METADATA_INDEX, _FIELDS_INDEX = Tenant._fields.index("metadata"), Tenant._fields.index("fields")
#: What the other columns of a tenant have together, in bytes; rarely more.
_OTHER_COLUMNS_BYTES = 500
DEFAULT_PAGE_SIZE = 50
#: The filters that the index of a sort serves as well, whatever their values are.
_FILTERS_OF_SORT_INDEX = {
    "created_at": {"partner", "created_after", "created_before"},
    "client_name": {"partner", "q"},
}


def make_cursor_scope(partner: str | None, asked: Mapping[str, Any]) -> str:
    """What a cursor is bound to: whose tenants, in which order, under which filters."""
    filters = sorted(
        (name, asked[name]) for name in (*_collect_filter_names(asked), "include_deleted") if name in asked
    )
    return repr((partner, asked["sort"], filters))


def load_page(
    session: Session, partner: str | None, asked: Mapping[str, Any], place: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The documents of one page after `place`, and the place where it ends; None where nothing follows."""
    filters = _collect_filter_values(partner, asked)
    known = {"now": format_instant(session.storage.clock())}
    if "q" in filters:
        known["q_end"] = make_prefix_end(filters["q"])

    def rows(count: int, behind: str | None) -> Sequence[tuple[Any, ...]]:
        values = {**filters, **known, "limit": count}
        if behind is not None:
            values["after_key"], _, values["after_id"] = behind.rpartition(_PLACE_SEPARATOR)
        shape = _make_shape(filters, asked, count, behind is not None)
        found: list[tuple[Any, ...]] = session.run(session.storage.once(TenantSQL).page(shape), values).fetchall()
        return found

    found, end = read_page(
        rows,
        asked["limit"],
        place,
        partial(_make_place, sort=asked["sort"]),
        _measure_row,
        get_max_size=_bound_page_bytes,
    )
    own = session.storage.hooks.fields
    return [render_document(row[:-1], own) for row in found], end


def _collect_filter_values(partner: str | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every filter but the status, which decides what is read rather than what is left out."""
    values = {name: asked[name] for name in _collect_filter_names(asked) if name in asked and name != "status"}
    return values if partner is None else {"partner": partner, **values}


def _collect_filter_names(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of everybody's filters, and of those of the host's own that are asked."""
    return (*_FILTER_NAMES, *(name for name in asked if name.startswith(CUSTOM_FILTER_PREFIX)))


def _make_shape(values: Mapping[str, Any], asked: Mapping[str, Any], count: int, after: bool) -> PageShape:
    """What the page's statement looks like.

    A database plans a text with its limit in it once for all values, one with a parameter for the limit anew for
    each: the most frequent pages are of the first kind, and those whose best plan depends on values of the second.
    """
    sort = asked["sort"]
    settled = count == DEFAULT_PAGE_SIZE + 1 and values.keys() <= _FILTERS_OF_SORT_INDEX[sort.lstrip("-")]
    return PageShape(tuple(values), _select_statuses(asked), sort, after, DEFAULT_PAGE_SIZE + 1 if settled else None)


def _select_statuses(asked: Mapping[str, Any]) -> tuple[str, ...]:
    if "status" in asked:
        return (asked["status"],)
    return (*LIVING_STATUSES, "deleted") if asked["include_deleted"] else LIVING_STATUSES


def make_prefix_end(prefix: str) -> str:
    """The last of all names that begin with `prefix`."""
    return prefix.ljust(MAX_NAME_LENGTH, "\U0010ffff")


def _measure_row(row: tuple[Any, ...]) -> int:
    """Return how many bytes a row has: what may be large of it is looked at alone, since lists are read often."""
    return _OTHER_COLUMNS_BYTES + measure_text(row[_METADATA_INDEX]) + measure_text(row[_FIELDS_INDEX])


def _bound_page_bytes(rows: Sequence[tuple[Any, ...]]) -> int:
    """Return an upper bound of what rows have together: four bytes for each character of what may be large."""
    fields = filter(None, map(itemgetter(_FIELDS_INDEX), rows))
    return _OTHER_COLUMNS_BYTES * len(rows) + 4 * sum(map(len, chain(map(itemgetter(_METADATA_INDEX), rows), fields)))


def _make_place(row: tuple[Any, ...], sort: str) -> str:
    tenant = Tenant._make(row[:-1])
    key = row[-1] if sort.endswith("client_name") else tenant.created_at
    return f"{key}{_PLACE_SEPARATOR}{tenant.id}"


#: Stands for the status of those whose retention is over, and who are purged soon.
_EXPIRED = "over"


def count_by_status(session: Session, partners: Iterable[str]) -> dict[str, dict[str, int]]:
    """The number of tenants of each of `partners` in each status that has any."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(STATUSES, 0))
    wanted = {
        "rows": encode_rows({"partner_id": one} for one in partners),
        "now": format_instant(session.storage.clock()),
    }
    for partner, status, count in session.run(session.storage.once(StatusCountSQL).count, wanted).fetchall():
        if status == _EXPIRED:
            found[partner]["deleted"] -= count
        elif status in STATUSES:
            found[partner][status] += count
    return found


class StatusCountSQL:
    """The statement of one storage: an index holds all that it counts, but for the few whose retention is over."""

    def __init__(self, storage: Storage) -> None:
        t, dialect = storage.table("tenants").c, storage.engine.dialect
        wanted = select(select_incoming(dialect, partner_id=t.partner_id.type).c.partner_id)
        mine = t.partner_id.in_(wanted)
        number = func.count()
        by_status = select(t.partner_id, t.status, number).where(mine).group_by(t.partner_id, t.status)
        now: Any = bindparam("now", type_=t.purge_at.type)
        is_over = (t.purge_at <= now, t.status == "deleted", mine)
        over = select(t.partner_id, literal(_EXPIRED), number).where(*is_over).group_by(t.partner_id)
        self.count = Statement(union_all(by_status, over), dialect)
