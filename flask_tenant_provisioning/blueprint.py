"""Gathers every feature's routes into one Flask blueprint, whose every answer keeps the contract."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from flask_jwt_extended.exceptions import JWTExtendedException, NoAuthorizationError
from jwt import ExpiredSignatureError, PyJWTError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, default_exceptions
from werkzeug.routing import MapAdapter
from werkzeug.wrappers import Response as AnyResponse

from . import problems
from .openapi.routes import routes as openapi_routes
from .problems.rendering import mark, render, request_id
from .tenants.routes import routes as tenant_routes
from .web.call import Call, Mount, body_limit, require_json_accepted, too_large
from .web.routing import Route

logger = logging.getLogger(__name__)

ROUTES: tuple[Route, ...] = (*tenant_routes, *openapi_routes)
UNMATCHED = "unmatched"


def make_blueprint(mount: Mount) -> Blueprint:
    """The API of `mount`, for an app to register."""
    blueprint = Blueprint(mount.name, __name__, url_prefix=mount.settings.url_prefix)
    for route in ROUTES:
        blueprint.add_url_rule(route.rule, route.endpoint, _view(route, mount), methods=[route.method])
    for rule in ("/", "/<path:unmatched>"):
        blueprint.add_url_rule(rule, UNMATCHED, _unmatched, provide_automatic_options=False, strict_slashes=False)
    blueprint.record(_match_every_method)
    _answer_errors(blueprint, mount)
    blueprint.after_request(mark)
    return blueprint


def _view(route: Route, mount: Mount) -> Callable[..., Response]:
    """The view of `route`: the gate, then the handler."""
    handler, needed = route.handler, route.permissions

    if isinstance(needed, tuple):

        def guarded(**path: Any) -> Response:
            principal = mount.guard.admit(needed)
            require_json_accepted()
            return handler(Call(mount, principal), **path)

        return functools.update_wrapper(guarded, handler)

    def public(**path: Any) -> Response:
        principal = None if mount.settings.public_docs else mount.guard.admit(("tenant:read",))
        return handler(Call(mount, principal), **path)

    return functools.update_wrapper(public, handler)


class _EveryMethod(set[str]):
    """Holds every method and shows none: the catch-all answers them all, yet never appears in an ``Allow``."""

    def __contains__(self, method: object) -> bool:
        return method != "--"


def _match_every_method(state: BlueprintSetupState) -> None:
    for rule in state.app.url_map.iter_rules(f"{state.name}.{UNMATCHED}"):
        rule.methods = _EveryMethod()


def _unmatched(**_path: Any) -> Response:
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


def _answer_errors(blueprint: Blueprint, mount: Mount) -> None:
    """Render every error under the mount as a problem, and none outside it.

    A host's handler for a status beats a blueprint's handler for `HTTPException`, hence one for each status. An
    exception that carries a response of its own, such as a rate limiter's, is answered with that.
    """

    def answer(error: Exception) -> AnyResponse:
        if isinstance(error, HTTPException) and error.response is not None:
            return error.response  # type: ignore[return-value]
        return render(_problem(error, mount), mount.problem_types())

    handled: Iterable[Any] = (
        *default_exceptions,
        problems.ProvisioningError,
        JWTExtendedException,
        PyJWTError,
        HTTPException,
        Exception,
    )
    for key in handled:
        blueprint.register_error_handler(key, answer)


def _problem(error: Exception, mount: Mount) -> problems.ProvisioningError:
    if isinstance(error, problems.ProvisioningError):
        return error
    if isinstance(error, JWTExtendedException | PyJWTError):
        return _unauthenticated(error, mount)
    if isinstance(error, HTTPException) and error.code is not None and (error.code < 500 or error.code in _BY_STATUS):
        return _refusal(error, error.code, mount)
    logger.error("request %s failed", request_id(), exc_info=error)
    return problems.ProvisioningError("The request failed; the operator's log says why, under this request id.")


def _unauthenticated(error: Exception, mount: Mount) -> problems.Unauthenticated:
    """What a host's hook that reads the token itself raised, with the challenge that belongs to it."""
    if isinstance(error, NoAuthorizationError):
        return problems.Unauthenticated(headers=mount.guard.challenge())
    kind = problems.TokenExpired if isinstance(error, ExpiredSignatureError) else problems.InvalidToken
    return kind(headers=mount.guard.challenge("invalid_token"))


def _refusal(error: HTTPException, status: int, mount: Mount) -> problems.ProvisioningError:
    """What Werkzeug or a host's hook raised, with the headers that it came with."""
    if status == 413:
        return too_large(body_limit(mount))
    if status == 401:
        return problems.Unauthenticated(headers=mount.guard.challenge())
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    if status in _BY_STATUS:
        return _BY_STATUS[status](headers=headers)
    found = problems.Refused(error.description or f"{error.name}.", headers=headers)
    found.status = status  # type: ignore[misc]
    return found


_BY_STATUS: dict[int, type[problems.ProvisioningError]] = {
    kind.status: kind
    for kind in (
        problems.Forbidden,
        problems.NotFound,
        problems.MethodNotAllowed,
        problems.NotAcceptable,
        problems.PreconditionFailed,
        problems.UnsupportedMediaType,
        problems.StorageUnavailable,
    )
}
