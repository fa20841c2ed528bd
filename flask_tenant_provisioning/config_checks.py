"""Checks of configuration values. Each takes the configured value and returns the value to use.

A check raises `ValueError` with the expected form ("a whole number from 1 to 10"), from which the message of a
`ConfigurationError` is built. Rate limits are parsed by `limits`, which is imported at first use.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from limits import RateLimitItem


Check = Callable[[Any], Any]


def text(value: Any) -> str:
    """Require a text that is not empty."""
    if type(value) in (int, float):
        raise ValueError("a text (in an environment variable, a number within double quotes)")
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty")
    return value


def flag(value: Any) -> bool:
    """Require True or False; 0 and 1 are not accepted."""
    if not isinstance(value, bool):
        raise ValueError("True or False (in an environment variable, true or false)")
    return value


def optional(check: Check) -> Check:
    """Return a check that accepts None and what `check` accepts."""
    return lambda value: None if value is None else check(value)


def number(low: int, high: int) -> Check:
    """Return a check that requires a whole number from `low` to `high`, both included."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def choice(*allowed: str) -> Check:
    """Return a check that requires one of `allowed`."""

    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(" or ".join(map(repr, allowed)))
        return str(value)

    return check


def regex(pattern: str, expected: str) -> Check:
    """Return a check that requires a text which `pattern` matches entirely; `expected` describes it for people."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    return check


def is_text(value: Any) -> bool:
    """Return whether `value` is a text that is not empty."""
    return isinstance(value, str) and value != ""


def is_text_list(value: Any) -> bool:
    """Return whether `value` is a list, tuple or set of texts, none of them empty."""
    return isinstance(value, list | tuple | set | frozenset) and all(map(is_text, value))


def texts(value: Any) -> tuple[str, ...]:
    """Require a list of texts, none of them empty."""
    if not is_text_list(value):
        raise ValueError("a list of texts, none of them empty")
    return tuple(value)


def text_or_texts(value: Any) -> str | tuple[str, ...]:
    """Require a text, or a list with at least one text."""
    if not is_text(value) and not (value and is_text_list(value)):
        raise ValueError("a text or a list of texts, none of them empty")
    return value if isinstance(value, str) else tuple(value)


def text_mapping(value: Any) -> dict[str, Any]:
    """Require a mapping whose keys are texts; its values can be anything."""
    if not isinstance(value, Mapping) or not all(map(is_text, value)):
        raise ValueError("a mapping of names to values")
    return dict(value)


def check_encryption_keys(value: Any) -> tuple[str, ...]:
    """Require a list of texts of at least 16 characters."""
    if not isinstance(value, list | tuple) or not all(is_text(key) and len(key) >= 16 for key in value):
        raise ValueError("a list of texts, each of 16 characters or more")
    return tuple(value)


def check_pem(value: Any) -> str:
    """Require a text. In PEM, line ends that an environment file wrote out as ``\\n`` become line ends again."""
    pem = text(value).removeprefix("\ufeff")
    return pem.replace("\\r", "").replace("\\n", "\n") if pem.startswith("-----BEGIN") else pem


def check_invitation_url(value: Any) -> str:
    """Require an http or https URL that contains ``{token}`` once, after its host, and no other braces."""
    expected = "an https or http URL with {token} in its path, query or fragment"
    before, _, after = value.partition("{token}") if isinstance(value, str) else ("", "", "")
    try:
        parts = urlsplit(before)
    except ValueError as error:
        raise ValueError(expected) from error
    is_complete = parts.scheme in ("https", "http") and parts.hostname and parts.path + parts.query + parts.fragment
    if not is_complete or value == before or re.search(r"[{}\s]", before + after):
        raise ValueError(expected)
    return str(value)


def check_phone_e164(value: Any) -> bool:
    """Require a flag, and the extra `phone` where it is True."""
    if flag(value) and importlib.util.find_spec("phonenumbers") is None:
        raise ValueError("False, or pip install 'flask-tenant-provisioning[phone]'")
    return bool(value)


def check_url_schemes(value: Any) -> tuple[str, ...]:
    """Require a list out of ``https`` and ``http``."""
    if not value or not is_text_list(value) or not {"https", "http"}.issuperset(value):
        raise ValueError("a list out of 'https' and 'http'")
    return tuple(value)


def check_contact(value: Any) -> dict[str, str]:
    """Require a mapping with one or more of ``name``, ``url`` and ``email``, as texts."""
    if not isinstance(value, Mapping) or not value or not {"name", "url", "email"}.issuperset(value):
        raise ValueError("a mapping with one or more of 'name', 'url' and 'email'")
    if not all(map(is_text, value.values())) or ("url" in value and not _is_web_url(value["url"])):
        raise ValueError("a mapping of 'name', 'url' and 'email' to texts, where 'url' begins with https:// or http://")
    return dict(value)


def check_web_url(value: Any) -> str:
    """Require an absolute URL of the web."""
    if not _is_web_url(value):
        raise ValueError("a URL that begins with https:// or http://")
    return str(value)


def check_issuer_url(value: Any) -> str:
    """Require an absolute URL without query and fragment (RFC 8414 §2); a slash at the end is dropped."""
    if not _is_web_url(value) or "?" in value or "#" in value:
        raise ValueError("a URL that begins with https:// or http://, without query and fragment")
    return str(value).rstrip("/")


def check_server_urls(value: Any) -> tuple[str, ...]:
    """Require a list of one or more URLs, absolute or a path; a slash at the end is dropped."""
    if not value or not is_text_list(value) or not all(_is_web_url(url) or _is_path(url) for url in value):
        raise ValueError("a list of URLs that begin with https://, http:// or /")
    return tuple(url.rstrip("/") or "/" for url in value)


def _is_web_url(value: Any) -> bool:
    if not is_text(value) or re.search(r"[\s<>\"{}\\^`]", value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_path(value: str) -> bool:
    return re.fullmatch(r"/(?:[^/\s<>\"{}\\^`?#][^\s<>\"{}\\^`?#]*)?", value) is not None


def _is_port(value: Any) -> bool:
    return type(value) is int and 0 < value < 65536


def check_ports(value: Any) -> tuple[int, ...]:
    """Require a list of ports from 1 to 65535."""
    if not isinstance(value, list | tuple | set | frozenset) or not all(map(_is_port, value)):
        raise ValueError("a list of whole numbers from 1 to 65535")
    return tuple(value)


def check_networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    """Require a list of IP networks in CIDR notation."""
    try:
        return tuple(map(ip_network, texts(value)))
    except ValueError as error:
        raise ValueError(
            "a list of networks such as '10.1.0.0/16' or 'fd00::/8', each from its first address"
        ) from error


def check_engine(value: Any) -> str:
    """Require the name of an engine, and the extra `celery` for ``celery``."""
    engine: str = choice("embedded", "external", "celery")(value)
    if engine == "celery" and importlib.util.find_spec("celery") is None:
        raise ValueError("'embedded' or 'external', or pip install 'flask-tenant-provisioning[celery]'")
    return engine


#: The sinks of telemetry: for each the module that it needs and the extra that brings it.
TELEMETRY_SINKS = {"opentelemetry": ("opentelemetry.trace", "otel"), "prometheus": ("prometheus_client", "prometheus")}


def check_telemetry(value: Any) -> tuple[str, ...]:
    """Require a list of sinks of telemetry, and the extra of each."""
    if not is_text_list(value) or not {*TELEMETRY_SINKS}.issuperset(value):
        raise ValueError(f"a list out of {' and '.join(map(repr, TELEMETRY_SINKS))}")
    for sink in value:
        module, extra = TELEMETRY_SINKS[sink]
        if not _is_installed(module):
            raise ValueError(f"a list without {sink!r}, or pip install 'flask-tenant-provisioning[{extra}]'")
    return tuple(dict.fromkeys(value))


def _is_installed(module: str) -> bool:
    """Return whether a module can be imported; its packages are imported to find out, the module is not."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def check_public_keys(value: Any) -> dict[str, str]:
    """Require a mapping of key id to public key; the keys are parsed when a licence is verified."""
    if not isinstance(value, Mapping) or not all(map(is_text, [*value, *value.values()])):
        raise ValueError("a mapping of key id to public key, both texts")
    return dict(value)


#: The class of requests for access tokens, which are counted by client and by address instead of by partner.
TOKEN_RATE_CLASS = "token"  # noqa: S105
#: The classes of routes that rate limits distinguish; `bulk` is for uploads.
RATE_CLASSES = ("read", "write", "bulk", TOKEN_RATE_CLASS)
MEMORY_STORAGE = "memory://"
INSTALL_LIMITER = "pip install 'flask-tenant-provisioning[limiter]'"
_RATE_LIMIT_EXAMPLES = "'600/minute' or '10/second;600/minute'"
_MAX_REQUESTS = 10**15 - 1  # an integer of a structured field (RFC 9651 §3.3.1)
_MAX_WINDOW_SECONDS = 10 * 366 * 86_400


def has_authlib() -> bool:
    """Return whether Authlib, the OAuth server, is installed (extra `oauth`)."""
    return importlib.util.find_spec("authlib") is not None


def has_flask_limiter() -> bool:
    """Return whether Flask-Limiter is installed."""
    return importlib.util.find_spec("flask_limiter") is not None


def parse_rate_limits(text: Any) -> tuple[RateLimitItem, ...]:
    """Parse limits such as ``10/second;600/minute``, the shortest window first.

    Each limit has a window of its own, of ten years at most. Raises `ValueError` with the expected form.
    """
    from limits import parse_many

    try:
        items = sorted(parse_many(text), key=_get_window_seconds)
    except ValueError as error:
        raise ValueError(f"a limit such as {_RATE_LIMIT_EXAMPLES}") from error
    windows = {*map(_get_window_seconds, items)}
    if len(windows) < len(items) or max(windows) > _MAX_WINDOW_SECONDS:
        raise ValueError(f"limits such as {_RATE_LIMIT_EXAMPLES}, each for a time of its own, of ten years at most")
    if not all(0 < item.amount <= _MAX_REQUESTS for item in items):
        raise ValueError(f"a limit such as {_RATE_LIMIT_EXAMPLES}, of 1 request or more")
    return tuple(items)


def check_rate_limits(value: Any) -> dict[str, str]:
    """Require a mapping of route classes to rate limits, and the extra `limiter` unless it is empty."""
    if not isinstance(value, Mapping) or not {*RATE_CLASSES}.issuperset(value):
        raise ValueError(f"a mapping of {', '.join(map(repr, RATE_CLASSES))} to limits such as {_RATE_LIMIT_EXAMPLES}")
    if value and not has_flask_limiter():
        raise ValueError(f"None, or {INSTALL_LIMITER}")
    for rate_class, limits in value.items():
        try:
            parse_rate_limits(limits)
        except ValueError as expected:
            raise ValueError(f"a mapping that names for {rate_class!r} {expected}") from expected
    return dict(value)


def check_rate_limit_storage(value: Any) -> str:
    """Require the URL of a storage of `limits` whose driver is installed."""
    if value == MEMORY_STORAGE:
        return MEMORY_STORAGE
    if not isinstance(value, str) or not value:
        raise ValueError("a URL such as 'redis://127.0.0.1:6379/3'")
    if not has_flask_limiter():
        raise ValueError(f"{MEMORY_STORAGE!r}, or {INSTALL_LIMITER}")
    _require_storage_scheme(urlsplit(value).scheme)
    return value


def _require_storage_scheme(scheme: str) -> None:
    """Raise `ValueError` if `limits` has no storage for URLs of this scheme, or its driver is not installed."""
    from limits import storage

    storage_class = vars(storage)["SCHEMES"].get(scheme)
    if storage_class is None or not issubclass(storage_class, storage.Storage):
        raise ValueError("the URL of a storage of `limits`, such as 'redis://127.0.0.1:6379/3'")
    drivers = [name.partition(".")[0] for name in getattr(storage_class, "DEPENDENCIES", ())]
    if drivers and not any(map(importlib.util.find_spec, drivers)):
        raise ValueError(f"the URL of a storage whose driver is installed: pip install {drivers[0]}")


def _get_window_seconds(item: RateLimitItem) -> int:
    """Return the length of a limit's window in seconds."""
    return item.get_expiry()


#: The algorithms of identity providers' tokens. A shared secret is none: its holder could sign tokens itself.
ISSUER_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@dataclasses.dataclass(frozen=True, kw_only=True)
class IssuerConfig:
    """An identity provider: where its keys are, which of its tokens are accepted, and how they are read.

    `jwks` is the URL or the file of its JSON Web Key Set (RFC 7517 §5). A token must name one of `audience` in the
    claim `audience_claim`, be signed with one of `algorithms`, and have in each claim of `require` one of its values.
    The claims that give roles, permissions and partner are those of the mount unless named here. `roles` translates the
    provider's names of roles to the mount's, and drops all others; `default_roles` are those of a token without a claim
    for roles. `leeway` is the accepted clock difference in seconds.
    """

    jwks: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...] = ("RS256",)
    audience_claim: str = "aud"
    roles_claim: str | None = None
    permissions_claim: str | None = None
    partner_claim: str | None = None
    roles: Mapping[str, tuple[str, ...]] | None = None
    default_roles: tuple[str, ...] = ()
    require: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    leeway: int = 30


def _one_or_more_texts(value: Any) -> tuple[str, ...]:
    checked = text_or_texts(value)
    return (checked,) if isinstance(checked, str) else checked


def _jwks(value: Any) -> str:
    location = text(value)
    parts = urlsplit(location)
    if "://" in location and (parts.scheme not in ("https", "http") or not parts.hostname or parts.username):
        raise ValueError("an https URL without user name, or the path of a file")
    return location


def _issuer_algorithms(value: Any) -> tuple[str, ...]:
    algorithms = _one_or_more_texts(value)
    if not {*ISSUER_ALGORITHMS}.issuperset(algorithms):
        raise ValueError(f"one or more of {', '.join(ISSUER_ALGORITHMS)}")
    return algorithms


def _texts_by_name(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping) or not all(map(is_text, value)):
        raise ValueError("a mapping of names to a text or a list of texts")
    return {name: _one_or_more_texts(one_or_more) for name, one_or_more in value.items()}


_ISSUER_CHECKS: dict[str, Check] = {
    "jwks": _jwks,
    "audience": _one_or_more_texts,
    "algorithms": _issuer_algorithms,
    "audience_claim": text,
    "roles_claim": text,
    "permissions_claim": text,
    "partner_claim": text,
    "roles": _texts_by_name,
    "default_roles": _one_or_more_texts,
    "require": _texts_by_name,
    "leeway": number(0, 3600),
}


def check_issuers(value: Any) -> dict[str, IssuerConfig]:
    """Require a mapping of issuers, as tokens name them in `iss`, to the fields of `IssuerConfig`."""
    if not isinstance(value, Mapping) or not all(map(is_text, value)):
        raise ValueError("a mapping of issuer to a mapping with 'jwks' and 'audience'")
    return {issuer: _check_issuer(issuer, fields) for issuer, fields in value.items()}


def _check_issuer(issuer: str, fields: Any) -> IssuerConfig:
    if not isinstance(fields, Mapping) or not {"jwks", "audience"} <= fields.keys():
        raise ValueError(f"for {issuer!r} a mapping with 'jwks' and 'audience'")
    unknown = sorted(map(str, fields.keys() - _ISSUER_CHECKS.keys()))
    if unknown:
        raise ValueError(f"for {issuer!r} a mapping of {', '.join(_ISSUER_CHECKS)}, without {unknown[0]!r}")
    checked = {}
    for name, given in fields.items():
        try:
            checked[name] = _ISSUER_CHECKS[name](given)
        except ValueError as expected:
            raise ValueError(f"for {issuer!r} a mapping in which {name!r} is {expected}") from expected
    return IssuerConfig(**checked)
