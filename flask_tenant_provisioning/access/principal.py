"""The caller of a request: the principal that a token's claims describe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ..config import PERMISSIONS, Config
from ..errors import InvalidToken, PartnerMissing

MAX_NAME_LENGTH = 255
#: What the paths of a partner's own resources end in. An id that ended so could not be told from them.
RESERVED_SUFFIXES = ("/settings", "/settings/history", "/settings/rollback")
_ABSENT: Final = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Principal:
    """A caller, on behalf of one partner.

    `sees_every_partner` lifts the partner's fence for reading and changing tenants by id. `partner` is empty where an
    administrator's token names none.
    """

    subject: str
    partner: str
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    sees_every_partner: bool = False

    def missing(self, required: Iterable[str]) -> list[str]:
        """Those of the `required` permissions that this principal lacks, in their order."""
        return [permission for permission in required if permission not in self.permissions]

    def require_partner(self, claim: str) -> str:
        """Return the partner. Raises `PartnerMissing`, which names the `claim`, where the token names none."""
        if not self.partner:
            raise PartnerMissing(f"The token names no partner: it must carry the claim {claim}.", claim=claim)
        return self.partner

    @classmethod
    def operator(cls, subject: str, partner: str) -> Principal:
        """Somebody at the host's own command line: may do everything, for `partner`."""
        return cls(subject, partner, permissions=PERMISSIONS, sees_every_partner=True)

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any], settings: Config) -> Principal:
        """Read verified `claims`. Raises `InvalidToken` for a subject or partner that is no name.

        The `partner` is empty where they name none; `require_partner` says whether that will do.
        """
        subject = _parse_name(claims.get("sub"), "sub")
        partner = _find_claim(claims, settings.partner_claim)
        roles = frozenset(_read_words(_find_claim(claims, settings.roles_claim), split=False))
        return cls(
            subject=subject,
            partner=_default_partner(subject, settings)
            if partner is _ABSENT
            else _parse_partner(partner, settings.partner_claim),
            roles=roles,
            permissions=_resolve_permissions(roles, claims, settings),
            sees_every_partner=not roles.isdisjoint(settings.admin_roles),
        )


class Actor(NamedTuple):
    """A principal in the act: who did it, by which request, from where. What events remember."""

    principal: Principal
    request_id: str | None = None
    address: str | None = None
    user_agent: str | None = None


def _default_partner(subject: str, settings: Config) -> str:
    """The partner of a token without the partner claim."""
    return _parse_partner(subject, "sub") if settings.partner_from_sub else ""


def _resolve_permissions(roles: frozenset[str], claims: Mapping[str, Any], settings: Config) -> frozenset[str]:
    granted = frozenset(p for role in roles for p in settings.roles.get(role, ()))
    narrowed = _find_claim(claims, settings.permissions_claim) if settings.permissions_claim else _ABSENT
    return granted if narrowed is _ABSENT else granted.intersection(_read_words(narrowed, split=True))


def _find_claim(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of exactly this name, else what the dotted path leads to, else `_ABSENT`.

    Where a step leads into no object, the claim is there and of a wrong type: None.
    """
    if path in claims:
        return claims[path]
    found: Any = claims
    for step in path.split("."):
        if not isinstance(found, Mapping):
            return None
        if step not in found:
            return _ABSENT
        found = found[step]
    return found


def _read_words(value: Any, *, split: bool) -> list[str]:
    """The texts in a claim; one that is neither a text nor a list of texts grants nothing."""
    if isinstance(value, str):
        return value.split() if split else [value]
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _parse_name(value: Any, claim: str) -> str:
    if not _is_name(value):
        raise InvalidToken(f"The claim {claim} must be a text of 1 to {MAX_NAME_LENGTH} printable characters.")
    return str(value)


def _parse_partner(value: Any, claim: str) -> str:
    name = _parse_name(value, claim)
    if not is_partner_id(name):
        raise InvalidToken(f"The claim {claim} names no partner: {PARTNER_ID_RULE}")
    return name


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME_LENGTH and value.isprintable() and not value.isspace()


#: What `is_partner_id` asks for, as callers read it.
PARTNER_ID_RULE = (
    f"an id has 1 to {MAX_NAME_LENGTH} printable characters, no segment . or .., "
    f"and does not end in {', '.join(RESERVED_SUFFIXES[:-1])} or {RESERVED_SUFFIXES[-1]}."
)


def is_partner_id(value: Any) -> bool:
    """Return whether a partner may have this id: in a claim, a path or a body.

    Control characters, line breaks, bidirectional and other invisible signs are not printable (`str.isprintable`).
    Clients resolve the segments ``.`` and ``..`` before they send a path (RFC 3986 §5.2.4), escaped or not.
    """
    return _is_name(value) and not value.endswith(RESERVED_SUFFIXES) and not {".", ".."} & {*value.split("/")}
