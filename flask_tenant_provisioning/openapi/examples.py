"""Examples for the OpenAPI components, and of bodies, composed from the examples of their properties."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InvalidInput
from ..mount import Api
from ..registry import Namespace, TenantFields
from ..settings.storage import MASK
from ..tenants import custom_fields
from ..tenants.models import WRITABLE
from ..tenants.schemas import validate_tenant

Schemas = dict[str, Any]
EXAMPLE_ID = "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"
TENANT: dict[str, Any] = {
    "tenant": EXAMPLE_ID,
    "partner": "acme",
    "external_id": None,
    "client_name": "Example Corp",
    "email": "admin@example.com",
    "phone_number": "+1234567890",
    "industry": "Technology",
    "plan": None,
    "metadata": {},
    "status": "active",
    "suspended_reason": None,
    "version": 1,
    "created_at": "2025-02-10T16:30:00.000Z",
    "updated_at": "2025-02-10T16:30:00.000Z",
    "deleted_at": None,
    "purge_at": None,
}
WEBHOOK: dict[str, Any] = {
    "webhook": EXAMPLE_ID,
    "partner": "acme",
    "url": "https://example.com/hooks",
    "description": "CRM",
    "events": ["tenant.*"],
    "signing": "v1",
    "enabled": True,
    "disabled_reason": None,
    "failing_since": None,
    "public_key": None,
    "version": 1,
    "created_at": "2025-02-10T16:30:00.000Z",
    "updated_at": "2025-02-10T16:30:00.000Z",
}
CLIENT: dict[str, Any] = {
    "client": EXAMPLE_ID,
    "partner": "acme",
    "name": "CRM",
    "permissions": ["tenant:create", "tenant:read"],
    "status": "enabled",
    "expires_at": None,
    "networks": ["192.0.2.0/24"],
    "authentication": "client_secret",
    "jwks": None,
    "jwks_url": None,
    "previous_secret_expires_at": None,
    "generation": 1,
    "last_used_at": "2025-02-10T16:45:00.000Z",
    "created_by": "admin@acme.example",
    "version": 1,
    "created_at": "2025-02-10T16:30:00.000Z",
    "updated_at": "2025-02-10T16:30:00.000Z",
}
BULK_JOB: dict[str, Any] = {
    "job": EXAMPLE_ID,
    "partner": "acme",
    "operation": "create",
    "mode": "partial",
    "validate_only": False,
    "state": "partial",
    "total": 1000,
    "processed": 1000,
    "succeeded": 990,
    "failed": 10,
    "unchanged": 0,
    "rate": 5681.8,
    "created_at": "2025-02-10T16:30:00.000Z",
    "started_at": "2025-02-10T16:30:00.012Z",
    "finished_at": "2025-02-10T16:30:00.188Z",
}
#: A job as the response to its upload shows it.
QUEUED_JOB: dict[str, Any] = {
    **BULK_JOB,
    "state": "queued",
    **dict.fromkeys(("processed", "succeeded", "failed"), 0),
    "rate": 0.0,
    **dict.fromkeys(("started_at", "finished_at")),
}
PARTNER: dict[str, Any] = {
    "partner": "acme",
    "name": "Acme Ltd",
    "contact": "ops@acme.example",
    "status": "active",
    "suspended_reason": None,
    "parent": None,
    "max_tenants": 100,
    "allowed_plans": None,
    "version": 1,
    "created_at": "2025-02-10T16:30:00.000Z",
    "updated_at": "2025-02-10T16:30:00.000Z",
}
USAGE: dict[str, Any] = {
    "partner": "acme",
    "name": "Acme Ltd",
    "status": "active",
    "tenants": {"active": 80, "suspended": 2, "provisioning": 1, "failed": 0, "deleted": 5, "total": 88},
    "max_tenants": 100,
    "remaining": 17,
}
SETTINGS_VERSION: dict[str, Any] = {
    "version": 1,
    "timestamp": "2025-02-10T16:30:00.000Z",
    "actor": {"sub": "admin@acme.example", "partner": "acme"},
    "request_id": "5f2b3a0c",
    "changes": {},
}
NEW_TENANT = {name: TENANT[name] for name in WRITABLE if TENANT[name]}


def build_examples(api: Api) -> dict[str, Any]:
    """Build examples of components, as this host would accept and return them, by component name."""
    custom = api.registry.fields
    tenant = {**TENANT, **_build_field_examples(custom)}
    accepted = _filter_accepted({**NEW_TENANT, **_read_field_examples(custom)}, api)
    inputs = {} if accepted is None else {"TenantInput": accepted, "TenantByExternalIdInput": accepted}
    return {
        "Tenant": tenant,
        "TenantPage": {"items": [tenant], "next": None},
        "TenantPatch": {"industry": None, "metadata": {"region": "eu-west"}},
        "Webhook": WEBHOOK,
        "WebhookSecret": {**WEBHOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        "WebhookPage": {"items": [WEBHOOK], "next": None},
        "WebhookInput": {name: WEBHOOK[name] for name in ("url", "description", "events", "signing")},
        "WebhookRevisionPatch": {"enabled": True},
        "PartnerClient": CLIENT,
        "ClientSecret": {**CLIENT, "secret": "ftpsecret_b1ZtNnlQd0x3cVJ4U3R1dnd4eXoxMjM0NTY3ODkwYWI"},
        "ClientPage": {"items": [CLIENT], "next": None},
        "PartnerClientInput": {name: CLIENT[name] for name in ("name", "permissions", "networks")},
        "PartnerClientPatch": {"status": "disabled"},
        "BulkJob": BULK_JOB,
        "BulkJobPage": {"items": [BULK_JOB], "next": None},
        "Partner": PARTNER,
        "PartnerPage": {"items": [PARTNER], "next": None},
        "PartnerInput": {name: PARTNER[name] for name in ("name", "contact", "max_tenants")},
        "UsagePage": {"items": [USAGE], "next": None},
        "PartnerPatch": {"max_tenants": 200},
        "Settings": _build_settings_example(api.registry.namespaces),
        "ExplicitSettingsInput": {},
        "ExplicitSettingsPatch": dict.fromkeys(list(api.registry.namespaces)[:1]),
        "SettingsVersion": SETTINGS_VERSION,
        "SettingsHistory": {"items": [SETTINGS_VERSION], "next": None},
        "RollbackInput": {"version": 0},
        **inputs,
    }


_EXAMPLES_BY_FORMAT = {
    "date-time": "2025-02-10T16:30:00.000Z",
    "date": "2025-02-10",
    "uuid": EXAMPLE_ID,
    "email": "admin@example.com",
    "uri": "https://example.com/",
}
_EXAMPLES_BY_TYPE: dict[str, Any] = {"boolean": True, "integer": 1, "number": 1.5}


def add_example(schema: dict[str, Any], *, suggests: bool) -> dict[str, Any]:
    """Return the schema of a value with ``examples``.

    ``example``, as OpenAPI 3.0 has it and hosts write it in the metadata of their fields, becomes ``examples``. With
    `suggests`, a value without an example gets one that its choices, its format or its type suggest; of a host's field,
    only the host knows which values it accepts.
    """
    if "example" in schema:
        example = schema["example"]
        return {"examples": [example], **{name: value for name, value in schema.items() if name != "example"}}
    if not suggests or "examples" in schema or "$ref" in schema:
        return schema
    if "enum" in schema:
        return {**schema, "examples": schema["enum"][:1]}
    kinds = schema.get("type", ())
    kind = kinds if isinstance(kinds, str) else next(iter(kinds), "")
    example = schema.get("default", _EXAMPLES_BY_FORMAT.get(schema.get("format", "")))
    if example is None:
        example = schema.get("minimum", _EXAMPLES_BY_TYPE.get(kind))
    return schema if example is None else {**schema, "examples": [example]}


def _build_settings_example(namespaces: Mapping[str, Namespace]) -> dict[str, Any]:
    """Build the settings of a tenant that has no explicit settings."""
    effective = {
        name: {key: MASK if namespace.keys[key].secret else value for key, value in namespace.defaults.items()}
        for name, namespace in namespaces.items()
        if namespace.defaults
    }
    sources = {f"{name}.{key}": "default" for name, values in effective.items() for key in values}
    return {"version": 0, "effective": effective, "explicit": {}, "sources": sources}


def _read_field_examples(custom: TenantFields | None) -> dict[str, Any]:
    """Read the examples from the metadata of the host's fields, where apispec expects them (``"example"``)."""
    fields = custom.fields if custom else {}
    examples = {name: field.metadata["example"] for name, field in fields.items() if "example" in field.metadata}
    encoded: dict[str, Any] = json.loads(json.dumps(examples, default=str))
    return encoded


def _build_field_examples(custom: TenantFields | None) -> dict[str, Any]:
    """Build the values that a response would show for these examples."""
    if custom is None:
        return {}
    examples = _read_field_examples(custom)
    writable = {name: value for name, value in examples.items() if not custom.fields[name].dump_only}
    try:
        values = custom_fields.validate_custom_fields(custom, writable, custom.fields)
    except InvalidInput:
        values = {}
    return {name: values.get(name) for name in custom.fields}


def _filter_accepted(values: dict[str, Any], api: Api) -> dict[str, Any] | None:
    """Return those of `values` that this host accepts, or None if it requires other fields."""
    try:
        validate_tenant(api, values)
    except InvalidInput as error:
        refused = {entry["pointer"].removeprefix("#/").partition("/")[0] for entry in error.errors}
        remaining = {name: value for name, value in values.items() if name not in refused}
        return _filter_accepted(remaining, api) if len(remaining) < len(values) else None
    return values


_NOTHING = object()


def compose_examples(document: dict[str, Any]) -> None:
    """Add an example to each body of a request or a response that has none: to its schema, which is a component.

    A body with a required property of the host's that has no example stays without.
    """
    schemas: Schemas = document["components"]["schemas"]
    for content in (*_iter_contents(document["paths"]), *_iter_contents(document["components"]["pathItems"])):
        schema = schemas[content["schema"]["$ref"].rpartition("/")[2]]
        if not {"example", "examples"} & {*content, *schema}:
            example = _compose(schema, schemas)
            if example is not _NOTHING:
                schema["examples"] = [example]


def _iter_contents(paths: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the contents of bodies whose schema is a component."""
    for methods in paths.values():
        for operation in methods.values():
            for part in (operation.get("requestBody", {}), *operation["responses"].values()):
                for content in part.get("content", {}).values():
                    if "$ref" in content["schema"]:
                        yield content


def _compose(schema: dict[str, Any], schemas: Schemas) -> Any:
    """Return an example of a value, or `_NOTHING`. Of objects it has the required properties, or all if none is."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return _compose(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return _compose(schema[keyword][0], schemas)
    if "allOf" in schema:
        parts = [_compose(part, schemas) for part in schema["allOf"]]
        return _NOTHING if _NOTHING in parts else {name: value for part in parts for name, value in part.items()}
    if "items" in schema:
        item = _compose(schema["items"], schemas)
        return _NOTHING if item is _NOTHING else [item]
    if schema.get("type") != "object":
        return _NOTHING
    properties = schema.get("properties", {})
    composed = {name: _compose(properties.get(name, {}), schemas) for name in schema.get("required") or properties}
    return _NOTHING if _NOTHING in composed.values() else composed
