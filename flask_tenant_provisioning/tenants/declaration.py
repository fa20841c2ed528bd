"""Whether the fields that a host declares can stand beside the contract's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from marshmallow import Schema, fields

from ..config import ConfigurationError
from ..hooks import TenantFields
from ..web.field_schemas import contradiction_of
from .models import SHOWN
from .own_fields import TEXTS
from .queries import ListQuery

#: What a row may say beside what it makes of its tenant.
OF_ROWS = "idempotency_key"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
#: Fields whose JSON is a text, an integer or a flag.
_SCALAR = (*TEXTS, fields.Integer, fields.Boolean, fields.Enum)


def declared(schema: type[Schema], filterable: Sequence[str]) -> TenantFields:
    """The fields of `schema`, of which lists are filtered by those named `filterable`.

    Raises `ConfigurationError` that says everything wrong with them.
    """
    if not isinstance(schema, type) or not issubclass(schema, Schema):
        raise ConfigurationError(f"tenant_fields needs a marshmallow Schema class, not {schema!r}.")
    if isinstance(filterable, str):
        raise ConfigurationError(f"tenant_fields needs a list of filterable fields: filterable=({filterable!r},).")
    found = TenantFields(schema(), tuple(dict.fromkeys(filterable)))
    if not found.fields:
        raise ConfigurationError(f"{schema.__name__} declares no field.")
    if wrong := [*_of_names(found), *_of_fields(found), *_of_filters(found)]:
        raise ConfigurationError("\n".join(f"{schema.__name__}: {sentence}" for sentence in wrong))
    return found


def _of_names(own: TenantFields) -> Iterator[str]:
    for name in own.fields:
        if name in SHOWN:
            yield f"every tenant has a field {name!r} already; call yours another name."
        elif name == OF_ROWS:
            yield f"rows of bulk jobs may have an {name!r} already; call yours another name."
        elif not _NAME.fullmatch(name):
            yield f"{name!r} is no name for a field: 1 to 63 letters, digits and _, beginning with a letter."


def _of_fields(own: TenantFields) -> Iterator[str]:
    for name, field in own.fields.items():
        if field.load_only:
            yield f"{name!r} is load_only: nothing of it would be kept."
        if isinstance(field, fields.Decimal) and not field.as_string:
            yield f"{name!r} does not serialise to JSON: give it as_string=True."
        if told := contradiction_of(field):
            yield f"{name!r} {told}"


def _of_filters(own: TenantFields) -> Iterator[str]:
    parameters = {field.data_key or name for name, field in ListQuery().fields.items()}
    for name in own.filterable:
        if name not in own.fields:
            yield f"there is no field {name!r} to filter by."
        elif name in parameters:
            yield f"lists have a parameter {name!r} already; call the field another name, or do not filter by it."
        elif not isinstance(own.fields[name], _SCALAR):
            yield f"{name!r} cannot be filtered by: only texts, integers, flags, dates and times can."
