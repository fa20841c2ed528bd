"""The registry of a host's functions and declarations: hooks, steps, exports, invitations, tenant fields, plans,
settings namespaces, usage functions, rate limits and error mappings. It holds data and calls none of the functions.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from .config import PERMISSIONS, ConfigurationError
from .errors import Mender, ProvisioningError

if TYPE_CHECKING:
    from marshmallow import Schema, ValidationError, fields

PROVISIONING, DEPROVISIONING = "provisioning", "deprovisioning"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
SettingsValues = Mapping[str, Any]


class HasOrder(Protocol):
    """An object with a name that comes after others of its kind."""

    @property
    def name(self) -> str: ...
    @property
    def after(self) -> tuple[str, ...]: ...


N = TypeVar("N", bound=HasOrder)


class Hook(NamedTuple):
    """A function of the host's that runs inside the transaction of each of `operations`."""

    name: str
    operations: tuple[str, ...]
    function: Callable[..., Any]
    after: tuple[str, ...]
    arguments: frozenset[str]


class Permission(NamedTuple):
    """A permission that the host declares: its name, what it allows, and the roles that grant it."""

    name: str
    description: str
    roles: tuple[str, ...]


class UsageFunction(NamedTuple):
    """A function of the host's that returns how much of `limit` a tenant uses."""

    limit: str
    function: Callable[..., Any]
    arguments: frozenset[str]


class ErrorMapping(NamedTuple):
    """An exception class or the name of a database constraint, and the problem that the caller gets for it."""

    cause: type[Exception] | str
    problem: type[ProvisioningError]
    detail: str | None
    field: str | None


class Step(NamedTuple):
    """A function of the host's that runs durably after the commit. Times are in seconds.

    `undo` reverts its effect if a later step gives up. `backoff` is the delay before the first of at most `retries`
    retries, doubled before each next one. A step with `first` runs before all others of its phase.
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


class InviteFunction(NamedTuple):
    """The function of the host's that sends invitations. Times are in seconds.

    `backoff` is the delay before the first of at most `retries` retries, doubled before each next one.
    """

    function: Callable[..., Any]
    arguments: frozenset[str]
    retries: int
    timeout: float
    backoff: float


@dataclasses.dataclass(frozen=True, eq=False)
class TenantFields:
    """The fields that a host adds to tenants: their schema, and the names of the filterable ones."""

    schema: Schema
    filterable: tuple[str, ...]

    @functools.cached_property
    def fields(self) -> Mapping[str, Any]:
        """All fields by the names that clients use, in the order of their declaration."""
        fields = self.schema.fields.items()
        return {name if field.data_key is None else field.data_key: field for name, field in fields}


class Registry:
    """All functions and declarations of one host."""

    def __init__(self) -> None:
        self.fields: TenantFields | None = None
        #: Grows with each hook, step and function for invitations that is added.
        self.revision = 0
        self._steps: dict[str, list[Step]] = {PROVISIONING: [], DEPROVISIONING: []}
        self._sorted_steps: dict[str, tuple[Step, ...]] = {}
        self._hooks: list[Hook] = []
        self._hooks_by_operation: dict[str, tuple[Hook, ...]] = {}
        self.errors: list[ErrorMapping] = []
        self.exports: dict[str, Callable[..., Any]] = {}
        self.archive: Callable[..., Any] | None = None
        self.invite: InviteFunction | None = None
        self.plans: dict[str, Plan] = {}
        self.usages: dict[str, UsageFunction] = {}
        self.rate_limits: Callable[[str, str], str | None] | None = None
        self.namespaces: dict[str, Namespace] = {}
        self.permissions: dict[str, Permission] = {}

    def list_permissions(self) -> dict[str, str]:
        """Return every permission, the API's and the host's, with what it allows."""
        return {**PERMISSIONS, **{name: permission.description for name, permission in self.permissions.items()}}

    def grant_permissions(self, roles: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Return `roles` with the host's permissions added to the roles that they name.

        Raises `ConfigurationError` for a role that does not exist.
        """
        granted = {**roles}
        for permission in self.permissions.values():
            for role in permission.roles:
                if role not in granted:
                    raise ConfigurationError(
                        f"The permission {permission.name!r} is granted to the role {role!r}, and there is none: "
                        f"the roles are {', '.join(granted)}."
                    )
                granted[role] = (*granted[role], *({permission.name} - {*granted[role]}))
        return granted

    def add_hook(self, hook: Hook) -> None:
        """Add a hook. Raises `ConfigurationError` if its name is taken."""
        require_unique_name(hook.name, self._hooks, "hook")
        self._hooks.append(hook)
        self._hooks_by_operation.clear()
        self.revision += 1

    def hooks_for(self, operation: str) -> tuple[Hook, ...]:
        """Return the hooks of `operation` in the order in which they run.

        Raises `ConfigurationError` for hooks that cannot be ordered.
        """
        hooks = self._hooks_by_operation.get(operation)
        if hooks is None:
            ordered = sort_by_after(self._hooks, "hook")
            hooks = self._hooks_by_operation[operation] = tuple(
                hook for hook in ordered if operation in hook.operations
            )
        return hooks

    def add_step(self, step: Step) -> None:
        """Add a step. Raises `ConfigurationError` if another step of its phase has its name."""
        require_unique_name(step.name, self._steps[step.phase], f"{step.phase} step")
        self._steps[step.phase].append(step)
        self._sorted_steps.clear()
        self.revision += 1

    def list_steps(self, phase: str) -> tuple[Step, ...]:
        """Return the steps of `phase` in an order that respects their `after`.

        Raises `ConfigurationError` for steps that cannot be ordered.
        """
        steps = self._sorted_steps.get(phase)
        if steps is None:
            ordered = sort_by_after(_order_after_first(self._steps[phase]), f"{phase} step")
            steps = self._sorted_steps[phase] = tuple(ordered)
        return steps

    def find_step(self, phase: str, name: str) -> Step | None:
        """Return the step of this name, or None if the host no longer registers it."""
        return next((step for step in self._steps[phase] if step.name == name), None)

    def set_invite(self, invite: InviteFunction) -> None:
        """Set the function that sends invitations. Raises `ConfigurationError` if there is one."""
        if self.invite is not None:
            raise ConfigurationError("invite was called already: one function sends all invitations.")
        self.invite = invite
        self.revision += 1

    def add_plan(self, plan: Plan) -> None:
        """Add a plan. Raises `ConfigurationError` if a known namespace rejects its settings."""
        self.plans[plan.name] = self._validate_plan(plan)

    def add_namespace(self, namespace: Namespace) -> None:
        """Add a settings namespace. Raises `ConfigurationError` if it rejects the settings of a plan."""
        self.namespaces[namespace.name] = namespace
        try:
            self.plans |= {name: self._validate_plan(plan) for name, plan in self.plans.items()}
        except ConfigurationError:
            del self.namespaces[namespace.name]
            raise

    def _validate_plan(self, plan: Plan) -> Plan:
        namespaces = {name: self.namespaces[name] for name in plan.settings if name in self.namespaces}
        validated = {
            name: validate_plan_settings(namespace, plan.settings[name], plan.name)
            for name, namespace in namespaces.items()
        }
        return plan._replace(settings={**plan.settings, **validated})

    def problem_classes(self) -> tuple[type[ProvisioningError], ...]:
        """Return all problem classes that the host registered, one per code."""
        return tuple({mapped.problem.code: mapped.problem for mapped in self.errors}.values())

    def validate(self) -> None:
        """Raise `ConfigurationError` if the registrations do not fit together."""
        sort_by_after(self._hooks, "hook")
        for phase in self._steps:
            self.list_steps(phase)
        if self.exports and self.archive is None:
            raise ConfigurationError("There are exports and nowhere to put them: register a @provisioning.archive.")
        for plan in self.plans.values():
            unknown = [name for name in plan.settings if name not in self.namespaces]
            if unknown:
                raise ConfigurationError(
                    f"The plan {plan.name!r} sets {unknown[0]!r}, and there is no such namespace: "
                    f"register provisioning.settings({unknown[0]!r}, …) first."
                )


def _order_after_first(steps: Sequence[Step]) -> list[Step]:
    """Return the steps; each one without `after` comes after those with `first`."""
    first = tuple(step.name for step in steps if step.first)
    return [step if step.first or step.after else step._replace(after=first) for step in steps]


def make_problem_class(
    code: str, status: int, title: str | None, remedy: str | None, meaning: str | None
) -> type[ProvisioningError]:
    """Make a problem class for one host. It is listed only at that host's mounts."""
    attributes: dict[str, Any] = {
        "code": code,
        "status": status,
        "title": title or code.replace("-", " ").capitalize(),
        "remedy": remedy or "Correct what `detail` says, or ask the operator.",
        "mended_by": (Mender.PARTNER, Mender.OPERATOR),
        "is_host_error": True,
        "__doc__": meaning or "The application refused this.",
    }
    return type("HostProblem", (ProvisioningError,), attributes)


class Plan(NamedTuple):
    """A commercial plan: `limits` are numbers from 0 on by the host's own names, `settings` are values by namespace and
    key.
    """

    name: str
    limits: Mapping[str, int]
    settings: Mapping[str, Mapping[str, Any]]


def make_plan(name: str, limits: Mapping[str, int], settings: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Make a plan. Raises `ConfigurationError` for an invalid name or limit."""
    if not is_name(name):
        raise ConfigurationError(f"A plan's name is 1 to 100 of a-z, A-Z, 0-9, - _ and ., not {name!r}.")
    for limit, value in limits.items():
        if not is_name(limit) or type(value) is not int or value < 0:
            raise ConfigurationError(f"A limit of the plan {name!r} is a name and a number from 0 on, not {limit!r}.")
    return Plan(name, dict(limits), {namespace: dict(values) for namespace, values in settings.items()})


def get_plan_limits(plans: Mapping[str, Plan], name: str | None) -> dict[str, int]:
    """Return the limits of a tenant on the plan `name`, for every limit that any plan has.

    A limit is 0 if the plan does not name it, if `name` is None, and if the plan is not declared.
    """
    limits = {limit: 0 for plan in plans.values() for limit in plan.limits}
    if name is not None and name in plans:
        limits |= plans[name].limits
    return limits


def list_available_plans(plans: Mapping[str, Plan], configured: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the plans that a tenant may be put on: the declared ones that are also `configured`, if any are
    configured.

    If no plan is declared, these are the `configured` ones. None means that any text is a plan.
    """
    if not plans:
        return None if configured is None else tuple(configured)
    if configured is None:
        return tuple(plans)
    return tuple(name for name in configured if name in plans)


class SettingsKey(NamedTuple):
    """One key of a namespace.

    A `secret` value is encrypted at rest and readable only by the host's code. An `immutable` value cannot be changed
    once it is set.
    """

    field: fields.Field[Any]
    secret: bool
    immutable: bool

    @property
    def attribute(self) -> str:
        """The name of its value in the data that the schema loads."""
        return str(self.field.attribute or self.field.name)


@dataclasses.dataclass(frozen=True, eq=False)
class Namespace:
    """A settings namespace: its schema, its keys by the names that clients use, and their default values."""

    name: str
    schema: Schema
    keys: Mapping[str, SettingsKey]
    defaults: SettingsValues

    def load(self, values: SettingsValues) -> Any:
        """Load `values` with the schema, without requiring any key. Raises `ValidationError`."""
        absent = [str(key.field.name) for key in self.keys.values()]
        return self.schema.load(values, unknown="raise", partial=absent)

    def normalize(self, values: SettingsValues, inherited: SettingsValues) -> dict[str, Any]:
        """Return `values` as the schema dumps them, once they are valid together with the `inherited` values.

        Values of ``load_only`` fields are returned unchanged. Raises `ValidationError`.
        """
        dumped = self.schema.dump(self.load({**inherited, **values}))
        return {
            key: value if self.keys[key].field.load_only else dumped.get(key, value) for key, value in values.items()
        }


def validate_plan_settings(namespace: Namespace, values: SettingsValues, plan: str) -> dict[str, Any]:
    """Return a plan's settings in a namespace, as the schema dumps them.

    Raises `ConfigurationError` for an unknown key, for values that the schema rejects, and for values that are not
    JSON.
    """
    from marshmallow import ValidationError

    refusal = f"The plan {plan!r} cannot set {namespace.name!r}"
    unknown = sorted(map(str, values.keys() - namespace.keys.keys()))
    if unknown:
        raise ConfigurationError(f"{refusal}: there is no key {unknown[0]!r}.")
    try:
        normalized = namespace.normalize(values, namespace.defaults)
        json.dumps(normalized, allow_nan=False)
    except ValidationError as error:
        raise ConfigurationError(f"{refusal}: {describe_validation_error(namespace, error)}.") from None
    except (TypeError, ValueError):
        raise ConfigurationError(f"{refusal}: its values must be JSON.") from None
    return normalized


def describe_validation_error(namespace: Namespace, error: ValidationError) -> str:
    """Return the messages of a validation error as a text, without the messages about secret values."""
    messages = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
    secret = {name for name, key in namespace.keys.items() if key.secret}
    shown = {name: ["Not valid."] if name in secret else message for name, message in messages.items()}
    if secret and "_schema" in shown:
        shown["_schema"] = ["Not valid together."]
    return str(shown)


def is_name(value: object) -> bool:
    """Return whether this is a text of 1 to 100 of a-z, A-Z, 0-9, - _ and ."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def require_unique_name(name: str, others: Iterable[HasOrder], kind: str) -> None:
    """Raise `ConfigurationError` if one of `others` has this name."""
    if name in {other.name for other in others}:
        raise ConfigurationError(f"There is a {kind} named {name!r} already: name this one with name='…'.")


def sort_by_after(items: Sequence[N], kind: str) -> list[N]:
    """Sort `items` so that each follows those in its `after`, otherwise by name. The order of imports has no influence.

    Raises `ConfigurationError` for an unknown name and for a cycle.
    """
    by_name = {item.name: item for item in items}
    for item in items:
        unknown = set(item.after) - by_name.keys()
        if unknown:
            raise ConfigurationError(f"The {kind} {item.name!r} comes after {min(unknown)!r}, and there is none.")
    sorter = TopologicalSorter({item.name: item.after for item in items})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ConfigurationError(f"These {kind}s come after each other: {' → '.join(error.args[1])}.") from error
    ordered = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += [by_name[name] for name in ready]
        sorter.done(*ready)
    return ordered
