"""The OAuth 2 server of a mount: client credentials for access tokens (RFC 6749 §4.4), and their revocation (RFC 7009).

Authlib runs the grant and the revocation. Clients are authenticated here: by a secret in the ``Authorization`` header
or in the form (RFC 6749 §2.3.1), or by an assertion that they sign (RFC 7523). Whatever is wrong with a client or its
credentials, the response is the same; the log has the reason.

This module loads Authlib, and is imported by the first request for a token.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientCredentialsGrant,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from flask import Response
from jwt import PyJWTError

from ..access.principal import Actor, Principal
from ..access.tokens import parse_token
from ..database.ids import format_instant
from ..encoding import dump_json, escape_control_characters
from ..errors import InvalidToken
from ..events.schemas import UUID_PATTERN
from ..mount import Mount
from ..web.headers import JSON
from . import actions
from .actions import Target
from .assertions import (
    ASSERTION_TYPE,
    Assertion,
    AssertionRefused,
    ClientKeys,
    read_assertion,
    record_assertion,
    verify_assertion,
)
from .client_secrets import is_secret_of
from .directory import is_allowed_address
from .models import PRIVATE_KEY_JWT, Client

logger = logging.getLogger(__name__)
#: The ways to authenticate, by their names in OAuth's registry (RFC 7591 §2).
BASIC, POST = "client_secret_basic", "client_secret_post"
METHODS = (BASIC, POST, PRIVATE_KEY_JWT)
GRANT_TYPE = "client_credentials"
#: What a client is told whose authentication fails, whatever the reason.
_INVALID_CLIENT = "The client is unknown, may not be used now, or did not authenticate correctly."
#: A list of scopes (RFC 6749 §3.3).
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
_MAX_LOGGED_LENGTH = 64


class Credentials(NamedTuple):
    """The credentials of a client: one of `METHODS`, the client that it names, and its secret or assertion."""

    method: str
    client_id: str
    secret: str = ""
    assertion: Assertion | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.method!r}, {self.client_id!r})"


class Caller(NamedTuple):
    """The origin of a request: the actor without its principal, and the names by which it may know this API.

    `issuer` is the URL of the mount; `audiences` are the values that an assertion may have in `aud`.
    """

    actor: Actor
    issuer: str
    audiences: Sequence[str]


class InvalidClient(InvalidClientError):  # type: ignore[misc]
    """The client did not authenticate (RFC 6749 §5.2). The `reason` is for the log alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(description=_INVALID_CLIENT, status_code=401)
        self.reason = reason

    def get_headers(self) -> list[tuple[str, str]]:
        """Return no headers: the challenge names the mount's realm, which `OAuthServer` adds."""
        return []


class FormRequest(OAuth2Request):  # type: ignore[misc]
    """A request as Authlib reads it: the parameters of its form, with the credentials and the caller."""

    def __init__(self, form: Mapping[str, str], credentials: Credentials, caller: Caller) -> None:
        # Authlib refuses http, which is what a server behind a proxy sees.
        super().__init__("POST", "https://localhost/")
        self.payload = BasicOAuth2Payload(dict(form))
        self.credentials, self.caller = credentials, caller

    @property
    def form(self) -> dict[str, str]:
        """The parameters."""
        return self.payload.data  # type: ignore[no-any-return]


class AuthenticatedClient:
    """A client that has authenticated, as Authlib asks for it."""

    def __init__(self, row: Client) -> None:
        self.row = row

    def check_endpoint_auth_method(self, _method: str, _endpoint: str) -> bool:
        """Return True: the method is that of the client."""
        return True

    def check_grant_type(self, grant_type: str) -> bool:
        """Return whether the client may use this grant."""
        return grant_type == GRANT_TYPE


def read_credentials(form: Mapping[str, str], authorization: str | None) -> Credentials:
    """Return the credentials in a form and an ``Authorization`` header.

    A header of another scheme than Basic, which many programs send to every address, does not count beside a form
    with credentials. Raises `InvalidRequestError` for more than one kind and for parts of one, and `InvalidClient` for
    none.
    """
    names = {name for name in ("client_secret", "client_assertion", "client_assertion_type") if name in form}
    if names and authorization is not None and not authorization.lower().startswith("basic"):
        authorization = None
    if (authorization is not None) + ("client_secret" in names) + bool(names - {"client_secret"}) > 1:
        raise InvalidRequestError("Authenticate in one way: header, client_secret or client_assertion.")
    if authorization is not None:
        credentials = _read_basic(authorization)
    elif "client_secret" in names:
        if "client_id" not in form:
            raise InvalidRequestError("client_secret needs client_id.")
        credentials = Credentials(POST, form["client_id"], form["client_secret"])
    elif names:
        credentials = _read_assertion(form)
    else:
        raise InvalidClient("no credentials")
    if form.get("client_id", credentials.client_id) != credentials.client_id:
        raise InvalidRequestError("client_id is not the client that authenticates.")
    return credentials


def _read_basic(authorization: str) -> Credentials:
    """Return the credentials in an ``Authorization`` header, whose two parts are form-encoded (RFC 6749 §2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("another scheme than Basic")
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode()
        name, colon, secret = text.partition(":")
        client_id, secret = unquote_plus(name, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError) as error:
        raise InvalidClient("malformed Basic credentials") from error
    if not colon or not client_id or not secret:
        raise InvalidClient("incomplete Basic credentials")
    return Credentials(BASIC, client_id, secret)


def _read_assertion(form: Mapping[str, str]) -> Credentials:
    if not {"client_assertion", "client_assertion_type"} <= form.keys():
        raise InvalidRequestError("client_assertion and client_assertion_type belong together.")
    if form["client_assertion_type"] != ASSERTION_TYPE:
        raise InvalidClient("another client_assertion_type")
    try:
        assertion = read_assertion(form["client_assertion"])
    except InvalidToken as error:
        raise InvalidClient(f"malformed assertion: {error.detail}") from error
    return Credentials(PRIVATE_KEY_JWT, assertion.client_id, assertion=assertion)


class TokenGrant(ClientCredentialsGrant):  # type: ignore[misc]
    """The grant of this server: a token for the client's own permissions, or for those that `scope` names."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def validate_requested_scope(self) -> None:
        """Raise `InvalidScopeError` unless the client has every permission that `scope` names."""
        scope, granted = self.request.payload.scope, self.request.client.row.list_permissions()
        if scope is not None and not (_SCOPE.fullmatch(scope) and set(scope.split(" ")).issubset(granted)):
            raise InvalidScopeError(description="The scope names a permission that the client does not have.")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Return the response with the token. Unlike Authlib's own method, it writes no token to the log."""
        return 200, self.server.issue_token(self.request), []


class TokenRevocation(RevocationEndpoint):  # type: ignore[misc]
    """The revocation endpoint: a valid token ends with all other tokens of its client."""

    CLIENT_AUTH_METHODS = METHODS

    def authenticate_token(self, request: FormRequest, client: AuthenticatedClient) -> Principal | None:
        """Return the principal of the token; None for a token that is not, or no longer, valid (RFC 7009 §2.2).

        A `token_type_hint` is ignored, since there is one type of tokens. Raises `InvalidRequestError` without a token
        and `InvalidGrantError` for another client's.
        """
        if "token" not in request.form:
            raise InvalidRequestError("token is missing.")
        principal: Principal | None = self.server.read_token(request.form["token"])
        if principal is not None and principal.subject != client.row.client_id:
            raise InvalidGrantError("The token was issued to another client.")
        return principal

    def revoke_token(self, token: Principal, request: FormRequest) -> None:
        """End all tokens of the token's generation."""
        self.server.revoke_tokens(token, request.caller.actor)


class OAuthServer(AuthorizationServer):  # type: ignore[misc]
    """The OAuth 2 server of one mount; `mount.once(OAuthServer)` is a mount's."""

    def __init__(self, mount: Mount) -> None:
        super().__init__()
        if mount.client_tokens is None:
            raise RuntimeError("There is no secret to sign tokens with: the mount is not served.")
        self._storage, self._clock, self._tokens = mount.storage, mount.storage.clock, mount.client_tokens
        self._keys = mount.once(ClientKeys)
        self._realm = mount.config.realm
        for method in METHODS:
            self.register_client_auth_method(method, partial(self._authenticate, method))
        self.register_grant(TokenGrant)
        self.register_endpoint(TokenRevocation)

    def query_client(self, client_id: str) -> Client | None:
        """Return the client of this id, or None."""
        if not UUID_PATTERN.fullmatch(client_id):
            return None
        client: Client | None = self._storage.read(
            partial(actions.find_client, partner=None, client_id=client_id.lower())
        )
        return client

    def create_oauth2_request(self, request: FormRequest) -> FormRequest:
        """Return `request`, which Authlib passes through."""
        return request

    def get_token_grant(self, request: FormRequest) -> Any:
        """Return the grant that a request asks for.

        Raises `InvalidRequestError` without a grant type, and `unsupported_grant_type` for another one.
        """
        grant_type = request.payload.grant_type
        if not grant_type:
            raise InvalidRequestError("grant_type is missing.")
        if grant_type != GRANT_TYPE:
            raise OAuth2Error(error="unsupported_grant_type", description=f"The only grant_type is {GRANT_TYPE}.")
        return TokenGrant(request, self)

    def create_token_response(self, request: FormRequest) -> Response:
        """Return the response to a request for a token."""
        try:
            grant = self.get_token_grant(request)
            grant.validate_token_request()
            return self.handle_response(*grant.create_token_response())
        except OAuth2Error as error:
            return self.handle_error_response(request, error)

    def create_revocation_response(self, request: FormRequest) -> Response:
        """Return the response to a request that revokes a token."""
        response: Response = self.create_endpoint_response(TokenRevocation.ENDPOINT_NAME, request)
        return response

    def issue_token(self, request: FormRequest) -> dict[str, Any]:
        """Return the response's members for an authenticated request with a valid scope (RFC 6749 §5.1)."""
        client: Client = request.client.row
        scope, permissions = request.payload.scope, client.list_permissions()
        wanted = permissions if scope is None else [name for name in permissions if name in scope.split(" ")]
        issued = self._tokens.issue(
            client_id=client.client_id,
            partner=client.partner_id,
            permissions=wanted,
            generation=client.generation,
            issuer=request.caller.issuer,
        )
        return {**issued._asdict(), "token_type": "Bearer"}

    def read_token(self, token: str) -> Principal | None:
        """Return the principal of an access token of this mount that has not expired; None for any other text."""
        try:
            header, _ = parse_token(token)
            if not self._tokens.has_signed(header):
                return None
            claims = self._tokens.verify(token, header)
            return self._tokens.read_principal(claims) if claims["exp"] > self._clock() else None
        except (InvalidToken, PyJWTError):
            return None

    def revoke_tokens(self, principal: Principal, actor: Actor) -> None:
        """End all tokens of a client that are of the principal's generation."""
        work = partial(
            actions.revoke_tokens,
            actor=actor._replace(principal=principal),
            target=Target(principal.partner, principal.subject),
            generation=principal.client_generation or 0,
        )
        self._storage.transaction(work)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Ignore Authlib's signals."""

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        """Return a response in JSON, without content for an empty `body`."""
        if not body:
            response = Response(status=status)
            del response.headers["Content-Type"]
            return response
        response = Response(dump_json(body), status, headers=headers, content_type=JSON)
        response.headers["Pragma"] = "no-cache"
        return response

    def handle_error_response(self, request: FormRequest | None, error: OAuth2Error) -> Response:
        """Return the response to an error, and log it with its reason."""
        response = self.handle_response(*error())
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = f'Basic realm="{self._realm}", charset="UTF-8"'
        reason = getattr(error, "reason", error.get_error_description())
        client_id = "" if request is None else request.credentials.client_id[:_MAX_LOGGED_LENGTH]
        logger.info(
            "a token request was refused: %s, %s",
            error.error,
            escape_control_characters(reason),
            extra={
                "error": error.error,
                "reason": escape_control_characters(reason),
                "client": escape_control_characters(client_id),
                "address": None if request is None else request.caller.actor.address,
                "request_id": None if request is None else request.caller.actor.request_id,
            },
        )
        return response

    def _authenticate(self, method: str, _query_client: Any, request: FormRequest) -> AuthenticatedClient | None:
        """Return the client that authenticates by `method`; None if the request has credentials of another kind.

        Raises `InvalidClient`.
        """
        credentials = request.credentials
        if credentials.method != method:
            return None
        client, moment = self.query_client(credentials.client_id), format_instant(self._clock())
        if credentials.assertion is not None:
            self._require_assertion(client, credentials.assertion, request.caller.audiences)
        elif not is_secret_of(client, credentials.secret, moment):
            raise InvalidClient("unknown client" if client is None else "wrong secret")
        if client is None or not client.is_valid_at(moment):
            raise InvalidClient("disabled or expired client")
        if not is_allowed_address(client, request.caller.actor.address):
            raise InvalidClient("address outside the client's networks")
        return AuthenticatedClient(client)

    def _require_assertion(self, client: Client | None, assertion: Assertion, audiences: Sequence[str]) -> None:
        """Raise `InvalidClient` unless the assertion is the client's and is used for the first time."""
        if client is None or client.authentication != PRIVATE_KEY_JWT:
            raise InvalidClient("unknown client" if client is None else "client with a secret")
        key = self._keys.find(client, assertion.header.get("kid"))
        try:
            verify_assertion(assertion, key, audiences, self._clock())
        except AssertionRefused as refusal:
            raise InvalidClient(f"assertion {refusal}") from refusal
        if not self._storage.run_autocommit(partial(record_assertion, client=client, assertion=assertion)):
            raise InvalidClient("assertion used before")
