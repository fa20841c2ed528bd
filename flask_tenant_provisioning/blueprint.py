"""Gathers every feature's routes into one Flask blueprint, whose every answer keeps the contract."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response

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
from .web.failures import answer_errors
from .web.media_types import require_json_accepted
from .web.mount import Mount
from .web.routing import Route
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
        view, own = _view(route, mount), {"methods": [route.method], "merge_slashes": False}
        for rule in route.rules:
            automatic = False if rule in shut else None
            blueprint.add_url_rule(rule, route.endpoint, view, provide_automatic_options=automatic, **own)
    for rule in sorted(shut):
        blueprint.add_url_rule(rule, UNMATCHED, unmatched, provide_automatic_options=False, merge_slashes=False)
    for rule in REST:
        blueprint.add_url_rule(rule, UNMATCHED, unmatched, provide_automatic_options=False, strict_slashes=False)
    blueprint.record(match_every_method)
    answer_errors(blueprint, mount)
    blueprint.after_request(mark)
    return blueprint


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
        principal = mount.guard.admit(asked) if asked else None
        return handler(Call(mount, principal), **path)

    return functools.update_wrapper(public, handler)
