"""The HTTP reference: a page for each tag, with text on the left and samples on the right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from . import operations
from .markdown import as_json, code, codes, container, fence, heading, lines, table, tabs
from .operations import Object, document, follow
from .samples import build_example, curl, python, response_example
from .shapes import describe, shape


def index() -> str:
    """Return a table of all operations, by resource."""
    return lines(*(lines(f"### {_tag_title(tag)}", tag["description"], _overview(tag)) for tag in document()["tags"]))


def conventions() -> str:
    """Return what holds for all operations: the document's description, common parameters, headers and problems."""
    parameters = ((code(name), item["description"]) for name, item in operations.common_parameters().items())
    headers = ((code(name), item["description"]) for name, item in operations.common_headers().items())
    problems = ((status, code(name)) for name, status in sorted(operations.common_problems().items(), key=_by_status))
    return lines(
        document()["info"]["description"].strip(),
        "Every operation takes these headers:",
        table(("request header", "meaning"), parameters),
        "Every response has these:",
        table(("response header", "meaning"), headers),
        "These problems can be the response to nearly every operation; they are not repeated below:",
        table(("status", "code"), problems),
    )


def page(tag_name: str) -> str:
    """Return the sections of a tag's operations. Raises `KeyError` if the document has no such tag."""
    tag = {tag["name"]: tag for tag in document()["tags"]}[tag_name]
    return lines(tag["description"], _overview(tag), *map(_section, _operations(tag)))


def schemas() -> str:
    """Return a section for each schema, except those of problems, which the page of errors describes."""
    return lines(
        *(
            _schema(name, schema)
            for name, schema in document()["components"]["schemas"].items()
            if not operations.is_about_problems(name)
        )
    )


def tenant() -> str:
    """Return a tenant as the API shows it."""
    return as_json(build_example(document()["components"]["schemas"]["Tenant"]))


def _by_status(item: tuple[str, str]) -> str:
    return item[1]


def _tag_title(tag: Object) -> str:
    return str(tag["name"]).replace("-", " ").capitalize().replace("Openapi", "OpenAPI")


def _operations(tag: Object) -> Iterator[dict[str, Any]]:
    return (operation for operation in operations.operations() if tag["name"] in operation["tags"])


def _overview(tag: Object) -> str:
    rows = (
        (f"[{code(operations.title(operation))}](#{operations.label(operation)})", _summary(operation))
        for operation in _operations(tag)
    )
    return table(("operation", "summary"), rows)


def _summary(operation: Object) -> str:
    return f"{operation['summary'].rstrip('.')}."


def _section(operation: Object) -> str:
    text = lines(
        _summary(operation),
        operation.get("description", ""),
        _parameters(operation),
        _body(operation.get("requestBody", {})),
        _success(operation),
        _problems(operation),
    )
    samples = lines(_request(operation), *_response_samples(operation))
    return lines(
        heading(2, code(operations.title(operation)), operations.label(operation)),
        container("operation", container("operation-text", text), container("operation-samples", samples)),
    )


def _parameters(operation: Object) -> str:
    common = operations.common_parameters()
    own = [parameter for parameter in operations.parameters(operation) if parameter["name"] not in common]
    return lines("**Parameters**", _entries(map(_parameter, own))) if own else ""


def _parameter(parameter: Object) -> tuple[str, str]:
    place = "required" if parameter.get("required") else parameter["in"]
    where = f"{parameter['in']}, required" if parameter.get("required") else place
    meaning = parameter.get("description") or describe(parameter["schema"])
    return f"{code(parameter['name'])} ({where})", lines(meaning, f"{_sentence(shape(parameter['schema']))}")


def _body(body: Object) -> str:
    if not body:
        return ""
    content = body["content"]
    kinds = list({shape(kind["schema"]): None for kind in content.values()})
    subject = "**Body**" if body.get("required") else "**Body**, which may be left out"
    fields = next((_fields(follow(kind["schema"])) for kind in content.values() if "$ref" in kind["schema"]), "")
    return lines(f"{subject}: {' or '.join(kinds)}, as {codes(content)}.", body.get("description", ""), fields)


def _fields(schema: Object) -> str:
    parts = operations.alternatives(schema)
    if parts:
        return "One of\n\n" + "\n".join(f"- {shape(part)}" for part in parts)
    whole = operations.merge(schema)
    return describe_members(whole.get("properties", {}), whole.get("required", ()))


def describe_members(members: Object, required: Iterable[str]) -> str:
    """Return a definition list of the members of an object, each with its meaning and its type."""
    return _entries(
        (
            code(name) + (" (required)" if name in required else ""),
            lines(describe(follow(kind)), _sentence(shape(kind))),
        )
        for name, kind in members.items()
    )


def _success(operation: Object) -> str:
    return lines(
        "**Returns**",
        _entries(
            (f"{status} {HTTPStatus(int(status)).phrase}", lines(_describe_success(response), _headers(response)))
            for status, response in operations.responses(operation)
            if not operations.problems(response)
        ),
    )


def _describe_success(response: Object) -> str:
    kinds: dict[str, list[str]] = defaultdict(list)
    for media_type, content in response.get("content", {}).items():
        kinds[shape(content["schema"])].append(media_type)
    shapes = " or ".join(f"{kind} as {codes(types)}" for kind, types in kinds.items())
    text = str(response["description"]).strip()
    text = "" if text.rstrip(".") in {status.phrase for status in HTTPStatus} else text
    return lines(text, f"{shapes}." if shapes else ("" if text else "No body."))


def _headers(response: Object) -> str:
    names = [name for name in response.get("headers", {}) if name not in operations.common_headers()]
    return f"Headers: {codes(names)}." if names else ""


def _problems(operation: Object) -> str:
    common = operations.common_problems()
    rows = []
    for status, response in operations.responses(operation):
        own = [problem for problem in operations.problems(response) if problem not in common]
        if own:
            rows.append(f"- {status}: {codes(own)}")
    if operation.get("x-permissions"):
        rows.append("- [problems of every operation](#http-conventions)")
    return lines("**Problems**", "\n".join(rows)) if rows else ""


def _request(operation: Object) -> str:
    samples = {"curl": fence("sh", curl(operation))}
    if call := python(operation):
        samples["Python"] = fence("python", call)
    return tabs(samples)


def _response_samples(operation: Object) -> Iterator[str]:
    for status, response in operations.responses(operation):
        sample = None if operations.problems(response) else response_example(response)
        if sample is not None:
            yield lines(f"**{status} {HTTPStatus(int(status)).phrase}**", as_json(sample[1]))
            return


def _schema(name: str, schema: Object) -> str:
    example = build_example(schema)
    text = lines(schema.get("description", ""), _fields(schema)) or "Any JSON object."
    samples = as_json(example) if example is not None else ""
    return lines(
        heading(2, name, f"schema-{name.lower()}"),
        container(
            "operation",
            container("operation-text", text),
            container("operation-samples", samples),
        ),
    )


def _sentence(text: str) -> str:
    return f"*{text[0].upper()}{text[1:]}.*" if text and not text.startswith(("[", "`", "*")) else text


def _entries(entries: Iterable[tuple[str, str]]) -> str:
    """Return a definition list: each term with its text, which may have several paragraphs."""
    return "\n\n".join(f"{term}\n: {text.strip().replace(chr(10), chr(10) + '  ') or '–'}" for term, text in entries)
