"""Resolvers: where a request names its tenant.

A host lists them in order, in ``provisioning.isolation.resolve_by``. The first that finds a name decides. A name is a
tenant's id; with `partner`, the `external_id` of one of that partner's tenants; with `find`, what this function of the
host's maps to a tenant's id.

What a browser or a client chooses freely, such as a subdomain, a path or a header, says which tenant is meant, not that
the caller may see it. A signed token and the session say the latter (`is_proof`): the other resolvers' tenant must be
theirs, if they name one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from uuid import UUID

import idna
from flask import Request, current_app, session
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from ..config import ConfigurationError
from ..hooks import require_sync_function

#: Maps a name to a tenant's id, or to None if it names no tenant.
Find = Callable[[str], str | None]
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
#: The longest name that is looked up, in characters: a domain's name has at most 253.
MAX_NAME_LENGTH = 255


class Resolver:
    """A place in which requests name their tenant. A subclass implements `read_name`."""

    #: True if a caller cannot choose the name: its token or its session was issued for that tenant.
    is_proof: ClassVar[bool] = False
    #: True if a name that `find` does not know names no tenant here, so that the next resolver is asked.
    is_optional: ClassVar[bool] = False

    def __init__(self, *, partner: str | None = None, find: Find | None = None) -> None:
        if partner is not None and find is not None:
            raise ConfigurationError(f"{self!r}: give it either partner or find.")
        if find is not None:
            require_sync_function(find, "find function")
        self.partner = partner
        self.find = find

    def read_name(self, request: Request) -> str | None:
        """Return the name of the tenant in `request`, or None if it names none here."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return type(self).__name__


class Subdomain(Resolver):
    """The label before a domain of the host's: ``acme`` in ``acme.example.com``.

    `ignored` are labels that name no tenant. The domain itself and other hosts name none either. Names of more than one
    label (``a.b.example.com``) are unknown tenants.
    """

    def __init__(
        self, domain: str, *, ignored: Sequence[str] = ("www",), partner: str | None = None, find: Find | None = None
    ) -> None:
        super().__init__(partner=partner, find=find)
        self._suffix = f".{_encode_domain(domain)}"
        self._ignored = frozenset(label.lower() for label in ignored)

    def read_name(self, request: Request) -> str | None:
        """Return the label, in lower case. An internationalized name comes as its A-label (``xn--…``)."""
        host = read_host(request)
        if host is None or not host.endswith(self._suffix):
            return None
        label = host.removesuffix(self._suffix)
        return None if label in self._ignored else label

    def __repr__(self) -> str:
        return f"Subdomain({self._suffix[1:]!r})"


class Domain(Resolver):
    """The whole domain: ``app.acme.test``, for tenants with domains of their own.

    The name is in lower case, without port, and an internationalized one in A-labels. A domain that `find` does not
    know, or that is no tenant's `external_id`, names none, so that the next resolver is asked.
    """

    is_optional = True

    def __init__(self, *, partner: str | None = None, find: Find | None = None) -> None:
        if partner is None and find is None:
            raise ConfigurationError("Domain needs partner or find: a tenant's id is no domain.")
        super().__init__(partner=partner, find=find)

    def read_name(self, request: Request) -> str | None:
        """Return the domain."""
        return read_host(request)


class PathPrefix(Resolver):
    """The segment after a prefix of the path: ``acme`` in ``/t/acme/projects`` for ``PathPrefix("/t")``.

    The host's routes have it as a variable, such as ``/t/<tenant>/projects``.
    """

    def __init__(self, prefix: str, *, partner: str | None = None, find: Find | None = None) -> None:
        super().__init__(partner=partner, find=find)
        if not isinstance(prefix, str) or not prefix.startswith("/"):
            raise ConfigurationError(f"PathPrefix needs a path such as '/t', not {prefix!r}.")
        self._prefix = f"{prefix.rstrip('/')}/"

    def read_name(self, request: Request) -> str | None:
        """Return the segment as it is in the path, decoded."""
        if not request.path.startswith(self._prefix):
            return None
        return request.path.removeprefix(self._prefix).partition("/")[0] or None

    def __repr__(self) -> str:
        return f"PathPrefix({self._prefix[:-1]!r})"


class Header(Resolver):
    """A header of the request. Every client can send it: let a proxy set it and drop what clients send.

    A header that was sent twice names an unknown tenant.
    """

    def __init__(self, name: str, *, partner: str | None = None, find: Find | None = None) -> None:
        super().__init__(partner=partner, find=find)
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9-]+", name):
            raise ConfigurationError(f"Header needs a header's name, of letters, digits and -, not {name!r}.")
        self.name = name

    def read_name(self, request: Request) -> str | None:
        """Return the header's value without the spaces around it."""
        value = request.headers.get(self.name)
        return None if value is None else value.strip()

    def __repr__(self) -> str:
        return f"Header({self.name!r})"


class Claim(Resolver):
    """A claim of the bearer token, which the host's own Flask-JWT-Extended verifies.

    A request without a token names no tenant, nor does one with a refresh token. One with a token that is not valid is
    refused as on the host's own views, by the error handlers of its JWTManager. `name` may be a dotted path into the
    claims.
    """

    is_proof = True

    def __init__(self, name: str, *, partner: str | None = None, find: Find | None = None) -> None:
        super().__init__(partner=partner, find=find)
        self._name = name

    def read_name(self, request: Request) -> str | None:
        """Return the claim's value; a value that is no text is an unknown tenant's.

        Raises `ConfigurationError` if the host has no JWTManager, and `Unauthorized` for a token that is not valid, if
        the host's JWTManager is the extension's own, which has no error handlers.
        """
        from flask_jwt_extended import verify_jwt_in_request
        from flask_jwt_extended.exceptions import JWTExtendedException, WrongTokenError
        from jwt import PyJWTError

        from ..access.authority import QuietManager, find_jwt_manager
        from ..access.principal import ABSENT, find_claim

        manager = find_jwt_manager(current_app._get_current_object())  # type: ignore[attr-defined]
        if manager is None:
            raise ConfigurationError(f"{self!r} needs the host's tokens: call JWTManager(app).")
        try:
            verified = verify_jwt_in_request(optional=True)
        except WrongTokenError:
            return None  # a refresh token, which the host's view verifies
        except (JWTExtendedException, PyJWTError) as error:
            if isinstance(manager, QuietManager):
                challenge = WWWAuthenticate("bearer", {"error": "invalid_token"})
                raise Unauthorized("The token is not valid.", www_authenticate=challenge) from error
            raise
        value = ABSENT if verified is None else find_claim(verified[1], self._name)
        return None if value is ABSENT or value is None else _read_text(value)

    def __repr__(self) -> str:
        return f"Claim({self._name!r})"


class SessionKey(Resolver):
    """A key of Flask's session, which the host's login sets."""

    is_proof = True

    def __init__(self, key: str, *, partner: str | None = None, find: Find | None = None) -> None:
        super().__init__(partner=partner, find=find)
        self._key = key

    def read_name(self, request: Request) -> str | None:
        """Return the value in the session."""
        value = session.get(self._key)
        return None if value is None else _read_text(value)

    def __repr__(self) -> str:
        return f"SessionKey({self._key!r})"


class FunctionResolver(Resolver):
    """A function of the host's, which receives the request and returns a tenant's id or None."""

    def __init__(self, function: Callable[[Request], Any]) -> None:
        super().__init__()
        require_sync_function(function, "resolver")
        self._function = function

    def read_name(self, request: Request) -> str | None:
        """Return what the function returns."""
        value = self._function(request)
        return None if value is None else _read_text(value)

    def __repr__(self) -> str:
        return getattr(self._function, "__name__", repr(self._function))


def make_resolver(given: Resolver | Callable[[Request], Any]) -> Resolver:
    """Return a resolver as it is, and one for a plain function. Raises `ConfigurationError` for anything else."""
    if isinstance(given, type) and issubclass(given, Resolver):
        raise ConfigurationError(f"Give an object, such as Subdomain('example.com'), not the class {given.__name__}.")
    return given if isinstance(given, Resolver) else FunctionResolver(given)


def read_host(request: Request) -> str | None:
    """Return the request's host in lower case, without port and without the root's dot; None if it is no name.

    It is Werkzeug's `request.host`: the header ``Host``, or what the host's own ``ProxyFix`` made of
    ``X-Forwarded-Host``, within ``TRUSTED_HOSTS`` (Flask 3.1).
    """
    host = request.host
    if host.startswith("["):  # an IPv6 address (RFC 3986 §3.2.2)
        return None
    name = host.partition(":")[0].removesuffix(".").lower()
    is_name = len(name) <= MAX_NAME_LENGTH and name.isascii() and name.isprintable()
    return name if is_name and name and " " not in name else None


def _read_text(value: Any) -> str:
    """Return a text, also of a UUID. Another value is that of no tenant."""
    return str(value) if isinstance(value, str | UUID) else ""


def _encode_domain(domain: str) -> str:
    """Return a domain in lower case, in A-labels (RFC 5890). Raises `ConfigurationError` for one with port or path."""
    name = str(domain).strip(".").lower()
    try:
        encoded = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        encoded = ""
    if not encoded or not all(_LABEL.fullmatch(label) for label in encoded.split(".")):
        raise ConfigurationError(f"Subdomain needs a domain such as 'example.com', without port, not {domain!r}.")
    return encoded
