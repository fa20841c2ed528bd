"""Where a route is, as OpenAPI writes it."""

from __future__ import annotations

import re

from ..web.routing import Route

_PLACE = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


def path_of(route: Route) -> str:
    """The route's path as a template: ``/tenants/{tenant_id}``."""
    return _PLACE.sub(r"{\1}", route.rule)


def places(route: Route) -> list[str]:
    """The names of the variable parts of the route's path."""
    return _PLACE.findall(route.rule)
