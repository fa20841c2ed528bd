"""The current tenant of a request, a task, a command or a block of code.

A scope holds it: one for each request, whose resolvers are asked once, and one for each `tenant_context` and each
Celery task. A scope counts only where it was opened: a request that is handled within a `tenant_context`, another app's
context, and a thread without a scope of its own do not inherit it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from flask import Flask, Request, current_app, has_app_context, has_request_context, request
from werkzeug.local import LocalProxy

from ..mounts import get_mounts
from .refusals import TenantConflict, TenantRefused, TenantUnknown
from .tenant import CurrentTenant

P = ParamSpec("P")
R = TypeVar("R")
#: Key of `app.extensions` that holds the declarations of an app by the names of their mounts.
ISOLATION_KEY = "tenant_provisioning_isolation"
_REQUEST_KEY = "flask_tenant_provisioning.tenant"


@dataclasses.dataclass(eq=False, slots=True)
class Scope:
    """A tenant for the length of a request, a task or a block; `tenant_id` None means that there is none.

    `app` and `request` are those in which it was opened; a task's scope, which Celery opens before there is an app,
    has a `task_id` instead. `outer` is the scope that it covers.
    """

    mount_name: str
    tenant_id: str | None = None
    tenant: CurrentTenant | None = None
    refusal: TenantRefused | None = None
    app: Flask | None = None
    request: Any = None
    task_id: str | None = None
    outer: Scope | None = None
    #: Called at the end of the block or the task, by the id of the session that they are about; None for a request,
    #: at whose end the host drops its session.
    exits: dict[int, Callable[[], None]] | None = None
    is_closed: bool = False

    def is_visible(self) -> bool:
        """Return whether the scope counts for the code that runs now."""
        if self.request is not (request._get_current_object() if has_request_context() else None):  # type: ignore[attr-defined]
            return False
        return self.app is None or not has_app_context() or _get_app() is self.app


class Declaration(Protocol):
    """The host's declaration for a mount (`declaration.Isolation`)."""

    @property
    def name(self) -> str: ...
    @property
    def resolvers(self) -> Sequence[Any]: ...
    @property
    def strategy(self) -> Any: ...
    def resolve(self, request: Request) -> CurrentTenant | None:
        """Return the tenant of a request, or None if it names none. Raises `TenantRefused`."""


_scope: ContextVar[Scope | None] = ContextVar("flask_tenant_provisioning.scope", default=None)


def get_declarations(app: Flask) -> Mapping[str, Declaration]:
    """Return the declarations of `app` by the names of their mounts."""
    declarations: Mapping[str, Declaration] = app.extensions.get(ISOLATION_KEY, {})
    return declarations


def find_scope() -> Scope | None:
    """Return the scope of the code that runs now, or None outside of all."""
    scope = _find_open_scope()
    if scope is not None and scope.is_visible():
        return scope
    return _find_request_scope() if has_request_context() else None


def get_tenant_id() -> str | None:
    """Return the id of the current tenant, or None if there is none. Looks nothing up outside a request."""
    scope = find_scope()
    return None if scope is None else scope.tenant_id


def find_tenant() -> CurrentTenant | None:
    """Return the current tenant, or None if there is none or it was refused.

    Raises `TenantRefused` if the tenant of a task was purged since it was sent, or cannot be looked up.
    """
    scope = find_scope()
    if scope is None or scope.tenant_id is None:
        return None
    if scope.tenant is None:
        from .directory import look_up  # with it come SQLAlchemy and the tables

        scope.tenant = look_up(scope.mount_name, scope.tenant_id, any_status=True)
    return scope.tenant


def _require_tenant() -> CurrentTenant:
    tenant = find_tenant()
    if tenant is None:
        raise RuntimeError(
            "There is no current tenant: no resolver has found one in this request, and no tenant_context is open."
        )
    return tenant


#: The tenant that the running code serves; false where there is none.
current_tenant: CurrentTenant = cast(CurrentTenant, LocalProxy(_require_tenant))


def tenant_required(view: Callable[P, R]) -> Callable[P, R]:
    """Refuse requests without a tenant: the host's view returns 404 for them, by `TenantUnknown`.

    ::

        @app.get("/projects")
        @tenant_required
        def list_projects(): ...

    Place it below the route decorator. It does not check that the caller may see the tenant.
    """

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        require_request_tenant()
        return cast(R, current_app.ensure_sync(view)(*args, **kwargs))

    return guarded


def require_request_tenant() -> CurrentTenant:
    """Return the current tenant. Raises `TenantUnknown` if there is none, and what refused it."""
    scope = find_scope()
    if scope is not None and scope.refusal is not None:
        raise scope.refusal
    tenant = find_tenant()
    if tenant is None:
        raise TenantUnknown
    return tenant


def resolve_request() -> None:
    """Ask the resolvers for the tenant of this request. Raises `TenantRefused`. A ``before_request`` function."""
    scope = _find_request_scope()
    if scope is not None and scope.refusal is not None:
        raise scope.refusal


def _find_request_scope() -> Scope | None:
    """Return the scope of this request, whose resolvers are asked at the first call; None without resolvers."""
    app, environ = _get_app(), request.environ
    scope: Scope | None = environ.get(_REQUEST_KEY)
    if scope is not None and scope.app is app:
        return scope
    declarations = [declared for declared in get_declarations(app).values() if declared.resolvers]
    if not declarations:
        return None
    endpoint = request.endpoint or ""
    if endpoint.rpartition(".")[2] == "static" or request.blueprint in get_mounts(app):
        return None  # the host's static files, and the API, whose requests are a partner's
    # While the resolvers run there is no tenant: a function of the host's that asks for it gets none.
    environ[_REQUEST_KEY] = scope = Scope(declarations[0].name, app=app)
    try:
        for declared in declarations:
            tenant = declared.resolve(request)
            if tenant is not None:
                scope.mount_name, scope.tenant, scope.tenant_id = declared.name, tenant, tenant.id
                break
    except TenantRefused as refusal:
        scope.refusal = refusal
    except BaseException:
        del environ[_REQUEST_KEY]
        raise
    return scope


@contextlib.contextmanager
def open_scope(mount_name: str, tenant: CurrentTenant) -> Iterator[CurrentTenant]:
    """Make `tenant` the current one for the length of the block. Raises `TenantConflict` within another tenant's."""
    current = find_scope()
    outer_id = None if current is None else current.tenant_id
    if outer_id not in (None, tenant.id):
        raise TenantConflict(
            f"The code of tenant {outer_id} has opened a context of tenant {tenant.id}: leave the first one before."
        )
    within = request._get_current_object() if has_request_context() else None  # type: ignore[attr-defined]
    scope = Scope(mount_name, tenant.id, tenant, app=_get_app(), request=within, outer=_find_open_scope(), exits={})
    if current is not None and outer_id is not None:
        scope.exits = current.exits  # the outer context keeps its objects beyond this one
    _scope.set(scope)
    try:
        yield tenant
    except BaseException:
        with contextlib.suppress(TenantConflict):
            if outer_id is None:
                _run_exits(scope)
        raise
    else:
        if outer_id is None:
            _run_exits(scope)
    finally:
        scope.is_closed = True
        _scope.set(_find_open_scope())


def _find_open_scope() -> Scope | None:
    """Return the innermost scope that is open: generators may close theirs before one that was opened later."""
    scope = _scope.get()
    while scope is not None and scope.is_closed:
        scope = scope.outer
    return scope


def _run_exits(scope: Scope) -> None:
    while scope.exits:
        scope.exits.popitem()[1]()


def enter_task(mount_name: str, task_id: str, tenant_id: str | None, *, is_eager: bool = False) -> None:
    """Begin a task: its tenant, or none, is the current one until `leave_task`.

    One that `is_eager` runs in place of its sender, also within a request. A task that has the tenant of another mount
    keeps it, if it has none of this one.
    """
    outer = _find_open_scope()
    if tenant_id is None and outer is not None and outer.task_id == task_id and outer.mount_name != mount_name:
        return
    within = request._get_current_object() if is_eager and has_request_context() else None  # type: ignore[attr-defined]
    _scope.set(Scope(mount_name, tenant_id, request=within, task_id=task_id, outer=outer, exits={}))


def leave_task(mount_name: str, task_id: str) -> None:
    """End a task, and every scope that it has left open."""
    left, scope = [], _find_open_scope()
    while scope is not None:
        left.append(scope)
        if (scope.mount_name, scope.task_id) == (mount_name, task_id):
            break
        scope = scope.outer
    else:
        return  # it has not been entered
    for scope in left:
        with contextlib.suppress(TenantConflict):
            _run_exits(scope)
        scope.is_closed = True
    _scope.set(_find_open_scope())


def _get_app() -> Flask:
    return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]
