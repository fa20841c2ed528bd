"""What lies below the prefix and matches no other rule: 404 and 405 as problems."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import MapAdapter

from .. import problems

UNMATCHED = "unmatched"


class _EveryMethod(set[str]):
    """Holds every method and shows none: the catch-all answers them all, yet never appears in an ``Allow``."""

    def __contains__(self, method: object) -> bool:
        return method != "--"


def match_every_method(state: BlueprintSetupState) -> None:
    for rule in state.app.url_map.iter_rules(f"{state.name}.{UNMATCHED}"):
        rule.methods = _EveryMethod()


def unmatched(**_path: Any) -> Response:
    """What is under the prefix and matches no other rule: a wrong method, or nothing at all."""
    adapter = current_app.create_url_adapter(request)
    allowed = sorted(adapter.allowed_methods()) if adapter else []
    if adapter is None or not allowed:
        raise problems.NotFound
    if not any(_is_ours(adapter, method) for method in allowed):
        raise _handed_back(MethodNotAllowed(allowed))
    raise problems.MethodNotAllowed(f"{request.method} is not possible here.", headers={"Allow": ", ".join(allowed)})


def _is_ours(adapter: MapAdapter, method: str) -> bool:
    endpoint: str = adapter.match(method=method)[0]
    return endpoint.startswith(f"{request.blueprint}.")


def _handed_back(error: MethodNotAllowed) -> MethodNotAllowed:
    """Forget that a rule of ours matched: on a route of the host's own, the host answers as if we were not there."""
    request.routing_exception, request.url_rule, request.view_args = error, None, None
    return error
