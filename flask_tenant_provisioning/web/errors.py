"""Error handlers that convert every exception below the mount to a problem."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Flask, request
from flask_jwt_extended.exceptions import JWTExtendedException, NoAuthorizationError
from jwt import ExpiredSignatureError, PyJWTError
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.wrappers import Response

from .. import errors
from ..mount import Mount
from ..responses import get_request_id, render_problem
from ..telemetry.base import PROBLEM_KEY
from .long_requests import get_body_limit, make_body_too_large

logger = logging.getLogger(__name__)


def register_error_handlers(scope: Blueprint | Flask, mount: Mount) -> None:
    """Register handlers that render every error under the mount as a problem, and none outside it.

    A route with `render_error` renders its errors itself.

    A host's handler for a status takes precedence over a blueprint's handler for `HTTPException`, so there is one for
    each status. The response of an exception that has one, such as a rate limiter's, is returned unchanged.
    """
    renderers = {route.endpoint: route.render_error for route in mount.routes if route.render_error is not None}

    def handle_error(error: Exception) -> Response:
        get_request_id(mount.config.request_id_key)
        if isinstance(error, HTTPException) and error.response is not None:
            return error.response  # type: ignore[return-value]
        problem = _convert_exception(error, mount)
        if mount.telemetry.is_on:
            request.environ[PROBLEM_KEY] = problem.code
        mount.guard.refusals.log(problem)
        render = renderers.get((request.endpoint or "").rpartition(".")[2])
        return render_problem(problem, mount.problem_type_prefix()) if render is None else render(problem)

    handled_errors: Iterable[Any] = (
        *default_exceptions,
        errors.ProvisioningError,
        JWTExtendedException,
        PyJWTError,
        HTTPException,
        Exception,
    )
    for key in handled_errors:
        scope.register_error_handler(key, handle_error)


def _convert_exception(error: Exception, mount: Mount) -> errors.ProvisioningError:
    if isinstance(error, errors.ProvisioningError):
        return error
    if isinstance(error, JWTExtendedException | PyJWTError):
        return _convert_token_error(error, mount)
    if (
        isinstance(error, HTTPException)
        and error.code is not None
        and (error.code < 500 or error.code in _ERRORS_BY_STATUS)
    ):
        return _convert_http_exception(error, error.code, mount)
    logger.error("request %s failed", get_request_id(), exc_info=error, extra={"request_id": get_request_id()})
    return errors.ProvisioningError("The request failed; the operator's log says why, under this request id.")


def _convert_token_error(error: Exception, mount: Mount) -> errors.Unauthenticated:
    """Convert a token error raised by a host's hook; the result has the matching ``WWW-Authenticate`` challenge."""
    if isinstance(error, NoAuthorizationError):
        return errors.Unauthenticated(headers=mount.guard.challenge())
    kind = errors.TokenExpired if isinstance(error, ExpiredSignatureError) else errors.InvalidToken
    return kind(headers=mount.guard.challenge("invalid_token"))


def _convert_http_exception(error: HTTPException, status: int, mount: Mount) -> errors.ProvisioningError:
    """Convert an error raised by Werkzeug or a host's hook, and keep its headers."""
    if status == 413:
        return make_body_too_large(get_body_limit(mount.config))
    if status == 401:
        return errors.Unauthenticated(headers=mount.guard.challenge())
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    if status == 429:
        return errors.RateLimited(error.description, headers=headers)
    if status in _ERRORS_BY_STATUS:
        return _ERRORS_BY_STATUS[status](headers=headers)
    return errors.Refused(error.description or f"{error.name}.", status=status, headers=headers)


_ERRORS_BY_STATUS: dict[int, type[errors.ProvisioningError]] = {
    kind.status: kind
    for kind in (
        errors.Forbidden,
        errors.NotFound,
        errors.MethodNotAllowed,
        errors.NotAcceptable,
        errors.PreconditionFailed,
        errors.UnsupportedMediaType,
        errors.StorageUnavailable,
    )
}
