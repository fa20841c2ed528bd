"""How many tenants count against a limit: exact under any number of writers, and free where there is no limit.

A limited installation keeps a counter row, which every create and delete changes inside its own transaction.
Since an unlimited one keeps none, a process counts the tenants anew before it first enforces a limit.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Column, MetaData, PrimaryKeyConstraint, Table, bindparam, case, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import BindParameter

from ..database import Session, Statement, Storage
from ..database.tables import prefixed
from ..database.types import ordered_text
from ..licensing import LicenseSource
from ..problems import QuotaExceeded

#: The scope of the whole installation; other scopes are partners.
EVERYBODY = "*"


def usage_table(metadata: MetaData) -> Table:
    """One counter a scope."""
    return Table(
        prefixed(metadata, "usage"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenants", BigInteger, nullable=False),
        PrimaryKeyConstraint("partner_id"),
        sqlite_with_rowid=False,
    )


class Limit(NamedTuple):
    """At most `most` living tenants in `scope`."""

    scope: str
    most: int


class UsageSQL:
    """The statements of this storage, and which counters this process has verified, under which licence."""

    def __init__(self, storage: Storage) -> None:
        usage, tenants = storage.table("usage"), storage.table("tenants")
        dialect = storage.engine.dialect
        insert = (sqlite if dialect.name == "sqlite" else postgresql).insert(usage)
        scope: BindParameter[str] = bindparam("scope")
        u = usage.c
        mine = usage.update().where(u.partner_id == scope)
        living = select(func.count()).select_from(tenants).where(tenants.c.live == 1).scalar_subquery()
        self.open = Statement(
            insert.values(partner_id=scope, tenants=bindparam("none", type_=BigInteger)).on_conflict_do_update(
                index_elements=["partner_id"], set_={"tenants": u.tenants}
            ),
            dialect,
        )
        self.count = Statement(mine.values(tenants=living), dialect)
        self.take = Statement(
            mine.where(u.tenants < bindparam("most", type_=BigInteger)).values(tenants=u.tenants + 1), dialect
        )
        self.release = Statement(mine.where(u.tenants > 0).values(tenants=u.tenants - 1), dialect)
        less = bindparam("less", type_=BigInteger)
        left = case((u.tenants > less, u.tenants - less), else_=literal(0, BigInteger))
        self.release_many = Statement(mine.values(tenants=left), dialect)
        self.lock = Statement(select(u.tenants).where(u.partner_id == scope).with_for_update(), dialect)
        more = bindparam("more", type_=BigInteger)
        self.add = Statement(mine.values(tenants=u.tenants + more), dialect)
        self.counted: dict[str, int] = {}


class Allowance(NamedTuple):
    """What lets a tenant come into being: a licence in force, and room under every limit."""

    license: LicenseSource
    limits: tuple[Limit, ...]

    def take(self, session: Session) -> None:
        """Count one tenant more. Raises `LicenseExpired`, or `QuotaExceeded` at a limit."""
        self.license.require_provisioning()
        for limit in self.limits:
            _take(session, limit)

    def reserve(self, session: Session, count: int) -> int:
        """Count up to `count` tenants more, as many as there is room for; returns how many."""
        found = count
        for number, limit in enumerate(self.limits):
            room = _reserve(session, limit, found)
            for before in self.limits[:number]:
                _give_back(session, before, found - room)
            found = room
        return found

    def give_back(self, session: Session, count: int) -> None:
        """Count so many less, which did not come into being."""
        for limit in self.limits:
            _give_back(session, limit, count)

    def exceeded(self) -> QuotaExceeded:
        """The problem of whoever finds no room."""
        most = min(limit.most for limit in self.limits)
        return QuotaExceeded(f"The limit of {most} tenants is reached.", limit=most)


def _reserve(session: Session, limit: Limit, count: int) -> int:
    sql, scope = session.storage.once(UsageSQL), {"scope": limit.scope}
    row = session.run(sql.lock, scope).fetchone()
    found = max(0, min(count, limit.most - row[0])) if row else 0
    session.run(sql.add, {**scope, "more": found})
    return found


def _give_back(session: Session, limit: Limit, count: int) -> None:
    if count:
        session.run(session.storage.once(UsageSQL).add, {"scope": limit.scope, "more": -count})


def allowance(storage: Storage, license: LicenseSource) -> Allowance:
    """What the licence allows at this moment; its counter is made true first, once a process and licence."""
    most = license.max_tenants
    if most is None:
        return Allowance(license, ())
    sql, generation = storage.once(UsageSQL), license.generation
    if sql.counted.get(EVERYBODY) != generation:
        storage.transaction(_recount)
        sql.counted[EVERYBODY] = generation
    return Allowance(license, (Limit(EVERYBODY, most),))


def _take(session: Session, limit: Limit) -> None:
    sql = session.storage.once(UsageSQL)
    if session.run(sql.take, {"scope": limit.scope, "most": limit.most}).rowcount != 1:
        raise QuotaExceeded(f"The limit of {limit.most} tenants is reached.", limit=limit.most)


def release(session: Session) -> None:
    """Count one tenant less, where somebody counts."""
    session.run(session.storage.once(UsageSQL).release, {"scope": EVERYBODY})


def release_many(session: Session, count: int) -> None:
    """Count so many less, where somebody counts."""
    session.run(session.storage.once(UsageSQL).release_many, {"scope": EVERYBODY, "less": count})


def _recount(session: Session) -> None:
    """Lock the counter's row, then count: whoever creates or deletes under a limit waits for that lock."""
    sql = session.storage.once(UsageSQL)
    session.run(sql.open, {"scope": EVERYBODY, "none": 0})
    session.run(sql.count, {"scope": EVERYBODY})
