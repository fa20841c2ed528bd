"""The forms and documents of the OAuth endpoints, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from ..validation import StrictSchema, describe
from ..web.headers import FORM
from .assertions import ASSERTION_TYPE

_EXAMPLE_ID = "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"
_EXAMPLE_TOKEN = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiIsImtpZCI6ImZ0cC01MmQzIn0.eyJzdWIiOiIwMTk0ZjBiMiJ9.c2lnbmVk"  # noqa: S105


def _text(description: str, example: str, **keywords: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **keywords, "examples": [example]}


#: The parameters by which a client authenticates, unless it sends them in the ``Authorization`` header.
_CREDENTIALS = {
    "client_id": _text("The id of the client.", _EXAMPLE_ID),
    "client_secret": _text(
        "The secret of the client, unless it is in the header `Authorization`.",
        "ftpsecret_b1ZtNnlQd0x3cVJ4U3R1dnd4eXoxMjM0NTY3ODkwYWI",
    ),
    "client_assertion_type": {
        "type": "string",
        "description": "The type of `client_assertion`.",
        "enum": [ASSERTION_TYPE],
        "examples": [ASSERTION_TYPE],
    },
    "client_assertion": _text(
        "A JWT that the client has signed, instead of a secret (RFC 7523): `iss` and `sub` are its id, `aud` is the "
        "URL of the token endpoint, `exp` is an hour ahead at most, and `jti` is used once.",
        _EXAMPLE_TOKEN,
    ),
}


def _build_form(name: str, description: str, required: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        FORM: {
            "x-component": name,
            "type": "object",
            "description": description,
            "required": [required],
            "properties": {**properties, **_CREDENTIALS},
        }
    }


def build_token_form(_api: Any) -> dict[str, Any]:
    """Build the body of a request for a token, by media type."""
    grant = {"type": "string", "description": "The grant.", "enum": ["client_credentials"]}
    scope = _text(
        "The permissions that the token is to have, separated by spaces; by default all that the client has.",
        "tenant:create tenant:read",
    )
    properties = {"grant_type": {**grant, "examples": ["client_credentials"]}, "scope": scope}
    return _build_form("TokenRequest", "A request for an access token (RFC 6749 §4.4.2).", "grant_type", properties)


def build_revocation_form(_api: Any) -> dict[str, Any]:
    """Build the body of a request that revokes a token, by media type."""
    properties = {
        "token": _text("The access token.", _EXAMPLE_TOKEN),
        "token_type_hint": _text("Ignored, since there is one type of tokens.", "access_token"),
    }
    return _build_form("RevocationRequest", "A request that revokes a token (RFC 7009 §2.1).", "token", properties)


class AccessTokenSchema(StrictSchema):
    """An access token of an API client (RFC 6749 §5.1)."""

    access_token = fields.String(metadata=describe("The token, for the header `Authorization`.", _EXAMPLE_TOKEN))
    token_type = fields.String(metadata=describe("How the token is sent: as a bearer token (RFC 6750).", "Bearer"))
    expires_in = fields.Integer(metadata=describe("For how many seconds it is valid. Then get a new one.", 900))
    scope = fields.String(
        metadata=describe("The permissions that it grants, separated by spaces.", "tenant:create tenant:read")
    )


class OAuthErrorSchema(StrictSchema):
    """An error of an OAuth endpoint (RFC 6749 §5.2)."""

    error = fields.String(
        metadata=describe(
            "The code of the error: `invalid_request`, `invalid_client`, `invalid_grant`, `invalid_scope`, "
            "`unsupported_grant_type`, `access_denied`, `temporarily_unavailable` or `server_error`.",
            "invalid_client",
        )
    )
    error_description = fields.String(
        metadata=describe(
            "An explanation for people, in English.",
            "The client is unknown, may not be used now, or did not authenticate correctly.",
        )
    )


class AuthorizationServerSchema(StrictSchema):
    """The metadata of this OAuth server (RFC 8414)."""

    issuer = fields.String(
        metadata=describe("The URL of the server, and the `iss` of its tokens.", "https://api.example.com/provisioning")
    )
    token_endpoint = fields.String(
        metadata=describe("Where clients get tokens.", "https://api.example.com/provisioning/oauth/token")
    )
    revocation_endpoint = fields.String(
        metadata=describe("Where clients revoke tokens.", "https://api.example.com/provisioning/oauth/revoke")
    )
    jwks_uri = fields.String(
        metadata={
            "optional": True,
            **describe(
                "Where the key is that verifies the tokens; absent where it is a shared secret.",
                "https://api.example.com/provisioning/oauth/jwks",
            ),
        }
    )
    scopes_supported = fields.List(
        fields.String(), metadata=describe("All permissions of this API.", ["tenant:create", "tenant:read"])
    )
    response_types_supported = fields.List(
        fields.String(), metadata=describe("The response types: none, since there is no authorization endpoint.", [])
    )
    grant_types_supported = fields.List(
        fields.String(), metadata=describe("The grants of the token endpoint.", ["client_credentials"])
    )
    token_endpoint_auth_methods_supported = fields.List(
        fields.String(),
        metadata=describe("How clients authenticate at the token endpoint.", ["client_secret_basic"]),
    )
    token_endpoint_auth_signing_alg_values_supported = fields.List(
        fields.String(), metadata=describe("The algorithms of clients' assertions.", ["RS256", "ES256"])
    )
    revocation_endpoint_auth_methods_supported = fields.List(
        fields.String(),
        metadata=describe("How clients authenticate at the revocation endpoint.", ["client_secret_basic"]),
    )
    revocation_endpoint_auth_signing_alg_values_supported = fields.List(
        fields.String(), metadata=describe("The algorithms of clients' assertions there.", ["RS256", "ES256"])
    )


class TokenKeySchema(StrictSchema):
    """A public key that verifies access tokens (RFC 7517 §4)."""

    kty = fields.String(metadata=describe("The kind of key.", "EC"))
    kid = fields.String(metadata=describe("Its id, which tokens name in their header.", "NzbLsXh8uDCcd-6MNwXF4W_7"))
    use = fields.String(metadata=describe("What it is for: signatures.", "sig"))
    alg = fields.String(metadata=describe("The algorithm of the tokens.", "ES256"))
    crv = fields.String(metadata={"optional": True, **describe("The curve; absent for RSA.", "P-256")})
    x = fields.String(
        metadata=describe("The x coordinate; absent for RSA.", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvR")
    )
    y = fields.String(
        metadata={
            "optional": True,
            **describe("The y coordinate; only of P-256.", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI"),
        }
    )
    n = fields.String(
        metadata={"optional": True, **describe("The modulus; only of RSA.", "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiA")}
    )
    e = fields.String(metadata={"optional": True, **describe("The exponent; only of RSA.", "AQAB")})


class TokenKeysSchema(StrictSchema):
    """The public keys that verify access tokens, as a JSON Web Key Set (RFC 7517 §5)."""

    keys = fields.List(fields.Nested(TokenKeySchema), metadata=describe("The keys."))
