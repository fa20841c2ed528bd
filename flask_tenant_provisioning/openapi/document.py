"""The OpenAPI 3.1 document of one mount, made of what its routes, schemas, permissions and problems declare."""

from __future__ import annotations

import json
from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from ..config import Settings
from ..web.api import Api
from . import answers, examples, operations, own_fields, own_settings
from .explained import explanations, kinds
from .fields import Converter
from .links import links
from .paths import path_of
from .schemas import PROBLEM, name_of

VERSION = "3.1.0"
_MOST_KEPT = 16

ABOUT = """\
Partners provision tenants in this application.

- Bodies are JSON in UTF-8. Unknown fields, duplicate keys, NUL characters and lone surrogates are refused.
- A query parameter that an operation does not name, or one that is sent twice, is refused: `invalid-parameter`.
- Errors are problem documents (RFC 9457); what `type` refers to explains the code and what to do about it.
- Times are UTC, RFC 3339 with milliseconds and `Z`. Ids are UUIDs.
"""


class _Plugin(MarshmallowPlugin):
    Converter = Converter


def document(api: Api, server: str) -> str:
    """The document as JSON, for callers who see the API at `server`; made once for each of these."""
    made: dict[str, str] = api.memory.setdefault(document, {})
    if server not in made:
        while len(made) >= _MOST_KEPT:
            made.pop(next(iter(made)), None)
        made[server] = json.dumps(build(api, server), ensure_ascii=False, default=str)
    return made[server]


def build(api: Api, server: str) -> dict[str, Any]:
    """The OpenAPI Object of `api` under `server`."""
    plugin = _Plugin(schema_name_resolver=name_of)
    spec = _spec(api, server, plugin)
    _describe_shared(spec, api, server)
    for route in api.routes:
        described = operations.operation(route, api)
        spec.path(path_of(route), operations={route.method.lower(): described})
    _describe_problems(spec, api)
    if api.hooks.fields is not None:
        own_fields.describe(spec, cast(Converter, plugin.converter), api.hooks.fields)
    own_settings.describe(spec, cast(Converter, plugin.converter), api.hooks.namespaces)
    for name, example in examples.examples(api).items():
        if name in spec.components.schemas:
            spec.components.schemas[name]["examples"] = [example]
    found = {"openapi": VERSION, **spec.to_dict()}
    found["components"]["links"] = links(api.routes)
    return found


def _spec(api: Api, server: str, plugin: _Plugin) -> APISpec:
    from .. import __version__

    return APISpec(
        "Tenant provisioning",
        __version__,
        VERSION,
        [plugin],
        info={"description": ABOUT, "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"}},
        servers=[{"url": server}],
        tags=operations.tags(api.routes),
    )


def _describe_shared(spec: APISpec, api: Api, server: str) -> None:
    parts = spec.components
    parts.security_scheme(operations.SECURITY, _bearer(api.settings))
    for name, header in answers.headers(api).items():
        parts.header(name, header)
    for name, parameter in operations.request_headers().items():
        parts.parameter(name, "header", parameter)
    for code, explained in explanations(api, server).items():
        parts.example(code, {"summary": explained.kind.title, "value": explained.example})
    parts.schema("Problem", PROBLEM)


def _describe_problems(spec: APISpec, api: Api) -> None:
    """The answers that the operations refer to, and one for each code that may come where no operation is."""
    of_routes = [answers.problems_of(route, api) for route in api.routes]
    unrouted = [[kind] for kind in kinds(api) if kind not in set().union(*of_routes)]
    groups = [group for found in of_routes for group in answers.by_status(found, api)]
    for name, group in {answers.component(group): group for group in (*groups, *unrouted)}.items():
        spec.components.response(name, answers.problem_answer(group, api))


def _bearer(settings: Settings) -> dict[str, str]:
    granted = "\n".join(f"- `{role}`: {', '.join(map('`{}`'.format, can))}" for role, can in settings.roles.items())
    claims = f"The claim `{settings.roles_claim}` lists the roles, `{settings.partner_claim}` names the partner."
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": f"{claims}\n\n{granted}",
    }
