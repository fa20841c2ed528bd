"""The host's hooks: they run inside the tenant's own transaction, and what they raise refuses the whole write."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sqlalchemy.exc import DBAPIError

from ..access import Actor
from ..callables import require_done
from ..database import Session, UniqueViolation
from ..hooks import Hook, Hooks, MappedError
from ..problems import Fault, ProvisioningError
from ..web.validation import entry
from .models import Tenant


class Change(NamedTuple):
    """What happens to a tenant in one transaction; `before` is None for a new one."""

    operation: str
    actor: Actor
    before: Tenant | None
    after: Tenant


Context = Callable[[], contextlib.AbstractContextManager[Any]]


class Consultation:
    """Asks the hooks of one mount, in the host's own application context."""

    def __init__(self, hooks: Hooks, context: Context) -> None:
        self._hooks = hooks
        self._context = context

    def concerns(self, operation: str, tenant: Tenant | None = None) -> bool:
        """Whether anybody is to be asked about `operation`."""
        return bool(self._hooks.of(operation))

    def defers(self, session: Session, operation: str, tenant: Tenant | None) -> bool:
        """A hook ends with its transaction."""
        return False

    def require_ready(self, session: Session, operation: str, tenant: Tenant) -> None:
        """A hook refuses once it is asked, which comes last."""

    def __call__(self, session: Session, change: Change) -> None:
        """Run the hooks in their declared order. Raises the problem into which the host's own exception is mapped."""
        hooks = self._hooks.of(change.operation)
        if not hooks:
            return
        with self._context():
            for hook in hooks:
                self._ask(session, hook, change)

    def _ask(self, session: Session, hook: Hook, change: Change) -> None:
        own = self._hooks.fields
        offered: dict[str, Any] = {
            "session": session.orm,
            "tenant": change.after.document(own),
            "before": change.before and change.before.document(own),
            "principal": change.actor.principal,
            "operation": change.operation,
        }
        with mapped(session):
            done = hook.function(**{name: offered[name] for name in hook.wants})
            require_done(done, f"The hook {hook.name!r}")
            session.flush()


@contextlib.contextmanager
def mapped(session: Session) -> Iterator[None]:
    """Let what the host's own code raises inside be the problem into which it is mapped."""
    try:
        yield
    except ProvisioningError as problem:
        problem.lasting = False
        raise
    except Exception as error:
        if (found := _mapping(session, error)) is None:
            raise
        raise _problem(found, error) from error


def _mapping(session: Session, error: Exception) -> MappedError | None:
    """What the host said of this exception: of the constraint that it names, else of its nearest class."""
    constraint = _constraint(session, error)
    by_cause = {mapped.cause: mapped for mapped in session.storage.hooks.errors}
    if constraint and constraint in by_cause:
        return by_cause[constraint]
    return next((by_cause[kind] for kind in type(error).__mro__ if kind in by_cause), None)


def _constraint(session: Session, error: Exception) -> str | None:
    if isinstance(error, UniqueViolation):
        return error.constraint
    return session.constraint_of(error) if isinstance(error, DBAPIError) else None


def _problem(mapped: MappedError, error: Exception) -> ProvisioningError:
    by_constraint = isinstance(mapped.cause, str)
    detail = mapped.detail or (f"{mapped.kind.title}." if by_constraint else str(error)) or None
    fault = Fault(mapped.kind.code, detail or f"{mapped.kind.title}.")
    found = mapped.kind(detail, errors=[entry(fault, mapped.field)] if mapped.field else ())
    found.lasting = False
    return found
