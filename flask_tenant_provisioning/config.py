"""The ``PROVISIONING_*`` configuration keys: names, defaults, types and meanings, section by section.

`Config.read` reads all of them once, when the extension mounts the API, and raises `ConfigurationError` that names
every invalid key at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from .config_checks import (
    MEMORY_STORAGE,
    Check,
    IssuerConfig,
    check_contact,
    check_encryption_keys,
    check_engine,
    check_issuer_url,
    check_issuers,
    check_networks,
    check_pem,
    check_phone_e164,
    check_ports,
    check_public_keys,
    check_rate_limit_storage,
    check_rate_limits,
    check_server_urls,
    check_telemetry,
    check_url_schemes,
    check_web_url,
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

logger = logging.getLogger(__name__)
PREFIX = "PROVISIONING_"


def key(default: Any, meaning: str, check: Check, *, secret: bool = False, example: Any = None) -> Any:
    """Declare one key.

    `check` validates and converts a configured value. ``None`` is always valid where it is the default. The value of a
    `secret` key is never shown. `example` is a value for the documentation, by default the default.
    """
    metadata = {"meaning": meaning, "check": check, "secret": secret, "example": example}
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


def config_name(name: str) -> str:
    """Return the name in ``app.config`` of the field `name`."""
    return f"{PREFIX}{name.upper()}"


class ConfigurationError(Exception):
    """An invalid configuration or registration. The message names what is wrong and the fix."""


PARTNER_ADMIN = (
    "tenant:create", "tenant:read", "tenant:update", "tenant:delete",
    "settings:read", "settings:update", "bulk:create", "bulk:read",
    "webhook:read", "webhook:manage", "event:read",
    "client:read", "client:write",
)  # fmt: skip
PARTNER_VIEWER = tuple(permission for permission in PARTNER_ADMIN if permission.endswith(":read"))
PROVISIONING_ADMIN = (
    *PARTNER_ADMIN,
    "tenant:purge",
    "partner:read",
    "partner:manage",
    "audit:read",
    "license:read",
    "metrics:read",
)
#: The API's own permissions, each with what it allows. A host may declare more: `TenantProvisioning.permission`.
PERMISSIONS: dict[str, str] = {
    "tenant:create": "Create tenants.",
    "tenant:read": "Read tenants, their steps and their history.",
    "tenant:update": "Change, suspend and activate tenants.",
    "tenant:delete": "Delete and restore tenants.",
    "tenant:purge": "Remove deleted tenants for good.",
    "settings:read": "Read settings.",
    "settings:update": "Change settings.",
    "bulk:create": "Upload, cancel and resume bulk jobs.",
    "bulk:read": "Read bulk jobs and their results.",
    "webhook:read": "Read webhook endpoints and deliveries.",
    "webhook:manage": "Create, change and remove webhook endpoints.",
    "event:read": "Read the event feed.",
    "client:read": "Read API clients.",
    "client:write": "Create, change and remove API clients, and rotate their secrets.",
    "partner:read": "Read partners and their usage.",
    "partner:manage": "Register, change, suspend and remove partners.",
    "audit:read": "Read who changed what, from which address.",
    "license:read": "Read the state of the licence.",
    "metrics:read": "Read the metrics of the API.",
}
DEFAULT_ROLES: dict[str, tuple[str, ...]] = {
    "partner-admin": PARTNER_ADMIN,
    "partner-viewer": PARTNER_VIEWER,
    "provisioning-admin": PROVISIONING_ADMIN,
}


def check_roles(value: Any, permissions: Iterable[str] = PERMISSIONS) -> dict[str, tuple[str, ...]]:
    """Require a mapping of role to a list of `permissions`."""
    if not isinstance(value, Mapping) or not all(map(is_text, value)) or not all(map(is_text_list, value.values())):
        raise ValueError("a mapping of role to a list of permissions")
    roles = {role: tuple(granted) for role, granted in value.items()}
    unknown = {permission for granted in roles.values() for permission in granted} - {*permissions}
    if unknown:
        raise ValueError(
            f"a mapping of role to permissions out of {', '.join(sorted(permissions))}; "
            f"unknown: {', '.join(sorted(unknown))}"
        )
    return roles


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The configuration of one mount. The field ``x`` is read from ``app.config["PROVISIONING_X"]``."""

    # The mount itself

    edition: str = key(
        "enterprise",
        "`enterprise` mounts the API where the licence allows it; `community` mounts nothing.",
        choice("enterprise", "community"),
        example="community",
    )
    url_prefix: str = key(
        "/api/provisioning",
        "Where the API is mounted.",
        regex(r"(/[A-Za-z0-9._~-]+)+", "a path such as '/api/provisioning', without a slash at its end"),
        example="/partners/api",
    )
    mount: str = key(
        "blueprint",
        "`blueprint`: the API is part of the app, and the app's request hooks run for it. `isolated`: a private app "
        "serves everything below the prefix, without the app's request hooks.",
        choice("blueprint", "isolated"),
        example="isolated",
    )
    max_body_bytes: int = key(1024 * 1024, "The largest request body, in bytes.", number(1024, 1 << 30))
    body_seconds: int = key(10, "How many seconds a request body may take to arrive; 408 after that.", number(1, 3600))
    server_threads: int | None = key(
        None,
        "How many threads each process of the host's server has, such as gunicorn's `--threads`. Long requests (slow "
        "bodies, uploads, progress streams, downloads) may occupy fewer than half of them. waitress's own number is "
        "detected.",
        optional(number(1, 100_000)),
        example=8,
    )
    long_requests: int | None = key(
        None,
        "How many long requests one process serves at a time; 503 `server-busy` beyond. By default fewer than half of "
        "the server's threads, or 3 where their number is unknown.",
        optional(number(1, 100_000)),
        example=4,
    )
    long_requests_per_partner: int | None = key(
        None,
        "How many long requests one partner may have at a time; 429 `too-many-long-requests` beyond. By default half "
        "of `PROVISIONING_LONG_REQUESTS`, rounded up.",
        optional(number(1, 100_000)),
        example=2,
    )
    require_if_match: bool = key(
        False, "Demand `If-Match` on every write to a tenant that exists (428 without it).", flag, example=True
    )
    idempotency_hours: int = key(
        24, "Hours for which an `Idempotency-Key` and its response are stored.", number(1, 8760)
    )
    request_id_key: str = key(
        "request_id",
        "Where the app stores its own request id: an attribute of `g` or a key of the WSGI environ. The API's "
        "responses, events and log lines then carry that id.",
        text,
        example="FLASK_REQUEST_ID",
    )
    problem_base_uri: str | None = key(
        None,
        "The base URI of a problem's `type`; by default the mount's own `/problems/`.",
        text,
        example="https://docs.example.com/problems/",
    )
    public_docs: bool = key(
        True, "`False` requires `tenant:read` for `/openapi.json`, `/docs` and `/problems/{code}`.", flag, example=False
    )
    openapi_title: str = key(
        "Tenant provisioning", "The title of the API in the OpenAPI document and on the page `/docs`.", text
    )
    openapi_version: str | None = key(
        None,
        "The version of the API in the OpenAPI document; by default the version of this package.",
        text,
        example="2026-11",
    )
    openapi_description: str | None = key(
        None,
        "What the OpenAPI document says of your API first, in Markdown; the rules of all requests follow.",
        text,
        example="Provision workspaces in our help desk.",
    )
    openapi_contact: dict[str, str] | None = key(
        None,
        "Whom partners can ask, in the OpenAPI document: a mapping with one or more of `name`, `url` and `email`.",
        check_contact,
        example={"name": "Partner support", "email": "partners@example.com"},
    )
    openapi_servers: tuple[str, ...] | None = key(
        None,
        "The URLs at which partners reach this mount, in the OpenAPI document, such as "
        "`https://api.example.com/api/v1/provisioning`; by default its path. The page `/docs` can call its own host "
        "only.",
        check_server_urls,
        example=["https://api.example.com/api/v1/provisioning"],
    )
    openapi_logo: str | None = key(
        None,
        "The URL of a picture, which the OpenAPI document names in `x-logo` for tools such as Redoc.",
        check_web_url,
        example="https://example.com/logo.svg",
    )

    # The database engine and the tables

    database_url: str | None = key(
        None,
        "SQLAlchemy URL, used if `init_app` is given no database. Without either: SQLite in the instance folder.",
        text,
        secret=True,
        example="postgresql+psycopg://app@db.example.com/app",
    )
    database_options: dict[str, Any] = key(
        None,
        "Further options for SQLAlchemy's `create_engine`, if the extension creates the engine.",
        text_mapping,
        secret=True,
        example={"pool_size": 8, "max_overflow": 0, "pool_timeout": 5},
    )
    statement_timeout_seconds: int = key(
        10,
        "PostgreSQL's statement timeout in seconds (503 beyond), if the extension creates the engine; 0 leaves it to "
        "the server, as does `PROVISIONING_DATABASE_POOLER` = `transaction`.",
        number(0, 3600),
    )
    database_pooler: str | None = key(
        None,
        "The mode of a connection pooler in front of PostgreSQL. `transaction` (PgBouncer's `pool_mode`, Supavisor, "
        "…): connections send no startup options and prepare no statements. `session`: they do both. If unset, a "
        "pooler is detected and logged.",
        choice("transaction", "session"),
        example="transaction",
    )
    sqlite_synchronous: str = key(
        "FULL",
        "`FULL`: a committed write survives a power failure; `NORMAL`: only a crash of the process, but writes are "
        "faster.",
        choice("FULL", "NORMAL"),
        example="NORMAL",
    )
    table_prefix: str = key(
        "provisioning_",
        "The prefix of every table's name.",
        regex(r"[a-z_][a-z0-9_]{0,19}", "1 to 20 of a-z, 0-9 and _, not beginning with a digit"),
        example="eu_",
    )
    auto_migrate: bool | None = key(
        None,
        "Create and upgrade the tables at start. By default only for the embedded SQLite file.",
        flag,
        example=True,
    )
    transaction_attempts: int = key(
        6, "How many times a write is attempted if the database reports a serialization failure.", number(1, 50)
    )

    # Secrets, token claims and roles, and the tokens of an isolated mount

    secret_key: str | None = key(
        None,
        "Signs list cursors, and the tokens of API clients unless `PROVISIONING_CLIENT_PRIVATE_KEY` does; the same in "
        "every process. By default derived from `SECRET_KEY`, else `JWT_SECRET_KEY`.",
        text,
        secret=True,
        example="64 hexadecimal digits of secrets.token_hex(32)",
    )
    encryption_keys: tuple[str, ...] = key(
        (),
        "Encrypt the secrets in the database; the same in every process. The first key encrypts, all of them decrypt. "
        "By default derived from the secret that signs list cursors.",
        check_encryption_keys,
        secret=True,
        example=["the new key, 64 hexadecimal digits", "the old key, 64 hexadecimal digits"],
    )
    realm: str = key(
        "provisioning",
        "The realm that a 401 names in `WWW-Authenticate`.",
        regex(r"[ !#-\[\]-~]{1,100}", "1 to 100 printable ASCII characters without quote or backslash"),
        example="example-cloud",
    )
    roles: dict[str, tuple[str, ...]] = key(
        None,
        "The permissions that each role grants; replaces the default mapping.",
        check_roles,
        example={"reseller": ["tenant:create", "tenant:read"], "provisioning-admin": ["tenant:read", "partner:manage"]},
    )
    admin_roles: tuple[str, ...] = key(
        ("provisioning-admin",),
        "The roles that can access every partner's tenants.",
        texts,
        example=["provisioning-admin", "support"],
    )
    roles_claim: str = key(
        "roles",
        "The claim that holds the roles; a dotted path reads a nested claim.",
        text,
        example="realm_access.roles",
    )
    partner_claim: str = key(
        "partner_id",
        "The claim that names the partner; a dotted path reads a nested claim. A token without it is refused with 403 "
        "`partner-missing`, except an administrator's.",
        text,
        example="organisation.id",
    )
    partner_from_sub: bool = key(
        False,
        "Use `sub` as the partner if the partner claim is absent: each `sub` is then its own partner.",
        flag,
        example=True,
    )
    permissions_claim: str | None = key(
        "permissions",
        "The claim that, if present, restricts what the roles grant; None: no claim does.",
        optional(text),
        example="scp",
    )
    jwt_secret_key: str | None = key(
        None,
        "The shared key that verifies an isolated mount's tokens. If any `PROVISIONING_JWT_*` key is set, the mount "
        "ignores `JWT_*` and the app's `JWTManager`.",
        text,
        secret=True,
        example="a secret of the partners' issuer, 32 bytes or more",
    )
    jwt_public_key: str | None = key(
        None,
        "The public key (PEM) that verifies them, for RS256, ES256 and similar.",
        check_pem,
        example="-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----",
    )
    jwt_private_key: str | None = key(
        None,
        "The private key (PEM) with which `flask provisioning token` signs, for RS256, ES256 and similar.",
        check_pem,
        secret=True,
        example="-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----",
    )
    jwt_algorithm: str | None = key(
        None, "The algorithm of an isolated mount's tokens; HS256 if unset.", text, example="RS256"
    )
    jwt_decode_algorithms: tuple[str, ...] | None = key(
        None, "Further accepted algorithms, of the same kind.", texts, example=["RS256", "RS512"]
    )
    jwt_decode_audience: str | tuple[str, ...] | None = key(
        None,
        "The audience that tokens must name; at least one if several are listed.",
        text_or_texts,
        example="provisioning",
    )
    jwt_decode_issuer: str | tuple[str, ...] | None = key(
        None,
        "The issuer that tokens must name; one of them if several are listed.",
        text_or_texts,
        example="https://id.example.com/realms/partners",
    )
    jwt_decode_leeway: int | None = key(
        None,
        "The accepted clock difference in seconds for `exp`, `nbf` and `iat`; 0 if unset.",
        number(0, 3600),
        example=10,
    )
    issuers: dict[str, IssuerConfig] = key(
        None,
        "Identity providers whose tokens are accepted beside the app's own, by the issuer that tokens name in `iss`: "
        "for each `jwks` (the URL or the file of its keys) and `audience`, and, where they differ from the defaults, "
        "`algorithms`, `audience_claim`, `roles_claim`, `permissions_claim`, `partner_claim`, `roles`, "
        "`default_roles`, `require` and `leeway`. With an issuer, a key of the app's own is not needed.",
        check_issuers,
        example={
            "https://id.example.com/realms/partners": {
                "jwks": "https://id.example.com/realms/partners/protocol/openid-connect/certs",
                "audience": "provisioning",
            }
        },
    )
    token_cache_size: int = key(
        4096,
        "How many verified tokens a process caches; 0 verifies the signature at every request.",
        number(0, 1_000_000),
    )

    # API clients, and the access tokens that the API issues to them

    client_limit: int = key(50, "How many API clients a partner may have.", number(0, 10_000))
    client_token_seconds: int = key(
        900, "For how many seconds an access token of an API client is valid.", number(60, 86_400)
    )
    client_private_key: str | None = key(
        None,
        "The private key (PEM) that signs these tokens: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA). `GET "
        "/oauth/jwks` publishes its public half. By default they are signed with HS256 and a key derived from the "
        "secret that signs list cursors. The same in every process.",
        check_pem,
        secret=True,
        example="-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----",
    )
    oauth_issuer: str | None = key(
        None,
        "The issuer that these tokens name in `iss`: a URL without query and fragment. By default the URL at which "
        "the client reached the mount, and the tokens are accepted at each of its URLs.",
        check_issuer_url,
        example="https://api.example.com/api/provisioning",
    )

    # Partners

    partner_registration: str = key(
        "automatic",
        "`automatic` registers a partner at its first request; with `admin` only an administrator registers partners, "
        "and requests of others are refused.",
        choice("automatic", "admin"),
        example="admin",
    )
    partner_cache_seconds: int = key(
        1,
        "For how many seconds a process may cache a partner's status and its API clients; 0 asks the database at every "
        "request. It must be the same in all processes.",
        number(0, 3600),
    )

    # Rate limits; they need the extra `limiter`

    rate_limits: dict[str, str] = key(
        None,
        "How many requests each partner may send to each class of routes (`read`, `write`, `bulk`), for example "
        "`{'read': '600/minute', 'write': '10/second;120/minute'}`; a class without an entry has no limit.",
        check_rate_limits,
        example={"read": "600/minute", "write": "10/second;120/minute", "bulk": "10/minute"},
    )
    rate_limit_storage: str = key(
        MEMORY_STORAGE,
        "The storage of the counts, as a URL of `limits`: `memory://` counts per process, Redis across all processes. "
        "Ignored if the app has its own `Limiter`, whose storage is then used.",
        check_rate_limit_storage,
        secret=True,
        example="redis://127.0.0.1:6379/3",
    )

    # Tenants: plans, fields and retention

    plans: tuple[str, ...] | None = key(
        None, "The plans that tenants can have; any text if unset.", texts, example=["free", "pro"]
    )
    phone_e164: bool = key(
        False, "Accept only valid E.164 numbers; needs the extra `phone`.", check_phone_e164, example=True
    )
    retention_days: int = key(30, "Days during which a deleted tenant can be restored.", number(0, 36_500))
    event_retention_days: int = key(30, "Days for which events stay in the feed.", number(1, 36_500))
    erasure_days: int = key(
        7,
        "Days after a purge until all personal data of the tenant is erased from its events, bulk jobs and stored "
        "responses, at the latest when its events are removed; 0: with the workers' next maintenance run.",
        number(0, 36_500),
    )

    # Settings of tenants and partners (`provisioning.settings`)

    settings_history: int = key(
        100,
        "How many versions of a tenant's or a partner's settings are kept, for the history and for rollbacks.",
        number(1, 10_000),
    )
    settings_cache_seconds: int = key(
        1,
        "For how many seconds a process may cache settings; 0 reads them from the database each time. A process sees "
        "its own changes at once.",
        number(0, 3600),
    )

    # Bulk jobs

    bulk_max_rows: int = key(1_000_000, "How many rows a bulk upload may have.", number(1, 100_000_000))
    bulk_max_bytes: int = key(
        1 << 30, "The largest bulk upload in bytes, both as sent and unpacked.", number(1024, 1 << 40)
    )
    upload_seconds: int = key(1800, "How many seconds a bulk upload may take in total.", number(10, 86_400))
    bulk_atomic_rows: int = key(10_000, "How many rows a bulk job with `mode=atomic` may have.", number(1, 1_000_000))
    bulk_atomic_bytes: int = key(
        5 << 20,
        "How many bytes a bulk job with `mode=atomic` may have: as sent, unpacked, and as rows of JSON. One "
        "transaction applies all of it, and a worker needs about six times as much memory.",
        number(1024, 1 << 30),
    )
    bulk_open_jobs: int = key(
        100, "How many unfinished bulk jobs one partner may have, uploads in progress included.", number(1, 100_000)
    )
    bulk_retention_days: int = key(30, "For how many days a bulk job and its results are kept.", number(1, 3650))
    bulk_kept_bytes: int = key(
        1 << 30,
        "How many compressed bytes of rows and results are kept of one partner's finished bulk jobs; beyond that, "
        "those of the oldest jobs are dropped within minutes.",
        number(0, 1 << 50),
    )

    # Webhooks: their number, and the URLs that they may be sent to

    webhook_limit: int = key(20, "How many webhook endpoints a partner may have.", number(0, 10_000))
    webhook_schemes: tuple[str, ...] = key(
        ("https",),
        "The schemes of URLs that webhooks may be sent to; `http` is for internal receivers.",
        check_url_schemes,
        example=["https", "http"],
    )
    webhook_ports: tuple[int, ...] = key(
        (443, 8443), "The ports of such URLs; `[]` allows any.", check_ports, example=[443, 8443, 9443]
    )
    webhook_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = key(
        (),
        "Internal networks that webhooks may be sent to, for example `['10.1.0.0/16']`. Any partner that may manage "
        "webhooks can send requests to every host in them.",
        check_networks,
        example=["10.1.0.0/16"],
    )

    # The work that follows a commit, and its workers

    engine: str = key(
        "embedded",
        "What runs the work that follows a commit: `embedded`, a thread of each serving process from its first "
        "request on; `external`, only `flask provisioning worker`; `celery`, the workers of the host's Celery app.",
        check_engine,
        example="external",
    )
    worker_threads: int = key(8, "How many steps a worker, or a Celery task, runs at once.", number(1, 1000))
    worker_poll_seconds: int = key(
        2, "Seconds between two polls of an idle worker for work that is due.", number(1, 3600)
    )
    worker_lease_seconds: int = key(
        30, "Seconds after which other workers take over the work of one that has died.", number(1, 3600)
    )

    # Metrics and traces

    telemetry: tuple[str, ...] = key(
        (),
        "Where spans and metrics go: `opentelemetry`, to the SDK that the host sets up (extra `otel`); `prometheus`, "
        "to `GET /metrics` (extra `prometheus`). Empty: nothing is recorded, and neither library is loaded.",
        check_telemetry,
        example=["prometheus"],
    )
    metrics_token: str | None = key(
        None,
        "A token of 16 characters or more that may read `GET /metrics` and `GET /health`, besides callers with "
        "`metrics:read`: for Prometheus, as a bearer token that does not expire.",
        optional(regex(r"[A-Za-z0-9._~+/-]{16,512}=*", "a text of 16 to 512 of A-Z a-z 0-9 . _ ~ + / -")),
        secret=True,
        example="a-random-text-of-16-characters-or-more",
    )

    # The licence and the keys that verify it

    license_file: str | None = key(
        None, "Path of the vendor's signed licence file.", text, example="/etc/example/provisioning.license"
    )
    license: str | None = key(
        None, "The signed licence itself, instead of a file.", text, secret=True, example="the text of the licence file"
    )
    license_public_keys: dict[str, str] = key(
        None,
        "The vendor's Ed25519 public keys (PEM or base64) by key id.",
        check_public_keys,
        secret=True,
        example={"2026-a": "MCowBQYDK2VwAyEA…"},
    )
    license_revoked: tuple[str, ...] = key(
        (), "Key ids and licence ids that are no longer trusted.", texts, example=["2024-a"]
    )
    license_reload_seconds: int = key(
        5, "The shortest interval in seconds between two checks of the licence file for changes.", number(0, 86_400)
    )
    install_id: str | None = key(
        None, "This installation's id, which a licence may be bound to.", text, example="example-production"
    )

    @property
    def jwt_overrides(self) -> dict[str, Any]:
        """The ``JWT_*`` keys of an isolated mount, under the names and in the types that Flask-JWT-Extended expects."""
        keys = {name.upper(): value for name, value in vars(self).items() if name.startswith("jwt_")}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in keys.items()
            if value is not None
        }

    @classmethod
    def read(
        cls, config: Mapping[str, Any], overrides: Mapping[str, Any], host_permissions: Iterable[str] = ()
    ) -> Config:
        """Read and validate all keys of a Flask config.

        `overrides` are this mount's own values, by field name; they win. `host_permissions` are the permissions that
        the host has declared, which roles may grant too. Raises `ConfigurationError` that names every invalid key at
        once.
        """
        roles_check = partial(check_roles, permissions={*PERMISSIONS, *host_permissions})
        values = _check_values(dataclasses.fields(cls), config, overrides, {"roles": roles_check})
        values["roles"] = values["roles"] or DEFAULT_ROLES
        values["database_options"] = values["database_options"] or {}
        values["license_public_keys"] = values["license_public_keys"] or {}
        values["issuers"] = values["issuers"] or {}
        _require_known_roles(values["issuers"], values["roles"])
        values["rate_limits"] = values["rate_limits"] or {}
        return cls(**values)


def _require_known_roles(issuers: Mapping[str, IssuerConfig], roles: Mapping[str, Any]) -> None:
    """Raise `ConfigurationError` if an issuer's tokens would get a role that does not exist."""
    for issuer, config in issuers.items():
        given = [*config.default_roles, *(role for names in (config.roles or {}).values() for role in names)]
        unknown = [role for role in given if role not in roles]
        if unknown:
            raise ConfigurationError(
                f"{config_name('issuers')} gives tokens of {issuer!r} the role {unknown[0]!r}, and there is none: "
                f"the roles are {', '.join(roles)}."
            )


def _check_values(
    fields: Iterable[dataclasses.Field[Any]],
    config: Mapping[str, Any],
    overrides: Mapping[str, Any],
    checks: Mapping[str, Check],
) -> dict[str, Any]:
    """Validate the configured value of each of `fields` and return the values by field name.

    `checks` replace the declared checks of the fields that they name.

    Logs a warning for every ``PROVISIONING_*`` key in `config` that does not exist. Raises `ConfigurationError` that
    names every invalid key at once.
    """
    declared = {field.name: field for field in fields}
    configured = {key[len(PREFIX) :].lower(): value for key, value in config.items() if key.startswith(PREFIX)}
    for name in sorted(configured.keys() - declared.keys()):
        _warn_unknown_key(name, declared)
    values: dict[str, Any] = {}
    faults = [
        f"TenantProvisioning has no option {name}{_suggest_name(name, declared, str)}"
        for name in sorted(overrides.keys() - declared.keys())
    ]
    for name, field in declared.items():
        value = overrides.get(name, configured.get(name, field.default))
        try:
            is_unset = value is None and field.default is None
            values[name] = None if is_unset else checks.get(name, field.metadata["check"])(value)
        except ValueError as expected:
            shown = "" if field.metadata["secret"] else f", not {value!r}"
            faults.append(f"{config_name(name)} must be {expected}{shown}.")
    if faults:
        raise ConfigurationError("\n".join(faults))
    return values


def _warn_unknown_key(name: str, declared: Iterable[str]) -> None:
    key, suggestion = config_name(name), _suggest_name(name, declared, config_name)
    logger.warning("flask-tenant-provisioning has no key %s%s", key, suggestion, extra={"key": key})


def _suggest_name(name: str, declared: Iterable[str], render: Callable[[str], str]) -> str:
    matches = difflib.get_close_matches(name, declared, n=1)
    return f"; did you mean {render(matches[0])}?" if matches else "."
