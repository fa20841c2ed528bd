"""Build the OpenAPI 3.1 document of one mount from its routes, schemas, permissions and problems."""

from __future__ import annotations

import json
from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from ..config import Config
from ..mount import Api
from . import examples, host_schemas, operations, responses
from .converter import Converter
from .operations import build_links, get_path_template
from .problem_types import explain_problems, list_problem_classes
from .schemas import PROBLEM_SCHEMA, get_component_name

VERSION = "3.1.0"
_MAX_CACHED = 16
DESCRIPTION = """\
Partners provision tenants in this application.

- Bodies are JSON in UTF-8. Unknown fields, duplicate keys, NUL characters and lone surrogates are refused.
- A query parameter that an operation does not name, or one that is sent twice, is refused: `invalid-parameter`.
- Errors are problem documents (RFC 9457); what `type` refers to explains the code and what to do about it.
- Times are UTC, RFC 3339 with milliseconds and `Z`. Ids are UUIDs.
"""


class _Plugin(MarshmallowPlugin):
    Converter = Converter


def render_document(api: Api, server: str) -> str:
    """The document as JSON, for callers who see the API at `server`; made once for each of these."""
    made: dict[str, str] = api.made_once.setdefault(render_document, {})
    if server not in made:
        while len(made) >= _MAX_CACHED:
            made.pop(next(iter(made)), None)
        made[server] = json.dumps(build_document(api, server), ensure_ascii=False, default=str)
    return made[server]


def build_document(api: Api, server: str) -> dict[str, Any]:
    """The OpenAPI Object of `api` under `server`."""
    plugin = _Plugin(schema_name_resolver=get_component_name)
    spec = _make_spec(api, server, plugin)
    _describe_shared(spec, api, server)
    for route in api.routes:
        described = operations.build_operation(route, api)
        spec.path(get_path_template(route), operations={route.method.lower(): described})
    _describe_problems(spec, api)
    if api.hooks.fields is not None:
        host_schemas.describe_custom_fields(spec, cast(Converter, plugin.converter), api.hooks.fields)
    host_schemas.describe_host_settings(spec, cast(Converter, plugin.converter), api.hooks.namespaces)
    for name, example in examples.build_examples(api).items():
        if name in spec.components.schemas:
            spec.components.schemas[name]["examples"] = [example]
    found = {"openapi": VERSION, **spec.to_dict()}
    found["components"]["links"] = build_links(api.routes)
    return found


def _make_spec(api: Api, server: str, plugin: _Plugin) -> APISpec:
    from .. import __version__

    return APISpec(
        "Tenant provisioning",
        __version__,
        VERSION,
        [plugin],
        info={"description": DESCRIPTION, "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"}},
        servers=[{"url": server}],
        tags=operations.build_tags(api.routes),
    )


def _describe_shared(spec: APISpec, api: Api, server: str) -> None:
    parts = spec.components
    parts.security_scheme(operations.SECURITY_SCHEME, _build_bearer_scheme(api.config))
    for name, header in responses.build_headers(api).items():
        parts.header(name, header)
    for name, parameter in operations.build_request_headers().items():
        parts.parameter(name, "header", parameter)
    for code, explained in explain_problems(api, server).items():
        parts.example(code, {"summary": explained.kind.title, "value": explained.example})
    parts.schema("Problem", PROBLEM_SCHEMA)


def _describe_problems(spec: APISpec, api: Api) -> None:
    """The answers that the operations refer to, and one for each code that may come where no operation is."""
    of_routes = [responses.collect_problems(route, api) for route in api.routes]
    unrouted = [[kind] for kind in list_problem_classes(api) if kind not in set().union(*of_routes)]
    groups = [group for found in of_routes for group in responses.group_by_status(found, api)]
    for name, group in {responses.get_response_name(group): group for group in (*groups, *unrouted)}.items():
        spec.components.response(name, responses.build_problem_response(group, api))


def _build_bearer_scheme(settings: Config) -> dict[str, str]:
    granted = "\n".join(f"- `{role}`: {', '.join(map('`{}`'.format, can))}" for role, can in settings.roles.items())
    claims = f"The claim `{settings.roles_claim}` lists the roles, `{settings.partner_claim}` names the partner."
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": f"{claims}\n\n{granted}",
    }
