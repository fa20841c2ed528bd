"""The SQL of events and feeds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, and_, bindparam, func, select, true

from ..database.session import Storage
from ..database.statements import SQL, Statement, bind_columns, bind_new_values
from .models import Event

#: The most positions of a feed that one page scans, which bounds the cost of a filter that few events match.
PAGE_WINDOW = 10_000


class EventSQL(SQL):
    """The statements about events and feeds, compiled once per storage; those of pages at first use, one per filter."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._events, self._feeds = storage.table("events"), storage.table("feeds")
        e, f = self._events.c, self._feeds.c
        partner: Any = bindparam("partner_id", type_=e.partner_id.type)
        after: Any = bindparam("after", type_=e.partner_id.type)
        insert = self._insert(self._feeds)
        self.insert = self._compile(self._events.insert().values(bind_columns(self._events)))
        waiting = select(e.partner_id).where(e.position.is_(None))
        self.find_pending_partner = self._compile(waiting.where(e.partner_id > after).order_by(e.partner_id).limit(1))
        self.has_pending = self._compile(waiting.where(e.partner_id == partner).limit(1))
        self.create_feed = self._compile(
            insert.values(partner_id=partner, position=_bind_zero(), removed=_bind_zero()).on_conflict_do_nothing()
        )
        feed = select(f.position, f.removed, f.published_at).where(f.partner_id == partner)
        self.lock = self._compile(feed.with_for_update())
        self.publish = self._compile(self._publish(partner))
        one_feed = self._feeds.update().where(f.partner_id == partner)
        self.advance = self._compile(one_feed.values(bind_new_values(f, ("position", "published_at"))))
        self.advance_removed = self._compile(one_feed.values(bind_new_values(f, ("removed",))))
        self.heads = self._compile(
            select(f.partner_id, f.position).where(f.partner_id > after).order_by(f.partner_id).limit(_bind_limit())
        )
        old = e.timestamp < bindparam("before", type_=e.timestamp.type)
        oldest = select(e.id).where(e.partner_id == f.partner_id, e.position == f.removed + 1, old).exists()
        self.find_outdated = self._compile(
            select(f.partner_id).where(f.partner_id > after, oldest).order_by(f.partner_id).limit(_bind_limit())
        )
        place = bindparam("place", type_=BigInteger)
        self.oldest = self._compile(
            select(e.position, e.timestamp)
            .where(e.partner_id == partner, e.position > place)
            .order_by(e.position)
            .limit(_bind_limit())
        )
        self.remove = self._compile(self._events.delete().where(e.partner_id == partner, e.position <= place))

    def select_page(self, types: int, of_tenant: bool) -> Statement:
        """Return the SELECT of a page, filtered by `types` event types (0 for all) and, if `of_tenant`, by a tenant."""
        return self._once(self._build_page, types, of_tenant)

    def _publish(self, partner: Any) -> Any:
        """Update the first pending events to the next positions, in the order of their timestamps."""
        e = self._events.c
        order = (e.timestamp, e.id)
        ranked = (
            select(e.id, func.row_number().over(order_by=order).label("rank"))
            .where(e.partner_id == partner, e.position.is_(None))
            .order_by(*order)
            .limit(_bind_limit())
            .subquery("ranked")
        )
        place = bindparam("place", type_=BigInteger) + ranked.c.rank
        return self._events.update().where(e.partner_id == partner, e.id == ranked.c.id).values(position=place)

    def _build_page(self, types: int, of_tenant: bool) -> Select[Any]:
        """Select the events with the feed's head and removed position, in one statement for a consistent snapshot."""
        e, f = self._events.c, self._feeds.c
        partner: Any = bindparam("partner_id", type_=e.partner_id.type)
        removed = select(f.removed).where(f.partner_id == partner).scalar_subquery()
        after = func.coalesce(bindparam("after", type_=BigInteger), removed)
        conditions = [e.partner_id == partner, e.position > after, e.position <= after + PAGE_WINDOW]
        if types:
            conditions.append(e.type.in_([bindparam(f"type_{n}", type_=e.type.type) for n in range(types)]))
        if of_tenant:
            conditions.append(e.tenant_id == bindparam("tenant_id", type_=e.tenant_id.type))
        events = select(*(e[name] for name in Event._fields)).where(and_(*conditions)).order_by(e.position)
        page = events.limit(_bind_limit()).subquery("page")
        joined = self._feeds.outerjoin(page, true())
        return (
            select(f.position, f.removed, *page.c)
            .select_from(joined)
            .where(f.partner_id == partner)
            .order_by(page.c.position)
        )


def _bind_limit() -> Any:
    return bindparam("limit", type_=Integer)


def _bind_zero() -> Any:
    return bindparam("zero", 0, type_=BigInteger)


def select_has_pending(storage: Storage) -> ColumnElement[bool]:
    """Return the condition that any event is pending."""
    events = storage.table("events")
    return select(events.c.id).where(events.c.position.is_(None)).exists()


def select_pending(storage: Storage) -> Select[Any]:
    """Select the timestamp of each pending event, as `since`."""
    events = storage.table("events")
    return select(events.c.timestamp.label("since")).where(events.c.position.is_(None))
