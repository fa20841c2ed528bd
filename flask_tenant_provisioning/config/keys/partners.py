"""Who is a partner, and how soon a change of one is known everywhere."""

from __future__ import annotations

from ..checks import choice, number
from ..declaring import key


class PartnerKeys:
    """The registry of partners."""

    partner_registration: str = key(
        "automatic",
        "`automatic` registers a partner when it first calls; with `admin` only an administrator does, and others are "
        "refused.",
        choice("automatic", "admin"),
    )
    partner_cache_seconds: int = key(
        1,
        "For how many seconds a process may go by what it knows of a partner; 0 asks the database at every request. "
        "It must be the same in all processes.",
        number(0, 3600),
    )
