"""The type of each error of each operation: no generator drops one or makes `any` of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.generators import Client
from tests.clients.tools import run

pytestmark = [pytest.mark.slow, pytest.mark.clients]

#: A type is that of a problem if each of its alternatives has a code; neither `any` nor `never` passes.
TYPESCRIPT = """\
type IsAny<T> = 0 extends 1 & T ? true : false;
type HasCode<T> = T extends { code: string } ? true : "none";
type IsProblem<T> = IsAny<T> extends true ? "any" : [T] extends [never] ? "never" : HasCode<T>;
"""
#: How a TypeScript client names the error of an operation with a status.
NAMES = {
    "openapi_fetch": 'operations["{id}"]["responses"][{status}]["content"]["application/problem+json"]',
    "hey_api": "types.{Name}Errors[{status}]",
    "orval": 'Extract<api.{name}Response, {{ status: {status} }}>["data"]',
}
IMPORTS = {
    "openapi_fetch": 'import type { operations } from "./schema.d.ts";\n',
    "hey_api": 'import type * as types from "./client/types.gen";\n',
    "orval": 'import type * as api from "./client/api";\n',
}
#: How the code of openapi-generator names it.
SOURCES = {
    "openapi_generator_python": ("openapi_client/api/*_api.py", r"'(\d{3})': \"(\w+)\""),
    "openapi_generator_go": ("client/api_*.go", r"StatusCode == (\d{3}) \{\s+var v (\w+)"),
}


def iter_errors(document: dict[str, Any]) -> Iterator[tuple[str, int, str]]:
    """Yield the operation's id, the status and the name of the schema of each documented error."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if "$ref" in response:
                    response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
                content = response.get("content", {}).get("application/problem+json")
                if content:
                    yield operation["operationId"], int(status), content["schema"].get("$ref", "").rpartition("/")[2]


def join_words(operation_id: str) -> str:
    """Return the id as generators of TypeScript write it: ``createTenant``."""
    first, *others = operation_id.split("_")
    return first + "".join(word.capitalize() for word in others)


def test_every_error_has_the_type_of_a_problem(client: Client, folder: Path) -> None:
    document = json.loads((folder / "openapi.json").read_text())
    errors = list(iter_errors(document))
    assert len(errors) > 400
    if client.name == "openapi_python_client":
        lines = run(folder, "python", "problems.py").splitlines()
        assert len(lines) == 1, lines
    elif client.name == "openapi_generator_typescript":  # axios does not say which type an error has; a caller does
        source = (folder / "client" / "api.ts").read_text()
        problems = {name for name in document["components"]["schemas"] if name.endswith("Problem")}
        assert problems <= set(re.findall(r"export interface (\w+) ", source))
    elif client.name in SOURCES:
        pattern, expression = SOURCES[client.name]
        source = "".join(path.read_text() for path in folder.glob(pattern))
        found = {(int(status), model) for status, model in re.findall(expression, source)}
        assert {(status, model) for _, status, model in errors} <= found
    else:
        (folder / "errors.ts").write_text(write_typescript(client.name, errors, folder))
        client.check(folder)


def write_typescript(name: str, errors: list[tuple[str, int, str]], folder: Path) -> str:
    """Write a program that compiles only if all errors have the types of problems."""
    exported = (folder / "client" / "api.ts").read_text() if name == "orval" else ""
    lines = []
    for number, (operation_id, status, _) in enumerate(errors):
        joined = join_words(operation_id)
        if name == "orval" and f"type {joined}Response " not in exported:  # a function for each type of the body
            joined = next(iter(re.findall(rf"type ({joined}With\w+)Response ", exported)))
        named = NAMES[name].format(id=operation_id, status=status, name=joined, Name=joined[0].upper() + joined[1:])
        lines.append(f"export const error{number}: IsProblem<{named}> = true;")
    return IMPORTS[name] + TYPESCRIPT + "\n".join(lines) + "\n"
