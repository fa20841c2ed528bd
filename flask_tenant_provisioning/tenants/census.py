"""How many tenants partners have, by status: counted for all of them at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, func, literal, select, union_all

from ..database import Session, Statement, Storage, incoming, instant
from ..database.incoming import rows
from .schemas import STATUSES

#: Stands for the status of those whose retention is over, and who are purged soon.
_OVER = "over"


def census(session: Session, partners: Iterable[str]) -> dict[str, dict[str, int]]:
    """The number of tenants of each of `partners` in each status that has any."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(STATUSES, 0))
    wanted = {"rows": rows({"partner_id": one} for one in partners), "now": instant(session.storage.clock())}
    for partner, status, count in session.run(session.storage.once(CensusSQL).count, wanted).fetchall():
        if status == _OVER:
            found[partner]["deleted"] -= count
        elif status in STATUSES:
            found[partner][status] += count
    return found


class CensusSQL:
    """The statement of one storage: an index holds all that it counts, but for the few whose retention is over."""

    def __init__(self, storage: Storage) -> None:
        t, dialect = storage.table("tenants").c, storage.engine.dialect
        wanted = select(incoming(dialect, partner_id=t.partner_id.type).c.partner_id)
        mine = t.partner_id.in_(wanted)
        number = func.count()
        by_status = select(t.partner_id, t.status, number).where(mine).group_by(t.partner_id, t.status)
        now: Any = bindparam("now", type_=t.purge_at.type)
        is_over = (t.purge_at <= now, t.status == "deleted", mine)
        over = select(t.partner_id, literal(_OVER), number).where(*is_over).group_by(t.partner_id)
        self.count = Statement(union_all(by_status, over), dialect)
