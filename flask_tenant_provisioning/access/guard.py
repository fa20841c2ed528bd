"""The guard of a mount's routes: admits a request with a bearer token that grants the required permissions."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from flask import current_app, has_request_context, request

from ..config import PERMISSIONS, Config, ConfigurationError
from ..errors import Forbidden, ProvisioningError, Unauthenticated
from ..responses import get_request_id, render_problem
from .principal import Principal
from .refusals import CALLER_KEY, RefusalLog
from .tokens import TokenVerifier

P = ParamSpec("P")
R = TypeVar("R")
#: Raises where no request of a principal is let pass; returns what registers its partner, None where nothing has to.
CheckPartner = Callable[[Principal], Callable[[], object] | None]
_PRINCIPAL_KEY = "flask_tenant_provisioning.principal"


class Public:
    """The declaration of a route that asks nobody who they are."""

    def __repr__(self) -> str:
        return "PUBLIC"


PUBLIC: Final = Public()


class Guard:
    """Checks the caller of one mount's routes.

    `standing` raises where no request of a principal is let pass. It returns a function that registers the principal's
    partner, or None where it needs none.
    """

    def __init__(self, tokens: TokenVerifier, settings: Config, standing: CheckPartner) -> None:
        self._tokens = tokens
        self._realm = settings.realm
        self._partner_claim = settings.partner_claim
        self._request_id_key = settings.request_id_key
        self._standing = standing
        #: Logs whom this guard and the routes behind it refuse.
        self.refusals = RefusalLog(settings)

    def admit(self, permissions: Sequence[str], counted: Callable[[Principal], None] | None = None) -> Principal:
        """Return the principal behind this request.

        Checked in this order: the token (`Unauthenticated`), the partner claim (`PartnerMissing`), the partner's
        standing, the rate limit (what `counted` raises, which is told who calls), the permissions (`Forbidden`). Only
        then is a new partner registered: a caller who may do nothing leaves no trace.
        """
        get_request_id(self._request_id_key)
        environ = request.environ
        header = environ.get("HTTP_AUTHORIZATION", "")
        if not header:
            raise Unauthenticated(headers=self.challenge())
        with self._challenging():
            principal = self._tokens.principal(parse_bearer_token(header))
        environ[CALLER_KEY] = principal
        if not principal.sees_every_partner:
            self.require_partner(principal)
        register = self._standing(principal)
        if counted is not None:
            counted(principal)
        self.require(principal, permissions)
        if register is not None:
            register()
        environ[_PRINCIPAL_KEY] = principal
        return principal

    def readmit(self, header: str, permissions: Sequence[str]) -> None:
        """Check an admitted request with this ``Authorization`` header once more, in any context.

        Raises `Unauthenticated` where the token is over, what `standing` raises, and `Forbidden`.
        """
        with self._challenging():
            principal = self._tokens.recheck(parse_bearer_token(header))
        self._standing(principal)
        self.require(principal, permissions)

    def would_admit(self, header: str, permissions: Sequence[str]) -> bool:
        """Return whether a request with this ``Authorization`` header would be admitted now, in any context."""
        try:
            self.readmit(header, permissions)
        except ProvisioningError:
            return False
        return True

    def require(self, principal: Principal, permissions: Sequence[str]) -> None:
        """Raise `Forbidden`, with its challenge, where the principal lacks one of `permissions`."""
        if missing := principal.missing(permissions):
            raise self._forbidden(permissions, missing)

    def require_partner(self, principal: Principal) -> str:
        """Return the principal's partner. Raises `PartnerMissing` where its token names none."""
        return principal.require_partner(self._partner_claim)

    def challenge(self, error: str = "", scope: str = "") -> dict[str, str]:
        """The ``WWW-Authenticate`` header that goes with a refusal (RFC 6750 §3)."""
        parts = [f'realm="{self._realm}"']
        parts += [f'error="{error}"'] if error else []
        parts += [f'scope="{scope}"'] if scope else []
        return {"WWW-Authenticate": f"Bearer {', '.join(parts)}"}

    @contextlib.contextmanager
    def _challenging(self) -> Iterator[None]:
        """Give the refusal of a token its challenge."""
        try:
            yield
        except Unauthenticated as refusal:
            wrong = "invalid_token" if refusal.code != Unauthenticated.code else ""
            refusal.headers.update(self.challenge(wrong))
            raise

    def _forbidden(self, required: Sequence[str], missing: list[str]) -> Forbidden:
        return Forbidden(
            f"This needs the permission {' and '.join(missing)}.",
            required=list(required),
            headers=self.challenge("insufficient_scope", " ".join(required)),
        )


def parse_bearer_token(header: str) -> str:
    """The token of an ``Authorization`` header. Raises `Unauthenticated` where it holds none (RFC 6750 §2.1)."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip(" "):
        raise Unauthenticated
    return token.strip(" ")


def check_permissions(permissions: Sequence[str]) -> tuple[str, ...]:
    """Refuse a declaration that names no permission, or one that does not exist."""
    if not permissions or not all(isinstance(name, str) and name in PERMISSIONS for name in permissions):
        raise ConfigurationError(f"Declare permissions out of {', '.join(sorted(PERMISSIONS))}, not {permissions!r}.")
    return tuple(permissions)


def current_principal() -> Principal:
    """Who is calling, inside a view that `requires` guards. Raises `RuntimeError` elsewhere."""
    found: Principal | None = request.environ.get(_PRINCIPAL_KEY) if has_request_context() else None
    if found is None:
        raise RuntimeError("There is no principal here: guard the view with @requires(...).")
    return found


class _GuardedMount(Protocol):
    guard: Guard

    def problem_type_prefix(self) -> str: ...


def requires(*permissions: str) -> Callable[[Callable[P, R]], Callable[P, Any]]:
    """Guard one of the host's own views: only a principal with all `permissions` passes.

    Everybody else gets the problem document that the API would answer. Place it under the route decorator.
    """
    needed = check_permissions(permissions)

    def decorate(view: Callable[P, R]) -> Callable[P, Any]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            mounted = _get_first_mount()
            try:
                mounted.guard.admit(needed)
            except ProvisioningError as refusal:
                mounted.guard.refusals.log(refusal)
                return render_problem(refusal, mounted.problem_type_prefix())
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded

    return decorate


def _get_first_mount() -> _GuardedMount:
    mounts: dict[str, _GuardedMount] = current_app.extensions.get("tenant_provisioning", {})
    if not mounts:
        raise ConfigurationError("@requires needs TenantProvisioning().init_app(app) to have been called.")
    return next(iter(mounts.values()))
