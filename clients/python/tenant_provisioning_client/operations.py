"""An operation of the API, and the request that it becomes. Nothing here sends anything."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from .generated.types import UNSET, Unset

T = TypeVar("T", covariant=True)

_IDS_WITH_SLASHES = {"external_id", "partner_id"}
#: What a parameter of a path or a query may be.
Value = str | int | float | bool | datetime | Unset | None


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """An operation as the OpenAPI document describes it."""

    name: str
    method: str
    #: The path below the mount, with its parameters in braces.
    path: str
    #: Makes the result of the JSON object of a successful response.
    read: Callable[[Mapping[str, Any]], T]
    query: frozenset[str]
    #: True if the operation accepts an ``Idempotency-Key``.
    has_key: bool
    #: True if the operation accepts ``If-Match``.
    has_version: bool
    #: True if its response may have no body; the result is then None.
    is_empty: bool


def read_object(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document whose members the API does not describe."""
    return dict(document)


def read_nothing(document: Mapping[str, Any]) -> None:
    """Return None: the operation has no document as its result."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One use of an operation. It is sent as often as needed, each time with the same `key`."""

    operation: Operation[T]
    #: The parameters of the path.
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Value] = field(default_factory=dict)
    #: A JSON value, without the members that are `UNSET`. None for a request without a body.
    body: Any = None
    #: The version that the resource must have.
    version: int | None = None
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.key is None and self.operation.has_key:
            object.__setattr__(self, "key", str(uuid.uuid4()))

    @property
    def is_repeatable(self) -> bool:
        """Return whether the request may be sent again although the API may have carried it out.

        It may if it only reads, if the API recognises it by its key, or if a second time changes nothing more. A write
        that expects a version does not: after the first time, that version is gone.
        """
        return self.operation.method == "GET" or self.key is not None or self.version is None

    def build_url(self, base_url: str) -> str:
        """Return the URL. Raises `ValueError` for an id that cannot stand in a path, and `TypeError` for no text."""
        path = self.operation.path
        for name, value in self.path.items():
            path = path.replace(f"{{{name}}}", quote_segment(name, value))
        query = urlencode([(name, format_value(value)) for name, value in self.query.items() if is_given(value)])
        return f"{base_url}{path}{'?' if query else ''}{query}"

    def build_headers(self) -> dict[str, str]:
        """Return the headers, without those that each request has."""
        headers = dict(self.headers)
        if self.body is not None:
            is_patch = self.operation.method == "PATCH"
            headers.setdefault("Content-Type", "application/merge-patch+json" if is_patch else "application/json")
        if self.key is not None:
            headers["Idempotency-Key"] = self.key
        if self.version is not None:
            headers["If-Match"] = f'"{self.version}"'
        return headers

    def build_content(self) -> bytes | None:
        """Return the body. Raises `TypeError` or `ValueError` for a value that JSON does not have."""
        if self.body is None:
            return None
        return json.dumps(self.body, allow_nan=False, default=format_member).encode()


def is_given(value: object) -> bool:
    """Return whether a query has this parameter."""
    return value is not None and not isinstance(value, Unset)


def select_given(**members: Any) -> dict[str, Any]:
    """Return the members that are not `UNSET`."""
    return {name: value for name, value in members.items() if not isinstance(value, Unset)}


def quote_segment(name: str, value: str) -> str:
    """Return an id as one segment of a path.

    Servers decode ``%2F`` before they look at the path, so an id with a slash would name another operation, except
    where ids may have slashes.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text or an object that the client has returned, not {value!r}.")
    if value in ("", ".", "..") or ("/" in value and name not in _IDS_WITH_SLASHES):
        raise ValueError(f"{name} cannot be {value!r}.")
    return quote(value, safe="")


def format_value(value: Value) -> str:
    """Return the text of a query parameter."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format_time(value) if isinstance(value, datetime) else str(value)


def format_member(value: object) -> Any:
    """Return a value that JSON has in place of one that it does not have."""
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no type of JSON.")


def format_time(time: datetime) -> str:
    """Return a point in time as RFC 3339 has it. Raises `ValueError` without a time zone."""
    if time.tzinfo is None:
        raise ValueError(f"{time} needs a time zone: {time}+00:00, for example.")
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


__all__ = ["UNSET", "Call", "Operation", "Unset", "Value", "format_time", "read_nothing", "read_object", "select_given"]
