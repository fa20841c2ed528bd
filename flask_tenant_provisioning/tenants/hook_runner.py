"""Run the host's hooks inside the tenant's own transaction. What they raise refuses the whole write."""

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
from .models import Tenant
from .mutations import TenantChange

HostContext = Callable[[], contextlib.AbstractContextManager[Any]]


class HookRunner:
    """Asks the hooks of one mount, in the host's own application context."""

    def __init__(self, hooks: Registry, context: HostContext) -> None:
        self._hooks = hooks
        self._context = context

    def concerns(self, operation: str, tenant: Tenant | None = None) -> bool:
        """Whether anybody is to be asked about `operation`."""
        return bool(self._hooks.hooks_for(operation))

    def defers(self, session: Session, operation: str, tenant: Tenant | None) -> bool:
        """A hook ends with its transaction."""
        return False

    def require_ready(self, session: Session, operation: str, tenant: Tenant) -> None:
        """A hook refuses once it is asked, which comes last."""

    def __call__(self, session: Session, change: TenantChange) -> None:
        """Run the hooks in their declared order. Raises the problem into which the host's own exception is mapped."""
        hooks = self._hooks.hooks_for(change.operation)
        if not hooks:
            return
        with self._context():
            for hook in hooks:
                self._ask(session, hook, change)

    def _ask(self, session: Session, hook: Hook, change: TenantChange) -> None:
        own = self._hooks.fields
        offered: dict[str, Any] = {
            "session": session.orm,
            "tenant": change.after.document(own),
            "before": change.before and change.before.document(own),
            "principal": change.actor.principal,
            "operation": change.operation,
        }
        with map_host_errors(session):
            done = hook.function(**{name: offered[name] for name in hook.arguments})
            require_result(done, f"The hook {hook.name!r}")
            session.flush()


@contextlib.contextmanager
def map_host_errors(session: Session) -> Iterator[None]:
    """Let what the host's own code raises inside be the problem into which it is mapped."""
    try:
        yield
    except ProvisioningError as problem:
        problem.is_replayable = False
        raise
    except Exception as error:
        if (found := _find_mapping(session, error)) is None:
            raise
        raise _make_problem(found, error) from error


def _find_mapping(session: Session, error: Exception) -> ErrorMapping | None:
    """What the host said of this exception: of the constraint that it names, else of its nearest class."""
    constraint = _find_constraint(session, error)
    by_cause = {mapped.cause: mapped for mapped in session.storage.hooks.errors}
    if constraint and constraint in by_cause:
        return by_cause[constraint]
    return next((by_cause[kind] for kind in type(error).__mro__ if kind in by_cause), None)


def _find_constraint(session: Session, error: Exception) -> str | None:
    if isinstance(error, UniqueViolation):
        return error.constraint
    return session.constraint_of(error) if isinstance(error, DBAPIError) else None


def _make_problem(mapped: ErrorMapping, error: Exception) -> ProvisioningError:
    by_constraint = isinstance(mapped.cause, str)
    detail = mapped.detail or (f"{mapped.problem.title}." if by_constraint else str(error)) or None
    fault = Fault(mapped.problem.code, detail or f"{mapped.problem.title}.")
    found = mapped.problem(detail, errors=[make_entry(fault, mapped.field)] if mapped.field else ())
    found.is_replayable = False
    return found
