"""The settings that tenants of a host have: namespaces of keys, each namespace a marshmallow schema.

Values are JSON here, as clients send and read them, but for what a schema makes of them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from marshmallow import RAISE, Schema, ValidationError, fields

from .config import ConfigurationError

Values = Mapping[str, Any]


class Key(NamedTuple):
    """One key of a namespace.

    What is `secret` is encrypted at rest and shown to nobody but the host's code. What is `immutable` stays as it is
    once it has been set.
    """

    field: fields.Field[Any]
    secret: bool
    immutable: bool

    @property
    def attribute(self) -> str:
        """The name of its value in what the schema loads."""
        return str(self.field.attribute or self.field.name)


@dataclasses.dataclass(frozen=True, eq=False)
class Namespace:
    """One namespace: its schema, its keys by the names that clients use, and the values that nobody has to set."""

    name: str
    schema: Schema
    keys: Mapping[str, Key]
    defaults: Values

    def load(self, values: Values) -> Any:
        """What the schema makes of `values`, none of which is required. Raises `ValidationError`."""
        absent = [str(key.field.name) for key in self.keys.values()]
        return self.schema.load(values, unknown=RAISE, partial=absent)

    def normal(self, values: Values, beneath: Values) -> dict[str, Any]:
        """`values` as the schema writes them, once they are valid together with those `beneath` them.

        What it does not write (``load_only``) stays as it came. Raises `ValidationError`.
        """
        written = self.schema.dump(self.load({**beneath, **values}))
        return {
            key: value if self.keys[key].field.load_only else written.get(key, value) for key, value in values.items()
        }


def agreed(namespace: Namespace, values: Values, plan: str) -> dict[str, Any]:
    """What a plan sets in a namespace, as the schema writes it. Raises `ConfigurationError` where it cannot be."""
    what = f"The plan {plan!r} cannot set {namespace.name!r}"
    if strangers := sorted(map(str, values.keys() - namespace.keys.keys())):
        raise ConfigurationError(f"{what}: there is no key {strangers[0]!r}.")
    try:
        found = namespace.normal(values, namespace.defaults)
        json.dumps(found, allow_nan=False)
    except ValidationError as error:
        raise ConfigurationError(f"{what}: {refusal(namespace, error)}.") from None
    except (TypeError, ValueError):
        raise ConfigurationError(f"{what}: its values must be JSON.") from None
    return found


def refusal(namespace: Namespace, error: ValidationError) -> str:
    """What a schema says against values, with nothing about those that are secret."""
    messages = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
    secret = {name for name, key in namespace.keys.items() if key.secret}
    told = {name: ["Not valid."] if name in secret else said for name, said in messages.items()}
    if secret and "_schema" in told:
        told["_schema"] = ["Not valid together."]
    return str(told)
