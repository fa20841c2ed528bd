"""Routes for the OpenAPI document, its pages, and the explanations of problems."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from ..access.guard import PUBLIC
from ..errors import NotAcceptable, NotFound
from ..validation import StrictSchema, load_parameters
from ..web.headers import JSON, format_etag, is_not_modified, negotiate, require_json_acceptable
from ..web.request import Request
from ..web.routing import Routes
from . import pages
from .pages import ASSET_MEDIA_TYPES, ASSETS, read_asset
from .schemas import COMPONENT_KEY, ProblemExplanationSchema, ProblemIndexSchema

routes = Routes()

_PAGE = {"type": "string", "description": "A page.", "examples": ["<!doctype html>"]}
_TEXT = {"type": "string", "description": "A text file.", "examples": ["…"]}
_PICTURE = {"description": "A picture.", "examples": ["PNG"]}
_DOCUMENT = {
    COMPONENT_KEY: "OpenApiDocument",
    "type": "object",
    "description": "An OpenAPI 3.1 document.",
    "examples": [{"openapi": "3.1.0", "info": {"title": "Tenant provisioning", "version": "1"}, "paths": {}}],
}


@routes.add(
    "GET",
    "/openapi.json",
    permissions=PUBLIC,
    responses={200: {JSON: _DOCUMENT}, 304: None},
    problems=(NotAcceptable,),
)
def read_openapi(call: Request) -> Response:
    """Read this OpenAPI 3.1 document. With `If-None-Match`, 304 says that it is still the same."""
    from .document import render_document  # load apispec at the first request for the document only

    _refuse_parameters()
    require_json_acceptable()
    document = render_document(call.mount, call.mount.base_path())
    headers = {"ETag": format_etag(document.version)}
    if is_not_modified(document.version):
        return Response(status=304, headers=headers)
    return Response(document.text, content_type=JSON, headers=headers)


@routes.add("GET", "/docs", permissions=PUBLIC, responses={200: {pages.HTML: _PAGE}})
def read_docs(call: Request) -> Response:
    """Browse this document and try out its operations."""
    _refuse_parameters()
    return pages.make_html_response(pages.render_swagger_ui(call.mount.config.openapi_title))


@routes.add(
    "GET",
    "/docs/<asset>",
    permissions=PUBLIC,
    responses={200: {kind: _TEXT if kind.startswith("text/") else _PICTURE for kind in ASSET_MEDIA_TYPES}},
    problems=(NotFound,),
)
def read_docs_asset(call: Request, asset: str) -> Response:
    """Read a static file of the documentation pages."""
    _refuse_parameters()
    if asset not in ASSETS:
        raise NotFound
    return pages.add_security_headers(Response(read_asset(asset), content_type=ASSETS[asset].media_type))


@routes.add(
    "GET",
    "/problems",
    permissions=PUBLIC,
    responses={200: {JSON: ProblemIndexSchema, pages.HTML: _PAGE}},
    problems=(NotAcceptable,),
)
def list_problems(call: Request) -> Response:
    """List every problem code, as JSON or as a page."""
    from .problem_types import explain_problems  # with its examples, loaded at the first request for an explanation

    _refuse_parameters()
    explanations = explain_problems(call.mount, call.mount.base_path()).values()
    return _choose_representation(
        lambda: call.json_response({"items": [explanation.summarize() for explanation in explanations]}),
        lambda: pages.make_html_response(pages.render_problem_index(explanations)),
    )


@routes.add(
    "GET",
    "/problems/<code>",
    permissions=PUBLIC,
    responses={200: {JSON: ProblemExplanationSchema, pages.HTML: _PAGE}},
    problems=(NotAcceptable, NotFound),
)
def read_problem(call: Request, code: str) -> Response:
    """Read the meaning and the remedy of a problem code, as JSON or as a page."""
    from .problem_types import explain_problems

    _refuse_parameters()
    explanation = explain_problems(call.mount, call.mount.base_path()).get(code)
    if explanation is None:
        raise NotFound
    return _choose_representation(
        lambda: call.json_response(explanation.render()),
        lambda: pages.make_html_response(pages.render_problem(explanation)),
    )


def _choose_representation(as_json: Callable[[], Response], as_html: Callable[[], Response]) -> Response:
    """Return JSON unless the caller prefers HTML (RFC 9110 §12.5.1). Raises `NotAcceptable` if neither is accepted."""
    response = as_html() if negotiate(JSON, pages.HTML) == pages.HTML else as_json()
    response.vary.add("Accept")
    return response


def _refuse_parameters() -> None:
    if request.query_string:
        load_parameters(StrictSchema(), request.args.to_dict(flat=False))
