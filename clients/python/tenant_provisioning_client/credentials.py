"""The credentials of an API client, the request by which they get a token, and its response. Nothing here sends."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode

from .errors import ProvisioningError, SignInFailed, UnexpectedResponse
from .replies import Reply, parse_retry_after

#: A token is renewed this many seconds before it expires, or when nine tenths of its time are over if that is later.
_MARGIN_SECONDS = 60.0


@dataclass(frozen=True)
class ClientCredentials:
    """The credentials of an API client: `Client(base_url, ClientCredentials(id, secret))` gets its tokens by itself.

    `scope` are the permissions that the tokens are to have, such as ``("tenant:read",)``; by default all that the
    client has. `token_url` is the address of the token endpoint, by default ``/oauth/token`` below the base URL.
    """

    client_id: str
    client_secret: str = field(repr=False)
    scope: tuple[str, ...] = ()
    token_url: str | None = None

    def build_headers(self) -> dict[str, str]:
        """Return the headers of a request for a token (RFC 6749 §2.3.1)."""
        text = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        return {
            "Accept": "application/json",
            "Authorization": f"Basic {base64.b64encode(text.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def build_content(self) -> bytes:
        """Return the form of a request for a token."""
        form = {"grant_type": "client_credentials", **({"scope": " ".join(self.scope)} if self.scope else {})}
        return urlencode(form).encode()


class AccessToken(NamedTuple):
    """An access token, and for how many seconds from its request on it is used."""

    value: str
    seconds: float


def read_access_token(reply: Reply) -> AccessToken:
    """Return the token in a response of the token endpoint.

    Raises `SignInFailed` if it refuses the client, and `UnexpectedResponse` if the response is not such an endpoint's.
    """
    document = _parse_object(reply)
    if reply.status == 200 and document is not None:
        value, seconds = document.get("access_token"), document.get("expires_in", 0)
        if isinstance(value, str) and value and isinstance(seconds, int | float):
            return AccessToken(value, max(seconds - _MARGIN_SECONDS, seconds * 0.9))
    raise _read_failure(reply, document)


def _read_failure(reply: Reply, document: dict[str, Any] | None) -> ProvisioningError:
    retry_after = parse_retry_after(reply.headers)
    if document is None or not isinstance(document.get("error"), str):
        text = reply.content.decode("utf-8", "replace") if reply.status != 200 else "no access token"
        return UnexpectedResponse(reply.status, reply.content_type, text, retry_after)
    return SignInFailed(reply.status, document["error"], str(document.get("error_description", "")), retry_after)


def _parse_object(reply: Reply) -> dict[str, Any] | None:
    try:
        document = json.loads(reply.content)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
