"""Who calls: the secrets that seal and sign, the tokens, and what their claims and roles mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checks import are_texts, flag, is_text, matching, number, or_none, text, text_or_texts, texts
from ..declaring import key
from ..permissions import PERMISSIONS


def _encryption_keys(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(is_text(key) and len(key) >= 16 for key in value):
        raise ValueError("a list of texts, each of 16 characters or more")
    return tuple(value)


def _pem(value: Any) -> str:
    """A key; line ends that a file of environment variables wrote out are line ends again."""
    found = text(value).removeprefix("\ufeff")
    return found.replace("\\r", "").replace("\\n", "\n") if found.startswith("-----BEGIN") else found


def _roles(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping) or not all(map(is_text, value)) or not all(map(are_texts, value.values())):
        raise ValueError("a mapping of role to a list of permissions")
    roles = {role: tuple(permissions) for role, permissions in value.items()}
    unknown = {p for permissions in roles.values() for p in permissions} - PERMISSIONS
    if unknown:
        raise ValueError(
            f"a mapping of role to permissions out of {', '.join(sorted(PERMISSIONS))}; "
            f"unknown: {', '.join(sorted(unknown))}"
        )
    return roles


class AccessKeys:
    """Secrets, claims and roles, and the tokens of an isolated mount."""

    secret_key: str | None = key(
        None,
        "Seals list cursors; the same in every process. By default derived from `SECRET_KEY`, else `JWT_SECRET_KEY`.",
        text,
        secret=True,
    )
    encryption_keys: tuple[str, ...] = key(
        (),
        "Encrypt the secrets in the database; the same in every process. The first one seals, the others still open "
        "what they sealed. By default derived from the secret that seals list cursors.",
        _encryption_keys,
        secret=True,
    )
    realm: str = key(
        "provisioning",
        "The realm that a 401 names in `WWW-Authenticate`.",
        matching(r"[ !#-\[\]-~]{1,100}", "1 to 100 printable ASCII characters without quote or backslash"),
    )
    roles: dict[str, tuple[str, ...]] = key(
        None, "Which permissions each role grants; replaces the default map.", _roles
    )
    admin_roles: tuple[str, ...] = key(("provisioning-admin",), "The roles that see every partner's tenants.", texts)
    roles_claim: str = key("roles", "The claim that holds the roles; a dotted path walks into objects.", text)
    partner_claim: str = key(
        "partner_id",
        "The claim that names the partner; a dotted path walks into objects. A token without it is refused with 403 "
        "`partner-missing`, except an administrator's.",
        text,
    )
    partner_from_sub: bool = key(
        False, "Let `sub` name the partner where the claim is absent: each `sub` is then a partner of its own.", flag
    )
    permissions_claim: str | None = key(
        "permissions", "The claim that, where present, narrows what the roles grant; None: none does.", or_none(text)
    )
    jwt_secret_key: str | None = key(
        None,
        "The key of an isolated mount's tokens. With any `PROVISIONING_JWT_*`, neither `JWT_*` nor the app's "
        "`JWTManager` counts for it.",
        text,
        secret=True,
    )
    jwt_public_key: str | None = key(None, "The same, for RS256, ES256 and their like (PEM).", _pem)
    jwt_private_key: str | None = key(
        None, "What `flask provisioning token` signs with, where they are signed so (PEM).", _pem, secret=True
    )
    jwt_algorithm: str | None = key(None, "The algorithm of an isolated mount's tokens; HS256 where unset.", text)
    jwt_decode_algorithms: tuple[str, ...] | None = key(None, "Further algorithms, of the same kind.", texts)
    jwt_decode_audience: str | tuple[str, ...] | None = key(
        None, "The audience that they must name; of several, one.", text_or_texts
    )
    jwt_decode_issuer: str | tuple[str, ...] | None = key(
        None, "The issuer that they must name; of several, one.", text_or_texts
    )
    jwt_decode_leeway: int | None = key(
        None, "By how many seconds their clock may differ; 0 where unset.", number(0, 3600)
    )
    token_cache_size: int = key(
        4096, "How many verified tokens a process remembers; 0 verifies each one anew.", number(0, 1_000_000)
    )

    @property
    def own_jwt(self) -> dict[str, Any]:
        """The ``JWT_*`` settings of this mount's own, as Flask-JWT-Extended names and takes them."""
        found = {name.upper(): value for name, value in vars(self).items() if name.startswith("jwt_")}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value is not None
        }
