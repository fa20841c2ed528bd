"""The settings that a host declares, in every schema that describes some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apispec import APISpec
from marshmallow import fields

from ..namespaces import Namespace
from ..settings.json_schema import closed, described
from ..settings.state import MASK
from .fields import Converter
from .own_fields import nullable

Property = dict[str, Any]

_MASKED = {"const": MASK, "description": "A secret, which is never shown."}
#: What says of a property that it is for those who send, or who read.
_OF_SENDERS = ("default", "writeOnly")


def describe(spec: APISpec, converter: Converter, namespaces: Mapping[str, Namespace]) -> None:
    """Add the host's keys to the components about settings; what their schemas nest becomes components too."""
    components = dict(spec.components.schemas)
    found = {name: described(converter, one) for name, one in namespaces.items()}
    if "Settings" in components:
        shown = _each(namespaces, found, _shown)
        components["Settings"]["properties"] |= {name: closed(shown) for name in ("effective", "explicit")}
    if "ExplicitSettingsInput" in components:
        components["ExplicitSettingsInput"] |= closed(_each(namespaces, found, _sent))
    if "ExplicitSettingsPatch" in components:
        patched = _each(namespaces, found, _patched)
        components["ExplicitSettingsPatch"] |= closed({name: nullable(one) for name, one in patched.items()})


def _each(
    namespaces: Mapping[str, Namespace],
    found: Mapping[str, Property],
    change: Callable[[Namespace, str, Property], Property],
) -> dict[str, Property]:
    """The namespaces with each key's property as `change` makes it."""
    return {
        name: {**found[name], **closed({key: change(one, key, found[name]["properties"][key]) for key in one.keys})}
        for name, one in namespaces.items()
    }


def _shown(namespace: Namespace, key: str, found: Property) -> Property:
    if namespace.keys[key].secret:
        return _MASKED
    return {name: value for name, value in found.items() if name not in _OF_SENDERS}


def _sent(namespace: Namespace, key: str, found: Property) -> Property:
    if not namespace.keys[key].secret:
        return found
    return {"anyOf": [found, {"const": MASK, "description": "The secret that is set already."}]}


def _patched(namespace: Namespace, key: str, found: Property) -> Property:
    """What a merge patch may hold: parts of an object, and null for what is inherited."""
    field = namespace.keys[key].field
    plain = {name: value for name, value in found.items() if name != "default"}
    if isinstance(field, fields.Nested | fields.Mapping) and not getattr(field, "many", False):
        plain = {"type": "object", **{name: plain[name] for name in ("title", "description") if name in plain}}
    return nullable(_sent(namespace, key, plain))
