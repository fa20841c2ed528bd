"""The settings of one owner as they are: a tenant's, or those that a partner gives its tenants."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..database import Session
from ..hooks import Hooks
from ..tenants.models import Tenant
from .kept import NOTHING, Flat, Kept, Namespaces, OpenKeyring, Path, Place, is_secret, nested, opened, parse
from .layers import PARTNER, PLAN, TENANT, Layer, Settled, complain, complain_of_lost, defaults, settled
from .models import NOBODY, Stored
from .statements import SettingsSQL

#: How a secret is shown. A client that sends it back leaves the secret as it is.
MASK = "********"


class Owner(NamedTuple):
    """Whose settings are meant: a tenant's, or where that is None the partner's, which are its tenants' defaults."""

    partner: str
    tenant: Tenant | None = None

    @property
    def place(self) -> Place:
        """Where they are kept."""
        return Place(self.partner, self.tenant.id if self.tenant else NOBODY)

    @property
    def source(self) -> str:
        """What their values come from, as it is shown."""
        return TENANT if self.tenant else PARTNER


class State(NamedTuple):
    """What an owner sets, in which version (0: never anything), what lies `beneath` it, and what counts.

    `row` is where it is kept, None in version 0.
    """

    owner: Owner
    namespaces: Namespaces
    version: int
    updated_at: str | None
    kept: Kept
    beneath: tuple[Layer, ...]
    settled: dict[str, Settled]
    row: Stored | None

    def explicit(self) -> Flat:
        """What the owner sets, but for what the schemas do not take any more."""
        dropped = {
            (name, key) for name, one in self.settled.items() for source, key in one.dropped if source == self.source
        }
        return {path: value for path, value in self.kept.values.items() if path not in dropped}

    @property
    def source(self) -> str:
        """What the owner's values come from."""
        return self.owner.source

    def document(self) -> dict[str, Any]:
        """The settings as the contract shows them (§4)."""
        sources = {(name, key): source for name, one in self.settled.items() for key, source in one.sources.items()}
        effective = {(name, key): value for name, one in self.settled.items() for key, value in one.values.items()}
        explicit = self.explicit()
        return {
            "version": self.version,
            "effective": nested({path: self._shown(path, value, sources[path]) for path, value in effective.items()}),
            "explicit": nested({path: self._shown(path, value, self.source) for path, value in explicit.items()}),
            "sources": {".".join(path): source for path, source in sources.items()},
        }

    def _shown(self, path: Path, value: Any, source: str) -> Any:
        sealed = next((one.sealed for one in self.layers() if one.source == source), ())
        return MASK if path in sealed or is_secret(self.namespaces, path) else value

    def layers(self) -> tuple[Layer, ...]:
        """Everything that counts, the lowest first."""
        return (*self.beneath, Layer(self.source, self.kept.values, self.kept.sealed.keys()))


def state(session: Session, keyring: OpenKeyring, owner: Owner) -> State:
    """The owner's settings."""
    hooks, sql = session.storage.hooks, session.storage.once(SettingsSQL)
    where = {"partner_id": owner.partner, "tenant_id": owner.place.tenant}
    rows = {row[1]: Stored._make(row) for row in session.run(sql.read, where).fetchall()}
    own, partners = rows.get(owner.place.tenant), rows.get(NOBODY)
    kept = _kept(hooks, keyring, own)
    given = _given(hooks, _kept(hooks, keyring, partners), owner.tenant.plan) if owner.tenant else ()
    beneath = (defaults(hooks.namespaces), *given)
    version, updated_at = (own.version, own.updated_at) if own else (0, None)
    found = State(owner, hooks.namespaces, version, updated_at, kept, beneath, {}, own)
    found.settled.update({name: settled(one, found.layers()) for name, one in hooks.namespaces.items()})
    _complain(session, found)
    return found


def _kept(hooks: Hooks, keyring: OpenKeyring, row: Stored | None) -> Kept:
    if row is None:
        return NOTHING
    place = Place(row.partner_id, row.tenant_id)
    return opened(hooks.namespaces, place, parse(row.document, row.secrets), keyring)


def _given(hooks: Hooks, partners: Kept, plan: str | None) -> tuple[Layer, ...]:
    """What a tenant's partner gives it, and over that its plan."""
    sold = hooks.plans.get(plan) if plan is not None else None
    values = {(name, key): one for name, pairs in (sold.settings if sold else {}).items() for key, one in pairs.items()}
    return Layer(PARTNER, partners.values, partners.sealed.keys()), Layer(PLAN, values)


def _complain(session: Session, found: State) -> None:
    tenant, partner = found.owner.tenant, found.owner.partner
    whose = f"the tenant {tenant.id}" if tenant else f"the tenants of {partner!r}"
    for name, one in found.settled.items():
        complain(session.storage, name, one, whose)
        complain_of_lost(session.storage, name, one, whose)
