"""The guard of a mount's routes: admits a request with a bearer token that grants the required permissions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from flask import current_app, has_request_context, request

from ..config import PERMISSIONS, Config, ConfigurationError
from ..errors import Forbidden, InvalidToken, ProvisioningError, Unauthenticated
from ..mounts import Mounts, get_mounts
from ..responses import get_request_id, render_problem
from .principal import Principal, make_partner_missing
from .refusals import CALLER_KEY, RefusalLog
from .tokens import TokenVerifier

P = ParamSpec("P")
R = TypeVar("R")
_PRINCIPAL_KEY = "flask_tenant_provisioning.principal"


class Public:
    """The declaration of a route that needs no authentication."""

    def __repr__(self) -> str:
        return "PUBLIC"


PUBLIC: Final = Public()


class PartnerDirectory(Protocol):
    """The partners of a mount, as `partners.cache.PartnerCache` knows them."""

    def require_active(self, partner_id: str) -> bool:
        """Return whether the partner is registered. Raises an error if it may send no requests."""

    def get_or_register(self, partner_id: str) -> object:
        """Return the partner, registered now if it is unknown."""


class ClientDirectory(Protocol):
    """The API clients of a mount, as `clients.directory.ClientCache` knows them."""

    def require_valid(self, principal: Principal, address: str | None) -> Principal:
        """Return the principal of a client's token with the permissions that the client still has.

        Raises `InvalidToken` if the token's client or generation is no longer valid, and `AddressNotAllowed` unless the
        client may be used at this address; without one, its networks are not checked.
        """

    def record_use(self, principal: Principal) -> None:
        """Record that the client was used now."""


class Guard:
    """Checks the caller of one mount's routes.

    `partners` and `clients` are set once the API is served. Until then there are neither, and the host's own views are
    guarded by tokens and permissions alone; tokens of API clients are refused.
    """

    def __init__(self, tokens: TokenVerifier, config: Config) -> None:
        self.partners: PartnerDirectory | None = None
        self.clients: ClientDirectory | None = None
        self._tokens = tokens
        self._realm = config.realm
        self._partner_claim = config.partner_claim
        #: The log of requests that this guard and the guarded routes refuse.
        self.refusals = RefusalLog(config)

    def admit(self, permissions: Sequence[str], count_request: Callable[[Principal], None] | None = None) -> Principal:
        """Return the principal of this request.

        Checks in this order: the token (`Unauthenticated`), its API client and the client's networks
        (`AddressNotAllowed`), the partner claim (`PartnerMissing`), the partner's status, the rate limit
        (`count_request` is called with the principal and raises), and the permissions (`Forbidden`). Only then is a new
        partner registered: a refused caller leaves no row.
        """
        environ = request.environ
        principal = environ[CALLER_KEY] = self._verify(environ.get("HTTP_AUTHORIZATION", ""))
        if principal.client_generation is not None:
            principal = environ[CALLER_KEY] = self._require_valid_client(principal, environ.get("REMOTE_ADDR", ""))
        if not (principal.partner or principal.sees_every_partner):
            raise make_partner_missing(self._partner_claim)
        partners = None if principal.sees_every_partner else self.partners
        is_registered = partners is None or partners.require_active(principal.partner)
        if count_request is not None:
            count_request(principal)
        if not principal.permissions.issuperset(permissions):
            raise self._make_forbidden(principal, permissions)
        if partners is not None and not is_registered:
            partners.get_or_register(principal.partner)
        if principal.client_generation is not None and self.clients is not None:
            self.clients.record_use(principal)
        environ[_PRINCIPAL_KEY] = principal
        return principal

    def readmit(self, header: str, permissions: Sequence[str], address: str | None = None) -> None:
        """Check an admitted request again by its ``Authorization`` header, outside the request context too.

        `address` is the one that the request came from. Raises `Unauthenticated` if the token has expired or was
        revoked, `AddressNotAllowed`, the partner's errors, and `Forbidden`.
        """
        principal = self._verify(header, is_recheck=True)
        if principal.client_generation is not None:
            principal = self._require_valid_client(principal, address)
        if self.partners is not None and not principal.sees_every_partner:
            self.partners.require_active(principal.partner)
        self.require_permissions(principal, permissions)

    def would_admit(self, header: str, permissions: Sequence[str], address: str | None = None) -> bool:
        """Return whether a request with this ``Authorization`` header would be admitted now, in any context."""
        try:
            self.readmit(header, permissions, address)
        except ProvisioningError:
            return False
        return True

    def require_permissions(self, principal: Principal, permissions: Sequence[str]) -> None:
        """Raise `Forbidden`, with its challenge, if the principal lacks one of `permissions`."""
        if not principal.permissions.issuperset(permissions):
            raise self._make_forbidden(principal, permissions)

    def challenge(self, error: str = "", scope: str = "") -> dict[str, str]:
        """Return the ``WWW-Authenticate`` header of a refusal (RFC 6750 §3)."""
        parts = [f'realm="{self._realm}"']
        parts += [f'error="{error}"'] if error else []
        parts += [f'scope="{scope}"'] if scope else []
        return {"WWW-Authenticate": f"Bearer {', '.join(parts)}"}

    def _verify(self, header: str, *, is_recheck: bool = False) -> Principal:
        """Return the principal of an ``Authorization`` header; `is_recheck` is for `readmit`.

        Raises `Unauthenticated`, with its challenge, and what `TokenVerifier.verify` raises.
        """
        try:
            token = parse_bearer_token(header)
            if token is None:
                raise Unauthenticated
            return self._tokens.recheck(token) if is_recheck else self._tokens.verify(token)
        except Unauthenticated as refusal:
            self._add_challenge(refusal)
            raise

    def _require_valid_client(self, principal: Principal, address: str | None) -> Principal:
        """Return the principal of a client's token, as `ClientDirectory.require_valid` does, and raise its errors."""
        try:
            if self.clients is None:
                raise InvalidToken
            return self.clients.require_valid(principal, address)
        except Unauthenticated as refusal:
            self._add_challenge(refusal)
            raise

    def _add_challenge(self, refusal: Unauthenticated) -> None:
        wrong = "invalid_token" if refusal.code != Unauthenticated.code else ""
        refusal.headers.update(self.challenge(wrong))

    def _make_forbidden(self, principal: Principal, required: Sequence[str]) -> Forbidden:
        missing = principal.missing(required)
        return Forbidden(
            f"This needs the permission {' and '.join(missing)}.",
            required=list(required),
            headers=self.challenge("insufficient_scope", " ".join(required)),
        )


def parse_bearer_token(header: str) -> str | None:
    """Return the token of an ``Authorization`` header, or None if it holds none (RFC 6750 §2.1)."""
    scheme, _, token = header.partition(" ")
    return token.strip(" ") or None if scheme.lower() == "bearer" else None


def check_permissions(permissions: Sequence[str], known: Iterable[str] = PERMISSIONS) -> tuple[str, ...]:
    """Return `permissions` as a tuple. Raises `ConfigurationError` if it is empty or names one that is not `known`."""
    if not permissions or not all(isinstance(name, str) and name in known for name in permissions):
        raise ConfigurationError(f"Declare permissions out of {', '.join(sorted(known))}, not {permissions!r}.")
    return tuple(permissions)


def current_principal() -> Principal:
    """Return the principal of the current request, inside a view guarded by `requires`. Raises `RuntimeError`
    elsewhere.
    """
    principal: Principal | None = request.environ.get(_PRINCIPAL_KEY) if has_request_context() else None
    if principal is None:
        raise RuntimeError("There is no principal here: guard the view with @requires(...).")
    return principal


class _GuardedMount(Protocol):
    config: Config
    guard: Guard

    def problem_type_prefix(self) -> str: ...


def requires(*permissions: str) -> Callable[[Callable[P, R]], Callable[P, Any]]:
    """Guard one of the host's own views: only principals with all `permissions` are admitted.

    Other callers get the problem document that the API would return. Place it below the route decorator. Permissions
    of the host's own, and the tokens of a second mount, are for `TenantProvisioning.requires`.
    """
    return guard_view(check_permissions(permissions))


def guard_view(required: Sequence[str], mount_name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, Any]]:
    """Return the decorator of a host's view that admits only principals with all `required` permissions.

    The mount of this name verifies the tokens, by default the first one of the app.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, Any]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            mount = _get_mount(mount_name)
            get_request_id(mount.config.request_id_key)
            try:
                mount.guard.admit(required)
            except ProvisioningError as refusal:
                mount.guard.refusals.log(refusal)
                return render_problem(refusal, mount.problem_type_prefix())
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded

    return decorate


def _get_mount(name: str | None) -> _GuardedMount:
    """Return the mount of this name in the current app, or the first one. Raises `ConfigurationError`."""
    mounts: Mounts[_GuardedMount] = get_mounts(current_app)
    if not mounts or (name is not None and name not in mounts):
        raise ConfigurationError("@requires needs TenantProvisioning().init_app(app) to have been called.")
    return next(iter(mounts.values())) if name is None else mounts[name]
