"""Load the settings of one owner and resolve their effective values.

For each key, the tenant's value takes precedence over its plan's, its partner's and the default.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from marshmallow import ValidationError

from ..database.session import Session, Storage
from ..registry import Namespace, Registry
from ..tenants.models import Tenant
from .models import PARTNER_SCOPE, SettingsRow
from .namespaces import Namespaces
from .statements import SettingsSQL
from .storage import (
    EMPTY_SETTINGS,
    UNREADABLE,
    FlatSettings,
    OpenKeyring,
    Scope,
    SettingPath,
    StoredSettings,
    is_secret,
    nest,
    parse_columns,
    unseal_contents,
)

logger = logging.getLogger(__name__)
DEFAULT, PARTNER, PLAN, TENANT = "default", "partner", "plan", "tenant"


class Layer(NamedTuple):
    """The values that one `source` sets, by path; those at `sealed` paths are secret whatever the host declares now."""

    source: str
    values: Mapping[SettingPath, Any]
    sealed: Collection[SettingPath] = ()


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


def make_default_layer(namespaces: Namespaces) -> Layer:
    """Return the lowest layer: the declared defaults."""
    values = {(name, key): value for name, namespace in namespaces.items() for key, value in namespace.defaults.items()}
    return Layer(DEFAULT, values)


def resolve(namespace: Namespace, layers: Iterable[Layer]) -> ResolvedNamespace:
    """Return the effective values of `namespace` from `layers`, lowest first.

    A value that the schema rejects is ignored, and the value of the next lower layer is used.
    """
    accepted = [
        (
            layer.source,
            {key: v for (name, key), v in layer.values.items() if name == namespace.name and key in namespace.keys},
        )
        for layer in layers
    ]
    invalid: set[tuple[str, str]] = set()
    while True:
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
            accepted = [(name, _drop_rejected(rejected, name, layer_values)) for name, layer_values in accepted]
        else:
            return ResolvedNamespace(values, sources, loaded, frozenset(invalid))


def log_invalid_values(storage: Storage, namespace: str, resolved: ResolvedNamespace, owner: str) -> None:
    """Log each invalid value once per process and key, without quoting it."""
    for source, key in sorted(resolved.invalid):
        if _is_first_report(storage, (namespace, key, source)):
            logger.warning(
                "settings of %s: %s, set by the %s, is not valid and is ignored",
                owner,
                f"{namespace}.{key}",
                source,
                extra={"key": f"{namespace}.{key}", "source": source},
            )


def log_unreadable_secrets(storage: Storage, namespace: str, resolved: ResolvedNamespace, owner: str) -> None:
    """Log each secret that cannot be opened, once per process and key."""
    for key, value in resolved.values.items():
        source = resolved.sources[key] if value is UNREADABLE else ""
        if value is UNREADABLE and _is_first_report(storage, (namespace, key, source, "lost")):
            logger.warning(
                "settings of %s: %s, set by the %s, cannot be opened",
                owner,
                f"{namespace}.{key}",
                source,
                extra={"key": f"{namespace}.{key}", "source": source},
            )


def _is_first_report(storage: Storage, kind: tuple[str, ...]) -> bool:
    """Return whether this process has not logged `kind` before, and record it as logged."""
    reported: set[tuple[str, ...]] = storage.once(_make_reported_set)
    is_new = kind not in reported
    reported.add(kind)
    return is_new


def _make_reported_set(_storage: Storage) -> set[tuple[str, ...]]:
    return set()


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


#: Shown in place of a secret. Sending it back leaves the secret unchanged.
MASK = "********"


class Owner(NamedTuple):
    """The owner of settings: a tenant, or if `tenant` is None the partner, whose settings are its tenants' defaults."""

    partner: str
    tenant: Tenant | None = None

    @property
    def scope(self) -> Scope:
        """The scope that the settings are stored under."""
        return Scope(self.partner, self.tenant.id if self.tenant else PARTNER_SCOPE)

    @property
    def source(self) -> str:
        """The name of the owner's layer, as `sources` shows it."""
        return TENANT if self.tenant else PARTNER


class SettingsState(NamedTuple):
    """The settings of one owner.

    `version` is 0 and `row` None until something is set. `stored` is what the owner sets, `layers` are all layers from
    the lowest to the owner's, and `resolved` are the effective values by namespace.
    """

    owner: Owner
    namespaces: Namespaces
    row: SettingsRow | None
    stored: StoredSettings
    layers: tuple[Layer, ...]
    resolved: dict[str, ResolvedNamespace]

    @property
    def version(self) -> int:
        """The number of writes so far."""
        return self.row.version if self.row else 0

    @property
    def updated_at(self) -> str | None:
        """The instant of the last write."""
        return self.row.updated_at if self.row else None

    def explicit(self) -> FlatSettings:
        """Return what the owner sets, without values that the schemas no longer accept."""
        own = self.owner.source
        invalid = {
            (name, key)
            for name, namespace in self.resolved.items()
            for source, key in namespace.invalid
            if source == own
        }
        return {path: value for path, value in self.stored.values.items() if path not in invalid}

    def document(self) -> dict[str, Any]:
        """Return the settings as the API shows them, with secrets masked."""
        sealed = {layer.source: layer.sealed for layer in self.layers}
        own = self.owner.source
        sources = {
            (name, key): source
            for name, namespace in self.resolved.items()
            for key, source in namespace.sources.items()
        }
        effective = {
            (name, key): value for name, namespace in self.resolved.items() for key, value in namespace.values.items()
        }
        explicit = self.explicit()
        return {
            "version": self.version,
            "effective": nest(_mask(effective, self.namespaces, lambda path: path in sealed[sources[path]])),
            "explicit": nest(_mask(explicit, self.namespaces, lambda path: path in sealed[own])),
            "sources": {".".join(path): source for path, source in sources.items()},
        }

    def replace_stored(self, row: SettingsRow, stored: StoredSettings) -> SettingsState:
        """Return the state once `row`, which holds `stored`, is written."""
        return _resolve_layers(self.owner, self.namespaces, row, stored, self.layers[:-1])


def _mask(
    values: FlatSettings, namespaces: Namespaces, is_sealed: Callable[[SettingPath], bool]
) -> dict[SettingPath, Any]:
    """Return the values with a mask in place of each one that the host declares a secret or that is sealed."""
    return {path: MASK if is_secret(namespaces, path) or is_sealed(path) else value for path, value in values.items()}


def _resolve_layers(
    owner: Owner,
    namespaces: Namespaces,
    row: SettingsRow | None,
    stored: StoredSettings,
    inherited: tuple[Layer, ...],
) -> SettingsState:
    layers = (*inherited, Layer(owner.source, stored.values, stored.sealed.keys()))
    resolved = {name: resolve(namespace, layers) for name, namespace in namespaces.items()}
    return SettingsState(owner, namespaces, row, stored, layers, resolved)


def load_state(session: Session, keyring: OpenKeyring, owner: Owner) -> SettingsState:
    """Load the settings of one owner and resolve them; log values that are invalid or unreadable."""
    registry, sql = session.storage.registry, session.storage.once(SettingsSQL)
    scope = owner.scope
    where = {"partner_id": scope.partner, "tenant_id": scope.tenant}
    rows = {row[1]: SettingsRow._make(row) for row in session.run(sql.read, where).fetchall()}
    row, partner_row = rows.get(scope.tenant), rows.get(PARTNER_SCOPE)
    stored = _decode_row(registry, keyring, row)
    layers = (
        _make_inherited_layers(registry, _decode_row(registry, keyring, partner_row), owner.tenant.plan)
        if owner.tenant
        else ()
    )
    inherited = (make_default_layer(registry.namespaces), *layers)
    state = _resolve_layers(owner, registry.namespaces, row, stored, inherited)
    _log_problems(session, state)
    return state


def _decode_row(registry: Registry, keyring: OpenKeyring, row: SettingsRow | None) -> StoredSettings:
    if row is None:
        return EMPTY_SETTINGS
    scope = Scope(row.partner_id, row.tenant_id)
    return unseal_contents(registry.namespaces, scope, parse_columns(row.document, row.secrets), keyring)


def _make_inherited_layers(registry: Registry, partner: StoredSettings, plan: str | None) -> tuple[Layer, ...]:
    """Return the layers of a tenant's partner and its plan, lowest first."""
    declared_plan = registry.plans.get(plan) if plan is not None else None
    values = {
        (name, key): value
        for name, pairs in (declared_plan.settings if declared_plan else {}).items()
        for key, value in pairs.items()
    }
    return Layer(PARTNER, partner.values, partner.sealed.keys()), Layer(PLAN, values)


def _log_problems(session: Session, state: SettingsState) -> None:
    tenant, partner = state.owner.tenant, state.owner.partner
    owner = f"the tenant {tenant.id}" if tenant else f"the tenants of {partner!r}"
    for name, resolved in state.resolved.items():
        if resolved.invalid:
            log_invalid_values(session.storage, name, resolved, owner)
        if any(value is UNREADABLE for value in resolved.values.values()):
            log_unreadable_secrets(session.storage, name, resolved, owner)
