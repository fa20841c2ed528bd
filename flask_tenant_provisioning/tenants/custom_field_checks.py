"""Checks of a host's custom fields at registration.

A host without a licence runs them too, so this module must not load SQLAlchemy, which the tables of tenants need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from marshmallow import Schema, fields

from ..config import ConfigurationError
from ..registry import TenantFields
from ..web.field_schemas import find_contradiction

#: The names of the built-in fields of tenants, and of the parameters of lists. A test compares them with the schemas.
BUILT_IN_FIELDS = frozenset({
    "tenant", "partner", "external_id", "client_name", "email", "phone_number", "industry", "plan", "metadata",
    "status", "suspended_reason", "version", "created_at", "updated_at", "deleted_at", "purge_at",
})  # fmt: skip
LIST_PARAMETERS = frozenset({
    "partner", "limit", "cursor", "sort", "status", "email", "external_id", "plan", "industry", "created_after",
    "created_before", "updated_after", "updated_before", "q", "include_deleted",
})  # fmt: skip
#: The member of a new tenant that is no part of its document.
ADMIN = "admin"
#: The member of a bulk row that is not a tenant field.
ROW_IDEMPOTENCY_KEY = "idempotency_key"
_NAME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
#: Fields whose JSON is a string.
TEXT_FIELDS = (
    fields.String, fields.DateTime, fields.Date, fields.Time, fields.UUID, fields.IP, fields.IPInterface,
)  # fmt: skip
#: Fields whose JSON is a string, an integer or a boolean.
_FILTERABLE_FIELDS = (*TEXT_FIELDS, fields.Integer, fields.Boolean, fields.Enum)


def make_tenant_fields(schema: type[Schema], filterable: Sequence[str]) -> TenantFields:
    """Build the custom fields of `schema`; lists can be filtered by those named in `filterable`.

    Raises `ConfigurationError` that lists every mistake in the declaration.
    """
    if not isinstance(schema, type) or not issubclass(schema, Schema):
        raise ConfigurationError(f"tenant_fields needs a marshmallow Schema class, not {schema!r}.")
    if isinstance(filterable, str):
        raise ConfigurationError(f"tenant_fields needs a list of filterable fields: filterable=({filterable!r},).")
    tenant_fields = TenantFields(schema(), tuple(dict.fromkeys(filterable)))
    if not tenant_fields.fields:
        raise ConfigurationError(f"{schema.__name__} declares no field.")
    mistakes = [*_check_names(tenant_fields), *_check_fields(tenant_fields), *_check_filters(tenant_fields)]
    if mistakes:
        raise ConfigurationError("\n".join(f"{schema.__name__}: {sentence}" for sentence in mistakes))
    return tenant_fields


def _check_names(tenant_fields: TenantFields) -> Iterator[str]:
    for name in tenant_fields.fields:
        if name in BUILT_IN_FIELDS:
            yield f"every tenant has a field {name!r} already; rename yours."
        elif name == ADMIN:
            yield f"new tenants may have an {name!r} already; rename yours."
        elif name == ROW_IDEMPOTENCY_KEY:
            yield f"rows of bulk jobs may have an {name!r} already; rename yours."
        elif not _NAME_PATTERN.fullmatch(name):
            yield f"{name!r} is not a valid field name: use 1 to 63 letters, digits and _, starting with a letter."


def _check_fields(tenant_fields: TenantFields) -> Iterator[str]:
    for name, field in tenant_fields.fields.items():
        if field.load_only:
            yield f"{name!r} is load_only, so its value would not be stored."
        if isinstance(field, fields.Decimal) and not field.as_string:
            yield f"{name!r} does not serialise to JSON: give it as_string=True."
        if contradiction := find_contradiction(field):
            yield f"{name!r} {contradiction}"


def _check_filters(tenant_fields: TenantFields) -> Iterator[str]:
    for name in tenant_fields.filterable:
        if name not in tenant_fields.fields:
            yield f"filterable names {name!r}, which is not a field."
        elif name in LIST_PARAMETERS:
            yield f"lists have a parameter {name!r} already; rename the field, or do not filter by it."
        elif not isinstance(tenant_fields.fields[name], _FILTERABLE_FIELDS):
            yield f"{name!r} is not filterable: only strings, integers, booleans, dates and times are."
