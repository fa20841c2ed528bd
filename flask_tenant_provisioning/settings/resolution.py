"""Load the settings of one owner and resolve their effective values.

For each key, the tenant's value takes precedence over its plan's, its partner's and the default.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from marshmallow import ValidationError

from ..database.session import Session, Storage
from ..keyring import Keyring
from ..tenants.models import Tenant
from .models import PARTNER_SCOPE, SettingsRow
from .namespaces import Namespaces
from .statements import SettingsSQL
from .storage import (
    EMPTY_SETTINGS,
    MASK,
    UNREADABLE,
    Document,
    Scope,
    StoredSettings,
    Values,
    parse_columns,
    unseal_contents,
)

logger = logging.getLogger(__name__)
DEFAULT, PARTNER, PLAN, TENANT = "default", "partner", "plan", "tenant"


class Layer(NamedTuple):
    """The values that one `source` sets; those with a sealed text in `sealed` are secret whatever the host declares."""

    source: str
    values: Values
    sealed: Values = MappingProxyType({})


class ResolvedNamespace(NamedTuple):
    """The effective values of one namespace.

    `values` holds JSON values by key, with secrets in clear and `UNREADABLE` for a secret that cannot be opened;
    `sources` names the layer of each; `value` is the result of the schema's ``load`` without the unreadable ones;
    `invalid` holds (source, key) of the values that the schema rejects.
    """

    values: dict[str, Any]
    sources: dict[str, str]
    value: Any
    invalid: frozenset[tuple[str, str]]


def resolve(namespaces: Namespaces, layers: Sequence[Layer]) -> dict[str, ResolvedNamespace]:
    """Return the effective values of `namespaces` from `layers`, lowest first.

    A value that the schema rejects is ignored, and the value of the next lower layer is used.
    """
    resolved: dict[str, ResolvedNamespace] = {}
    for name, namespace in namespaces.items():
        accepted = [
            (source, {key: value for key, value in values.get(name, {}).items() if key in namespace.keys})
            for source, values, _ in layers
        ]
        invalid: set[tuple[str, str]] = set()
        while name not in resolved:
            values: dict[str, Any] = {}
            sources: dict[str, str] = {}
            for source, layer_values in accepted:
                values |= layer_values
                sources |= dict.fromkeys(layer_values, source)
            try:
                loaded = namespace.load({key: value for key, value in values.items() if value is not UNREADABLE})
            except ValidationError as error:
                rejected = _find_rejected(error, accepted, sources)
                if not rejected:
                    raise
                invalid |= rejected
                accepted = [(source, _drop_rejected(rejected, source, pairs)) for source, pairs in accepted]
            else:
                resolved[name] = ResolvedNamespace(values, sources, loaded, frozenset(invalid))
    return resolved


def _find_rejected(
    error: ValidationError, layers: Sequence[tuple[str, Mapping[str, Any]]], sources: Mapping[str, str]
) -> set[tuple[str, str]]:
    """Return (source, key) of the rejected values: those that the error names, else all of the highest layer."""
    named = error.messages if isinstance(error.messages, dict) else {}
    rejected = {(sources[key], key) for key in named if sources.get(key, DEFAULT) != DEFAULT}
    if rejected:
        return rejected
    candidates = [(source, key) for source, values in layers for key in values if source != DEFAULT]
    return {(source, key) for source, key in candidates if source == candidates[-1][0]}


def _drop_rejected(rejected: Collection[tuple[str, str]], source: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if (source, key) not in rejected}


class Owner(NamedTuple):
    """The owner of settings: a tenant, or if `tenant` is None the partner, whose settings are its tenants' defaults.

    `scope` is the key of their row, and `source` the name of their layer.
    """

    scope: Scope
    source: str
    tenant: Tenant | None


def make_tenant_owner(tenant: Tenant) -> Owner:
    """Return the tenant as the owner of its settings."""
    return Owner(Scope(tenant.partner_id, tenant.id), TENANT, tenant)


def make_partner_owner(partner: str) -> Owner:
    """Return the partner as the owner of its tenants' defaults."""
    return Owner(Scope(partner, PARTNER_SCOPE), PARTNER, None)


class SettingsState(NamedTuple):
    """The settings of one owner.

    `row` is the stored row, with version 0 until something is set. `stored` is what the owner sets, `layers` are all
    layers from the lowest to the owner's, and `resolved` are the effective values by namespace.
    """

    owner: Owner
    namespaces: Namespaces
    row: SettingsRow
    stored: StoredSettings
    layers: tuple[Layer, ...]
    resolved: dict[str, ResolvedNamespace]

    def document(self) -> dict[str, Any]:
        """Return the settings as the API shows them, without invalid values and with secrets masked."""
        effective: Document = {}
        explicit: Document = {}
        sources: dict[str, str] = {}
        sealed = {layer.source: layer.sealed for layer in self.layers}
        for name, namespace in self.resolved.items():
            for key, value in namespace.values.items():
                source = sources[f"{name}.{key}"] = namespace.sources[key]
                masked = self.namespaces[name].keys[key].secret or key in sealed[source].get(name, ())
                effective.setdefault(name, {})[key] = MASK if masked else value
        for name, pairs in self.stored.values.items():
            for key, value in pairs.items():
                if (self.owner.source, key) not in self.resolved[name].invalid:
                    masked = self.namespaces[name].keys[key].secret or key in sealed[self.owner.source].get(name, ())
                    explicit.setdefault(name, {})[key] = MASK if masked else value
        return {"version": self.row.version, "effective": effective, "explicit": explicit, "sources": sources}

    def replace_stored(self, row: SettingsRow, stored: StoredSettings, changed: Collection[str]) -> SettingsState:
        """Return the state once `row`, which holds `stored`, is written; it differs in the namespaces `changed`."""
        layers = (*self.layers[:-1], Layer(self.owner.source, stored.values, stored.contents.secrets))
        resolved = resolve({name: self.namespaces[name] for name in changed}, layers)
        return self._replace(row=row, stored=stored, layers=layers, resolved={**self.resolved, **resolved})


def load_state(session: Session, keyring: Keyring, owner: Owner) -> SettingsState:
    """Load the settings of one owner and resolve them; log values that are invalid or unreadable."""
    registry, scope = session.storage.registry, owner.scope
    namespaces = registry.namespaces
    where = {"partner_id": scope.partner, "tenant_id": scope.tenant}
    records = session.run(session.storage.once(SettingsSQL).read, where).fetchall()
    rows = {row.tenant_id: row for row in map(SettingsRow._make, records)}
    stored = {
        id: unseal_contents(namespaces, Scope(scope.partner, id), parse_columns(row.document, row.secrets), keyring)
        for id, row in rows.items()
    }
    layers = [Layer(DEFAULT, {name: namespace.defaults for name, namespace in namespaces.items()})]
    if owner.tenant:
        partner, plan = stored.get(PARTNER_SCOPE, EMPTY_SETTINGS), registry.plans.get(owner.tenant.plan or "")
        layers.append(Layer(PARTNER, partner.values, partner.contents.secrets))
        layers.append(Layer(PLAN, plan.settings if plan else {}))
    own = stored.get(scope.tenant, EMPTY_SETTINGS)
    layers.append(Layer(owner.source, own.values, own.contents.secrets))
    resolved = resolve(namespaces, layers)
    for name, namespace in resolved.items():
        if namespace.invalid or UNREADABLE in namespace.values.values():
            _log_problems(session.storage, name, namespace, owner)
    row = rows.get(scope.tenant) or SettingsRow(
        *scope, version=0, document="{}", secrets=None, updated_at="", history_bytes=0
    )
    return SettingsState(owner, namespaces, row, own, tuple(layers), resolved)


def _log_problems(storage: Storage, name: str, resolved: ResolvedNamespace, owner: Owner) -> None:
    """Log each value of the namespace that is invalid or cannot be opened, once per process and key, without it."""
    label = f"the tenant {owner.tenant.id}" if owner.tenant else f"the tenants of {owner.scope.partner!r}"
    for source, key in sorted(resolved.invalid):
        if _is_first_report(storage, (name, key, source)):
            logger.warning(
                "settings of %s: %s, set by the %s, is not valid and is ignored",
                label,
                f"{name}.{key}",
                source,
                extra={"key": f"{name}.{key}", "source": source},
            )
    for key, source in resolved.sources.items():
        if resolved.values[key] is UNREADABLE and _is_first_report(storage, (name, key, source, "unreadable")):
            logger.warning(
                "settings of %s: %s, set by the %s, cannot be opened",
                label,
                f"{name}.{key}",
                source,
                extra={"key": f"{name}.{key}", "source": source},
            )


def _is_first_report(storage: Storage, kind: tuple[str, ...]) -> bool:
    """Return whether this process has not logged `kind` before, and record it as logged."""
    reported: set[tuple[str, ...]] = storage.once(_make_reported_set)
    is_new = kind not in reported
    reported.add(kind)
    return is_new


def _make_reported_set(_storage: Storage) -> set[tuple[str, ...]]:
    return set()
