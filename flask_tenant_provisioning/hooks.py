"""Functions that a host registers: the arguments that they may request, and checks that calling them does their work.

They run in threads without an event loop. A coroutine function or a generator function is refused when it is
registered; a plain function that returns an awaitable or a generator is detected after the call.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import TYPE_CHECKING, Any, TypeVar

from .config import ConfigurationError

if TYPE_CHECKING:
    from marshmallow import Schema
    from marshmallow.fields import Field

#: The type of a registered function, which the decorators return unchanged.
F = TypeVar("F", bound=Callable[..., Any])
#: The operations that a hook can be registered for.
HOOK_OPERATIONS = (
    "tenant.create",
    "tenant.update",
    "tenant.suspend",
    "tenant.reactivate",
    "tenant.delete",
    "tenant.restore",
    "tenant.move",
    "tenant.purge",
)
#: The arguments that a hook can request by naming a parameter.
HOOK_ARGUMENTS = frozenset({"session", "tenant", "before", "principal", "operation"})
#: The arguments that a usage function can request.
USAGE_ARGUMENTS = frozenset({"session", "tenant"})
#: The arguments that a step, its undo and an export can request.
STEP_ARGUMENTS = frozenset({"tenant", "context"})
#: The arguments that the function which sends invitations can request.
INVITE_ARGUMENTS = frozenset({"tenant", "admin", "invitation"})
#: The arguments that an archive can request.
ARCHIVE_ARGUMENTS = frozenset({"name", "stream", "sha256", "tenant", "context"})
#: The methods that marshmallow calls on a field to load, validate and dump.
_FIELD_METHODS = ("deserialize", "serialize", "_deserialize", "_serialize", "_validate")
#: The attribute by which marshmallow 4 and 3 mark a schema's methods that `post_load` and similar decorate.
_HOOK_ATTRIBUTES = ("__marshmallow_hook__", "_marshmallow_hook")


class NotRunError(TypeError):
    """A function of the host's returned an awaitable or a generator, so that its body has not run."""


def get_requested_arguments(function: Callable[..., Any], available: frozenset[str], kind: str) -> frozenset[str]:
    """Return the names in `available` that the function has as parameters; all of them if it takes ``**kwargs``.

    Raises `ConfigurationError` for a parameter without a default that is not in `available`.
    """
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return available
    required = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    unknown = required - available
    if unknown:
        names = ", ".join(sorted(available))
        raise ConfigurationError(
            f"The {kind} {get_function_name(function)!r} has the parameter {min(unknown)!r}; available are {names}."
        )
    return available & parameters.keys()


def get_function_name(function: Any) -> str:
    """Return the name of a function, or the class name of a callable object."""
    function = _unwrap_partials(function)
    return str(getattr(function, "__name__", type(function).__name__))


def require_sync_function(function: Any, kind: str, *, may_yield: bool = False) -> None:
    """Require a function whose call does its work. `may_yield` allows a generator function, whose values are read.

    Raises `ConfigurationError` with the fix for an object that cannot be called, for a coroutine function, an async
    generator function and, unless `may_yield`, a generator function; also for an object whose ``__call__`` is one, and
    for a `functools.partial` of one.
    """
    if not callable(function):
        raise ConfigurationError(f"The {kind} must be a function, not {function!r}.")
    name = f"The {kind} {get_function_name(function)!r}"
    if _is_any_kind(function, inspect.iscoroutinefunction, inspect.isasyncgenfunction):
        raise ConfigurationError(
            f"{name} is an async function, which would never run here: register a plain function that runs it, "
            f"for example with asyncio.run({get_function_name(function)}(…))."
        )
    if not may_yield and _is_any_kind(function, inspect.isgeneratorfunction):
        raise ConfigurationError(f"{name} is a generator function, which would never run here: take out its yield.")


def require_sync_schema(schema: Schema) -> None:
    """Apply `require_sync_function` to every function by which `schema` loads, validates and dumps."""
    schema_class = type(schema)
    for name in dir(schema_class):
        method = getattr(schema_class, name)
        if any(hasattr(method, attribute) for attribute in _HOOK_ATTRIBUTES):
            require_sync_function(method, f"method of {schema_class.__name__}")
    for name, field in schema.fields.items():
        for function in _iter_field_functions(schema, field):
            require_sync_function(function, f"function of {schema_class.__name__}'s field {name!r}", may_yield=True)


def require_result(result: Any, source: str, *, may_yield: bool = False) -> Any:
    """Return `result`, which a function of the host returned. Raises `NotRunError` for an awaitable or a generator."""
    if result is None or type(result) in (bool, int, str):
        return result
    if inspect.isawaitable(result) or hasattr(result, "__aiter__"):
        if inspect.iscoroutine(result):
            result.close()  # otherwise Python warns later that nothing awaited it
        raise NotRunError(f"{source} returned an awaitable, which nothing awaits: its work was not done.")
    if not may_yield and isinstance(result, GeneratorType):
        raise NotRunError(f"{source} returned a generator, which nothing reads: its work was not done.")
    return result


def _iter_field_functions(schema: Schema, field: Field[Any]) -> Iterator[Callable[..., Any]]:
    """Iterate over all functions that marshmallow calls for `field` and for the fields nested in it."""
    from marshmallow.fields import Function, Method, Nested

    yield from (getattr(field, name) for name in _FIELD_METHODS)
    yield from field.validators
    yield from (default for default in (field.load_default, field.dump_default) if callable(default))
    if isinstance(field, Function):
        yield from filter(callable, (field.serialize_func, field.deserialize_func))
    if isinstance(field, Method):
        names = filter(None, (field.serialize_method_name, field.deserialize_method_name))
        yield from filter(callable, (getattr(schema, name, None) for name in names))
    if isinstance(field, Nested):
        require_sync_schema(field.schema)
    for inner_field in _iter_inner_fields(field):
        yield from _iter_field_functions(schema, inner_field)


def _iter_inner_fields(field: Field[Any]) -> Iterator[Field[Any]]:
    from marshmallow.fields import Dict, List, Tuple

    if isinstance(field, List):
        yield field.inner
    elif isinstance(field, Tuple):
        yield from field.tuple_fields
    elif isinstance(field, Dict):
        yield from filter(None, (field.key_field, field.value_field))


def _is_any_kind(function: Any, *kinds: Callable[[Any], bool]) -> bool:
    function = _unwrap_partials(function)
    method = getattr(type(function), "__call__", None)  # noqa: B004
    return any(kind(function) or kind(method) for kind in kinds)


def _unwrap_partials(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function
