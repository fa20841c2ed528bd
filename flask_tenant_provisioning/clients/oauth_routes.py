"""Routes of the OAuth server: tokens, their revocation, and what describes both to clients.

Their errors are those of RFC 6749 §5.2 rather than problems, since OAuth's clients know no others.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from flask import Response, request

from ..access.guard import PUBLIC
from ..config_checks import TOKEN_RATE_CLASS
from ..encoding import dump_json
from ..errors import InvalidInput, ProvisioningError
from ..rate_limits import enforce_token_rate_limit
from ..responses import set_common_headers
from ..web.headers import FORM, JSON, require_media_type
from ..web.long_requests import LongRequestLimits, read_body
from ..web.parameters import NoQuery
from ..web.request import Request
from ..web.routing import Routes
from .assertions import ALGORITHMS
from .models import PRIVATE_KEY_JWT
from .oauth_schemas import (
    AccessTokenSchema,
    AuthorizationServerSchema,
    OAuthErrorSchema,
    TokenKeysSchema,
    build_revocation_form,
    build_token_form,
)

TOKEN_PATH, REVOCATION_PATH, KEYS_PATH = "/oauth/token", "/oauth/revoke", "/oauth/jwks"
METADATA_PATH = "/.well-known/oauth-authorization-server"
#: The largest form, in bytes: an assertion has 8 KiB at most. The largest number of its parameters.
MAX_FORM_BYTES, _MAX_PARAMETERS = 16 * 1024, 32
_AUTHENTICATION_METHODS = ["client_secret_basic", "client_secret_post", PRIVATE_KEY_JWT]
_ERRORS = dict.fromkeys((400, 401, 403, 408, 413, 429, 500, 503), OAuthErrorSchema)
_READING_ERRORS = dict.fromkeys((400, 500), OAuthErrorSchema)
#: What an error description may not contain (RFC 6749 §5.2).
_FORBIDDEN_CHARACTERS = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


def render_error(problem: ProvisioningError) -> Response:
    """Return the response to any error that is no problem of OAuth's own, in OAuth's form."""
    status = 400 if problem.status in (404, 405, 406, 415, 422) else problem.status
    document = {"error": _choose_code(status), "error_description": _FORBIDDEN_CHARACTERS.sub("'", problem.detail)}
    response = Response(dump_json(document), status, content_type=JSON)
    response.headers.update(problem.headers)
    response.headers["Pragma"] = "no-cache"
    return set_common_headers(response)


def _choose_code(status: int) -> str:
    if status in (429, 503):
        return "temporarily_unavailable"
    if status >= 500:
        return "server_error"
    return {401: "invalid_client", 403: "access_denied"}.get(status, "invalid_request")


def get_issuer(call: Request) -> str:
    """Return the URL of the mount: `PROVISIONING_OAUTH_ISSUER`, else the one at which the request came."""
    return call.mount.config.oauth_issuer or f"{request.scheme}://{request.host}{call.mount.base_path()}"


def read_form(call: Request) -> dict[str, str]:
    """Read the form in the body. A parameter without a value counts as absent (RFC 6749 §3.2).

    Raises `InvalidInput` for a repeated parameter and for parameters in the URL, `UnsupportedMediaType`, and the errors
    of `read_body`.
    """
    if request.query_string:
        raise InvalidInput("Send the parameters in the body, not in the URL.")
    require_media_type(FORM)
    was_parsed = "form" in vars(request)  # by a hook of the host, which has then read the body
    body = read_body(call.mount.config, call.mount.once(LongRequestLimits), call.principal.partner, MAX_FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError as error:
        raise InvalidInput("The body is not a form in UTF-8.") from error
    if was_parsed:
        pairs = [*request.form.items(multi=True)]
    form = dict(pairs)
    if len(form) < len(pairs):
        raise InvalidInput("Send each parameter once.")
    return {name: value for name, value in form.items() if value}


def _respond(call: Request, *, is_revocation: bool) -> Response:
    """Authenticate the client that sent a form, and return the response to it."""
    from authlib.oauth2 import OAuth2Error  # loaded at the first request for a token

    from .oauth import Caller, FormRequest, OAuthServer, read_credentials

    form, issuer = read_form(call), get_issuer(call)
    server = call.mount.once(OAuthServer)
    audiences = (issuer, f"{issuer}{TOKEN_PATH}", f"{issuer}{REVOCATION_PATH}")
    caller = Caller(call.actor(), issuer, audiences)
    try:
        credentials = read_credentials(form, request.environ.get("HTTP_AUTHORIZATION"))
    except OAuth2Error as error:
        return server.handle_error_response(None, error)
    enforce_token_rate_limit(call.mount, credentials.client_id.lower(), caller.actor.address or "")
    oauth_request = FormRequest(form, credentials, caller)
    if is_revocation:
        return server.create_revocation_response(oauth_request)
    return server.create_token_response(oauth_request)


routes = Routes()
#: The route of the public key, which exists only where tokens are signed with a private one.
key_routes = Routes()


@routes.add(
    "POST",
    TOKEN_PATH,
    permissions=PUBLIC,
    always_public=True,
    body=build_token_form,
    consumes=(FORM,),
    responses={200: AccessTokenSchema, **_ERRORS},
    rate_limit_class=TOKEN_RATE_CLASS,
    render_error=render_error,
)
def issue_token(call: Request) -> Response:
    """Get an access token for an API client (RFC 6749 §4.4).

    The client authenticates by `client_id` and `client_secret`, as a user name and password in the header
    `Authorization` or in the form, or by an assertion that it signs. The token is a JWT (RFC 9068); send it as a bearer
    token, and get a new one when it has expired.
    """
    return _respond(call, is_revocation=False)


@routes.add(
    "POST",
    REVOCATION_PATH,
    permissions=PUBLIC,
    always_public=True,
    body=build_revocation_form,
    consumes=(FORM,),
    responses={200: None, **_ERRORS},
    rate_limit_class=TOKEN_RATE_CLASS,
    render_error=render_error,
)
def revoke_token(call: Request) -> Response:
    """Revoke an access token (RFC 7009), and with it all tokens of the client.

    The client authenticates as it does for a token. A token that is no longer valid, or never was, returns 200 too.
    """
    return _respond(call, is_revocation=True)


@routes.add(
    "GET",
    METADATA_PATH,
    permissions=PUBLIC,
    always_public=True,
    responses={200: AuthorizationServerSchema, **_READING_ERRORS},
    render_error=render_error,
)
def read_authorization_server(call: Request) -> Response:
    """Read what a client needs to know to get tokens (RFC 8414)."""
    call.query(NoQuery)
    issuer, algorithms = get_issuer(call), [*ALGORITHMS]
    tokens = call.mount.client_tokens
    has_public_key = tokens is not None and tokens.key.public_jwk is not None
    document: dict[str, Any] = {
        "issuer": issuer,
        "token_endpoint": f"{issuer}{TOKEN_PATH}",
        "revocation_endpoint": f"{issuer}{REVOCATION_PATH}",
        **({"jwks_uri": f"{issuer}{KEYS_PATH}"} if has_public_key else {}),
        "scopes_supported": [*call.mount.registry.list_permissions()],
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": _AUTHENTICATION_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": _AUTHENTICATION_METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    }
    return call.json_response(document)


@key_routes.add(
    "GET",
    KEYS_PATH,
    permissions=PUBLIC,
    always_public=True,
    responses={200: TokenKeysSchema, **_READING_ERRORS},
    render_error=render_error,
)
def read_token_keys(call: Request) -> Response:
    """Read the public key that verifies access tokens (RFC 7517)."""
    call.query(NoQuery)
    tokens = call.mount.client_tokens
    jwk = None if tokens is None else tokens.key.public_jwk
    return call.json_response({"keys": [] if jwk is None else [{**jwk}]})
