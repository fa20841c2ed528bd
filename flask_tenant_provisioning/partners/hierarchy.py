"""The hierarchy of partners, at most five levels deep."""

from __future__ import annotations

from ..database.session import Session
from ..errors import Fault
from ..validation import make_entry, make_invalid_input
from .statements import MAX_DEPTH, PartnerSQL

UNKNOWN_PARTNER = Fault("unknown-partner", "There is no such partner.")
CIRCLE = Fault("circle", "Must be neither the partner itself nor one below it.")
TOO_DEEP = Fault("too-deep", f"Partners stand {MAX_DEPTH} levels deep at most.")


def lock_hierarchy(session: Session, partner_id: str, parent: str | None) -> None:
    """Let nobody else change who stands above whom, where the partner is to get a `parent`.

    Two changes that are right by themselves can make a circle together: each locks all who have a parent, and the two
    that it is about, by their ids, before it looks.
    """
    if parent is not None:
        session.run(session.storage.once(PartnerSQL).hold, {"partner_id": partner_id, "parent": parent})


def require_valid_parent(session: Session, partner_id: str, parent: str) -> None:
    """Raise `InvalidInput` where the partner cannot stand below `parent`, as it is while the caller `hold`s it."""
    above = load_ancestry(session, parent)
    if partner_id == parent or partner_id in above:
        raise make_invalid_input([make_entry(CIRCLE, "parent")])
    if not above:
        raise make_invalid_input([make_entry(UNKNOWN_PARTNER, "parent")])
    row = session.run(session.storage.once(PartnerSQL).height, {"partner_id": partner_id}).fetchone()
    if len(above) + max(row[0] or 0, 1) > MAX_DEPTH:
        raise make_invalid_input([make_entry(TOO_DEEP, "parent")])


def load_ancestry(session: Session, partner_id: str) -> list[str]:
    """The partner and all who stand above it, from below; nobody where it has not been registered."""
    found = session.run(session.storage.once(PartnerSQL).line, {"partner_id": partner_id}).fetchall()
    return [name for name, _ in found]


def is_descendant(session: Session, partner_id: str, ancestor: str) -> bool:
    """Whether the partner stands below `ancestor`."""
    return ancestor in load_ancestry(session, partner_id)[1:]
