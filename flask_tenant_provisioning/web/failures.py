"""From any exception below the mount to the problem that its caller reads."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Flask
from flask_jwt_extended.exceptions import JWTExtendedException, NoAuthorizationError
from jwt import ExpiredSignatureError, PyJWTError
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.wrappers import Response

from .. import problems
from ..problems.rendering import render, request_id
from .bodies import body_limit, too_large
from .mount import Mount

logger = logging.getLogger(__name__)


def answer_errors(scope: Blueprint | Flask, mount: Mount) -> None:
    """Render every error under the mount as a problem, and none outside it.

    A host's handler for a status beats a blueprint's handler for `HTTPException`, hence one for each status. An
    exception that carries a response of its own, such as a rate limiter's, is answered with that.
    """

    def answer(error: Exception) -> Response:
        request_id(mount.settings.request_id_key)
        if isinstance(error, HTTPException) and error.response is not None:
            return error.response  # type: ignore[return-value]
        problem = _problem(error, mount)
        mount.guard.refusals.log(problem)
        return render(problem, mount.problem_types())

    handled: Iterable[Any] = (
        *default_exceptions,
        problems.ProvisioningError,
        JWTExtendedException,
        PyJWTError,
        HTTPException,
        Exception,
    )
    for key in handled:
        scope.register_error_handler(key, answer)


def _problem(error: Exception, mount: Mount) -> problems.ProvisioningError:
    if isinstance(error, problems.ProvisioningError):
        return error
    if isinstance(error, JWTExtendedException | PyJWTError):
        return _unauthenticated(error, mount)
    if isinstance(error, HTTPException) and error.code is not None and (error.code < 500 or error.code in _BY_STATUS):
        return _refusal(error, error.code, mount)
    logger.error("request %s failed", request_id(), exc_info=error, extra={"request_id": request_id()})
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
        return too_large(body_limit(mount.settings))
    if status == 401:
        return problems.Unauthenticated(headers=mount.guard.challenge())
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    if status == 429:
        return problems.RateLimited(error.description, headers=headers)
    if status in _BY_STATUS:
        return _BY_STATUS[status](headers=headers)
    return problems.Refused(error.description or f"{error.name}.", status=status, headers=headers)


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
