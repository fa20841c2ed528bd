"""Every ``PROVISIONING_*`` key: what it is by default, what it takes, and what is said about everything else."""

from __future__ import annotations

import dataclasses
import logging
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.config import DEFAULT_ROLES, PERMISSIONS, Config, ConfigurationError
from flask_tenant_provisioning.config_checks import IssuerConfig

DEFAULTS: dict[str, Any] = {
    "edition": "enterprise",
    "url_prefix": "/api/provisioning",
    "mount": "blueprint",
    "database_url": None,
    "database_options": {},
    "statement_timeout_seconds": 10,
    "database_pooler": None,
    "sqlite_synchronous": "FULL",
    "table_prefix": "provisioning_",
    "auto_migrate": None,
    "transaction_attempts": 6,
    "secret_key": None,
    "encryption_keys": (),
    "realm": "provisioning",
    "roles": DEFAULT_ROLES,
    "admin_roles": ("provisioning-admin",),
    "roles_claim": "roles",
    "partner_claim": "partner_id",
    "partner_from_sub": False,
    "permissions_claim": "permissions",
    "jwt_secret_key": None,
    "jwt_public_key": None,
    "jwt_private_key": None,
    "jwt_algorithm": None,
    "jwt_decode_algorithms": None,
    "jwt_decode_audience": None,
    "jwt_decode_issuer": None,
    "jwt_decode_leeway": None,
    "issuers": {},
    "token_cache_size": 4096,
    "client_limit": 50,
    "client_token_seconds": 900,
    "client_private_key": None,
    "oauth_issuer": None,
    "max_body_bytes": 1_048_576,
    "body_seconds": 10,
    "server_threads": None,
    "long_requests": None,
    "long_requests_per_partner": None,
    "require_if_match": False,
    "idempotency_hours": 24,
    "retention_days": 30,
    "event_retention_days": 30,
    "erasure_days": 7,
    "tenant_cache_seconds": 5,
    "partner_registration": "automatic",
    "partner_cache_seconds": 1,
    "rate_limits": {},
    "rate_limit_storage": "memory://",
    "settings_history": 100,
    "settings_cache_seconds": 1,
    "invitation_url": None,
    "invitation_seconds": 604_800,
    "invitation_limit": 20,
    "bulk_max_rows": 1_000_000,
    "bulk_max_bytes": 1_073_741_824,
    "upload_seconds": 1800,
    "bulk_atomic_rows": 10_000,
    "bulk_atomic_bytes": 5_242_880,
    "bulk_open_jobs": 100,
    "bulk_retention_days": 30,
    "bulk_kept_bytes": 1_073_741_824,
    "webhook_limit": 20,
    "engine": "embedded",
    "worker_threads": 8,
    "worker_poll_seconds": 2,
    "worker_lease_seconds": 30,
    "webhook_schemes": ("https",),
    "webhook_ports": (443, 8443),
    "webhook_allowed_networks": (),
    "telemetry": (),
    "metrics_token": None,
    "plans": None,
    "phone_e164": False,
    "request_id_key": "request_id",
    "problem_base_uri": None,
    "openapi_title": "Tenant provisioning",
    "openapi_version": None,
    "openapi_description": None,
    "openapi_contact": None,
    "openapi_servers": None,
    "openapi_logo": None,
    "public_docs": True,
    "license_file": None,
    "license": None,
    "license_public_keys": {},
    "license_revoked": (),
    "license_reload_seconds": 5,
    "install_id": None,
}

TEXT = "a text that is not empty"
NUMBER_AS_TEXT = "a text (in an environment variable, a number within double quotes)"
FLAG = "True or False (in an environment variable, true or false)"
TEXTS = "a list of texts, none of them empty"
ENCRYPTION_KEYS = "a list of texts, each of 16 characters or more"
TEXT_OR_TEXTS = "a text or a list of texts, none of them empty"
KEYS = "a mapping of key id to public key, both texts"
ROLES = "a mapping of role to a list of permissions"
PATH = "a path such as '/api/provisioning', without a slash at its end"
CONTACT = "a mapping with one or more of 'name', 'url' and 'email'"
CONTACT_VALUES = "a mapping of 'name', 'url' and 'email' to texts, where 'url' begins with https:// or http://"
SERVERS = "a list of URLs that begin with https://, http:// or /"
WEB_URL = "a URL that begins with https:// or http://"
ISSUER_URL = f"{WEB_URL}, without query and fragment"
REALM = "1 to 100 printable ASCII characters without quote or backslash"
TABLES = "1 to 20 of a-z, 0-9 and _, not beginning with a digit"
PORTS = "a list of whole numbers from 1 to 65535"
ISSUERS = "a mapping of issuer to a mapping with 'jwks' and 'audience'"
NETWORKS = "a list of networks such as '10.1.0.0/16' or 'fd00::/8', each from its first address"
CLASSES = "a mapping of 'read', 'write', 'bulk', 'token' to limits such as '600/minute' or '10/second;600/minute'"
LIMIT = "a mapping that names for 'read' a limit such as '600/minute' or '10/second;600/minute'"
WINDOWS = (
    "a mapping that names for 'read' limits such as '600/minute' or '10/second;600/minute', "
    "each for a time of its own, of ten years at most"
)
METRICS_TOKEN = "a text of 16 to 512 of A-Z a-z 0-9 . _ ~ + / -"
STORAGE = "the URL of a storage of `limits`, such as 'redis://127.0.0.1:6379/3'"
SECRET = "hunter2"
SECRETS = {
    "metrics_token",
    "client_private_key",
    "database_url",
    "database_options",
    "secret_key",
    "encryption_keys",
    "jwt_secret_key",
    "jwt_private_key",
    "license",
    "license_public_keys",
    "rate_limit_storage",
}

TAKEN: list[tuple[str, Any, Any]] = [
    ("edition", "community", "community"),
    ("url_prefix", "/a", "/a"),
    ("url_prefix", "/a/b-c/d_e/v1.0/~f", "/a/b-c/d_e/v1.0/~f"),
    ("mount", "isolated", "isolated"),
    ("database_url", "sqlite:///file", "sqlite:///file"),
    ("database_options", {"pool_size": 3}, {"pool_size": 3}),
    ("statement_timeout_seconds", 0, 0),
    ("database_pooler", "transaction", "transaction"),
    ("sqlite_synchronous", "NORMAL", "NORMAL"),
    ("table_prefix", "_eu_2", "_eu_2"),
    ("table_prefix", "a" * 20, "a" * 20),
    ("auto_migrate", True, True),
    ("auto_migrate", False, False),
    ("transaction_attempts", 1, 1),
    ("transaction_attempts", 50, 50),
    ("secret_key", "s", "s"),
    ("encryption_keys", ["b" * 16, "a" * 16], ("b" * 16, "a" * 16)),
    ("encryption_keys", [], ()),
    ("realm", "Partners' API, (EU)", "Partners' API, (EU)"),
    ("roles", {"clerk": ["tenant:read"], "idler": []}, {"clerk": ("tenant:read",), "idler": ()}),
    ("admin_roles", ["root"], ("root",)),
    ("admin_roles", [], ()),
    ("roles_claim", "https://example.com/roles", "https://example.com/roles"),
    ("partner_claim", "a.b", "a.b"),
    ("partner_from_sub", True, True),
    ("request_id_key", "correlation_id", "correlation_id"),
    ("permissions_claim", "scope", "scope"),
    ("permissions_claim", None, None),
    ("jwt_secret_key", "s", "s"),
    ("jwt_public_key", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----"),
    ("jwt_private_key", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----"),
    ("jwt_algorithm", "RS256", "RS256"),
    ("jwt_decode_algorithms", ["RS256", "RS512"], ("RS256", "RS512")),
    ("jwt_decode_audience", "provisioning", "provisioning"),
    ("jwt_decode_audience", ["a", "b"], ("a", "b")),
    ("jwt_decode_issuer", "https://id.example.com", "https://id.example.com"),
    ("jwt_decode_issuer", ["a", "b"], ("a", "b")),
    ("jwt_decode_leeway", 0, 0),
    (
        "issuers",
        {"https://id.example.com": {"jwks": "keys.json", "audience": "a", "roles": {"boss": "partner-admin"}}},
        {"https://id.example.com": IssuerConfig(jwks="keys.json", audience=("a",), roles={"boss": ("partner-admin",)})},
    ),
    ("token_cache_size", 0, 0),
    ("client_limit", 0, 0),
    ("client_token_seconds", 60, 60),
    ("client_private_key", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----"),
    ("oauth_issuer", "https://api.example.com/api/", "https://api.example.com/api"),
    ("max_body_bytes", 1024, 1024),
    ("body_seconds", 1, 1),
    ("server_threads", 8, 8),
    ("long_requests", 1, 1),
    ("long_requests", None, None),
    ("long_requests_per_partner", 1, 1),
    ("require_if_match", True, True),
    ("idempotency_hours", 1, 1),
    ("retention_days", 0, 0),
    ("event_retention_days", 1, 1),
    ("erasure_days", 0, 0),
    ("tenant_cache_seconds", 0, 0),
    ("partner_registration", "admin", "admin"),
    ("partner_cache_seconds", 0, 0),
    ("rate_limits", {"read": "600/minute", "bulk": "1 per 5 second"}, {"read": "600/minute", "bulk": "1 per 5 second"}),
    ("rate_limits", {"write": "10/second; 600 per hour"}, {"write": "10/second; 600 per hour"}),
    ("rate_limits", {"read": "999999999999999/10 year"}, {"read": "999999999999999/10 year"}),
    ("rate_limits", {}, {}),
    ("rate_limit_storage", "redis://user:hunter2@127.0.0.1:6379/3", "redis://user:hunter2@127.0.0.1:6379/3"),
    ("rate_limit_storage", "redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock"),
    ("settings_history", 1, 1),
    ("settings_cache_seconds", 0, 0),
    ("bulk_max_rows", 1, 1),
    ("bulk_max_bytes", 1024, 1024),
    ("upload_seconds", 10, 10),
    ("bulk_atomic_rows", 1, 1),
    ("bulk_atomic_bytes", 1024, 1024),
    ("bulk_open_jobs", 1, 1),
    ("bulk_retention_days", 1, 1),
    ("bulk_kept_bytes", 0, 0),
    ("invitation_url", "https://example.com/welcome/{token}", "https://example.com/welcome/{token}"),
    ("invitation_url", "http://localhost:5000/?a=1&t={token}", "http://localhost:5000/?a=1&t={token}"),
    ("invitation_url", "https://example.com/#{token}/end", "https://example.com/#{token}/end"),
    ("invitation_seconds", 60, 60),
    ("invitation_limit", 0, 0),
    ("webhook_limit", 0, 0),
    ("engine", "external", "external"),
    ("engine", "celery", "celery"),
    ("worker_threads", 1, 1),
    ("worker_poll_seconds", 3600, 3600),
    ("worker_lease_seconds", 1, 1),
    ("webhook_schemes", ["https", "http"], ("https", "http")),
    ("webhook_ports", [1, 65535], (1, 65535)),
    ("webhook_ports", {8443}, (8443,)),
    ("webhook_ports", [], ()),
    (
        "webhook_allowed_networks",
        ["10.1.0.0/16", "192.0.2.7", "fd00::/8"],
        (ip_network("10.1.0.0/16"), ip_network("192.0.2.7/32"), ip_network("fd00::/8")),
    ),
    ("plans", ("free", "pro"), ("free", "pro")),
    ("plans", {"free"}, ("free",)),
    ("plans", [], ()),
    ("phone_e164", True, True),
    ("telemetry", [], ()),
    ("telemetry", ["prometheus", "opentelemetry", "prometheus"], ("prometheus", "opentelemetry")),
    ("metrics_token", "0123456789abcdef", "0123456789abcdef"),
    ("problem_base_uri", "https://example.com/p/", "https://example.com/p/"),
    ("openapi_title", "Acme for partners", "Acme for partners"),
    ("openapi_version", "2025-02", "2025-02"),
    ("openapi_description", "All about **Acme**.", "All about **Acme**."),
    (
        "openapi_contact",
        {"name": "API team", "email": "api@acme.example"},
        {"name": "API team", "email": "api@acme.example"},
    ),
    ("openapi_servers", ["https://api.example.com/v1/", "/v1"], ("https://api.example.com/v1", "/v1")),
    ("openapi_logo", "https://acme.example/logo.svg", "https://acme.example/logo.svg"),
    ("public_docs", False, False),
    ("license_file", "/etc/license", "/etc/license"),
    ("license", "a.b.c", "a.b.c"),
    ("license_public_keys", {"k": "abc"}, {"k": "abc"}),
    ("license_revoked", ["k"], ("k",)),
    ("license_reload_seconds", 0, 0),
    ("install_id", "eu-1", "eu-1"),
]

WRONG: list[tuple[str, str, tuple[Any, ...]]] = [
    ("edition", "'enterprise' or 'community'", ("Community", "", None, 1, ["community"])),
    ("url_prefix", PATH, ("", "/", "api", "/api/", "/a//b", "/a b", "/<x>", "/a\n", None, 5)),
    ("mount", "'blueprint' or 'isolated'", ("", "Isolated", None, True)),
    ("database_url", TEXT, ("", b"sqlite://", ["sqlite://"], True)),
    ("database_options", "a mapping of names to values", ("pool_size=3", ["pool_size"], {1: 2})),
    ("statement_timeout_seconds", "a whole number from 0 to 3600", (-1, 3601, "10", 1.5, None)),
    ("database_pooler", "'transaction' or 'session'", ("statement", "", True, 1)),
    ("sqlite_synchronous", "'FULL' or 'NORMAL'", ("OFF", "normal", None)),
    ("table_prefix", TABLES, ("", "a" * 21, "2eu_", "EU_", "eu-", 'x"; --', "a\n", None)),
    ("auto_migrate", FLAG, ("True", "yes", 1, 0)),
    ("transaction_attempts", "a whole number from 1 to 50", (0, 51, "6", 6.0, True, None)),
    ("secret_key", TEXT, ("", b"bytes")),
    ("encryption_keys", ENCRYPTION_KEYS, ("k" * 16, ["k" * 15], ["k" * 16, ""], [b"k" * 16], {"k" * 16}, None)),
    ("realm", REALM, ("", 'a"b', "a\\b", "a\nb", "é", "a" * 101, None, 5)),
    ("roles", ROLES, ("partner-admin", ["partner-admin"], {1: []}, {"": []}, {"a": "tenant:read"})),
    ("admin_roles", TEXTS, ("root", [""], [1], {"root": True}, None)),
    ("roles_claim", TEXT, ("", None, ["roles"])),
    ("partner_claim", TEXT, ("", None, ["sub"])),
    ("partner_from_sub", FLAG, (1, "yes", None)),
    ("request_id_key", TEXT, ("", None, ["id"])),
    ("permissions_claim", TEXT, ("", False, ["scope"])),
    ("jwt_secret_key", TEXT, ("", b"bytes")),
    ("jwt_public_key", TEXT, ("", b"bytes")),
    ("jwt_private_key", TEXT, ("", b"bytes")),
    ("jwt_algorithm", TEXT, ("", ["HS256"])),
    ("jwt_decode_algorithms", TEXTS, ("HS256", [""])),
    ("jwt_decode_audience", TEXT_OR_TEXTS, ("", [], [""], 5, {"a": "b"})),
    ("jwt_decode_issuer", TEXT_OR_TEXTS, ("", [], ["a", 5], b"issuer")),
    ("jwt_decode_leeway", "a whole number from 0 to 3600", (-1, 3601, "5", 1.5)),
    ("issuers", ISSUERS, ([], "https://id.example.com", {"": {}}, {1: {}})),
    ("token_cache_size", "a whole number from 0 to 1000000", (-1, 1_000_001, "1", None)),
    ("client_limit", "a whole number from 0 to 10000", (-1, 10_001, "20", None)),
    ("client_token_seconds", "a whole number from 60 to 86400", (59, 86_401, "900", None)),
    ("client_private_key", TEXT, ("", b"bytes")),
    ("oauth_issuer", ISSUER_URL, ("", "api", "https://a.example?b", "https://a.example#b", 5)),
    ("max_body_bytes", "a whole number from 1024 to 1073741824", (1023, 2**30 + 1, "1 MiB", None)),
    ("require_if_match", FLAG, ("True", 1, None)),
    ("idempotency_hours", "a whole number from 1 to 8760", (0, 8761, "24", 24.0, None)),
    ("event_retention_days", "a whole number from 1 to 36500", (0, 36_501, 30.5, None)),
    ("erasure_days", "a whole number from 0 to 36500", (-1, 36_501, 7.5, None)),
    ("tenant_cache_seconds", "a whole number from 0 to 3600", (-1, 3601, 1.5, None)),
    ("partner_registration", "'automatic' or 'admin'", ("", "open", None)),
    ("partner_cache_seconds", "a whole number from 0 to 3600", (-1, 3601, 1.5, None)),
    ("rate_limits", CLASSES, ("600/minute", ["read"], {"reads": "1/day"}, {1: "1/day"}, {"": "1/day"})),
    ("rate_limits", LIMIT, tuple({"read": text} for text in ("", "1", "1/week", "-1/day", "1.5/day", "1/day,", 5))),
    ("rate_limits", f"{LIMIT}, of 1 request or more", ({"read": "0/day"}, {"read": "1000000000000000/day"})),
    ("rate_limits", WINDOWS, ({"read": "1/minute;2/60 second"}, {"read": "1/11 year"})),
    ("rate_limit_storage", "a URL such as 'redis://127.0.0.1:6379/3'", ("", None, 5, ["memory://"])),
    ("rate_limit_storage", STORAGE, ("hunter2", "http://hunter2@127.0.0.1", "async+memory://", "Redis")),
    (
        "rate_limit_storage",
        "the URL of a storage whose driver is installed: pip install pymongo",
        ("mongodb://hunter2@127.0.0.1",),
    ),
    ("settings_history", "a whole number from 1 to 10000", (0, 10_001, 1.5, None)),
    ("settings_cache_seconds", "a whole number from 0 to 3600", (-1, 3601, True, None)),
    ("bulk_max_rows", "a whole number from 1 to 100000000", (0, 100_000_001, "5", None)),
    ("body_seconds", "a whole number from 1 to 3600", (0, 3601, 1.5, "10", None)),
    ("server_threads", "a whole number from 1 to 100000", (0, 100_001, "8")),
    ("long_requests", "a whole number from 1 to 100000", (0, 100_001, "8")),
    ("long_requests_per_partner", "a whole number from 1 to 100000", (0, 100_001, "8")),
    ("upload_seconds", "a whole number from 10 to 86400", (9, 86_401, "10", None)),
    ("bulk_max_bytes", "a whole number from 1024 to 1099511627776", (1023, 2**40 + 1, "1 GiB", None)),
    ("bulk_atomic_rows", "a whole number from 1 to 1000000", (0, 1_000_001, 1.5, None)),
    ("bulk_atomic_bytes", "a whole number from 1024 to 1073741824", (1023, 2**30 + 1, "8 MiB", None)),
    ("bulk_open_jobs", "a whole number from 1 to 100000", (0, 100_001, "5", None)),
    ("bulk_kept_bytes", "a whole number from 0 to 1125899906842624", (-1, 2**50 + 1, "1 GiB", None)),
    ("bulk_retention_days", "a whole number from 1 to 3650", (0, 3651, 30.5, None)),
    (
        "invitation_url",
        "an https or http URL with {token} in its path, query or fragment",
        (
            "",
            7,
            b"x",
            "https://example.com/welcome",
            "/welcome/{token}",
            "https://{token}.example.com/",
            "https://example.com{token}",
            "ftp://example.com/{token}",
            "https://example.com/{token}/{token}",
            "https://example.com/{tenant}/{token}",
            "https://example.com/a b/{token}",
            "https://[x/{token}",
            "javascript:alert(1)//{token}",
        ),
    ),
    ("invitation_seconds", "a whole number from 60 to 31536000", (59, 31_536_001, "7 days", None)),
    ("invitation_limit", "a whole number from 0 to 10000", (-1, 10_001, "20", None)),
    ("webhook_limit", "a whole number from 0 to 10000", (-1, 10_001, "20", 2.0, None)),
    ("retention_days", "a whole number from 0 to 36500", (-1, 36_501, 30.5, None)),
    ("engine", "'embedded' or 'external' or 'celery'", ("Embedded", "", None, 1)),
    ("worker_threads", "a whole number from 1 to 1000", (0, 1001, "8", 8.0, None)),
    ("worker_poll_seconds", "a whole number from 1 to 3600", (0, 3601, 0.5, None)),
    ("worker_lease_seconds", "a whole number from 1 to 3600", (0, 3601, "30", None)),
    ("webhook_schemes", "a list out of 'https' and 'http'", ("https", [], ["ftp"], ["HTTPS"], [1], None)),
    ("webhook_ports", PORTS, (443, "443", ["443"], [0], [65536], [True], [443.0], None)),
    ("webhook_allowed_networks", NETWORKS, ("10.0.0.0/8", ["10.1.2.3/16"], ["inside"], [""], [10], None)),
    ("plans", TEXTS, ("free", b"free", ["free", ""], ["free", None], {"free": 1})),
    ("phone_e164", FLAG, ("false", 0, None)),
    ("metrics_token", METRICS_TOKEN, ("short", "with a space in it", 7, "\xe9" * 20)),
    ("telemetry", "a list out of 'opentelemetry' and 'prometheus'", ("prometheus", ["statsd"], [1], True)),
    ("problem_base_uri", TEXT, ("", b"https://example.com", False)),
    ("openapi_title", TEXT, ("", None, ["x"])),
    ("openapi_version", TEXT, ("", b"2", [])),
    ("openapi_description", TEXT, ("", 1.0j, {})),
    ("openapi_contact", CONTACT, ({}, "api@acme.example", {"phone": "1"})),
    ("openapi_contact", CONTACT_VALUES, ({"name": ""}, {"url": "acme.example"}, {"email": None})),
    (
        "openapi_servers",
        SERVERS,
        ([], "https://x.example", ["x.example"], ["//x.example"], ["ftp://x"], ["/a b"]),
    ),
    ("openapi_logo", WEB_URL, ("", "logo.svg", "javascript:alert(1)", "https://", "https://x.example/<b>", 7)),
    ("public_docs", FLAG, ("False", 1, None)),
    ("license_file", TEXT, ("", b"/etc/license")),
    ("license", TEXT, ("", b"a.b.c")),
    ("license_public_keys", KEYS, ("abc", ["abc"], {"k": b"abc"}, {"k": ""}, {1: "abc"})),
    ("license_revoked", TEXTS, ("k", [1], None)),
    ("license_reload_seconds", "a whole number from 0 to 86400", (-1, 86_401, "5", None)),
    ("install_id", TEXT, ("", ["eu-1"])),
    ("install_id", NUMBER_AS_TEXT, (17, 1.5)),
]
REFUSED = [(name, wrong, wanted) for name, wanted, every in WRONG for wrong in every]


def read(**keys: Any) -> Config:
    """The settings of a host that configures these keys, given without their prefix and in lower case."""
    return Config.read({f"PROVISIONING_{name.upper()}": value for name, value in keys.items()}, {})


def refusal(config: dict[str, Any], **overrides: Any) -> str:
    """Return the message about a configuration."""
    with pytest.raises(ConfigurationError) as caught:
        Config.read(config, overrides)
    return str(caught.value)


def from_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Config:
    """The settings of a host that reads `variables` with Flask's ``from_prefixed_env``."""
    for name, value in variables.items():
        monkeypatch.setenv(f"FLASK_PROVISIONING_{name.upper()}", value)
    app = Flask("host")
    app.config.from_prefixed_env()
    return Config.read(app.config, {})


def test_the_defaults_are_these() -> None:
    assert vars(Config.read({}, {})) == DEFAULTS


def test_each_key_has_a_description() -> None:
    assert [field.name for field in dataclasses.fields(Config) if not field.metadata["meaning"].endswith(".")] == []


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_may_be_written_out(name: str) -> None:
    (field,) = [field for field in dataclasses.fields(Config) if field.name == name]
    assert read(**{name: field.default}) == read()


@pytest.mark.parametrize("table", [TAKEN, REFUSED], ids=["taken", "refused"])
def test_each_key_is_in_the_tables_of_these_tests(table: list[tuple[str, Any, Any]]) -> None:
    assert {name for name, *_ in table} == DEFAULTS.keys()


@pytest.mark.parametrize(("name", "value", "expected"), TAKEN)
def test_valid_keys_are_accepted(name: str, value: Any, expected: Any) -> None:
    assert vars(read(**{name: value})) == {**DEFAULTS, name: expected}


@pytest.mark.parametrize(("name", "value", "expected"), TAKEN)
def test_a_mount_overrides(name: str, value: Any, expected: Any) -> None:
    settings = Config.read({f"PROVISIONING_{name.upper()}": DEFAULTS[name]}, {name: value})
    assert getattr(settings, name) == expected


@pytest.mark.parametrize(("name", "value", "wanted"), REFUSED)
def test_invalid_keys_are_refused(name: str, value: Any, wanted: str) -> None:
    key = f"PROVISIONING_{name.upper()}"
    shown = "" if name in SECRETS else f", not {value!r}"
    assert refusal({key: value}) == f"{key} must be {wanted}{shown}."


@pytest.mark.parametrize(("name", "value", "wanted"), REFUSED)
def test_a_mount_refuses_in_the_same_words(name: str, value: Any, wanted: str) -> None:
    assert refusal({}, **{name: value}) == refusal({f"PROVISIONING_{name.upper()}": value})


def test_a_role_with_an_unknown_permission_is_refused_with_those_that_exist() -> None:
    roles = {"clerk": ["tenant:read", "tenant:eat", "tenant:burn"]}
    assert refusal({"PROVISIONING_ROLES": roles}) == (
        f"PROVISIONING_ROLES must be a mapping of role to permissions out of {', '.join(sorted(PERMISSIONS))}; "
        f"unknown: tenant:burn, tenant:eat, not {roles!r}."
    )


def test_all_errors_are_reported_at_once() -> None:
    config = {"PROVISIONING_EDITION": "free", "PROVISIONING_REALM": "", "PROVISIONING_RETENTION_DAYS": "30"}
    assert refusal(config, public_docs="no", colour="red") == (
        "TenantProvisioning has no option colour.\n"
        "PROVISIONING_EDITION must be 'enterprise' or 'community', not 'free'.\n"
        f"PROVISIONING_PUBLIC_DOCS must be {FLAG}, not 'no'.\n"
        f"PROVISIONING_REALM must be {REALM}, not ''.\n"
        f"PROVISIONING_RETENTION_DAYS must be a whole number from 0 to 36500, not '30'."
    )


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("value", [SECRET.encode(), [SECRET], {SECRET: 1, 1: SECRET}], ids=["bytes", "list", "mapping"])
def test_a_secret_is_never_shown(name: str, value: Any) -> None:
    assert SECRET not in refusal({f"PROVISIONING_{name.upper()}": value})


def test_a_secret_is_not_shown_with_the_settings() -> None:
    texts = SECRETS - {"database_options", "encryption_keys", "license_public_keys", "rate_limit_storage"}
    url = f"redis://:{SECRET}@127.0.0.1"
    assert SECRET not in repr(
        read(
            encryption_keys=[SECRET * 3],
            rate_limit_storage=url,
            **dict.fromkeys(texts - {"metrics_token"}, SECRET),
            metrics_token=SECRET * 3,
        )
    )


def test_configuration_is_immutable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().realm = "other"  # type: ignore[misc]


def test_keys_of_other_prefixes_are_not_read(caplog: pytest.LogCaptureFixture) -> None:
    assert Config.read({"EDITION": 5, "provisioning_edition": 5, "X_PROVISIONING_EDITION": 5}, {}) == read()
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "PROVISIONING_URL_PREFX",
            "flask-tenant-provisioning has no key PROVISIONING_URL_PREFX; did you mean PROVISIONING_URL_PREFIX?",
        ),
        (
            "PROVISIONING_LICENCE_FILE",
            "flask-tenant-provisioning has no key PROVISIONING_LICENCE_FILE; did you mean PROVISIONING_LICENSE_FILE?",
        ),
        ("PROVISIONING_COLOUR", "flask-tenant-provisioning has no key PROVISIONING_COLOUR."),
    ],
)
def test_an_unknown_key_is_warned_of(key: str, message: str, caplog: pytest.LogCaptureFixture) -> None:
    assert Config.read({key: SECRET}, {}) == read()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.WARNING, message)]


def test_unknown_option_is_refused_with_a_suggestion() -> None:
    assert refusal({}, urlprefix="/x") == "TenantProvisioning has no option urlprefix; did you mean url_prefix?"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("url_prefix", "/eu", "/eu"),
        ("max_body_bytes", "2048", 2048),
        ("public_docs", "false", False),
        ("auto_migrate", "true", True),
        ("auto_migrate", "null", None),
        ("plans", '["free", "pro"]', ("free", "pro")),
        ("webhook_ports", "[9000]", (9000,)),
        ("webhook_allowed_networks", '["10.1.0.0/16"]', (ip_network("10.1.0.0/16"),)),
        ("roles", '{"clerk": ["tenant:read"]}', {"clerk": ("tenant:read",)}),
        ("rate_limits", '{"read": "600/minute"}', {"read": "600/minute"}),
        ("license_public_keys", '{"2025": "abc"}', {"2025": "abc"}),
        ("encryption_keys", '["sixteen letters!"]', ("sixteen letters!",)),
        ("license_public_keys__2025", "abc", {"2025": "abc"}),
        ("database_options", '{"pool_size": 3}', {"pool_size": 3}),
        ("install_id", '"17"', "17"),
        ("secret_key", "not json", "not json"),
    ],
)
def test_an_environment_variable_is_read(monkeypatch: pytest.MonkeyPatch, name: str, text: str, expected: Any) -> None:
    settings = from_environment(monkeypatch, **{name: text})
    assert vars(settings) == {**DEFAULTS, name.partition("__")[0]: expected}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("public_docs", "True", f"PROVISIONING_PUBLIC_DOCS must be {FLAG}, not 'True'."),
        ("install_id", "17", f"PROVISIONING_INSTALL_ID must be {NUMBER_AS_TEXT}, not 17."),
        ("plans", "free,pro", f"PROVISIONING_PLANS must be {TEXTS}, not 'free,pro'."),
        ("secret_key", "17", f"PROVISIONING_SECRET_KEY must be {NUMBER_AS_TEXT}."),
    ],
)
def test_an_environment_variable_of_another_type_is_refused_with_advice(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_environment(monkeypatch, **{name: text})
    assert str(caught.value) == message


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_each_key_has_an_example_that_is_valid(field: dataclasses.Field[Any]) -> None:
    if field.name in ("rate_limits", "rate_limit_storage"):
        pytest.importorskip("flask_limiter")
    if field.name == "phone_e164":
        pytest.importorskip("phonenumbers")
    example = field.default if field.metadata["example"] is None else field.metadata["example"]
    assert example not in (None, ())
    field.metadata["check"](example)


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_each_key_says_which_values_it_takes(field: dataclasses.Field[Any]) -> None:
    with pytest.raises(ValueError, match=r"^.{8,}$"):
        field.metadata["check"](object())
