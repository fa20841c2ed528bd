"""Functions that a host registers. They run in threads without an event loop, so calling one must do its work.

What a coroutine function or a generator function returns has done nothing yet. Both are refused where they are
registered; a plain function that returns such an object is found out when it has been called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any

from marshmallow import Schema
from marshmallow.fields import Dict, Field, Function, List, Method, Nested, Tuple

from .config import ConfigurationError

#: What a marshmallow field calls while it loads, checks and dumps.
_FIELD_METHODS = ("deserialize", "serialize", "_deserialize", "_serialize", "_validate")
#: By which of these marshmallow 4 and 3 know the methods of a schema that `post_load` and its like decorate.
_HOOK_MARKS = ("__marshmallow_hook__", "_marshmallow_hook")


class NotRun(TypeError):
    """A function of the host's returned an awaitable or a generator: its work has not been done."""


def name_of(function: Any) -> str:
    """The name of a function; that of its class for an object that is called like one."""
    function = _without_partials(function)
    return str(getattr(function, "__name__", type(function).__name__))


def require_plain(function: Any, what: str, *, may_yield: bool = False) -> None:
    """Check that calling `function` does its work. `may_yield` allows a generator function, whose values are read.

    Raises `ConfigurationError` that says what to do for what cannot be called, for a coroutine function, an
    asynchronous generator function and, unless it `may_yield`, a generator function; for an object whose
    ``__call__`` is one, and for a `functools.partial` of one.
    """
    if not callable(function):
        raise ConfigurationError(f"The {what} must be a function, not {function!r}.")
    name = f"The {what} {name_of(function)!r}"
    if _is_any(function, inspect.iscoroutinefunction, inspect.isasyncgenfunction):
        raise ConfigurationError(
            f"{name} is an async function, which would never run here: register a plain function that runs it, "
            f"for example with asyncio.run({name_of(function)}(…))."
        )
    if not may_yield and _is_any(function, inspect.isgeneratorfunction):
        raise ConfigurationError(f"{name} is a generator function, which would never run here: take out its yield.")


def require_plain_schema(schema: Schema) -> None:
    """Check every function by which `schema` loads, validates and dumps, as `require_plain` does."""
    kind = type(schema)
    for name in dir(kind):
        method = getattr(kind, name)
        if any(hasattr(method, mark) for mark in _HOOK_MARKS):
            require_plain(method, f"method of {kind.__name__}")
    for name, field in schema.fields.items():
        for function in _functions_of(schema, field):
            require_plain(function, f"function of {kind.__name__}'s field {name!r}", may_yield=True)


def require_done(result: Any, what: str, *, may_yield: bool = False) -> Any:
    """Return what a function of the host's returned. Raises `NotRun` where its work has not been done."""
    if result is None or type(result) in (bool, int, str):
        return result
    if inspect.isawaitable(result) or hasattr(result, "__aiter__"):
        if inspect.iscoroutine(result):
            result.close()  # else Python warns, somewhere else, that nothing awaited it
        raise NotRun(f"{what} returned an awaitable, which nothing awaits: its work was not done.")
    if not may_yield and isinstance(result, GeneratorType):
        raise NotRun(f"{what} returned a generator, which nothing reads: its work was not done.")
    return result


def _functions_of(schema: Schema, field: Field[Any]) -> Iterator[Callable[..., Any]]:
    """Every function that marshmallow calls for `field`, and for the fields within it."""
    yield from (getattr(field, name) for name in _FIELD_METHODS)
    yield from field.validators
    yield from (default for default in (field.load_default, field.dump_default) if callable(default))
    if isinstance(field, Function):
        yield from filter(callable, (field.serialize_func, field.deserialize_func))
    if isinstance(field, Method):
        names = filter(None, (field.serialize_method_name, field.deserialize_method_name))
        yield from filter(callable, (getattr(schema, name, None) for name in names))
    if isinstance(field, Nested):
        require_plain_schema(field.schema)
    for inner in _fields_in(field):
        yield from _functions_of(schema, inner)


def _fields_in(field: Field[Any]) -> Iterator[Field[Any]]:
    if isinstance(field, List):
        yield field.inner
    elif isinstance(field, Tuple):
        yield from field.tuple_fields
    elif isinstance(field, Dict):
        yield from filter(None, (field.key_field, field.value_field))


def _is_any(function: Any, *kinds: Callable[[Any], bool]) -> bool:
    function = _without_partials(function)
    method = getattr(type(function), "__call__", None)  # noqa: B004
    return any(kind(function) or kind(method) for kind in kinds)


def _without_partials(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function
