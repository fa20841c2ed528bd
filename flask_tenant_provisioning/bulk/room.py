"""Room for the tenants that the rows of a chunk may make: taken for all of them at once."""

from __future__ import annotations

from ..database import Session
from ..tenants.usage import Allowance


class Room:
    """Room for at most so many; what is left of it is given back in the same transaction."""

    def __init__(self, session: Session, allowance: Allowance, most: int) -> None:
        self._session, self._allowance, self._most = session, allowance, most
        self._left: int | None = None

    def require(self) -> None:
        """Raise `QuotaExceeded` where there is none for one more."""
        if self._left is None:
            self._left = self._allowance.reserve(self._session, self._most)
        if not self._left:
            raise self._allowance.exceeded()

    def take(self) -> Allowance:
        """Take it for one, whose creation then needs no other than this."""
        self._left = (self._left or 0) - 1
        return Allowance(self._allowance.license, ())

    def leave(self) -> None:
        """Give back what nobody took."""
        self._allowance.give_back(self._session, self._left or 0)
