"""The caller of a request: the principal that a token's claims describe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ..config import PERMISSIONS, Config
from ..errors import InvalidToken, PartnerMissing

MAX_NAME_LENGTH = 255
#: The ends of the paths of a partner's own resources. An id with such an end would be ambiguous.
RESERVED_SUFFIXES = ("/settings", "/settings/history", "/settings/rollback")
#: Subject of the actor of what workers do by themselves.
WORKER_SUBJECT = "provisioning-worker"
#: What `find_claim` returns for a claim that is not there.
ABSENT: Final = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Principal:
    """A caller, on behalf of one partner.

    `sees_every_partner` allows reading and changing all partners' tenants by id. `partner` is empty if an
    administrator's token names none. `client_generation` is the generation of an API client's token, whose `subject` is
    the client's id; None for every other caller.
    """

    subject: str
    partner: str
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    sees_every_partner: bool = False
    client_generation: int | None = None

    def missing(self, required: Iterable[str]) -> list[str]:
        """Return the `required` permissions that the principal lacks, in their order."""
        return [permission for permission in required if permission not in self.permissions]

    def require_partner(self, claim: str) -> str:
        """Return the partner. Raises `PartnerMissing`, with the name of the `claim`, if the token names none."""
        if not self.partner:
            raise make_partner_missing(claim)
        return self.partner

    @classmethod
    def for_operator(cls, subject: str, partner: str, permissions: Iterable[str] = PERMISSIONS) -> Principal:
        """Return a principal for the host's own command line, with all `permissions`, acting for `partner`."""
        return cls(subject, partner, permissions=frozenset(permissions), sees_every_partner=True)

    @classmethod
    def from_claims(
        cls,
        claims: Mapping[str, Any],
        settings: Config,
        role_names: Mapping[str, Iterable[str]] | None = None,
        default_roles: Iterable[str] = (),
    ) -> Principal:
        """Make a principal from verified `claims`. Raises `InvalidToken` for an invalid subject or partner.

        `role_names`, if given, translates the roles in the claims; those that it does not name are dropped.
        `default_roles` are those of claims that say nothing about roles. `partner` is empty if the claims name none;
        use `require_partner` where one is needed.
        """
        subject = _parse_name(claims.get("sub"), "sub")
        partner = find_claim(claims, settings.partner_claim)
        claimed = find_claim(claims, settings.roles_claim)
        roles = frozenset(default_roles if claimed is ABSENT else _read_words(claimed, split=False))
        if role_names is not None and claimed is not ABSENT:
            roles = frozenset(role for name in roles for role in role_names.get(name, ()))
        return cls(
            subject=subject,
            partner=_default_partner(subject, settings)
            if partner is ABSENT
            else _parse_partner(partner, settings.partner_claim),
            roles=roles,
            permissions=_resolve_permissions(roles, claims, settings),
            sees_every_partner=not roles.isdisjoint(settings.admin_roles),
        )


#: The caller of a public route.
ANONYMOUS: Final = Principal("", "")
#: The caller whose bearer token is that of `PROVISIONING_METRICS_TOKEN`.
METRICS_READER: Final = Principal("metrics", "", permissions=frozenset({"metrics:read"}), sees_every_partner=True)


class Actor(NamedTuple):
    """A principal with the request by which it acts: its id and the client's address. Events record all of it."""

    principal: Principal
    request_id: str | None = None
    address: str | None = None
    user_agent: str | None = None


def make_partner_missing(claim: str) -> PartnerMissing:
    """Return the error for a token that names no partner in this claim."""
    return PartnerMissing(f"The token names no partner: it must carry the claim {claim}.", claim=claim)


def _default_partner(subject: str, settings: Config) -> str:
    """Return the partner of a token without the partner claim."""
    return _parse_partner(subject, "sub") if settings.partner_from_sub else ""


def _resolve_permissions(roles: frozenset[str], claims: Mapping[str, Any], settings: Config) -> frozenset[str]:
    granted = frozenset(p for role in roles for p in settings.roles.get(role, ()))
    narrowed = find_claim(claims, settings.permissions_claim) if settings.permissions_claim else ABSENT
    return granted if narrowed is ABSENT else granted.intersection(_read_words(narrowed, split=True))


def find_claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim of exactly this name, else the value at the dotted path, else `ABSENT`.

    If a part of the path leads into a value that is not an object, the claim has a wrong type: None.
    """
    if path in claims:
        return claims[path]
    value: Any = claims
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        if step not in value:
            return ABSENT
        value = value[step]
    return value


def _read_words(value: Any, *, split: bool) -> list[str]:
    """Return the texts in a claim; a value that is neither a text nor a list grants nothing."""
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


#: The rule of `is_partner_id` in a sentence for callers.
PARTNER_ID_RULE = (
    f"an id has 1 to {MAX_NAME_LENGTH} printable characters, no segment . or .., "
    f"and does not end in {', '.join(RESERVED_SUFFIXES[:-1])} or {RESERVED_SUFFIXES[-1]}."
)


def is_partner_id(value: Any) -> bool:
    """Return whether a partner may have this id: in a claim, a path or a body.

    Control characters, line breaks, bidirectional and other invisible characters are not printable (`str.isprintable`).
    Clients resolve the segments ``.`` and ``..`` before they send a path (RFC 3986 §5.2.4), percent-encoded or not.
    """
    return _is_name(value) and not value.endswith(RESERVED_SUFFIXES) and not {".", ".."} & {*value.split("/")}
