"""From a Flask config to values that have been checked."""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .declaring import PREFIX, named

logger = logging.getLogger(__name__)


class ConfigurationError(Exception):
    """The host's configuration cannot be used; the message says which key and what to do."""


def checked(
    fields: Iterable[dataclasses.Field[Any]], config: Mapping[str, Any], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """The value of each of `fields`, by name; a key of ours in `config` that none of them declares is logged.

    Raises `ConfigurationError` that names every key at fault at once.
    """
    declared = {field.name: field for field in fields}
    given = {key[len(PREFIX) :].lower(): value for key, value in config.items() if key.startswith(PREFIX)}
    for name in sorted(given.keys() - declared.keys()):
        _warn_of_unknown(name, declared)
    values: dict[str, Any] = {}
    faults = [
        f"TenantProvisioning has no option {name}{_suggestion(name, declared, str)}"
        for name in sorted(overrides.keys() - declared.keys())
    ]
    for name, field in declared.items():
        value = overrides.get(name, given.get(name, field.default))
        try:
            values[name] = value if value is None is field.default else field.metadata["check"](value)
        except ValueError as wanted:
            shown = "" if field.metadata["secret"] else f", not {value!r}"
            faults.append(f"{named(name)} must be {wanted}{shown}.")
    if faults:
        raise ConfigurationError("\n".join(faults))
    return values


def _warn_of_unknown(name: str, declared: Iterable[str]) -> None:
    key, suggestion = named(name), _suggestion(name, declared, named)
    logger.warning("flask-tenant-provisioning has no key %s%s", key, suggestion, extra={"key": key})


def _suggestion(name: str, declared: Iterable[str], shown: Callable[[str], str]) -> str:
    near = difflib.get_close_matches(name, declared, n=1)
    return f"; did you mean {shown(near[0])}?" if near else "."
