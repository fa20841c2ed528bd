"""Read how much partners use, a page of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..database import Session
from ..partners import actions as partners
from ..partners.models import Partner
from ..tenants.census import census
from ..web.call import Read
from ..web.parameters import LARGEST_PAGE

Document = dict[str, Any]
#: The statuses of tenants, in the order in which the report has them.
COUNTED = ("active", "suspended", "provisioning", "failed", "deleted")


def page(
    session: Session, limit: int, after: str | None, within: str | None = None
) -> tuple[list[Document], str | None]:
    """The rows of partners behind the id `after`, by their ids, and the last one's id where more follow.

    `within` means that partner and all below it.
    """
    found, end = partners.page(session, limit, after, within=within)
    return _rows(session, found), end


def every(read: Read, within: str | None = None) -> Iterator[Document]:
    """All such rows, page by page: each is read by itself, so that a slow reader holds up nobody."""
    after: str | None = None
    while True:
        found, after = read(partial(page, limit=LARGEST_PAGE, after=after, within=within))
        yield from found
        if after is None:
            return


def one(session: Session, partner_id: str) -> list[Document]:
    """The row of this partner. Raises `PartnerNotFound`."""
    return _rows(session, [partners.read(session, partner_id)])


def _rows(session: Session, found: Sequence[Partner]) -> list[Document]:
    counts = census(session, [one.partner_id for one in found])
    return [_row(one, counts[one.partner_id]) for one in found]


def _row(partner: Partner, counts: Mapping[str, int]) -> Document:
    total, most = sum(counts.values()), partner.max_tenants
    living = total - counts["deleted"]
    return {
        "partner": partner.partner_id,
        "name": partner.name,
        "status": partner.status,
        "tenants": {**{name: counts[name] for name in COUNTED}, "total": total},
        "max_tenants": most,
        "remaining": None if most is None else max(0, most - living),
    }
