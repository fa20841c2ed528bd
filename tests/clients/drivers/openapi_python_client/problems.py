"""Parse the example of every problem of every operation, and print what is not of the class of its code."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import httpx
from client import Client

document: dict[str, Any] = json.loads(Path("openapi.json").read_text())
client = Client(base_url="https://example.com")
parsed = 0
for operations in document["paths"].values():
    for operation in operations.values():
        module = importlib.import_module(f"client.api.{operation['tags'][0]}.{operation['operationId']}")
        for status, response in operation["responses"].items():
            if "$ref" in response:
                response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
            content = response.get("content", {}).get("application/problem+json", {})
            for code, example in content.get("examples", {}).items():
                value = document["components"]["examples"][example["$ref"].rpartition("/")[2]]["value"]
                problem = module._parse_response(client=client, response=httpx.Response(int(status), json=value))
                expected = "".join(word.capitalize() for word in code.split("-")) + "Problem"
                parsed += 1
                if (type(problem).__name__, getattr(problem, "code", None)) != (expected, code):
                    print(f"{operation['operationId']} {status} {code}: {problem!r}")
print(f"{parsed} problems parsed")
