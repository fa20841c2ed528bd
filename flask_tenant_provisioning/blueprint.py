"""Gathers every feature's routes into one Flask blueprint, whose every answer keeps the contract."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from .bulk.item_routes import routes as item_routes
from .bulk.routes import routes as bulk_routes
from .events.routes import routes as event_routes
from .health.routes import routes as health_routes
from .limiting.spending import spend
from .openapi.routes import routes as openapi_routes
from .partners.routes import routes as partner_routes
from .problems.rendering import mark, request_id
from .settings.partner_routes import routes as partner_settings_routes
from .settings.routes import routes as settings_routes
from .steps.routes import routes as step_routes
from .tenants.lifecycle_routes import routes as lifecycle_routes
from .tenants.routes import routes as tenant_routes
from .usage.routes import routes as usage_routes
from .web.call import Call
from .web.catchall import REST, UNMATCHED, beneath, match_every_method, unmatched
from .web.docs_links import follow_link, has_followed
from .web.failures import answer_errors
from .web.media_types import name_patch_formats, require_json_accepted
from .web.mount import Mount
from .web.routing import Route
from .web.rules import add_rule, hide_hosts
from .webhooks.delivery_routes import routes as delivery_routes
from .webhooks.routes import routes as webhook_routes

ROUTES: tuple[Route, ...] = (
    *tenant_routes,
    *lifecycle_routes,
    *step_routes,
    *bulk_routes,
    *item_routes,
    *settings_routes,
    *partner_routes,
    *usage_routes,
    *partner_settings_routes,
    *event_routes,
    *webhook_routes,
    *delivery_routes,
    *health_routes,
    *openapi_routes,
)


def make_blueprint(mount: Mount) -> Blueprint:
    """The API of `mount`, for an app to register."""
    blueprint = Blueprint(mount.name, __name__, url_prefix=mount.settings.url_prefix)
    shut = beneath(ROUTES)
    for route in ROUTES:
        view, answers_options = _view(route, mount), route.rule not in shut
        add_rule(blueprint, route.rule, route.endpoint, view, [route.method], answers_options=answers_options)
    for rule in sorted(shut):
        add_rule(blueprint, rule, UNMATCHED, unmatched, answers_options=False)
    for rule in REST:
        add_rule(blueprint, rule, UNMATCHED, unmatched, answers_options=False, strict_slashes=False)
    hide_hosts(blueprint)
    blueprint.record(match_every_method)
    answer_errors(blueprint, mount)
    blueprint.after_request(_finish)
    return blueprint


def _finish(response: Response) -> Response:
    """Set the headers that every response bears. One function, since Flask takes a microsecond for each hook."""
    if request.method == "OPTIONS":
        name_patch_formats(response)
    return mark(response)


def _view(route: Route, mount: Mount) -> Callable[..., Response]:
    """The view of `route`: the gate, then the handler."""
    handler, needed, negotiates = route.handler, route.permissions, route.negotiates

    if isinstance(needed, tuple):
        counted = functools.partial(spend, mount, route.rate_class)

        def guarded(**path: Any) -> Response:
            principal = mount.guard.admit(needed, counted)
            mount.engine.serve()
            if not negotiates:
                require_json_accepted()
            return handler(Call(mount, principal), **path)

        return functools.update_wrapper(guarded, handler)

    def public(**path: Any) -> Response:
        request_id(mount.settings.request_id_key)
        asked = route.needs(mount.settings.public_docs)
        if asked and (followed := follow_link(mount)) is not None:
            return followed
        principal = mount.guard.admit(asked) if asked and not has_followed(mount) else None
        return handler(Call(mount, principal), **path)

    return functools.update_wrapper(public, handler)
