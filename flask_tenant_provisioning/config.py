"""The ``PROVISIONING_*`` configuration keys: names, defaults, types and meanings, section by section.

`Config.read` reads all of them once, when the extension mounts the API, and raises `ConfigurationError` that names
every invalid key at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, TypeVar

from .config_checks import (
    MEMORY_STORAGE,
    Check,
    check_encryption_keys,
    check_engine,
    check_networks,
    check_pem,
    check_phone_e164,
    check_ports,
    check_public_keys,
    check_rate_limit_storage,
    check_rate_limits,
    check_url_schemes,
    choice,
    flag,
    is_text,
    is_text_list,
    number,
    optional,
    regex,
    text,
    text_mapping,
    text_or_texts,
    texts,
)

PREFIX = "PROVISIONING_"
T = TypeVar("T")


def key(default: Any, meaning: str, check: Check, *, secret: bool = False) -> Any:
    """Declare one key. ``None`` is always a legal value where it is the default; a `secret` value is never shown."""
    metadata = {"meaning": meaning, "check": check, "secret": secret}
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


def inherit_annotations(cls: type[T]) -> type[T]:
    """Let a dataclass to be have all keys that its bases declare, in their order: one dataclass for every theme.

    Bases that were dataclasses themselves would do it too, but each of them takes a millisecond of the start.
    """
    cls.__annotations__ = {name: kind for base in cls.__bases__ for name, kind in base.__annotations__.items()}
    return cls


def config_name(name: str) -> str:
    """How the field `name` is called in ``app.config``."""
    return f"{PREFIX}{name.upper()}"


class ConfigurationError(Exception):
    """The host's configuration cannot be used; the message says which key and what to do."""


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


def _check_roles(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping) or not all(map(is_text, value)) or not all(map(is_text_list, value.values())):
        raise ValueError("a mapping of role to a list of permissions")
    roles = {role: tuple(permissions) for role, permissions in value.items()}
    unknown = {p for permissions in roles.values() for p in permissions} - PERMISSIONS
    if unknown:
        raise ValueError(
            f"a mapping of role to permissions out of {', '.join(sorted(PERMISSIONS))}; "
            f"unknown: {', '.join(sorted(unknown))}"
        )
    return roles


class MountKeys:
    """The mount itself."""

    edition: str = key(
        "enterprise",
        "`enterprise` mounts the API where the licence allows it; `community` mounts nothing.",
        choice("enterprise", "community"),
    )
    url_prefix: str = key(
        "/api/provisioning",
        "Where the API is mounted.",
        regex(r"(/[A-Za-z0-9._~-]+)+", "a path such as '/api/provisioning', without a slash at its end"),
    )
    mount: str = key(
        "blueprint",
        "`blueprint`: the API is a part of the app, whose hooks run for it. `isolated`: a private app serves it behind "
        "the prefix, and nothing of the app's comes between.",
        choice("blueprint", "isolated"),
    )
    max_body_bytes: int = key(1024 * 1024, "The largest request body, in bytes.", number(1024, 1 << 30))
    body_seconds: int = key(10, "How many seconds a request body may take to arrive; 408 after that.", number(1, 3600))
    server_threads: int | None = key(
        None,
        "How many threads each process of the host's server has, such as gunicorn's `--threads`. Long requests (slow "
        "bodies, uploads, progress streams, downloads) may hold fewer than half of them. waitress is asked by itself.",
        optional(number(1, 100_000)),
    )
    long_requests: int | None = key(
        None,
        "How many long requests one process serves at a time; 503 `server-busy` beyond. By default fewer than half of "
        "the server's threads, or 3 where their number is unknown.",
        optional(number(1, 100_000)),
    )
    long_requests_per_partner: int | None = key(
        None,
        "How many of these one partner may have at a time; 429 `too-many-long-requests` beyond. By default half of "
        "them, rounded up.",
        optional(number(1, 100_000)),
    )
    require_if_match: bool = key(
        False, "Demand `If-Match` on every write to a tenant that exists (428 without it).", flag
    )
    idempotency_hours: int = key(24, "Hours for which an `Idempotency-Key` and its answer are kept.", number(1, 8760))
    request_id_key: str = key(
        "request_id",
        "Where the app keeps its own id of a request, as an attribute of `g` or a key of the WSGI environ; the API's "
        "answers, events and log then bear it.",
        text,
    )
    problem_base_uri: str | None = key(
        None, "What `type` of a problem begins with; by default the mount's own `/problems/`.", text
    )
    public_docs: bool = key(
        True, "`False` asks `tenant:read` for `/openapi.json`, `/docs` and `/problems/{code}`.", flag
    )


class DatabaseKeys:
    """The engine, where the extension makes it, and the tables."""

    database_url: str | None = key(
        None,
        "SQLAlchemy URL, used where `init_app` is given no database. Without either: SQLite in the instance folder.",
        text,
        secret=True,
    )
    database_options: dict[str, Any] = key(
        None,
        "Further options for SQLAlchemy's `create_engine`, where the extension makes the engine.",
        text_mapping,
        secret=True,
    )
    statement_timeout_seconds: int = key(
        10,
        "After how long PostgreSQL ends a statement (503), where the extension makes the engine; 0 leaves it to the "
        "server, as does `PROVISIONING_DATABASE_POOLER` = `transaction`.",
        number(0, 3600),
    )
    database_pooler: str | None = key(
        None,
        "What lends connections to PostgreSQL in between. `transaction` (PgBouncer's `pool_mode`, Supavisor, …): "
        "connections ask for no startup options and prepare no statements. `session`: they do both. Without it a "
        "pooler is recognised, and logged.",
        choice("transaction", "session"),
    )
    sqlite_synchronous: str = key(
        "FULL",
        "`FULL`: an answered write outlives a power cut; `NORMAL`: only a crash of the process, and writes are faster.",
        choice("FULL", "NORMAL"),
    )
    table_prefix: str = key(
        "provisioning_",
        "What the name of every table begins with.",
        regex(r"[a-z_][a-z0-9_]{0,19}", "1 to 20 of a-z, 0-9 and _, not beginning with a digit"),
    )
    auto_migrate: bool | None = key(
        None,
        "Create and upgrade the tables at start. By default only for the embedded SQLite file.",
        flag,
    )
    transaction_attempts: int = key(
        6, "How often a write is tried when the database reports a serialization failure.", number(1, 50)
    )


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
        check_encryption_keys,
        secret=True,
    )
    realm: str = key(
        "provisioning",
        "The realm that a 401 names in `WWW-Authenticate`.",
        regex(r"[ !#-\[\]-~]{1,100}", "1 to 100 printable ASCII characters without quote or backslash"),
    )
    roles: dict[str, tuple[str, ...]] = key(
        None, "Which permissions each role grants; replaces the default map.", _check_roles
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
        "permissions", "The claim that, where present, narrows what the roles grant; None: none does.", optional(text)
    )
    jwt_secret_key: str | None = key(
        None,
        "The key of an isolated mount's tokens. With any `PROVISIONING_JWT_*`, neither `JWT_*` nor the app's "
        "`JWTManager` counts for it.",
        text,
        secret=True,
    )
    jwt_public_key: str | None = key(None, "The same, for RS256, ES256 and their like (PEM).", check_pem)
    jwt_private_key: str | None = key(
        None, "What `flask provisioning token` signs with, where they are signed so (PEM).", check_pem, secret=True
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


class LimitKeys:
    """Rate limits, which need the extra `limiter`."""

    rate_limits: dict[str, str] = key(
        None,
        "How many requests each partner may send to each class of routes (`read`, `write`, `bulk`), for example "
        "`{'read': '600/minute', 'write': '10/second;120/minute'}`; a class that is not named has no limit.",
        check_rate_limits,
    )
    rate_limit_storage: str = key(
        MEMORY_STORAGE,
        "Where they are counted, as a URL of `limits`: `memory://` counts in each process by itself, Redis for all of "
        "them. Without effect where the app has a `Limiter` of its own, whose storage counts.",
        check_rate_limit_storage,
        secret=True,
    )


class TenantKeys:
    """What tenants may have, and for how many days."""

    plans: tuple[str, ...] | None = key(None, "The plans that exist; any text where unset.", texts)
    phone_e164: bool = key(False, "Accept only valid E.164 numbers; needs the extra `phone`.", check_phone_e164)
    retention_days: int = key(30, "Days during which a deleted tenant can be restored.", number(0, 36_500))
    event_retention_days: int = key(30, "Days for which events stay in the feed.", number(1, 36_500))
    erasure_days: int = key(
        7,
        "Days after a purge until everything that says who the tenant was is erased from its events, bulk jobs and "
        "remembered answers, at the latest when its events go; 0: with the workers' next round of maintenance.",
        number(0, 36_500),
    )


class TenantSettingsKeys:
    """What tenants and partners set by `provisioning.settings`."""

    settings_history: int = key(
        100,
        "How many versions of a tenant's or a partner's settings are kept to be read and rolled back to.",
        number(1, 10_000),
    )
    settings_cache_seconds: int = key(
        1,
        "For how many seconds a process may go by the settings that it has read; 0 reads them anew each time. What it "
        "changes itself it knows at once.",
        number(0, 3600),
    )


class BulkKeys:
    """The limits of one bulk job."""

    bulk_max_rows: int = key(1_000_000, "How many rows a bulk upload may have.", number(1, 100_000_000))
    bulk_max_bytes: int = key(
        1 << 30, "How many bytes a bulk upload may have, as it is sent and once unpacked.", number(1024, 1 << 40)
    )
    upload_seconds: int = key(
        1800, "How many seconds a bulk upload may take in all, however steadily it comes.", number(10, 86_400)
    )
    bulk_atomic_rows: int = key(10_000, "How many rows a bulk job with `mode=atomic` may have.", number(1, 1_000_000))
    bulk_atomic_bytes: int = key(
        5 << 20,
        "How many bytes a bulk job with `mode=atomic` may have, as it is sent, once unpacked, and as rows of JSON: one "
        "transaction does all of it, and a worker needs some six times as much memory.",
        number(1024, 1 << 30),
    )
    bulk_open_jobs: int = key(
        100, "How many bulk jobs of one partner may be under way at a time, uploads too.", number(1, 100_000)
    )
    bulk_retention_days: int = key(30, "For how many days a bulk job and its results are kept.", number(1, 3650))
    bulk_kept_bytes: int = key(
        1 << 30,
        "How many bytes the rows and results of one partner's ended bulk jobs may have, packed: those of the oldest "
        "are dropped first, some minutes after.",
        number(0, 1 << 50),
    )


class WebhookKeys:
    """What partners may have, and what the operator allows beyond the public network."""

    webhook_limit: int = key(20, "How many webhook endpoints a partner may have.", number(0, 10_000))
    webhook_schemes: tuple[str, ...] = key(
        ("https",),
        "The schemes of URLs that webhooks may be sent to; `http` is for receivers inside.",
        check_url_schemes,
    )
    webhook_ports: tuple[int, ...] = key((443, 8443), "The ports of such URLs; `[]` allows any.", check_ports)
    webhook_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = key(
        (),
        "Internal networks that webhooks may be sent to all the same, for example `['10.1.0.0/16']`. Any partner who "
        "may manage webhooks reaches everything there.",
        check_networks,
    )


class WorkKeys:
    """Who does it, and how."""

    engine: str = key(
        "embedded",
        "Who does what follows a commit: `embedded`, a thread of each serving process from its first request on; "
        "`external`, `flask provisioning worker` alone; `celery`, the workers of the host's Celery app.",
        check_engine,
    )
    worker_threads: int = key(8, "How many steps a worker, or a Celery task, runs at once.", number(1, 1000))
    worker_poll_seconds: int = key(
        2, "How often an idle worker looks for work that other processes have left.", number(1, 3600)
    )
    worker_lease_seconds: int = key(
        30, "After how long others take over the work of a worker that has died.", number(1, 3600)
    )


class LicenseKeys:
    """Where it is, and what it is believed by."""

    license_file: str | None = key(None, "Path of the vendor's signed licence file.", text)
    license: str | None = key(None, "The signed licence itself, where there is no file.", text, secret=True)
    license_public_keys: dict[str, str] = key(
        None, "The vendor's Ed25519 public keys (PEM or base64) by key id.", check_public_keys, secret=True
    )
    license_revoked: tuple[str, ...] = key((), "Key ids and licence ids that are no longer trusted.", texts)
    license_reload_seconds: int = key(
        5, "How often, at most, the licence file is looked at for a change.", number(0, 86_400)
    )
    install_id: str | None = key(None, "This installation's id, which a licence may be bound to.", text)


@dataclasses.dataclass(frozen=True, kw_only=True)
@inherit_annotations
class Config(
    MountKeys,
    DatabaseKeys,
    AccessKeys,
    PartnerKeys,
    LimitKeys,
    TenantKeys,
    TenantSettingsKeys,
    BulkKeys,
    WebhookKeys,
    WorkKeys,
    LicenseKeys,
):
    """The configuration of one mount. A field ``x`` is read from ``app.config["PROVISIONING_X"]``."""

    @classmethod
    def read(cls, config: Mapping[str, Any], overrides: Mapping[str, Any]) -> Config:
        """Read the keys from a Flask config; `overrides` are one mount's own, by field name.

        Raises `ConfigurationError` that names every key at fault at once.
        """
        values = _check_values(dataclasses.fields(cls), config, overrides)
        values["roles"] = values["roles"] or DEFAULT_ROLES
        values["database_options"] = values["database_options"] or {}
        values["license_public_keys"] = values["license_public_keys"] or {}
        values["rate_limits"] = values["rate_limits"] or {}
        return cls(**values)


logger = logging.getLogger(__name__)


def _check_values(
    fields: Iterable[dataclasses.Field[Any]], config: Mapping[str, Any], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """The value of each of `fields`, by name; a key of ours in `config` that none of them declares is logged.

    Raises `ConfigurationError` that names every key at fault at once.
    """
    declared = {field.name: field for field in fields}
    given = {key[len(PREFIX) :].lower(): value for key, value in config.items() if key.startswith(PREFIX)}
    for name in sorted(given.keys() - declared.keys()):
        _warn_unknown_key(name, declared)
    values: dict[str, Any] = {}
    faults = [
        f"TenantProvisioning has no option {name}{_suggest_name(name, declared, str)}"
        for name in sorted(overrides.keys() - declared.keys())
    ]
    for name, field in declared.items():
        value = overrides.get(name, given.get(name, field.default))
        try:
            values[name] = value if value is None is field.default else field.metadata["check"](value)
        except ValueError as wanted:
            shown = "" if field.metadata["secret"] else f", not {value!r}"
            faults.append(f"{config_name(name)} must be {wanted}{shown}.")
    if faults:
        raise ConfigurationError("\n".join(faults))
    return values


def _warn_unknown_key(name: str, declared: Iterable[str]) -> None:
    key, suggestion = config_name(name), _suggest_name(name, declared, config_name)
    logger.warning("flask-tenant-provisioning has no key %s%s", key, suggestion, extra={"key": key})


def _suggest_name(name: str, declared: Iterable[str], shown: Callable[[str], str]) -> str:
    near = difflib.get_close_matches(name, declared, n=1)
    return f"; did you mean {shown(near[0])}?" if near else "."
