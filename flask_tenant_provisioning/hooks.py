"""What a host registers: hooks, steps, fields, plans, settings, limits, errors. Data: nothing here runs them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from marshmallow import Schema

from .callables import name_of
from .config import ConfigurationError
from .names import ordered, unique
from .namespaces import Namespace, agreed
from .plans import Plan
from .problems import ProvisioningError

#: A function of the host's, which registering it leaves as it is.
F = TypeVar("F", bound=Callable[..., Any])

#: What a hook can take part in.
OPERATIONS = (
    "tenant.create",
    "tenant.update",
    "tenant.suspend",
    "tenant.reactivate",
    "tenant.delete",
    "tenant.restore",
    "tenant.move",
    "tenant.purge",
)
#: What a hook can ask for, by the names of its parameters.
OFFERED = frozenset({"session", "tenant", "before", "principal", "operation"})
#: What a function can ask for that says how much of a limit is used.
OFFERED_TO_USAGES = frozenset({"session", "tenant"})
#: What a step, its undo and an export can ask for.
OFFERED_TO_STEPS = frozenset({"tenant", "context"})
#: What an archive can ask for.
OFFERED_TO_ARCHIVES = frozenset({"name", "stream", "sha256", "tenant", "context"})

PROVISIONING, DEPROVISIONING = "provisioning", "deprovisioning"


class Hook(NamedTuple):
    """A function of the host's that runs inside the transaction of each of `operations`."""

    name: str
    operations: tuple[str, ...]
    function: Callable[..., Any]
    after: tuple[str, ...]
    wants: frozenset[str]


class Usage(NamedTuple):
    """A function of the host's that says how much of `limit` a tenant uses."""

    limit: str
    function: Callable[..., Any]
    wants: frozenset[str]


class MappedError(NamedTuple):
    """What the host raises, or the database's constraint that it meets, and the problem that its caller reads."""

    cause: type[Exception] | str
    kind: type[ProvisioningError]
    detail: str | None
    field: str | None


class Step(NamedTuple):
    """A piece of work of the host's that follows the commit, durably; times are in seconds.

    `undo` takes its effect back where a later step gives up. `backoff` is the time before the first of at most
    `retries` further attempts, doubled before each next one. All others of its phase come after one that is `first`.
    """

    name: str
    phase: str
    function: Callable[..., Any]
    undo: Callable[..., Any] | None
    retries: int
    timeout: float
    backoff: float
    after: tuple[str, ...]
    first: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class TenantFields:
    """The fields that a host adds to tenants: their schema, and the names of those that lists are filtered by."""

    schema: Schema
    filterable: tuple[str, ...]

    @functools.cached_property
    def fields(self) -> Mapping[str, Any]:
        """Every field by the name that clients use, in the order of their declaration."""
        fields = self.schema.fields.items()
        return {name if field.data_key is None else field.data_key: field for name, field in fields}


class Hooks:
    """Everything that one host registered."""

    def __init__(self) -> None:
        self.fields: TenantFields | None = None
        self._steps: dict[str, list[Step]] = {PROVISIONING: [], DEPROVISIONING: []}
        self._orders: dict[str, tuple[Step, ...]] = {}
        self._hooks: list[Hook] = []
        self._of: dict[str, tuple[Hook, ...]] = {}
        self.errors: list[MappedError] = []
        self.exports: dict[str, Callable[..., Any]] = {}
        self.archive: Callable[..., Any] | None = None
        self.plans: dict[str, Plan] = {}
        self.usages: dict[str, Usage] = {}
        self.rate_limits: Callable[[str, str], str | None] | None = None
        self.namespaces: dict[str, Namespace] = {}

    def add(self, hook: Hook) -> None:
        """Keep a hook. Raises `ConfigurationError` where another has its name."""
        unique(hook.name, self._hooks, "hook")
        self._hooks.append(hook)
        self._of.clear()

    def of(self, operation: str) -> tuple[Hook, ...]:
        """The hooks of `operation`, in their declared order. Raises `ConfigurationError` where there is none."""
        found = self._of.get(operation)
        if found is None:
            every = ordered(self._hooks, "hook")
            found = self._of[operation] = tuple(hook for hook in every if operation in hook.operations)
        return found

    def add_step(self, step: Step) -> None:
        """Keep a step. Raises `ConfigurationError` where another of its phase has its name."""
        unique(step.name, self._steps[step.phase], f"{step.phase} step")
        self._steps[step.phase].append(step)
        self._orders.clear()

    def steps(self, phase: str) -> tuple[Step, ...]:
        """The steps of `phase`, in an order that they allow. Raises `ConfigurationError` where there is none."""
        found = self._orders.get(phase)
        if found is None:
            found = self._orders[phase] = tuple(ordered(_behind_the_first(self._steps[phase]), f"{phase} step"))
        return found

    def step(self, phase: str, name: str) -> Step | None:
        """The step of this name, None where the host has none any more."""
        return next((step for step in self._steps[phase] if step.name == name), None)

    def add_plan(self, plan: Plan) -> None:
        """Keep a plan. Raises `ConfigurationError` where it cannot set what it does in a namespace that is known."""
        self.plans[plan.name] = self._agreed(plan)

    def add_namespace(self, namespace: Namespace) -> None:
        """Keep a namespace of settings. Raises `ConfigurationError` where a plan sets in it what cannot be."""
        self.namespaces[namespace.name] = namespace
        try:
            self.plans |= {name: self._agreed(plan) for name, plan in self.plans.items()}
        except ConfigurationError:
            del self.namespaces[namespace.name]
            raise

    def _agreed(self, plan: Plan) -> Plan:
        known = {name: self.namespaces[name] for name in plan.settings if name in self.namespaces}
        found = {name: agreed(one, plan.settings[name], plan.name) for name, one in known.items()}
        return plan._replace(settings={**plan.settings, **found})

    def kinds(self) -> tuple[type[ProvisioningError], ...]:
        """Every class of problem of the host's own."""
        return tuple({mapped.kind.code: mapped.kind for mapped in self.errors}.values())

    def check(self) -> None:
        """Raise `ConfigurationError` where what was registered does not fit together."""
        ordered(self._hooks, "hook")
        for phase in self._steps:
            self.steps(phase)
        if self.exports and self.archive is None:
            raise ConfigurationError("There are exports and nowhere to put them: register a @provisioning.archive.")
        for plan in self.plans.values():
            if strangers := [name for name in plan.settings if name not in self.namespaces]:
                raise ConfigurationError(
                    f"The plan {plan.name!r} sets {strangers[0]!r}, and there is no such namespace: "
                    f"register provisioning.settings({strangers[0]!r}, …) first."
                )


def _behind_the_first(steps: Sequence[Step]) -> list[Step]:
    """The steps, of which those that wait for no other wait for the first one."""
    first = tuple(step.name for step in steps if step.first)
    return [step if step.first or step.after else step._replace(after=first) for step in steps]


def wanted(function: Callable[..., Any], offered: frozenset[str], what: str) -> frozenset[str]:
    """Return which of `offered` the function asks for. Raises `ConfigurationError` where it asks for more."""
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return offered
    needed = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    if strangers := needed - offered:
        names = ", ".join(sorted(offered))
        raise ConfigurationError(f"The {what} {name_of(function)!r} asks for {min(strangers)!r}; there is {names}.")
    return offered & parameters.keys()


def mapped_kind(code: str, status: int, title: str | None, remedy: str | None, meaning: str | None) -> Any:
    """A class of problem that one host alone has: it stands in no catalogue but its mounts'."""
    own: Mapping[str, Any] = {
        "code": code,
        "status": status,
        "title": title or code.replace("-", " ").capitalize(),
        "remedy": remedy or "Correct what `detail` says, or ask the operator.",
        "of_host": True,
        "__doc__": meaning or "The application refused this.",
    }
    return type("HostProblem", (ProvisioningError,), dict(own))
