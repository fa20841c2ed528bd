"""Schemas of API clients, their query parameters, and the validation of request bodies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import IPv6Network, ip_network
from typing import Any

from marshmallow import fields

from ..config import PERMISSIONS
from ..errors import Fault
from ..mount import Api
from ..validation import (
    NOT_TEXT,
    NULL,
    REQUIRED,
    PartnerIdField,
    StrictSchema,
    TextField,
    WholeNumberField,
    describe,
    load,
    make_entry,
    make_field_error,
    make_invalid_input,
    run_all,
)
from ..web.pagination import CURSOR, NEXT_CURSOR, PAGE_SIZE, PageSizeField
from ..web.parameters import ChoiceField, MomentField, QuerySchema
from ..webhooks.client.ssrf import MAX_URL_LENGTH
from ..webhooks.schemas import UrlField
from .keys import JwksField
from .models import AUTHENTICATION_METHODS, STATUSES

MAX_PERMISSIONS, MAX_NETWORKS, MAX_NETWORK_LENGTH = 100, 50, 49
#: For how many seconds a replaced secret stays valid, by default and at most.
DEFAULT_OVERLAP_SECONDS, MAX_OVERLAP_SECONDS = 86_400, 30 * 86_400
DEFAULT_PAGE_SIZE = 50
FindRefusal = Callable[[str], str | None]
_ERROR_MESSAGES = {"required": [REQUIRED], "null": [NULL]}
_EXAMPLE_ID = "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"


class PermissionsField(fields.Field):  # type: ignore[type-arg]
    """A list of permissions out of `known`; duplicates are dropped."""

    default_error_messages = _ERROR_MESSAGES  # type: ignore[assignment]

    def __init__(self, *, known: Collection[str], **options: Any) -> None:
        super().__init__(**options)
        self.known = known

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[str]:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_PERMISSIONS:
            raise make_field_error(Fault("invalid-type", f"Must be a list of 1 to {MAX_PERMISSIONS} permissions."))
        unknown = Fault("invalid-choice", f"Must be one of: {', '.join(sorted(self.known))}.")
        faulty = {
            str(index): unknown if isinstance(name, str) else NOT_TEXT
            for index, name in enumerate(value)
            if not isinstance(name, str) or name not in self.known
        }
        if faulty:
            raise make_field_error(faulty)
        return list(dict.fromkeys(value))


class NetworksField(fields.Field):  # type: ignore[type-arg]
    """A list of IP networks in CIDR notation; an address is a network of its own. Duplicates are dropped."""

    default_error_messages = _ERROR_MESSAGES  # type: ignore[assignment]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[str]:
        if not isinstance(value, list) or len(value) > MAX_NETWORKS:
            raise make_field_error(Fault("invalid-type", f"Must be a list of {MAX_NETWORKS} networks at most."))
        networks = [_parse_network(text) for text in value]
        fault = Fault("invalid-network", "Must be a network such as 192.0.2.0/24 or 2001:db8::/32.")
        faulty = {str(index): fault for index, network in enumerate(networks) if network is None}
        if faulty:
            raise make_field_error(faulty)
        return [network for network in dict.fromkeys(networks) if network is not None]


def _parse_network(text: Any) -> str | None:
    """Return a network in its canonical form; None if it is none, or one of IPv4 addresses in IPv6 (RFC 4291 §2.5.5.2).

    Such addresses are compared as IPv4, so that network would match none.
    """
    if not isinstance(text, str) or len(text) > MAX_NETWORK_LENGTH or "%" in text:
        return None
    try:
        network = ip_network(text)
    except ValueError:
        return None
    is_mapped = isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None
    return None if is_mapped else str(network)


class PartnerClientSchema(StrictSchema):
    """An API client: credentials with which a program of the partner gets access tokens."""

    client = fields.UUID(
        dump_only=True, metadata=describe("The id of the client: its `client_id` at the token endpoint.", _EXAMPLE_ID)
    )
    partner = fields.String(dump_only=True, metadata=describe("The partner to whom the client belongs.", "acme"))
    name = TextField(
        required=True,
        min_length=1,
        max_length=255,
        trim=True,
        visible=True,
        metadata=describe("What the client is for, in your own words. 1 to 255 characters.", "CRM"),
    )
    permissions = PermissionsField(
        known=PERMISSIONS,
        required=True,
        metadata=describe(
            "What its tokens may do: permissions that you have yourself. A token may ask for fewer.",
            ["tenant:create", "tenant:read"],
        ),
    )
    status = ChoiceField(
        *STATUSES,
        metadata=describe("`disabled` refuses the client and ends all its tokens. By default `enabled`.", "enabled"),
    )
    expires_at = MomentField(
        allow_none=True,
        metadata=describe(
            "The time from which the client and its tokens are refused, RFC 3339 with an offset; null for none. By "
            "default null.",
            "2027-01-01T00:00:00Z",
        ),
    )
    networks = NetworksField(
        metadata=describe(
            "The only networks in which its tokens may be used, in CIDR notation, up to 50; an empty list allows every "
            "address. By default empty.",
            ["192.0.2.0/24"],
        )
    )
    authentication = ChoiceField(
        *AUTHENTICATION_METHODS,
        metadata=describe(
            "How the client authenticates at the token endpoint: by a secret (`client_secret`), or by an assertion "
            "that it signs with a key of its own (`private_key_jwt`, RFC 7523). By default `client_secret`.",
            "client_secret",
        ),
    )
    jwks = JwksField(
        allow_none=True,
        metadata=describe(
            "The public keys of a client that authenticates by `private_key_jwt`, as a JSON Web Key Set (RFC 7517), up "
            "to 10 keys; null if they are at `jwks_url`, and for other clients.",
            None,
        ),
    )
    jwks_url = UrlField(
        allow_none=True,
        metadata=describe(
            "The URL of these keys instead; null if they are in `jwks`, and for other clients.",
            None,
        ),
    )
    previous_secret_expires_at = fields.AwareDateTime(
        dump_only=True,
        allow_none=True,
        metadata=describe("The time until which the replaced secret is valid too; null if none is.", None),
    )
    generation = fields.Integer(
        dump_only=True,
        metadata=describe(
            "How often all tokens of the client were ended, plus one. Tokens of an earlier generation are refused.", 1
        ),
    )
    last_used_at = fields.AwareDateTime(
        dump_only=True,
        allow_none=True,
        metadata=describe(
            "The minute in which a token of the client was last accepted; null if none ever was. It changes neither "
            "`version` nor `ETag`.",
            "2025-02-10T16:30:00.000Z",
        ),
    )
    created_by = fields.String(
        dump_only=True, metadata=describe("The subject that created the client.", "admin@acme.example")
    )
    version = fields.Integer(
        dump_only=True,
        metadata=describe(
            "The number of the client's current version, from 1, raised by each change. `ETag` has it in quotes.", 1
        ),
    )
    created_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the creation."))
    updated_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the last change."))

    @classmethod
    def for_api(cls, api: Api) -> PartnerClientSchema:
        """Return the schema with the permissions of this host, its own included."""
        own, known = cls._declared_fields["permissions"], api.registry.list_permissions()

        class HostPartnerClientSchema(cls):  # type: ignore[valid-type,misc]
            permissions = PermissionsField(known=known, required=True, metadata=own.metadata)

        schema: PartnerClientSchema = HostPartnerClientSchema()
        return schema


class PartnerClientRevisionSchema(PartnerClientSchema):
    """The changes to an existing client; `authentication` cannot be changed."""

    authentication = ChoiceField(*AUTHENTICATION_METHODS, dump_only=True)


class PartnerClientSecretSchema(PartnerClientSchema):
    """A client with its new secret, which is never shown again; null if it authenticates by a key of its own."""

    secret = fields.String(
        dump_only=True,
        allow_none=True,
        metadata=describe(
            "The client's secret, shown only this once; null for `private_key_jwt`.",
            "ftpsecret_b1ZtNnlQd0x3cVJ4U3R1dnd4eXoxMjM0NTY3ODkwYWI",
        ),
    )


class PartnerClientPageSchema(StrictSchema):
    """One page of clients; `next` is the cursor of the page after it."""

    items = fields.List(
        fields.Nested(PartnerClientSchema), metadata=describe("The clients of this page, up to `limit`.")
    )
    next = fields.String(allow_none=True, metadata=NEXT_CURSOR)


class OverlapField(WholeNumberField):
    """A whole number of seconds from 0 to `most`."""


class PartnerClientRotationSchema(StrictSchema):
    """The number of seconds for which the replaced secret stays valid."""

    overlap_seconds = OverlapField(
        most=MAX_OVERLAP_SECONDS,
        load_default=DEFAULT_OVERLAP_SECONDS,
        metadata=describe(
            "For how many seconds the replaced secret stays valid beside the new one, up to 2592000 (30 days). 0 ends "
            "it at once, and all tokens of the client. By default 86400 (a day).",
            86_400,
        ),
    )


class ClientListQuery(QuerySchema):
    """The query parameters of `GET /clients`; an administrator may name the partner."""

    partner = PartnerIdField(
        metadata=describe(
            "Only clients of this partner. Only an administrator may name a partner other than the caller's own.",
            "acme",
        )
    )
    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE, metadata=PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096, metadata=CURSOR)


def validate_client(
    find_refusal: FindRefusal, schema: PartnerClientSchema, body: Any, *, partial: bool
) -> dict[str, Any]:
    """Validate the body of a new client, or with `partial` a merge patch (RFC 7396), and return its values.

    `find_refusal` returns the reason why a URL is refused, or None. It resolves the host name, so this function must
    run outside a transaction. Raises `InvalidInput` with every error found.
    """
    values, _ = run_all(lambda: load(schema, body, partial=partial), lambda: _validate_url(find_refusal, body))
    return values


def _validate_url(find_refusal: FindRefusal, body: Any) -> dict[str, Any]:
    """Raise `InvalidInput` if the body has a URL that the SSRF guard refuses."""
    url = body.get("jwks_url") if isinstance(body, dict) else None
    if isinstance(url, str) and 1 <= len(url) <= MAX_URL_LENGTH and "\0" not in url:
        reason = find_refusal(url)
        if reason is not None:
            raise make_invalid_input([make_entry(Fault("refused-url", reason), "jwks_url")])
    return {}
