"""The routes of all features, in the order in which the OpenAPI document lists them."""

from __future__ import annotations

from .bulk.routes import routes as bulk_routes
from .clients.oauth_routes import key_routes, routes as oauth_routes
from .clients.routes import routes as client_routes
from .config import Config
from .config_checks import has_authlib
from .events.routes import routes as event_routes
from .health.routes import metrics_routes, routes as health_routes
from .invitations.routes import routes as invitation_routes
from .openapi.routes import routes as openapi_routes
from .partners.routes import routes as partner_routes
from .settings.routes import partner_routes as partner_settings_routes, routes as settings_routes
from .steps.routes import routes as step_routes
from .tenants.routes import routes as tenant_routes
from .usage import routes as usage_routes
from .web.routing import Route
from .webhooks.routes import routes as webhook_routes

#: The routes that every mount has.
ROUTES: tuple[Route, ...] = (
    *tenant_routes,
    *bulk_routes,
    *step_routes,
    *invitation_routes,
    *settings_routes,
    *event_routes,
    *webhook_routes,
    *client_routes,
    *partner_routes,
    *partner_settings_routes,
    *usage_routes,
    *health_routes,
    *openapi_routes,
)


def select_routes(config: Config) -> tuple[Route, ...]:
    """Return the routes of a mount with this configuration.

    ``GET /metrics`` exists only where Prometheus is turned on, the OAuth server only where Authlib is installed (extra
    `oauth`), and ``GET /oauth/jwks`` only where tokens are signed with a private key.
    """
    selected = ROUTES
    if has_authlib():
        selected = (*selected, *oauth_routes, *(key_routes if config.client_private_key is not None else ()))
    return (*selected, *metrics_routes) if "prometheus" in config.telemetry else selected
