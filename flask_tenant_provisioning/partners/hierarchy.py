"""The hierarchy of partners, at most `MAX_DEPTH` levels deep."""

from __future__ import annotations

from ..database.session import Session
from ..errors import Fault
from ..validation import make_entry, make_invalid_input
from .statements import MAX_DEPTH, PartnerSQL

UNKNOWN_PARTNER = Fault("unknown-partner", "There is no such partner.")
CIRCLE = Fault("circle", "Must be neither the partner itself nor one below it.")
TOO_DEEP = Fault("too-deep", f"Partners can be nested at most {MAX_DEPTH} levels deep.")


def lock_hierarchy(session: Session, partner_id: str, parent: str | None) -> None:
    """Lock the hierarchy if the partner is to get a `parent`.

    Two concurrent changes that are each valid could form a circle together. Each therefore first locks, in the order of
    their ids, all partners with a parent, the partner itself and the new parent.
    """
    if parent is not None:
        session.run(session.storage.once(PartnerSQL).lock_hierarchy, {"partner_id": partner_id, "parent": parent})


def require_valid_parent(session: Session, partner_id: str, parent: str) -> None:
    """Raise `InvalidInput` if the partner cannot be below `parent`. The caller holds the lock of `lock_hierarchy`."""
    ancestry = load_ancestry(session, parent)
    if partner_id == parent or partner_id in ancestry:
        raise make_invalid_input([make_entry(CIRCLE, "parent")])
    if not ancestry:
        raise make_invalid_input([make_entry(UNKNOWN_PARTNER, "parent")])
    row = session.run(session.storage.once(PartnerSQL).depth_below, {"partner_id": partner_id}).fetchone()
    if len(ancestry) + max(row[0] or 0, 1) > MAX_DEPTH:
        raise make_invalid_input([make_entry(TOO_DEEP, "parent")])


def load_ancestry(session: Session, partner_id: str) -> list[str]:
    """Return the ids of the partner and those above it, from bottom to top; empty if it is not registered."""
    rows = session.run(session.storage.once(PartnerSQL).ancestry, {"partner_id": partner_id}).fetchall()
    return [name for name, _ in rows]


def is_descendant(session: Session, partner_id: str, ancestor: str) -> bool:
    """Return whether the partner is below `ancestor`."""
    return ancestor in load_ancestry(session, partner_id)[1:]
