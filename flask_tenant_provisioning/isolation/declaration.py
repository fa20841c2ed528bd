"""The host's declarations about its own tenants' requests: `provisioning.isolation`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from flask import Flask, Request

from ..config import ConfigurationError
from .context import ISOLATION_KEY, open_scope, resolve_request
from .refusals import TenantConfusion, TenantUnknown
from .resolvers import MAX_NAME_LENGTH, Resolver, make_resolver
from .strategy import Strategy
from .tenant import CurrentTenant

if TYPE_CHECKING:
    from celery import Celery


class Isolation:
    """The declarations of one `TenantProvisioning`, for every app that it is mounted on.

    What is found by them is cached per app, in its mount.
    """

    def __init__(self, name: str) -> None:
        #: The name of the mount.
        self.name = name
        #: The resolvers, in the order in which they are asked.
        self.resolvers: tuple[Resolver, ...] = ()
        #: What keeps the data of tenants apart, or None.
        self.strategy: Strategy | None = None
        self._is_installed = False

    def resolve_by(self, *resolvers: Resolver | Callable[[Request], Any]) -> None:
        """Find the tenant of each of the host's own requests by these resolvers; the first that finds a name decides.

        ::

            from flask_tenant_provisioning.isolation import SessionKey, Subdomain

            provisioning.isolation.resolve_by(Subdomain("example.com"), SessionKey("tenant"))

        A plain function receives the request and returns a tenant's id, or None. A request that names no tenant is
        served without one; `tenant_required` refuses it. Before the view runs, a tenant that is unknown is refused by
        `TenantUnknown` (404), one that is suspended, deleted or failed by `TenantUnavailable` (403), one that is still
        being provisioned by `TenantNotReady` (503). If a token (`Claim`) or the session (`SessionKey`) names another
        tenant than a resolver before it, the request is refused by `TenantConfusion` (403). Requests to the API and to
        static files are not resolved.

        Raises `ConfigurationError` without resolvers, for a second call, and after `init_app`.
        """
        if not resolvers or self.resolvers:
            raise ConfigurationError("Call resolve_by once, with one resolver or more: Subdomain('example.com').")
        if self._is_installed:
            raise ConfigurationError("Call resolve_by before init_app, which looks for resolvers.")
        self.resolvers = tuple(map(make_resolver, resolvers))

    def init_app(self, app: Flask) -> None:
        """Declare everything to `app`; called by `TenantProvisioning.init_app`."""
        self._is_installed = True
        declarations = app.extensions.setdefault(ISOLATION_KEY, {})
        if self.resolvers and not any(declared.resolvers for declared in declarations.values()):
            app.before_request(resolve_request)
        declarations[self.name] = self
        if self.strategy is not None:
            with app.app_context():
                self.strategy.prepare()

    def use(self, strategy: Strategy) -> None:
        """Keep the data of tenants apart by a strategy.

        ::

            from flask_tenant_provisioning.isolation import RowLevelSecurity

            provisioning.isolation.use(RowLevelSecurity(db.metadata, session=db.session))

        Raises `ConfigurationError` for a second call, and after `init_app`.
        """
        if self.strategy is not None or self._is_installed:
            raise ConfigurationError("Call provisioning.isolation.use once, before init_app.")
        self.strategy = strategy

    def set_tenant(self, session: Any, tenant_id: str) -> None:
        """Let the rest of a session's transaction work for a tenant, in hooks, whose session is the API's.

        ::

            @provisioning.hook("tenant.create")
            def open_workspace(session, tenant):
                provisioning.isolation.set_tenant(session, tenant["tenant"])
                session.add(Workspace(tenant_id=tenant["tenant"]))
        """
        self._require_strategy().set_tenant(session, tenant_id)

    def bypass(self, reason: str, *, write: bool = False) -> AbstractContextManager[Any]:
        """Return a context manager with a session that sees the rows of all tenants, for operators.

        ::

            with provisioning.isolation.bypass("monthly invoices") as session:
                session.scalars(select(Invoice))

        It connects by the strategy's `operators`, a role of its own, and reads only; with `write` it commits at the
        end of the block. Each use is logged as a warning, with its reason. The host's own session stays bound to the
        current tenant. Entering it raises `TenantConflict` within a tenant's context, and `ConfigurationError` without
        a reason, without `operators`, and for a role that does not pass by the policies.
        """
        return self._require_strategy().bypass(reason, write=write)

    def _require_strategy(self) -> Strategy:
        if self.strategy is None:
            raise ConfigurationError("Name a strategy first: provisioning.isolation.use(RowLevelSecurity(…)).")
        return self.strategy

    def resolve(self, request: Request) -> CurrentTenant | None:
        """Return the tenant of a request, or None if it names none. Raises `TenantRefused`."""
        tenant: CurrentTenant | None = None
        for resolver in self.resolvers:
            if tenant is not None and not resolver.is_proof:
                continue
            found = self._ask(resolver, request)
            if found is not None and tenant is not None and found.id != tenant.id:
                raise TenantConfusion(tenant.id, tenant.status)
            tenant = tenant or found
        if tenant is None:
            return None
        from .directory import require_usable

        return require_usable(tenant)

    def _ask(self, resolver: Resolver, request: Request) -> CurrentTenant | None:
        """Return the tenant that a resolver names, in any state. Raises `TenantUnknown`."""
        name = resolver.read_name(request)
        if name is None:
            return None
        from .directory import get_directory

        directory, tenant = get_directory(self.name), None
        if 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable():
            if resolver.partner is not None:
                tenant = directory.get_by_external_id(resolver.partner, name)
            elif resolver.find is not None:
                id = directory.find_id(resolver.find, name)
                tenant = None if id is None else directory.get(id)
            else:
                tenant = directory.get(name)
        if tenant is None and not resolver.is_optional:
            raise TenantUnknown
        return tenant

    @contextlib.contextmanager
    def tenant_context(self, tenant_id: str, *, any_status: bool = False) -> Iterator[CurrentTenant]:
        """Make a tenant the current one for the length of the block; see `TenantProvisioning.tenant_context`."""
        from .directory import look_up

        with open_scope(self.name, look_up(self.name, str(tenant_id), any_status=any_status)) as tenant:
            yield tenant

    def carry(self, celery: Celery) -> None:
        """Let the tasks of a Celery app run for the tenant in whose context they were sent.

        ::

            provisioning.isolation.carry(celery_app)

        The tenant's id travels in a header of the message. A task that was sent without a tenant has none, whatever
        the worker did before. Call it once for each Celery app, in the processes that send and in the workers.
        """
        from .tasks import carry_tenant

        carry_tenant(celery, self.name)

    def forget(self) -> None:
        """Drop what the current app has cached of tenants, also what `find` functions of resolvers have found.

        Call it after a change of what these functions read; other processes see it within
        ``PROVISIONING_TENANT_CACHE_SECONDS``.
        """
        from .directory import get_directory

        get_directory(self.name).forget()
