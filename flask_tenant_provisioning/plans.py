"""The plans that a host sells: what a tenant on one may have, and what its settings are where nobody sets others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .config import ConfigurationError
from .names import is_name


class Plan(NamedTuple):
    """One plan. `limits` are numbers from 0 on by the host's own names; `settings` are values by namespace and key."""

    name: str
    limits: Mapping[str, int]
    settings: Mapping[str, Mapping[str, Any]]


def declared(name: str, limits: Mapping[str, int], settings: Mapping[str, Mapping[str, Any]]) -> Plan:
    """A plan of a host's. Raises `ConfigurationError` for what cannot be one."""
    if not is_name(name):
        raise ConfigurationError(f"A plan's name is 1 to 100 of a-z, A-Z, 0-9, - _ and ., not {name!r}.")
    for limit, most in limits.items():
        if not is_name(limit) or type(most) is not int or most < 0:
            raise ConfigurationError(f"A limit of the plan {name!r} is a name and a number from 0 on, not {limit!r}.")
    return Plan(name, dict(limits), {namespace: dict(values) for namespace, values in settings.items()})


def limits_of(plans: Mapping[str, Plan], name: str | None) -> dict[str, int]:
    """What a tenant on the plan `name` may have, of everything that any plan limits.

    Nothing of what its plan does not name; and nothing at all on no plan, or on one that is not declared.
    """
    known = {limit: 0 for plan in plans.values() for limit in plan.limits}
    return known if name is None or name not in plans else {**known, **plans[name].limits}


def offered(plans: Mapping[str, Plan], configured: Iterable[str] | None) -> tuple[str, ...] | None:
    """The plans that a tenant may be put on: those declared that `PROVISIONING_PLANS` does not leave out.

    Where none is declared, those that it names; None, which is any text, where it names none either.
    """
    if not plans:
        return None if configured is None else tuple(configured)
    return tuple(name for name in (plans if configured is None else configured) if name in plans)
