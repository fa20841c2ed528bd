"""Where an answer leads: the operations whose path its fields fill in, and the next page of a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..problems import PreconditionFailed
from ..web.routing import Route
from .paths import places
from .schemas import document_of, name_of

_BODY = "$response.body#/"
_LIST = "The next page, asked with the same filters and sort; there is none where `next` is null."
_FEED = "What follows, at once where `has_more`, later otherwise."


def leads(route: Route, answer: Any, routes: Iterable[Route]) -> dict[str, dict[str, str]]:
    """The references to the links of one answer of `route`, by the operation that each leads to."""
    names = {target: component(answer, target) for target in _links(route, answer, routes)}
    return {target: {"$ref": f"#/components/links/{name}"} for target, name in names.items()}


def links(routes: Sequence[Route]) -> dict[str, dict[str, Any]]:
    """The Link Objects of everything that these routes answer, by the name of their component."""
    answers = [(route, answer) for route in routes for answer in route.answers.values()]
    return {
        component(answer, target): link
        for route, answer in answers
        for target, link in _links(route, answer, routes).items()
    }


def component(answer: Any, target: str) -> str:
    """The name of the Link Object that leads from this kind of answer to the operation `target`."""
    return f"{name_of(document_of(answer))}.{target}"


def _links(route: Route, answer: Any, routes: Iterable[Route]) -> dict[str, dict[str, Any]]:
    """One Link Object for each operation; none for an answer that no schema describes."""
    if (document := document_of(answer)) is None:
        return {}
    fields = document._declared_fields
    found = {other.endpoint: link for other in routes if other is not route and (link := _into(other, fields))}
    return found | _next_page(route, fields)


def _into(target: Route, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The link to an operation on what the answer shows; nothing where `fields` do not lead to its path."""
    sources = {place: source for place in places(target) if (source := _source(place, fields))}
    if not sources or len(sources) != len(places(target)):
        return {}
    conditions = {"If-Match": "$response.header.ETag"} if _conditional(target, fields) else {}
    return {"operationId": target.endpoint, "parameters": {**sources, **conditions}}


def _source(place: str, fields: Mapping[str, Any]) -> str:
    """The expression that fills in `place`: its own field, or the one of the resource whose id it is."""
    return next((f"{_BODY}{name}" for name in (place, place.removesuffix("_id")) if name in fields), "")


def _conditional(target: Route, fields: Mapping[str, Any]) -> bool:
    """Whether `target` changes the very thing whose version `fields` show, and not one beneath it."""
    return "version" in fields and PreconditionFailed in target.problems and not _has_another_version(target)


def _has_another_version(target: Route) -> bool:
    """Whether what `target` answers has a version, and is not what its path names."""
    shown = [document._declared_fields for answer in target.answers.values() if (document := document_of(answer))]
    return any("version" in fields and not all(_source(place, fields) for place in places(target)) for fields in shown)


def _next_page(route: Route, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The link to the page after a list's, or to what follows in a feed."""
    if "next" not in fields or route.query is None:
        return {}
    cursor, meaning = ("after", _FEED) if "has_more" in fields else ("cursor", _LIST)
    page = {"operationId": route.endpoint, "description": meaning, "parameters": {cursor: f"{_BODY}next"}}
    return {route.endpoint: page}
