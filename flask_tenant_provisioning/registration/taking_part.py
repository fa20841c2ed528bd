"""What the host does in the very transactions of tenants."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ..callables import name_of, require_plain
from ..config import ConfigurationError
from ..hooks import OFFERED, OPERATIONS, F, Hook, Hooks, MappedError, mapped_kind, wanted
from ..problems import ProvisioningError, catalogue

_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class TakingPart:
    """Functions inside of transactions, and problems of what they raise."""

    hooks: Hooks

    def hook(self, *operations: str, name: str | None = None, after: Sequence[str] = ()) -> Callable[[F], F]:
        """Run a function inside the very transaction of each of `operations`; what it raises refuses the whole write.

        ::

            @provisioning.hook("tenant.create")
            def open_workspace(session, tenant, principal):
                session.add(Workspace(tenant_id=tenant["tenant"]))

        It is given what it names of `session` (an ORM session in the tenant's own transaction), `tenant` (the document
        as it is now), `before` (as it was; None for a new one), `principal` and `operation`. It runs after the hooks
        that `after` names, otherwise by `name`, which is the function's unless given. It may run more than once, and
        be rolled back (`validate_only`): it does nothing but talk to the database.

        Raises `ConfigurationError` for an operation or a parameter that does not exist, a name that is taken, and a
        function that is asynchronous or a generator.
        """
        if not operations or (strangers := sorted({*operations} - {*OPERATIONS})):
            found = f"not {strangers[0]!r}" if operations else "at least one"
            raise ConfigurationError(f"A hook names operations out of {', '.join(OPERATIONS)}; {found}.")

        def register(function: F) -> F:
            require_plain(function, "hook")
            wants = wanted(function, OFFERED, "hook")
            self.hooks.add(Hook(name or name_of(function), operations, function, tuple(after), wants))
            return function

        return register

    def map_error(
        self,
        cause: type[Exception] | str,
        *,
        status: int,
        code: str,
        title: str | None = None,
        detail: str | None = None,
        remedy: str | None = None,
        meaning: str | None = None,
        field: str | None = None,
    ) -> None:
        """Answer what hooks raise as a problem of the host's own, documented like the others.

        `cause` is a class of exception, or the name of one of the host's database constraints. `detail` is what the
        caller reads; by default the exception's own text, for a constraint the `title`. `field` puts the fault into
        the problem's `errors`, at that field.

        Raises `ConfigurationError` for a status that is no refusal, and for a code that is malformed or taken.
        """
        if status not in range(400, 500) or status == 401:
            raise ConfigurationError(f"map_error needs a status from 400 to 499 other than 401, not {status!r}.")
        if not _CODE.fullmatch(code) or code in {kind.code for kind in catalogue()}:
            raise ConfigurationError(f"map_error needs a code of its own, such as 'billing-refused', not {code!r}.")
        if not isinstance(cause, str) and not (isinstance(cause, type) and issubclass(cause, Exception)):
            raise ConfigurationError("map_error needs a class of exception or a constraint's name.")
        self.hooks.errors.append(MappedError(cause, self._kind(code, status, title, remedy, meaning), detail, field))

    def _kind(
        self, code: str, status: int, title: str | None, remedy: str | None, meaning: str | None
    ) -> type[ProvisioningError]:
        """The class of this code, which several causes may share. Raises `ConfigurationError` for two statuses."""
        for kind in self.hooks.kinds():
            if kind.code == code:
                if kind.status != status:
                    raise ConfigurationError(f"The code {code!r} has the status {kind.status} already.")
                return kind
        made: type[ProvisioningError] = mapped_kind(code, status, title, remedy, meaning)
        return made
