"""Every ``PROVISIONING_*`` key: its name, default, type and meaning, validated once at start."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

logger = logging.getLogger(__name__)

PREFIX = "PROVISIONING_"

#: What each role of the default map may do; ``PROVISIONING_ROLES`` replaces the whole map.
PARTNER_ADMIN = (
    "tenant:create", "tenant:read", "tenant:update", "tenant:delete",
    "settings:read", "settings:update", "bulk:create", "bulk:read",
    "webhook:read", "webhook:manage", "event:read",
)  # fmt: skip
PARTNER_VIEWER = tuple(p for p in PARTNER_ADMIN if p.endswith(":read"))
PROVISIONING_ADMIN = (*PARTNER_ADMIN, "tenant:purge", "partner:read", "partner:manage", "audit:read", "license:read")
PERMISSIONS = frozenset(PROVISIONING_ADMIN)
DEFAULT_ROLES: dict[str, tuple[str, ...]] = {
    "partner-admin": PARTNER_ADMIN,
    "partner-viewer": PARTNER_VIEWER,
    "provisioning-admin": PROVISIONING_ADMIN,
}

Check = Callable[[Any], Any]


class ConfigurationError(Exception):
    """The host's configuration cannot be used; the message says which key and what to do."""


def _text(value: Any) -> str:
    if type(value) in (int, float):
        raise ValueError("a text (in an environment variable, a number within double quotes)")
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False (in an environment variable, true or false)")
    return value


def _strict_phone(value: Any) -> bool:
    if _flag(value) and importlib.util.find_spec("phonenumbers") is None:
        raise ValueError("False, or pip install 'flask-tenant-provisioning[phone]'")
    return bool(value)


def _or_none(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _number(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def _choice(*allowed: str) -> Check:
    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(" or ".join(map(repr, allowed)))
        return str(value)

    return check


def _engine(value: Any) -> str:
    if _choice("embedded", "external", "celery")(value) == "celery" and importlib.util.find_spec("celery") is None:
        raise ValueError("'embedded' or 'external', or pip install 'flask-tenant-provisioning[celery]'")
    return str(value)


def _matching(pattern: str, wanted: str) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(wanted)
        return value

    return check


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(map(_is_text, value))


def _texts(value: Any) -> tuple[str, ...]:
    if not _are_texts(value):
        raise ValueError("a list of texts, none of them empty")
    return tuple(value)


def _encryption_keys(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(_is_text(key) and len(key) >= 16 for key in value):
        raise ValueError("a list of texts, each of 16 characters or more")
    return tuple(value)


def _text_or_texts(value: Any) -> str | tuple[str, ...]:
    if not _is_text(value) and not (value and _are_texts(value)):
        raise ValueError("a text or a list of texts, none of them empty")
    return value if isinstance(value, str) else tuple(value)


def _schemes(value: Any) -> tuple[str, ...]:
    if not value or not _are_texts(value) or not {"https", "http"}.issuperset(value):
        raise ValueError("a list out of 'https' and 'http'")
    return tuple(value)


def _is_port(value: Any) -> bool:
    return type(value) is int and 0 < value < 65536


def _ports(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple | set | frozenset) or not all(map(_is_port, value)):
        raise ValueError("a list of whole numbers from 1 to 65535")
    return tuple(value)


def _networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(map(ip_network, _texts(value)))
    except ValueError as error:
        raise ValueError(
            "a list of networks such as '10.1.0.0/16' or 'fd00::/8', each from its first address"
        ) from error


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(map(_is_text, value)):
        raise ValueError("a mapping of names to values")
    return dict(value)


def _keys(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(map(_is_text, [*value, *value.values()])):
        raise ValueError("a mapping of key id to public key, both texts")
    return dict(value)


def _roles(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping) or not all(map(_is_text, value)) or not all(map(_are_texts, value.values())):
        raise ValueError("a mapping of role to a list of permissions")
    roles = {role: tuple(permissions) for role, permissions in value.items()}
    unknown = {p for permissions in roles.values() for p in permissions} - PERMISSIONS
    if unknown:
        raise ValueError(
            f"a mapping of role to permissions out of {', '.join(sorted(PERMISSIONS))}; "
            f"unknown: {', '.join(sorted(unknown))}"
        )
    return roles


def _key(default: Any, meaning: str, check: Check, *, secret: bool = False) -> Any:
    """Declare one key. ``None`` is always a legal value where it is the default; a `secret` value is never shown."""
    metadata = {"meaning": meaning, "check": check, "secret": secret}
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The configuration of one mount. A field ``x`` is read from ``app.config["PROVISIONING_X"]``."""

    edition: str = _key(
        "enterprise",
        "`enterprise` mounts the API where the licence allows it; `community` mounts nothing.",
        _choice("enterprise", "community"),
    )
    url_prefix: str = _key(
        "/api/provisioning",
        "Where the API is mounted.",
        _matching(r"(/[A-Za-z0-9._~-]+)+", "a path such as '/api/provisioning', without a slash at its end"),
    )
    mount: str = _key(
        "blueprint",
        "`blueprint`: the API is a part of the app, whose hooks run for it. `isolated`: a private app serves it behind "
        "the prefix, and nothing of the app's comes between.",
        _choice("blueprint", "isolated"),
    )
    database_url: str | None = _key(
        None,
        "SQLAlchemy URL, used where `init_app` is given no database. Without either: SQLite in the instance folder.",
        _text,
        secret=True,
    )
    database_options: dict[str, Any] = _key(
        None,
        "Further options for SQLAlchemy's `create_engine`, where the extension makes the engine.",
        _mapping,
        secret=True,
    )
    statement_timeout_seconds: int = _key(
        10,
        "After how long PostgreSQL ends a statement (503), where the extension makes the engine; 0 leaves it to the "
        "server, as poolers that refuse startup options need it.",
        _number(0, 3600),
    )
    sqlite_synchronous: str = _key(
        "FULL",
        "`FULL`: an answered write outlives a power cut; `NORMAL`: only a crash of the process, and writes are faster.",
        _choice("FULL", "NORMAL"),
    )
    table_prefix: str = _key(
        "provisioning_",
        "What the name of every table begins with.",
        _matching(r"[a-z_][a-z0-9_]{0,19}", "1 to 20 of a-z, 0-9 and _, not beginning with a digit"),
    )
    auto_migrate: bool | None = _key(
        None,
        "Create and upgrade the tables at start. By default only for the embedded SQLite file.",
        _flag,
    )
    transaction_attempts: int = _key(
        6, "How often a write is tried when the database reports a serialization failure.", _number(1, 50)
    )
    secret_key: str | None = _key(
        None,
        "Seals list cursors; the same in every process. By default derived from `SECRET_KEY`, else `JWT_SECRET_KEY`.",
        _text,
        secret=True,
    )
    encryption_keys: tuple[str, ...] = _key(
        (),
        "Encrypt the secrets in the database; the same in every process. The first one seals, the others still open "
        "what they sealed. By default derived from the secret that seals list cursors.",
        _encryption_keys,
        secret=True,
    )
    realm: str = _key(
        "provisioning",
        "The realm that a 401 names in `WWW-Authenticate`.",
        _matching(r"[ !#-\[\]-~]{1,100}", "1 to 100 printable ASCII characters without quote or backslash"),
    )
    roles: dict[str, tuple[str, ...]] = _key(
        None, "Which permissions each role grants; replaces the default map.", _roles
    )
    admin_roles: tuple[str, ...] = _key(("provisioning-admin",), "The roles that see every partner's tenants.", _texts)
    roles_claim: str = _key("roles", "The claim that holds the roles; a dotted path walks into objects.", _text)
    partner_claim: str = _key("partner_id", "The claim that names the partner; where absent, `sub` does.", _text)
    permissions_claim: str | None = _key(
        "permissions", "The claim that, where present, narrows what the roles grant; None: none does.", _or_none(_text)
    )
    jwt_secret_key: str | None = _key(
        None,
        "The key of an isolated mount's tokens. With any `PROVISIONING_JWT_*`, neither `JWT_*` nor the app's "
        "`JWTManager` counts for it.",
        _text,
        secret=True,
    )
    jwt_public_key: str | None = _key(None, "The same, for RS256, ES256 and their like (PEM).", _text)
    jwt_private_key: str | None = _key(
        None, "What `flask provisioning token` signs with, where they are signed so (PEM).", _text, secret=True
    )
    jwt_algorithm: str | None = _key(None, "The algorithm of an isolated mount's tokens; HS256 where unset.", _text)
    jwt_decode_algorithms: tuple[str, ...] | None = _key(None, "Further algorithms, of the same kind.", _texts)
    jwt_decode_audience: str | tuple[str, ...] | None = _key(
        None, "The audience that they must name; of several, one.", _text_or_texts
    )
    jwt_decode_issuer: str | tuple[str, ...] | None = _key(
        None, "The issuer that they must name; of several, one.", _text_or_texts
    )
    jwt_decode_leeway: int | None = _key(
        None, "By how many seconds their clock may differ; 0 where unset.", _number(0, 3600)
    )
    token_cache_size: int = _key(
        4096, "How many verified tokens a process remembers; 0 verifies each one anew.", _number(0, 1_000_000)
    )
    max_body_bytes: int = _key(1024 * 1024, "The largest request body, in bytes.", _number(1024, 1 << 30))
    require_if_match: bool = _key(
        False, "Demand `If-Match` on every write to a tenant that exists (428 without it).", _flag
    )
    idempotency_hours: int = _key(24, "Hours for which an `Idempotency-Key` and its answer are kept.", _number(1, 8760))
    retention_days: int = _key(30, "Days during which a deleted tenant can be restored.", _number(0, 36_500))
    event_retention_days: int = _key(30, "Days for which events stay in the feed.", _number(1, 36_500))
    webhook_limit: int = _key(20, "How many webhook endpoints a partner may have.", _number(0, 10_000))
    engine: str = _key(
        "embedded",
        "Who does what follows a commit: `embedded`, a thread of each serving process from its first request on; "
        "`external`, `flask provisioning worker` alone; `celery`, the workers of the host's Celery app.",
        _engine,
    )
    worker_threads: int = _key(8, "How many steps a worker, or a Celery task, runs at once.", _number(1, 1000))
    worker_poll_seconds: int = _key(
        2, "How often an idle worker looks for work that other processes have left.", _number(1, 3600)
    )
    worker_lease_seconds: int = _key(
        30, "After how long others take over the work of a worker that has died.", _number(1, 3600)
    )
    webhook_schemes: tuple[str, ...] = _key(
        ("https",), "The schemes of URLs that webhooks may be sent to; `http` is for receivers inside.", _schemes
    )
    webhook_ports: tuple[int, ...] = _key((443, 8443), "The ports of such URLs; `[]` allows any.", _ports)
    webhook_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = _key(
        (),
        "Internal networks that webhooks may be sent to all the same, for example `['10.1.0.0/16']`. Any partner who "
        "may manage webhooks reaches everything there.",
        _networks,
    )
    plans: tuple[str, ...] | None = _key(None, "The plans that exist; any text where unset.", _texts)
    phone_e164: bool = _key(False, "Accept only valid E.164 numbers; needs the extra `phone`.", _strict_phone)
    problem_base_uri: str | None = _key(
        None, "What `type` of a problem begins with; by default the mount's own `/problems/`.", _text
    )
    public_docs: bool = _key(
        True, "`False` asks `tenant:read` for `/openapi.json`, `/docs` and `/problems/{code}`.", _flag
    )
    license_file: str | None = _key(None, "Path of the vendor's signed licence file.", _text)
    license: str | None = _key(None, "The signed licence itself, where there is no file.", _text, secret=True)
    license_public_keys: dict[str, str] = _key(
        None, "The vendor's Ed25519 public keys (PEM or base64) by key id.", _keys, secret=True
    )
    license_revoked: tuple[str, ...] = _key((), "Key ids and licence ids that are no longer trusted.", _texts)
    license_reload_seconds: int = _key(
        5, "How often, at most, the licence file is looked at for a change.", _number(0, 86_400)
    )
    install_id: str | None = _key(None, "This installation's id, which a licence may be bound to.", _text)

    @property
    def own_jwt(self) -> dict[str, Any]:
        """The ``JWT_*`` settings of this mount's own, as Flask-JWT-Extended names and takes them."""
        found = {name.upper(): value for name, value in vars(self).items() if name.startswith("jwt_")}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value is not None
        }

    @classmethod
    def read(cls, config: Mapping[str, Any], overrides: Mapping[str, Any]) -> Settings:
        """Read the keys from a Flask config; `overrides` are one mount's own, by field name.

        Raises `ConfigurationError` that names every key at fault at once.
        """
        given = {key[len(PREFIX) :].lower(): value for key, value in config.items() if key.startswith(PREFIX)}
        declared = {field.name: field for field in dataclasses.fields(cls)}
        for name in sorted(given.keys() - declared.keys()):
            _warn_of_unknown(name, declared)
        values: dict[str, Any] = {}
        faults = [
            f"TenantProvisioning has no option {name}{_suggestion(name, declared, str)}"
            for name in sorted(overrides.keys() - declared.keys())
        ]
        for name, field in declared.items():
            value = overrides.get(name, given.get(name, field.default))
            try:
                values[name] = value if value is None is field.default else field.metadata["check"](value)
            except ValueError as wanted:
                shown = "" if field.metadata["secret"] else f", not {value!r}"
                faults.append(f"{_named(name)} must be {wanted}{shown}.")
        if faults:
            raise ConfigurationError("\n".join(faults))
        values["roles"] = values["roles"] or DEFAULT_ROLES
        values["database_options"] = values["database_options"] or {}
        values["license_public_keys"] = values["license_public_keys"] or {}
        return cls(**values)


def _warn_of_unknown(name: str, declared: Iterable[str]) -> None:
    logger.warning("flask-tenant-provisioning has no key %s%s", _named(name), _suggestion(name, declared, _named))


def _suggestion(name: str, declared: Iterable[str], shown: Callable[[str], str]) -> str:
    near = difflib.get_close_matches(name, declared, n=1)
    return f"; did you mean {shown(near[0])}?" if near else "."


def _named(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
