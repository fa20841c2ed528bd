"""The routes that describe the API."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from ..problems import NotAcceptable, NotFound
from ..web.media_types import negotiated, require_json_accepted
from ..web.routing import JSON, PUBLIC, Call, Routes
from ..web.validation import StrictSchema, load_parameters
from . import pages
from .assets import ASSETS, MEDIA_TYPES, content
from .explained import explanations
from .schemas import ProblemExplanationSchema, ProblemIndexSchema

routes = Routes()

_TEXT = {"type": "string"}
_OBJECT = {"type": "object", "required": ["openapi", "info", "paths"]}


@routes.add("GET", "/openapi.json", permissions=PUBLIC, answers={200: {JSON: _OBJECT}}, problems=(NotAcceptable,))
def read_openapi(call: Call) -> Response:
    """Read this document: OpenAPI 3.1."""
    from .document import document  # apispec is loaded at the first request for the document

    _refuse_parameters()
    require_json_accepted()
    return Response(document(call.mount, call.mount.base()), content_type=JSON)


@routes.add("GET", "/docs", permissions=PUBLIC, answers={200: {pages.HTML: _TEXT}})
def read_docs(call: Call) -> Response:
    """Read this document in the browser, and try the operations out."""
    _refuse_parameters()
    return pages.html(pages.interactive())


@routes.add(
    "GET",
    "/docs/<asset>",
    permissions=PUBLIC,
    answers={200: {kind: _TEXT if kind.startswith("text/") else {} for kind in MEDIA_TYPES}},
    problems=(NotFound,),
)
def read_docs_asset(call: Call, asset: str) -> Response:
    """Read a file that one of the pages needs."""
    _refuse_parameters()
    if asset not in ASSETS:
        raise NotFound
    return pages.secured(Response(content(asset), content_type=ASSETS[asset].media_type))


@routes.add(
    "GET",
    "/problems",
    permissions=PUBLIC,
    answers={200: {JSON: ProblemIndexSchema, pages.HTML: _TEXT}},
    problems=(NotAcceptable,),
)
def list_problems(call: Call) -> Response:
    """List every problem code, as JSON or as a page."""
    _refuse_parameters()
    every = explanations(call.mount, call.mount.base()).values()
    return _negotiated(
        lambda: call.answer({"items": [one.short() for one in every]}), lambda: pages.html(pages.index(every))
    )


@routes.add(
    "GET",
    "/problems/<code>",
    permissions=PUBLIC,
    answers={200: {JSON: ProblemExplanationSchema, pages.HTML: _TEXT}},
    problems=(NotAcceptable, NotFound),
)
def read_problem(call: Call, code: str) -> Response:
    """Read what a problem code means and what to do about it, as JSON or as a page."""
    _refuse_parameters()
    found = explanations(call.mount, call.mount.base()).get(code)
    if found is None:
        raise NotFound
    return _negotiated(lambda: call.answer(found.document()), lambda: pages.html(pages.problem(found)))


def _negotiated(as_json: Callable[[], Response], as_html: Callable[[], Response]) -> Response:
    """JSON, unless the caller prefers a page (RFC 9110 §12.5.1). Raises `NotAcceptable` where neither will do."""
    answer = as_html() if negotiated(JSON, pages.HTML) == pages.HTML else as_json()
    answer.vary.add("Accept")
    return answer


def _refuse_parameters() -> None:
    if request.query_string:
        load_parameters(StrictSchema(), request.args.to_dict(flat=False))
