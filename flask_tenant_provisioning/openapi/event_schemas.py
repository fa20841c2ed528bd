"""JSON Schemas of events, one for each type, and the webhooks that send them.

`Event` is one of the known events or another one: a client keeps working when a later release adds a type. Each has a
``type`` of its own. There is no ``discriminator``, of which zod schemas would make a closed list.

Webhooks refer to path items of the components, since openapi-generator writes parameters without a name otherwise.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from ..events.retention import KEPT_FIELDS
from ..events.schemas import EVENT_TYPES, EVENTS
from ..webhooks.fanout import EVENT_TYPES as WEBHOOK_EVENT_TYPES

Schema = dict[str, Any]
ENVELOPE, OTHER = "EventEnvelope", "OtherEvent"
_TEST_DESCRIPTION = (
    "A test of a webhook endpoint. `POST /webhooks/{webhook_id}/test` asks for it; it is not in the feed."
)
_FINISHED_JOB_MEMBERS = ("job", "operation", "mode", "state", "total", "succeeded", "failed", "unchanged")
_ERASED: Schema = {
    "type": "boolean",
    "description": "True once the identifying data of a purged tenant was removed from the event; else absent.",
    "examples": [True],
}
#: The component of an event's `data`, by the first segment of its type.
_DATA_SCHEMAS = {
    "tenant": "EventTenant",
    "partner": "EventPartner",
    "webhook": "EventWebhook",
    "client": "EventClient",
    "bulk_job": "FinishedBulkJob",
    "invitation": "EventInvitation",
}


def describe_events(schemas: dict[str, Schema]) -> None:
    """Replace the component `Event` by the components of all types of events."""
    envelope = schemas["Event"]
    envelope["properties"].pop("data")
    envelope["required"].remove("data")
    schemas[ENVELOPE] = envelope
    schemas["EventTenant"] = _build_tenant(schemas["Tenant"])
    schemas["EventPartner"] = _copy_for_events(schemas["Partner"], schemas["Partner"]["required"])
    schemas["EventPartner"]["description"] = "A partner after the event."
    schemas["EventWebhook"] = _copy_for_events(schemas["Webhook"], ["webhook"])
    schemas["EventWebhook"]["description"] = (
        "A webhook endpoint after the event. Callers without `webhook:read` see only its id; `webhook.disabled` has "
        "only `webhook`, `url`, `enabled` and `disabled_reason`."
    )
    schemas["EventClient"] = _copy_for_events(schemas["PartnerClient"], ["client"])
    schemas["EventClient"]["description"] = (
        "An API client after the event, without its secret. Callers without `client:read` see only its id."
    )
    schemas["EventInvitation"] = _build_invitation(schemas["Invitation"])
    schemas["FinishedBulkJob"] = _build_finished_job(schemas["BulkJob"])
    for event_type in WEBHOOK_EVENT_TYPES:
        schemas[get_event_name(event_type)] = _build_event(event_type)
    schemas[OTHER] = _build_other()
    known = [get_event_name(event_type) for event_type in EVENT_TYPES]
    schemas["Event"] = {
        "description": "An event: of one of the known types, or of one that this document does not list.",
        "anyOf": [_refer(name) for name in [*known, OTHER]],
    }


def build_webhooks() -> dict[str, Any]:
    """Build the webhooks of the document, by type of event: references to `build_path_items`."""
    return {
        event_type: {"$ref": f"#/components/pathItems/{_join_words(event_type)}"} for event_type in WEBHOOK_EVENT_TYPES
    }


def build_path_items() -> dict[str, Any]:
    """Build the request that an endpoint receives for each type of event, by component name."""
    return {_join_words(event_type): {"post": _build_webhook(event_type)} for event_type in WEBHOOK_EVENT_TYPES}


def get_event_name(event_type: str) -> str:
    """Return the component name of an event's schema, such as ``TenantCreatedEvent``."""
    return f"{_join_words(event_type)}Event"


def _build_event(event_type: str) -> Schema:
    own = {
        "type": "object",
        "required": ["type", "data"],
        "properties": {
            "type": {
                "type": "string",
                "enum": [event_type],
                "description": f"`{event_type}`.",
                "examples": [event_type],
            },
            "data": _refer(_DATA_SCHEMAS[event_type.partition(".")[0]]),
        },
    }
    return {"description": _get_description(event_type), "allOf": [_refer(ENVELOPE), own]}


def _build_other() -> Schema:
    own = {
        "type": "object",
        "required": ["type", "data"],
        "properties": {
            "type": {
                "type": "string",
                "not": {"enum": list(EVENT_TYPES)},
                "description": "A type that this document does not list.",
                "examples": ["tenant.something_new"],
            },
            "data": {"type": "object", "description": "The object after the event.", "examples": [{}]},
        },
    }
    return {
        "description": "An event of a type that this document does not list, since the server is newer than it. "
        "Ignore it.",
        "allOf": [_refer(ENVELOPE), own],
    }


def _build_tenant(tenant: Schema) -> Schema:
    schema = _copy_for_events(tenant, [name for name in tenant["required"] if name in KEPT_FIELDS])
    schema["properties"]["erased"] = _ERASED
    schema["description"] = (
        "A tenant after the event. Some days after it was purged, only its ids, status, version and times are left."
    )
    return schema


def _build_invitation(invitation: Schema) -> Schema:
    schema = _copy_for_events(invitation, ["invitation"])
    schema["properties"]["erased"] = _ERASED
    schema["description"] = (
        "An invitation after the event. Callers without `invitation:read` see only its id. Some days after its tenant "
        "was purged, only the ids, the version and the times of creation and of the last change are left."
    )
    return schema


def _build_finished_job(job: Schema) -> Schema:
    schema = _copy_for_events(job, _FINISHED_JOB_MEMBERS)
    schema["properties"] = {name: schema["properties"][name] for name in _FINISHED_JOB_MEMBERS}
    schema["description"] = "A bulk job that has finished, with the counts of its rows."
    schema.pop("examples", None)
    return schema


def _copy_for_events(schema: Schema, required: Iterable[str]) -> Schema:
    """Copy an object's schema without ``readOnly``, which a request such as a webhook could not have."""
    copied: Schema = copy.deepcopy(schema)
    copied["required"] = list(required)
    for name, described in copied["properties"].items():
        copied["properties"][name] = {key: value for key, value in described.items() if key != "readOnly"}
    return copied


def _build_webhook(event_type: str) -> dict[str, Any]:
    return {
        "operationId": f"receive_{event_type.replace('.', '_')}",
        "summary": _get_description(event_type).partition(". ")[0].rstrip(".").replace("`", ""),
        "description": f"Sent to each endpoint that subscribes to `{event_type}`. Verify the signature, and return any "
        "2xx within 15 seconds.",
        "security": [],
        "parameters": [
            _build_header("webhook-id", "The id of the event; the same at every attempt.", _EXAMPLE_ID),
            _build_header("webhook-timestamp", "The time of this attempt, in seconds since 1970.", "1739205000"),
            _build_header(
                "webhook-signature",
                "The signatures of the sender, separated by spaces (Standard Webhooks 1.0.0).",
                "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
            ),
        ],
        "requestBody": {
            "required": True,
            "description": "The event.",
            "content": {"application/json": {"schema": _refer(get_event_name(event_type))}},
        },
        "responses": {
            "2XX": {"description": "The event was received."},
            "410": {"description": "The endpoint is gone: it is disabled."},
            "default": {"description": "A failure: the event is sent again later."},
        },
    }


_EXAMPLE_ID = "019365e0-3b1a-7c44-9d3c-6d2f4f1c2a10"


def _build_header(name: str, description: str, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string", "examples": [example]},
    }


def _get_description(event_type: str) -> str:
    return EVENTS.get(event_type, _TEST_DESCRIPTION)


def _join_words(event_type: str) -> str:
    return "".join(word.capitalize() for word in event_type.replace(".", "_").split("_"))


def _refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
