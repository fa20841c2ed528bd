"""The configuration reference, generated from the `Config` dataclass."""

from __future__ import annotations

import dataclasses

from flask_tenant_provisioning.config import DEFAULT_ROLES, PREFIX, Config

from .markdown import code, codes, lines, table


def names() -> list[str]:
    """Return the keys, in the order of their declaration."""
    return [key(field) for field in dataclasses.fields(Config)]


def key(field: dataclasses.Field[object]) -> str:
    """The field's name in ``app.config``."""
    return f"{PREFIX}{field.name.upper()}"


def reference() -> str:
    """Return an entry for each key: type, default and meaning."""
    return lines(*map(_entry, dataclasses.fields(Config)))


def roles() -> str:
    """The default map of roles to permissions."""
    return table(("role", "permissions"), ((code(role), codes(granted)) for role, granted in DEFAULT_ROLES.items()))


def _entry(field: dataclasses.Field[object]) -> str:
    head = f":::{{confval}} {key(field)}\n:type: {code(str(field.type))}\n:default: {code(repr(field.default))}"
    return f"{head}\n\n{field.metadata['meaning']}\n:::"
