"""Partners of partners: who stands above whom, five levels deep at most."""

from __future__ import annotations

from ..database import Session
from ..problems import Fault
from ..web.validation import entry, invalid
from .statements import DEPTH, PartnerSQL

UNKNOWN = Fault("unknown-partner", "There is no such partner.")
CIRCLE = Fault("circle", "Must be neither the partner itself nor one below it.")
TOO_DEEP = Fault("too-deep", f"Partners stand {DEPTH} levels deep at most.")


def hold(session: Session, partner_id: str, parent: str | None) -> None:
    """Let nobody else change who stands above whom, where the partner is to get a `parent`.

    Two changes that are right by themselves can make a circle together: each locks all who have a parent, and the two
    that it is about, by their ids, before it looks.
    """
    if parent is not None:
        session.run(session.storage.once(PartnerSQL).hold, {"partner_id": partner_id, "parent": parent})


def require_place(session: Session, partner_id: str, parent: str) -> None:
    """Raise `InvalidInput` where the partner cannot stand below `parent`, as it is while the caller `hold`s it."""
    above = line(session, parent)
    if partner_id == parent or partner_id in above:
        raise invalid([entry(CIRCLE, "parent")])
    if not above:
        raise invalid([entry(UNKNOWN, "parent")])
    row = session.run(session.storage.once(PartnerSQL).height, {"partner_id": partner_id}).fetchone()
    if len(above) + max(row[0] or 0, 1) > DEPTH:
        raise invalid([entry(TOO_DEEP, "parent")])


def line(session: Session, partner_id: str) -> list[str]:
    """The partner and all who stand above it, from below; nobody where it has not been registered."""
    found = session.run(session.storage.once(PartnerSQL).line, {"partner_id": partner_id}).fetchall()
    return [name for name, _ in found]


def descends(session: Session, partner_id: str, ancestor: str) -> bool:
    """Whether the partner stands below `ancestor`."""
    return ancestor in line(session, partner_id)[1:]
