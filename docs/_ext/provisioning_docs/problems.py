"""The problem reference, generated from the catalogue of errors."""

from __future__ import annotations

from typing import Any

from flask_tenant_provisioning.openapi.problem_types import Explanation, explain_problems

from . import operations
from .markdown import as_json, code, heading, lines, table
from .reference import describe_members


def names() -> list[str]:
    """Return the codes, by status."""
    return list(_load_explanations())


def label(name: str) -> str:
    """Return the label of the section about a code."""
    return f"problem-{name}"


def reference() -> str:
    """Return an index of the codes and a section for each."""
    explanations = _load_explanations()
    where = operations.find_operations_by_problem()
    rows = (
        (str(explanation.kind.status), code(name), explanation.kind.title, explanation.menders.rstrip("."))
        for name, explanation in explanations.items()
    )
    sections = (_section(explanation, where.get(name, [])) for name, explanation in explanations.items())
    return lines(table(("status", "code", "title", "who can mend it"), rows), *sections)


def _load_explanations() -> dict[str, Explanation]:
    api = operations.api()
    return explain_problems(api, api.config.url_prefix)


def _section(explanation: Explanation, where: list[dict[str, Any]]) -> str:
    return lines(
        heading(2, code(explanation.code), label(explanation.code)),
        f"**Status:** {explanation.kind.status}",
        f"**When:** {explanation.meaning}",
        f"**What to do:** {explanation.kind.remedy}",
        _list_members(explanation),
        f"**Who can mend it:** {explanation.menders}",
        f"**Returned by:** {_list_operations(where)}.",
        as_json(explanation.example),
    )


def _list_members(explanation: Explanation) -> str:
    """Describe the members that only this problem has."""
    schemas = operations.document()["components"]["schemas"]
    own = operations.merge(schemas.get(_name_schema(explanation.code), {})).get("properties", {})
    common = schemas["Problem"]["properties"]
    members = {name: member for name, member in own.items() if name not in common}
    return lines("**Further members:**", describe_members(members, ())) if members else ""


def _name_schema(code_name: str) -> str:
    return f"{code_name.title().replace('-', '')}Problem"


def _list_operations(where: list[dict[str, Any]]) -> str:
    if len(where) == len(operations.operations()):
        return "every operation"
    listed = ", ".join(f"[{code(operations.title(operation))}](#{operations.label(operation)})" for operation in where)
    return listed or "no operation in particular"
