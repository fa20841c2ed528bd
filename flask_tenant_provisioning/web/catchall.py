"""What lies below the prefix and matches no other rule: 404 and 405 as problems."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import MapAdapter, Rule

from .. import problems
from .routing import Route

UNMATCHED = "unmatched"
#: The rules that leave nothing below the prefix to others.
REST = ("/", "/<path:unmatched>")
_DOUBLE_SLASH = "There is nothing at this path: two slashes follow each other in it. Does your base URL end in one?"


class _EveryMethod(set[str]):
    """Holds every method and shows none: the catch-all answers them all, yet never appears in an ``Allow``."""

    def __contains__(self, method: object) -> bool:
        return method != "--"


def match_every_method(state: BlueprintSetupState) -> None:
    for rule in state.app.url_map.iter_rules(f"{state.name}.{UNMATCHED}"):
        rule.methods = _EveryMethod()


def beneath(routes: Iterable[Route]) -> frozenset[str]:
    """The rules that end in something fixed behind a place that takes slashes.

    Methods that are not theirs would go to the route that ends with that place, for which all of it is one name: the
    catch-all has to stand there too.
    """
    shut = (route for route in routes if "<path:" in route.rule and not route.rule.endswith(">"))
    return frozenset(route.rule for route in shut)


def unmatched(**_path: Any) -> Response:
    """What is under the prefix and matches no other rule: a wrong method, or nothing at all."""
    if request.url_rule is not None and not request.url_rule.rule.endswith(REST):
        return _other_method(request.url_rule)
    adapter = current_app.create_url_adapter(request)
    routed = {method: _endpoint(adapter, method) for method in adapter.allowed_methods()} if adapter else {}
    ours = f"{request.blueprint}."
    allowed = sorted(method for method, endpoint in routed.items() if endpoint != f"{ours}{UNMATCHED}")
    if not allowed:
        raise problems.NotFound(_DOUBLE_SLASH if "//" in request.path else None)
    if not any(routed[method].startswith(ours) for method in allowed):
        raise _handed_back(MethodNotAllowed(allowed))
    raise problems.MethodNotAllowed(f"{request.method} is not possible here.", headers={"Allow": ", ".join(allowed)})


def _other_method(rule: Rule) -> Response:
    """What a rule of `beneath` answers to the methods that none of its routes has; ``OPTIONS`` is among them."""
    beside = (one for one in current_app.url_map.iter_rules() if one.rule == rule.rule and one is not rule)
    allowed = ", ".join(sorted({"OPTIONS"}.union(*(one.methods or () for one in beside))))
    if request.method == "OPTIONS":
        return Response(headers={"Allow": allowed})
    raise problems.MethodNotAllowed(f"{request.method} is not possible here.", headers={"Allow": allowed})


def _endpoint(adapter: MapAdapter, method: str) -> str:
    """The endpoint at the request's path for one of the methods that are said to be allowed there.

    They are so of the path with its slashes merged too, at which only the catch-all stands as it was sent.
    """
    endpoint: str = adapter.match(method=method)[0]
    return endpoint


def _handed_back(error: MethodNotAllowed) -> MethodNotAllowed:
    """Forget that a rule of ours matched: on a route of the host's own, the host answers as if we were not there."""
    request.routing_exception, request.url_rule, request.view_args = error, None, None
    return error
