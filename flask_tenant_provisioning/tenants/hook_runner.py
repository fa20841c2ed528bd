"""Run the host's hooks inside the tenant's transaction. An exception in a hook rolls the whole write back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy.exc import DBAPIError

from ..database.errors import UniqueViolation
from ..database.session import Session
from ..errors import Fault, ProvisioningError
from ..hooks import require_result
from ..registry import ErrorMapping, Hook, Registry
from ..validation import make_entry
from .models import Tenant, render_tenant_document
from .mutations import TenantChange

HostContext = Callable[[], contextlib.AbstractContextManager[Any]]


class HookRunner:
    """The hooks of one mount, run in the host's application context."""

    def __init__(self, registry: Registry, context: HostContext) -> None:
        self._registry = registry
        self._context = context

    def concerns(self, operation: str) -> bool:
        """Return whether any hook is registered for `operation`."""
        return bool(self._registry.hooks_for(operation))

    def defers(self, session: Session, operation: str, tenant: Tenant | None) -> bool:
        """Return False: a hook finishes within the transaction."""
        return False

    def require_ready(self, session: Session, operation: str, tenant: Tenant) -> None:
        """Do nothing: a hook refuses when it runs, at the end of the operation."""

    def __call__(self, session: Session, change: TenantChange) -> None:
        """Run the hooks in the order of their registration. Raises the problem that a host exception is mapped to."""
        with self._context():
            for hook in self._registry.hooks_for(change.operation):
                self._run_hook(session, hook, change)

    def _run_hook(self, session: Session, hook: Hook, change: TenantChange) -> None:
        custom = self._registry.fields
        arguments: dict[str, Any] = {
            "session": session.orm,
            "tenant": render_tenant_document(change.after, custom),
            "before": change.before and render_tenant_document(change.before, custom),
            "principal": change.actor.principal,
            "operation": change.operation,
        }
        with map_host_errors(session):
            result = hook.function(**{name: arguments[name] for name in hook.arguments})
            require_result(result, f"The hook {hook.name!r}")
            session.flush()


@contextlib.contextmanager
def map_host_errors(session: Session) -> Iterator[None]:
    """Translate exceptions of host code in the block to the problems that they are mapped to."""
    try:
        yield
    except ProvisioningError as problem:
        problem.is_replayable = False
        raise
    except Exception as error:
        mapping = _find_mapping(session, error)
        if mapping is None:
            raise
        raise _make_problem(mapping, error) from error


def _find_mapping(session: Session, error: Exception) -> ErrorMapping | None:
    """Return the host's mapping for the violated constraint, else for the exception's nearest class, else None."""
    constraint = _find_constraint(session, error)
    by_cause = {mapping.cause: mapping for mapping in session.storage.registry.errors}
    if constraint and constraint in by_cause:
        return by_cause[constraint]
    return next((by_cause[kind] for kind in type(error).__mro__ if kind in by_cause), None)


def _find_constraint(session: Session, error: Exception) -> str | None:
    if isinstance(error, UniqueViolation):
        return error.constraint
    return session.constraint_of(error) if isinstance(error, DBAPIError) else None


def _make_problem(mapping: ErrorMapping, error: Exception) -> ProvisioningError:
    """Make the mapped problem. Its detail is that of the mapping, else the exception's text, else the title."""
    detail = mapping.detail
    if not detail and not isinstance(mapping.cause, str):  # a driver's message shows the statement
        detail = str(error)
    detail = detail or f"{mapping.problem.title}."
    errors = [make_entry(Fault(mapping.problem.code, detail), mapping.field)] if mapping.field else []
    problem = mapping.problem(detail, errors=errors)
    problem.is_replayable = False
    return problem
