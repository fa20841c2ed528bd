"""Build the OpenAPI 3.1 document of one mount from its routes, schemas, permissions and problems."""

from __future__ import annotations

import hashlib
import json
import math
import time
from typing import Any, NamedTuple, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from ..cache import TTLCache
from ..clients.oauth_routes import TOKEN_PATH
from ..config import Config
from ..errors import ProvisioningError, TenantNotFound
from ..mount import Api
from ..validation import InputErrorSchema
from ..web.headers import JSON
from . import event_schemas, examples, host_schemas, operations, problem_schemas, responses
from .converter import Converter
from .links import build_links
from .problem_types import explain_problems
from .schemas import COMPONENT_KEY, get_component_name

Schemas = dict[str, Any]
VERSION = "3.1.0"
_MAX_CACHED = 16
DESCRIPTION = """\
Partners provision tenants in this application.

- Bodies are JSON in UTF-8. Unknown fields, duplicate keys, NUL characters and lone surrogates are refused.
- Unknown and repeated query parameters are refused: `invalid-parameter`.
- Errors are problem documents (RFC 9457); the page at `type` explains the code and its remedy.
- Times are UTC, RFC 3339 with milliseconds and `Z`. Ids are UUIDs.
- Later releases may add members to responses, problem codes and types of events: ignore what you do not know.
- Where `pattern` cannot say the whole rule of a text in every engine, `x-pattern` says it for ECMA-262.
"""


class _Plugin(MarshmallowPlugin):
    Converter = Converter


class RenderedDocument(NamedTuple):
    """The document as JSON, and a number that its content determines, for its entity tag."""

    text: str
    version: int


def render_document(api: Api, server: str) -> RenderedDocument:
    """Return the document for callers that reach the API at `server`. The documents of the last 16 are cached."""
    documents = api.once(_make_cache)
    return documents.get(server) or documents.load(server, lambda: _render(build_document(api, server)))


def _make_cache(_api: Api) -> TTLCache[str, RenderedDocument]:
    return TTLCache(time.monotonic, math.inf, _MAX_CACHED)


def _render(document: dict[str, Any]) -> RenderedDocument:
    text = json.dumps(document, ensure_ascii=False, default=str)
    return RenderedDocument(text, int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]))


def build_document(api: Api, server: str) -> dict[str, Any]:
    """Build the OpenAPI Object of `api` for callers that reach it at `server`."""
    plugin = _Plugin(schema_name_resolver=get_component_name)
    spec = _make_spec(api, server, plugin)
    _describe_shared(spec, api, server)
    for route in api.routes:
        operation = operations.build_operation(route, api)
        spec.path(route.path_template, operations={route.method.lower(): operation})
    _describe_problems(spec, api, server)
    if api.registry.fields is not None:
        host_schemas.describe_custom_fields(spec, cast(Converter, plugin.converter), api.registry.fields)
    host_schemas.describe_host_settings(spec, cast(Converter, plugin.converter), api.registry.namespaces)
    for name, example in examples.build_examples(api).items():
        if name in spec.components.schemas:
            spec.components.schemas[name]["examples"] = [example]
    event_schemas.describe_events(spec.components.schemas)
    spec.components.schemas["ProblemExplanation"]["properties"]["example"] = {
        "$ref": f"#/components/schemas/{problem_schemas.ANY}"
    }
    document = {"openapi": VERSION, **spec.to_dict(), "webhooks": event_schemas.build_webhooks()}
    document["components"]["pathItems"] = event_schemas.build_path_items()
    document["components"]["links"] = build_links(api.routes)
    document = _name_inline_objects(document)
    _drop_unused_headers(document)
    _add_response_examples(document, api, server)
    examples.compose_examples(document)
    return document


def _add_response_examples(document: dict[str, Any], api: Api, server: str) -> None:
    """Add examples to the response that explains a problem, and to an upload's, where no row is executed yet.

    They stand beside the schema: linters take the member `example` of an explanation for a keyword of the schema.
    """
    explanation = explain_problems(api, server)[TenantNotFound.code].render()
    for path, method, status, example in (
        ("/problems/{code}", "get", "200", explanation),
        ("/bulk-jobs", "post", "202", examples.QUEUED_JOB),
    ):
        document["paths"][path][method]["responses"][status]["content"][JSON]["example"] = example


def _make_spec(api: Api, server: str, plugin: _Plugin) -> APISpec:
    from .. import __version__

    config = api.config
    return APISpec(
        config.openapi_title,
        config.openapi_version or __version__,
        VERSION,
        [plugin],
        info=_build_info(config),
        servers=[{"url": url} for url in config.openapi_servers or (server,)],
        tags=operations.build_tags(api.routes),
    )


def _build_info(config: Config) -> dict[str, Any]:
    """Build the Info Object beside title and version."""
    own = f"{config.openapi_description.strip()}\n\n" if config.openapi_description else ""
    info: dict[str, Any] = {
        "description": own + DESCRIPTION,
        "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
    }
    if config.openapi_contact:
        info["contact"] = config.openapi_contact
    if config.openapi_logo:
        info["x-logo"] = {"url": config.openapi_logo, "altText": config.openapi_title}
    return info


def _describe_shared(spec: APISpec, api: Api, server: str) -> None:
    parts = spec.components
    parts.security_scheme(operations.SECURITY_SCHEME, _build_bearer_scheme(api))
    if operations.issues_tokens(api):
        parts.security_scheme(operations.OAUTH_SCHEME, _build_oauth_scheme(api, server))
    for name, header in responses.build_headers(api).items():
        parts.header(name, header)
    for name, parameter in operations.build_request_headers().items():
        parts.parameter(name, "header", parameter)
    parts.schema("InputError", schema=InputErrorSchema)


def _describe_problems(spec: APISpec, api: Api, server: str) -> None:
    """Add the schemas of all problems, and the responses that operations refer to, with their examples."""
    for name, schema in problem_schemas.build_problem_schemas(api).items():
        spec.components.schema(name, schema)
    groups: dict[str, list[type[ProvisioningError]]] = {}
    for route in api.routes:
        for group in responses.group_by_status(responses.collect_problems(route, api), api):
            groups[problem_schemas.get_response_name(group)] = group
    for name, group in groups.items():
        spec.components.schema(problem_schemas.get_error_name(group), problem_schemas.build_error_schema(group))
        spec.components.response(name, responses.build_problem_response(group, api))
    codes = {kind.code for group in groups.values() for kind in group}
    for code, explanation in explain_problems(api, server).items():
        if code in codes:
            spec.components.example(code, {"summary": explanation.kind.title, "value": explanation.example})


def _build_oauth_scheme(api: Api, server: str) -> dict[str, Any]:
    """Build the scheme by which API clients get a bearer token, for callers that reach the API at `server`."""
    base = (api.config.openapi_servers or (server,))[0]
    flow = {"tokenUrl": f"{base.rstrip('/')}{TOKEN_PATH}", "scopes": api.registry.list_permissions()}
    return {
        "type": "oauth2",
        "description": "The client credentials of an API client. A token has the permissions of its client, or those "
        "of them that `scope` names.",
        "flows": {"clientCredentials": flow},
    }


def _build_bearer_scheme(api: Api) -> dict[str, str]:
    """Build the scheme of bearer tokens, with the roles and the permissions that the host has added."""
    config = api.config
    roles = [
        f"- `{role}`: {', '.join(f'`{permission}`' for permission in permissions)}"
        for role, permissions in config.roles.items()
    ]
    own = [f"- `{permission.name}`: {permission.description}" for permission in api.registry.permissions.values()]
    own = ["", "Permissions of this application:", "", *own] if own else []
    claims = f"The claim `{config.roles_claim}` lists the roles, `{config.partner_claim}` names the partner."
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "\n".join([claims, "", *roles, *own]),
    }


def _name_inline_objects(document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with each schema that has the key `COMPONENT_KEY` as a component of that name.

    A name that is taken by another schema gets a number.
    """
    named: Schemas = {}
    result: dict[str, Any] = _name_inline(document, document["components"]["schemas"], named)
    result["components"]["schemas"] |= named
    return result


def _drop_unused_headers(document: dict[str, Any]) -> None:
    """Remove the headers that no response refers to, such as those of a problem that only unknown paths return."""
    headers = document["components"]["headers"]
    parts = [*document["components"]["responses"].values()]
    parts += [
        response
        for methods in document["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
    ]
    used = {name for part in parts for name in part.get("headers", ())}
    document["components"]["headers"] = {name: header for name, header in headers.items() if name in used}


def _name_inline(node: Any, taken: Schemas, named: Schemas) -> Any:
    if isinstance(node, list):
        return [_name_inline(item, taken, named) for item in node]
    if not isinstance(node, dict):
        return node
    replaced = {key: _name_inline(value, taken, named) for key, value in node.items() if key != COMPONENT_KEY}
    if COMPONENT_KEY not in node:
        return replaced
    name = _choose_name(node[COMPONENT_KEY], replaced, taken, named)
    named[name] = replaced
    return {"$ref": f"#/components/schemas/{name}"}


def _choose_name(name: str, schema: Any, taken: Schemas, named: Schemas) -> str:
    number, free = 1, name
    while free in taken or named.get(free, schema) != schema:
        number += 1
        free = f"{name}{number}"
    return free
