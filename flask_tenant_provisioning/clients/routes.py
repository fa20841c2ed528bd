"""Routes for API clients. Those of the token endpoint are in `oauth_routes.py`."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..errors import (
    ClientNotFound,
    InvalidCursor,
    InvalidParameter,
    InvalidState,
    QuotaExceeded,
    SecretUnavailable,
)
from ..tenants.schemas import CreateQuery
from ..validation import load
from ..web.headers import JSON, MERGE_PATCH, format_etag, is_not_modified
from ..web.pagination import open_cursor, render_page
from ..web.parameters import NoQuery, WriteQuery
from ..web.request import Request, make_precondition_check, parse_id, partner_scope
from ..web.routing import BODY_PROBLEMS, IDEMPOTENCY_PROBLEMS, PRECONDITION_PROBLEMS, Routes
from ..web.write import Result, execute
from . import actions
from .actions import ClientWithSecret, Target
from .models import Client, render_client
from .schemas import (
    ClientListQuery,
    PartnerClientPageSchema,
    PartnerClientRevisionSchema,
    PartnerClientRotationSchema,
    PartnerClientSchema,
    PartnerClientSecretSchema,
    validate_client,
)

CLIENTS_PATH = "/clients"
CLIENT_PATH = f"{CLIENTS_PATH}/<client_id>"
#: The problems common to all writes to a client.
WRITE_PROBLEMS = (*PRECONDITION_PROBLEMS, ClientNotFound)


def parse_client_id(client_id: str) -> str:
    """Return a client's id in canonical form. Raises `ClientNotFound` if it is not a UUID."""
    return parse_id(client_id, ClientNotFound)


def make_target(call: Request, client_id: str) -> Target:
    """Return the client that a write applies to, with its check of ``If-Match``."""
    return Target(partner_scope(call), parse_client_id(client_id), make_precondition_check(call))


def make_client_result(client: Client) -> Result:
    """Make the 200 result that shows a client."""
    return Result(200, render_client(client), {"ETag": format_etag(client.version)})


def make_secret_result(result: ClientWithSecret, status: int = 200, **headers: str) -> Result:
    """Make the result that shows a client and its new secret."""
    document = {**render_client(result.client), "secret": result.secret}
    return Result(status, document, {"ETag": format_etag(result.client.version), **headers}, secret=True)


routes = Routes()


@routes.add(
    "POST",
    CLIENTS_PATH,
    permissions=("client:write",),
    body=PartnerClientSchema,
    query=CreateQuery,
    responses={201: PartnerClientSecretSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, InvalidParameter, QuotaExceeded, SecretUnavailable),
)
def create_client(call: Request) -> Response:
    """Create an API client. Its `secret` is shown only in this response."""
    mount, query, body = call.mount, call.query(CreateQuery), call.body(JSON)
    partner = call.require_partner(query)
    values = validate_client(mount.url_refusal, mount.schema(PartnerClientSchema), body, partial=False)
    limit = mount.config.client_limit
    work = partial(actions.create_client, actor=call.actor(), partner=partner, values=values, limit=limit)

    def make_result(result: ClientWithSecret) -> Result:
        return make_secret_result(result, 201, Location=f"{mount.base_path()}{CLIENTS_PATH}/{result.client.client_id}")

    return execute(call, work, make_result, body=body, validate_only=query["validate_only"], shows_secret=True)


@routes.add(
    "GET",
    CLIENTS_PATH,
    permissions=("client:read",),
    query=ClientListQuery,
    responses={200: PartnerClientPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_clients(call: Request) -> Response:
    """List API clients, the oldest first, a page at a time."""
    query = call.query(ClientListQuery)
    partner = query.get("partner", partner_scope(call))
    cursor_scope = repr(("clients", partner))
    after = open_cursor(call, query, cursor_scope)
    work = partial(actions.list_clients, partner=partner, limit=query["limit"], after=after)
    clients, end = call.mount.storage.read(work)
    return render_page(call, [render_client(client) for client in clients], end, cursor_scope)


@routes.add(
    "GET",
    CLIENT_PATH,
    permissions=("client:read",),
    responses={200: PartnerClientSchema, 304: None},
    problems=(InvalidParameter, ClientNotFound),
)
def read_client(call: Request, client_id: str) -> Response:
    """Read an API client. A use alone changes `last_used_at`, but not the `ETag`."""
    call.query(NoQuery)
    client = call.mount.storage.read(
        partial(actions.load_client, partner=partner_scope(call), client_id=parse_client_id(client_id))
    )
    result = make_client_result(client)
    if is_not_modified(client.version):
        return Response(status=304, headers=result.headers)
    return call.json_response(result.document, result.headers)


@routes.add(
    "PATCH",
    CLIENT_PATH,
    permissions=("client:write",),
    body=PartnerClientRevisionSchema,
    consumes=(MERGE_PATCH, JSON),
    query=WriteQuery,
    responses={200: PartnerClientSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS),
)
def patch_client(call: Request, client_id: str) -> Response:
    """Change some fields of an API client (RFC 7396). Disabling it, or withdrawing a key, ends all its tokens."""
    query, body = call.query(WriteQuery), call.body(MERGE_PATCH, JSON)
    schema = call.mount.schema(PartnerClientRevisionSchema)
    values = validate_client(call.mount.url_refusal, schema, body, partial=True)
    work = partial(actions.update_client, actor=call.actor(), target=make_target(call, client_id), values=values)
    return execute(call, work, make_client_result, body=body, validate_only=query["validate_only"])


@routes.add(
    "DELETE",
    CLIENT_PATH,
    permissions=("client:write",),
    query=WriteQuery,
    responses={204: None},
    problems=WRITE_PROBLEMS,
)
def delete_client(call: Request, client_id: str) -> Response:
    """Delete an API client. All its tokens end."""
    query = call.query(WriteQuery)
    work = partial(actions.delete_client, actor=call.actor(), target=make_target(call, client_id))
    return execute(call, work, lambda _none: Result(204, None, {}), validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{CLIENT_PATH}/rotate-secret",
    permissions=("client:write",),
    body=PartnerClientRotationSchema,
    body_required=False,
    query=WriteQuery,
    responses={200: PartnerClientSecretSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS, InvalidState, SecretUnavailable),
)
def rotate_client_secret(call: Request, client_id: str) -> Response:
    """Replace the secret of an API client.

    The new one is shown this once; the replaced one stays valid for `overlap_seconds`. With 0, all tokens of the client
    end.
    """
    query, body = call.query(WriteQuery), call.optional_body(JSON)
    seconds = load(call.mount.schema(PartnerClientRotationSchema), body)["overlap_seconds"]
    target = make_target(call, client_id)
    work = partial(actions.rotate_secret, actor=call.actor(), target=target, overlap_seconds=seconds)
    return execute(call, work, make_secret_result, body=body, validate_only=query["validate_only"], shows_secret=True)
