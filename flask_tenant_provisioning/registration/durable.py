"""What the host does before and after: durable steps, and the archives of tenants that are removed for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..callables import require_plain
from ..config import ConfigurationError
from ..hooks import DEPROVISIONING, OFFERED_TO_ARCHIVES, OFFERED_TO_STEPS, PROVISIONING, F, Hooks, Step, wanted
from ..names import is_name
from ..steps.exporting import EXPORT, Exporting


class Durable:
    """Steps, exports and the archive that keeps them."""

    hooks: Hooks

    def step(
        self,
        name: str,
        *,
        undo: Callable[..., Any] | None = None,
        retries: int = 5,
        timeout: float = 60,
        backoff: float = 1,
        after: Sequence[str] = (),
        phase: str = PROVISIONING,
    ) -> Callable[[F], F]:
        """Run a function durably after a tenant's creation: until it succeeds, or has failed `retries` times more.

        ::

            @provisioning.step("bucket", undo=drop_bucket, after=["schema"])
            def make_bucket(tenant, context):
                context.save({"bucket": storage.create(key=context.idempotency_key)})

        It is given what it names of `tenant` (the document) and `context` (`StepContext`). It may run again, after a
        crash of its worker too; `context` helps it to take effect once. An attempt may take `timeout` seconds; the
        first of the further ones follows after `backoff` seconds, each next one after twice as long.

        A tenant with steps is `provisioning` until all have succeeded. Where one gives up it is `failed`, and `undo`,
        a function of the same kind, runs for each step that had begun, the last one first. Steps of the phase
        `deprovisioning` run before a tenant is removed for good; they have no undo.

        Raises `ConfigurationError` for what cannot be, such as a function that is asynchronous or a generator.
        """
        if phase not in (PROVISIONING, DEPROVISIONING) or (phase == DEPROVISIONING and undo):
            raise ConfigurationError(f"The phase of a step is {PROVISIONING!r}, or {DEPROVISIONING!r} without an undo.")
        if not is_name(name):
            raise ConfigurationError(f"A step's name is 1 to 100 of a-z, A-Z, 0-9, - _ and ., not {name!r}.")
        if type(retries) is not int or retries < 0 or timeout <= 0 or backoff < 0:
            raise ConfigurationError(f"The step {name!r} needs retries from 0 on and times above 0.")

        def register(function: F) -> F:
            require_plain(function, "step")
            wanted(function, OFFERED_TO_STEPS, "step")
            if undo is not None:
                require_plain(undo, "undo")
                wanted(undo, OFFERED_TO_STEPS, "undo")
            self.hooks.add_step(Step(name, phase, function, undo, retries, timeout, backoff, tuple(after)))
            return function

        return register

    def export(self, kind: str) -> Callable[[F], F]:
        """Write what a function yields (JSON objects) into the archive of each tenant that is removed for good.

        It is given what it names of `tenant` and `context`. The export is the first step of a deprovisioning: where it
        fails, nothing is removed. Raises `ConfigurationError` for a kind that is malformed or taken, and for an
        asynchronous function.
        """
        if not is_name(kind) or kind in {*self.hooks.exports, "archive", "tenant", "end"}:
            raise ConfigurationError(f"An export needs a kind of its own, of letters, digits, - _ and ., not {kind!r}.")

        def register(function: F) -> F:
            require_plain(function, "export", may_yield=True)
            wanted(function, OFFERED_TO_STEPS, "export")
            if not self.hooks.exports:
                step = Step(EXPORT, DEPROVISIONING, Exporting(self.hooks), None, 5, 3600, 1, (), first=True)
                self.hooks.add_step(step)
            self.hooks.exports[kind] = function
            return function

        return register

    def archive(self, function: F) -> F:
        """Keep the archives of exported tenants with this function, such as ``to_folder("/srv/archives")``.

        It is given what it names of `name` (of the file), `stream` (binary, at its beginning), `sha256`, `tenant` and
        `context`, and returns where the archive is. For the same tenant it may be called again.
        Raises `ConfigurationError` for a function that is asynchronous or a generator.
        """
        require_plain(function, "archive")
        wanted(function, OFFERED_TO_ARCHIVES, "archive")
        self.hooks.archive = function
        return function
