"""The configuration reference, generated from the `Config` dataclass."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from flask_tenant_provisioning.config import DEFAULT_ROLES, PREFIX, Config, config_name

from .markdown import code, codes, fence, heading, lines, table

#: Each group's title, and the first of its keys in the order of `Config`.
GROUPS = (
    ("The mount", "edition"),
    ("Requests", "max_body_bytes"),
    ("OpenAPI document", "openapi_title"),
    ("Database", "database_url"),
    ("Secrets", "secret_key"),
    ("Roles and claims", "realm"),
    ("Tokens of an isolated mount", "jwt_secret_key"),
    ("Token cache", "token_cache_size"),
    ("Partners", "partner_registration"),
    ("Rate limits", "rate_limits"),
    ("Tenants", "plans"),
    ("Invitations", "invitation_url"),
    ("Tenant settings", "settings_history"),
    ("Bulk jobs", "bulk_max_rows"),
    ("Webhooks", "webhook_limit"),
    ("Workers", "engine"),
    ("Telemetry", "telemetry"),
    ("Licence", "license_file"),
)


def names() -> list[str]:
    """Return the keys, in the order of their declaration."""
    return [key(field) for field in dataclasses.fields(Config)]


def key(field: dataclasses.Field[Any]) -> str:
    """The field's name in ``app.config``."""
    return config_name(field.name)


def groups() -> Iterator[tuple[str, list[dataclasses.Field[Any]]]]:
    """Iterate over the groups: the title, and the keys."""
    starts = {first: title for title, first in GROUPS}
    title = ""

    def find_group(field: dataclasses.Field[Any]) -> str:
        nonlocal title
        title = starts.get(field.name, title)
        return title

    for group, fields in itertools.groupby(dataclasses.fields(Config), find_group):
        yield group, list(fields)


def reference() -> str:
    """Return a section for each group: a table of its keys, then an entry for each of them."""
    return lines(*(_group(title, fields) for title, fields in groups()))


def roles() -> str:
    """The default map of roles to permissions."""
    return table(("role", "permissions"), ((code(role), codes(granted)) for role, granted in DEFAULT_ROLES.items()))


def _group(title: str, fields: list[dataclasses.Field[Any]]) -> str:
    label = f"configuration-{re.sub('[^a-z]+', '-', title.lower())}"
    return lines(heading(2, title, label), *map(_entry, fields))


def _entry(field: dataclasses.Field[Any]) -> str:
    default = code(_format_default(field.default))
    head = f"::::{{confval}} {key(field)}\n:type: {code(str(field.type))}\n:default: {default}"
    text = lines(field.metadata["meaning"], f"**Allowed:** {_describe_allowed(field)}.", _example(field))
    return f"{head}\n\n{text}\n::::"


def _format_default(default: Any) -> str:
    """Return a large number as people read it, anything else as Python writes it."""
    return f"{default:_}" if type(default) is int and default >= 10_000 else repr(default)


def _describe_allowed(field: dataclasses.Field[Any]) -> str:
    """Return the values that the key's own check allows, in the words of its error."""
    try:
        field.metadata["check"](object())
    except ValueError as expected:
        allowed = re.sub(r"\b\d{5,}\b", lambda number: f"{int(number[0]):_}", str(expected))
        # The words of an error quote values as Python does; on a page they are code.
        allowed = re.sub(r"'([^']+)'(?=[\s,;.)]|$)", lambda quoted: code(repr(quoted[1])), allowed)
        return f"{allowed}, or `None`" if field.default is None else allowed
    raise ValueError(f"{key(field)} allows any object: there is nothing to document")


def _example(field: dataclasses.Field[Any]) -> str:
    example = field.default if field.metadata["example"] is None else field.metadata["example"]
    shown = list(example) if isinstance(example, tuple) else example
    assignment = f'app.config["{key(field)}"] = {json.dumps(shown, ensure_ascii=False)}'
    assignment = re.sub(r"= (true|false)$", lambda flag: f"= {flag[1].capitalize()}", assignment)
    return fence("python", assignment)


__all__ = ["GROUPS", "PREFIX", "groups", "key", "names", "reference", "roles"]
