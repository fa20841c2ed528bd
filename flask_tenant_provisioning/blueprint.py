"""Gathers every feature's routes into one Flask blueprint, whose every answer keeps the contract."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, Response, request
from flask.globals import request_ctx
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import PyJWTError
from werkzeug.exceptions import HTTPException, default_exceptions

from . import problems
from .openapi.routes import routes as openapi_routes
from .problems.rendering import mark, render, request_id
from .tenants.routes import routes as tenant_routes
from .web.call import Call, Mount, require_json_accepted, too_large
from .web.routing import Route

logger = logging.getLogger(__name__)

ROUTES: tuple[Route, ...] = (*tenant_routes, *openapi_routes)
UNMATCHED = "unmatched"


def mount_blueprint(app: Flask, mount: Mount) -> None:
    """Register the API's blueprint on `app`."""
    blueprint = Blueprint(mount.name, __name__, url_prefix=mount.settings.url_prefix)
    for route in ROUTES:
        blueprint.add_url_rule(route.rule, route.endpoint, _view(route, mount), methods=[route.method])
    for rule in ("/", "/<path:unmatched>"):
        blueprint.add_url_rule(rule, UNMATCHED, _unmatched, provide_automatic_options=False)
    _answer_errors(blueprint, mount)
    blueprint.after_request(mark)
    app.register_blueprint(blueprint)
    for found in app.url_map.iter_rules(f"{mount.name}.{UNMATCHED}"):
        found.methods = _EveryMethod()


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


class _EveryMethod(frozenset[str]):
    """Holds every method and shows none: the catch-all answers them all, yet never appears in an ``Allow``."""

    def __contains__(self, method: object) -> bool:
        return method != "--"


def _unmatched(**_path: Any) -> Response:
    """What is under the prefix and matches no other rule: a wrong method, or nothing at all."""
    adapter = request_ctx.url_adapter
    if adapter and (allowed := sorted(adapter.allowed_methods())):
        raise problems.MethodNotAllowed(
            f"{request.method} is not possible here.", headers={"Allow": ", ".join(allowed)}
        )
    raise problems.NotFound


def _answer_errors(blueprint: Blueprint, mount: Mount) -> None:
    """Render every error under the mount as a problem, and none outside it.

    A host's handler for a status beats a blueprint's handler for `HTTPException`, hence one for each status.
    """

    def answer(error: Exception) -> Response:
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
        return problems.InvalidToken()
    if isinstance(error, HTTPException) and error.code is not None and error.code < 500:
        return _refusal(error, mount)
    logger.error("request %s failed", request_id(), exc_info=error)
    return problems.ProvisioningError("The request failed; the operator's log says why, under this request id.")


def _refusal(error: HTTPException, mount: Mount) -> problems.ProvisioningError:
    """What Werkzeug or a host's hook raised, in this API's words."""
    if error.code == 413:
        return too_large(mount.settings.max_body_bytes)
    if error.code == 401:
        return problems.Unauthenticated(headers=mount.guard.challenge())
    if error.code in _BY_STATUS:
        return _BY_STATUS[error.code]()
    found = problems.Refused(f"{error.name}.")
    found.status = error.code or 400  # type: ignore[misc]
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
    )
}
