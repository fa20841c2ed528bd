"""Load the settings of one owner and resolve their effective values.

For each key, the tenant's value takes precedence over its plan's, its partner's and the default.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    loaded: Any
    dropped: frozenset[tuple[str, str]]


def make_default_layer(namespaces: Namespaces) -> Layer:
    """Return the lowest layer: the declared defaults."""
    found = {(name, key): value for name, one in namespaces.items() for key, value in one.defaults.items()}
    return Layer(DEFAULT, found)


def resolve(namespace: Namespace, layers: Iterable[Layer]) -> ResolvedNamespace:
    """Return the effective values of `namespace` from `layers`, lowest first.

    A value that the schema rejects is ignored, and the value of the next lower layer is used.
    """
    left = [(layer.source, _select_namespace(namespace, layer)) for layer in layers]
    dropped: set[tuple[str, str]] = set()
    while True:
        values, sources = _merge_layers(left)
        try:
            loaded = namespace.load({key: value for key, value in values.items() if value is not UNREADABLE})
        except ValidationError as error:
            refused = _find_refused(error, left, sources)
            if not refused:
                raise
            dropped |= refused
            left = [(name, _drop_refused(refused, name, held)) for name, held in left]
        else:
            return ResolvedNamespace(values, sources, loaded, frozenset(dropped))


def log_invalid_values(storage: Storage, namespace: str, found: ResolvedNamespace, whose: str) -> None:
    """Log each invalid value once per process and key, without quoting it."""
    for source, key in sorted(found.dropped):
        if _is_first_report(storage, (namespace, key, source)):
            logger.warning(
                "settings of %s: %s, set by the %s, is not valid and is ignored",
                whose,
                f"{namespace}.{key}",
                source,
                extra={"key": f"{namespace}.{key}", "source": source},
            )


def log_unreadable_secrets(storage: Storage, namespace: str, found: ResolvedNamespace, whose: str) -> None:
    """Log each secret that cannot be opened, once per process and key."""
    for key, value in found.values.items():
        source = found.sources[key] if value is UNREADABLE else ""
        if value is UNREADABLE and _is_first_report(storage, (namespace, key, source, "lost")):
            logger.warning(
                "settings of %s: %s, set by the %s, cannot be opened",
                whose,
                f"{namespace}.{key}",
                source,
                extra={"key": f"{namespace}.{key}", "source": source},
            )


def _is_first_report(storage: Storage, kind: tuple[str, ...]) -> bool:
    """Return whether this process has not logged `kind` before, and record it as logged."""
    told: set[tuple[str, ...]] = storage.once(_make_reported_set)
    is_new = kind not in told
    told.add(kind)
    return is_new


def _make_reported_set(_storage: Storage) -> set[tuple[str, ...]]:
    return set()


def _select_namespace(namespace: Namespace, layer: Layer) -> dict[str, Any]:
    found = {key: value for (name, key), value in layer.values.items() if name == namespace.name}
    return {key: value for key, value in found.items() if key in namespace.keys}


def _merge_layers(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, held in layers:
        values |= held
        sources |= dict.fromkeys(held, source)
    return values, sources


def _find_refused(
    error: ValidationError, layers: Sequence[tuple[str, Mapping[str, Any]]], sources: Mapping[str, str]
) -> set[tuple[str, str]]:
    """Return (source, key) of the rejected values: those that the error names, else all of the highest layer."""
    named = error.messages if isinstance(error.messages, dict) else {}
    found = {(sources[key], key) for key in named if sources.get(key, DEFAULT) != DEFAULT}
    if found:
        return found
    held = [(source, key) for source, values in layers for key in values if source != DEFAULT]
    return {(source, key) for source, key in held if source == held[-1][0]}


def _drop_refused(refused: Collection[tuple[str, str]], source: str, held: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in held.items() if (source, key) not in refused}


#: Shown in place of a secret. Sending it back leaves the secret unchanged.
MASK = "********"


class Owner(NamedTuple):
    """The owner of settings: a tenant, or if `tenant` is None the partner, whose settings are its tenants' defaults."""

    partner: str
    tenant: Tenant | None = None

    @property
    def place(self) -> Scope:
        """The scope that the settings are stored under."""
        return Scope(self.partner, self.tenant.id if self.tenant else PARTNER_SCOPE)

    @property
    def source(self) -> str:
        """The name of the owner's layer, as `sources` shows it."""
        return TENANT if self.tenant else PARTNER


class SettingsState(NamedTuple):
    """The settings of one owner.

    `version` is 0 and `row` None until something is set. `stored` is what the owner sets, `inherited` the layers below
    it, and `resolved` the effective values by namespace.
    """

    owner: Owner
    namespaces: Namespaces
    version: int
    updated_at: str | None
    kept: StoredSettings
    beneath: tuple[Layer, ...]
    settled: dict[str, ResolvedNamespace]
    row: SettingsRow | None

    def explicit(self) -> FlatSettings:
        """Return what the owner sets, without values that the schemas no longer accept."""
        dropped = {
            (name, key) for name, one in self.settled.items() for source, key in one.dropped if source == self.source
        }
        return {path: value for path, value in self.kept.values.items() if path not in dropped}

    @property
    def source(self) -> str:
        """The name of the owner's layer."""
        return self.owner.source

    def document(self) -> dict[str, Any]:
        """Return the settings as the API shows them (contract §4), with secrets masked."""
        sources = {(name, key): source for name, one in self.settled.items() for key, source in one.sources.items()}
        effective = {(name, key): value for name, one in self.settled.items() for key, value in one.values.items()}
        explicit = self.explicit()
        return {
            "version": self.version,
            "effective": nest({path: self._shown(path, value, sources[path]) for path, value in effective.items()}),
            "explicit": nest({path: self._shown(path, value, self.source) for path, value in explicit.items()}),
            "sources": {".".join(path): source for path, source in sources.items()},
        }

    def _shown(self, path: SettingPath, value: Any, source: str) -> Any:
        sealed = next((one.sealed for one in self.layers() if one.source == source), ())
        return MASK if path in sealed or is_secret(self.namespaces, path) else value

    def layers(self) -> tuple[Layer, ...]:
        """Return all layers, lowest first."""
        return (*self.beneath, Layer(self.source, self.kept.values, self.kept.sealed.keys()))


def load_state(session: Session, keyring: OpenKeyring, owner: Owner) -> SettingsState:
    """Load the settings of one owner and resolve them; log values that are invalid or unreadable."""
    hooks, sql = session.storage.hooks, session.storage.once(SettingsSQL)
    where = {"partner_id": owner.partner, "tenant_id": owner.place.tenant}
    rows = {row[1]: SettingsRow._make(row) for row in session.run(sql.read, where).fetchall()}
    own, partners = rows.get(owner.place.tenant), rows.get(PARTNER_SCOPE)
    kept = _decode_row(hooks, keyring, own)
    given = (
        _make_inherited_layers(hooks, _decode_row(hooks, keyring, partners), owner.tenant.plan) if owner.tenant else ()
    )
    beneath = (make_default_layer(hooks.namespaces), *given)
    version, updated_at = (own.version, own.updated_at) if own else (0, None)
    found = SettingsState(owner, hooks.namespaces, version, updated_at, kept, beneath, {}, own)
    found.settled.update({name: resolve(one, found.layers()) for name, one in hooks.namespaces.items()})
    _log_problems(session, found)
    return found


def _decode_row(hooks: Registry, keyring: OpenKeyring, row: SettingsRow | None) -> StoredSettings:
    if row is None:
        return EMPTY_SETTINGS
    place = Scope(row.partner_id, row.tenant_id)
    return unseal_contents(hooks.namespaces, place, parse_columns(row.document, row.secrets), keyring)


def _make_inherited_layers(hooks: Registry, partners: StoredSettings, plan: str | None) -> tuple[Layer, ...]:
    """Return the layers of a tenant's partner and its plan, lowest first."""
    sold = hooks.plans.get(plan) if plan is not None else None
    values = {(name, key): one for name, pairs in (sold.settings if sold else {}).items() for key, one in pairs.items()}
    return Layer(PARTNER, partners.values, partners.sealed.keys()), Layer(PLAN, values)


def _log_problems(session: Session, found: SettingsState) -> None:
    tenant, partner = found.owner.tenant, found.owner.partner
    whose = f"the tenant {tenant.id}" if tenant else f"the tenants of {partner!r}"
    for name, one in found.settled.items():
        log_invalid_values(session.storage, name, one, whose)
        log_unreadable_secrets(session.storage, name, one, whose)
