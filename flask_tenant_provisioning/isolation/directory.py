"""The tenants that one process has looked up for the host's own requests, tasks and commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from flask import current_app

from ..cache import TTLCache
from ..database.session import Session
from ..errors import NotFound, StorageUnavailable, TenantNotFound
from ..mount import Mount
from ..mounts import Mounts, get_mounts
from ..tenants.models import Tenant
from ..tenants.mutations import find_living_tenant, load_tenant_in_any_state
from ..web.request import parse_id
from .refusals import TenantNotReady, TenantsUnreachable, TenantUnavailable, TenantUnknown
from .tenant import CurrentTenant

#: The maximum number of entries in each cache of one process.
MAX_TENANTS = 10_000
#: The maximum number of names without an active tenant, which callers may send at will.
MAX_ABSENT = 1_000
#: The maximum number of seconds for which a process believes that a tenant is absent, or not active.
ABSENT_SECONDS = 1.0


class _Absent(NamedTuple):
    """Nothing is known by a name. `tenant` is the one that is known, but not active."""

    partner: str | None
    tenant: CurrentTenant | None = None


class TenantDirectory:
    """The cached tenants of a mount; ``mount.once(TenantDirectory)`` is a mount's.

    Changes by this process are seen at once, those of other processes within `PROVISIONING_TENANT_CACHE_SECONDS`, or
    `ABSENT_SECONDS` if the tenant was absent or not active. A found tenant costs no query until then.
    """

    def __init__(self, mount: Mount) -> None:
        self._storage = mount.storage
        clock, seconds = mount.storage.clock, mount.config.tenant_cache_seconds
        brief = min(seconds, ABSENT_SECONDS)
        self._active: TTLCache[str, CurrentTenant | None] = TTLCache(clock, seconds, MAX_TENANTS)
        self._absent: TTLCache[object, _Absent | None] = TTLCache(clock, brief, MAX_ABSENT)
        self._ids: TTLCache[tuple[str, str], str | None] = TTLCache(clock, seconds, MAX_TENANTS)
        self._found: TTLCache[tuple[object, str], str | None] = TTLCache(clock, seconds, MAX_TENANTS)
        mount.storage.subscribe(self.invalidate)

    def get(self, tenant_id: str) -> CurrentTenant | None:
        """Return the tenant with this id in any state, or None. Raises `TenantsUnreachable`."""
        try:
            id = parse_id(tenant_id, TenantNotFound)
        except NotFound:
            return None
        if self._storage.current_session is not None:  # what a hook's transaction shows may yet be rolled back
            return cast(CurrentTenant | None, self._read(lambda session: _find_tenant(session, id)))
        tenant = self._active.get(id)
        if tenant is not None:
            return tenant
        absent = self._absent.get(id)
        return self._load(id) if absent is None else absent.tenant

    def get_by_external_id(self, partner: str, external_id: str) -> CurrentTenant | None:
        """Return a partner's tenant that is not deleted, or None. Raises `TenantsUnreachable`."""
        if self._storage.current_session is not None:
            id = self._read(lambda session: find_living_tenant(session, partner, external_id))
            return None if id is None else self.get(id)
        key = partner, external_id
        id = self._ids.get(key)
        if id is not None:
            tenant = self.get(id)
            if tenant is not None and tenant.status != "deleted" and (tenant.partner, tenant.external_id) == key:
                return tenant
            self._ids.invalidate([key])
        if self._absent.get(key) is not None:
            return None
        id = self._ids.load(key, lambda: self._read(lambda session: find_living_tenant(session, partner, external_id)))
        if id is None:
            self._absent.load(key, lambda: _Absent(partner))
            return None
        return self.get(id)

    def find_id(self, find: Callable[[str], Any], name: str) -> str | None:
        """Return the id that a function of the host's finds for a name, or None."""
        key = find, name
        if self._absent.get(key) is not None:
            return None
        id = self._found.get(key) or self._found.load(key, lambda: find(name) or None)
        if id is None:
            self._absent.load(key, lambda: _Absent(None))
        return None if id is None else str(id)

    def invalidate(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Drop the tenants that these events have changed, and what was absent of their partners."""
        ids = {event["tenant_id"] for event in events if event["tenant_id"]}
        if ids:
            self._active.invalidate(ids)
            self._absent.invalidate(ids)
            partners = {event["partner_id"] for event in events}
            self._absent.invalidate_where(lambda absent: absent is not None and absent.partner in partners)

    def forget(self) -> None:
        """Drop everything, also what the host's functions have found."""
        for cache in (self._active, self._absent, self._ids, self._found):
            cache.invalidate_where(lambda _: True)

    def _load(self, tenant_id: str) -> CurrentTenant | None:
        """Read a tenant and cache it, or that it is absent; neither if it is changed in the meantime."""
        read: list[CurrentTenant | None] = []

        def read_active() -> CurrentTenant | None:
            read.append(self._read(lambda session: _find_tenant(session, tenant_id)))
            return read[0] if read[0] is not None and read[0].status == "active" else None

        def read_absent() -> _Absent | None:
            if self._active.load(tenant_id, read_active) is not None:
                return None
            return _Absent(None if read[0] is None else read[0].partner, read[0])

        self._absent.load(tenant_id, read_absent)
        return read[0]

    def _read(self, work: Callable[[Session], Any]) -> Any:
        """Run `work` in the unit of work of this thread, such as a hook's, or in one of its own."""
        running = self._storage.current_session
        try:
            return work(running) if running is not None else self._storage.read(work)
        except StorageUnavailable as error:
            raise TenantsUnreachable from error


def _find_tenant(session: Session, tenant_id: str) -> CurrentTenant | None:
    try:
        row = load_tenant_in_any_state(session, None, tenant_id)
    except TenantNotFound:
        return None
    return _make_current_tenant(row)


def _make_current_tenant(row: Tenant) -> CurrentTenant:
    status = "deleted" if row.status == "purging" else row.status
    return CurrentTenant(row.id, row.partner_id, row.external_id, row.client_name, row.plan, status)


def get_directory(mount_name: str) -> TenantDirectory:
    """Return the directory of a mount of the current app. Raises `RuntimeError` if there is no such mount."""
    mounts: Mounts[Mount] = get_mounts(current_app)
    if mount_name not in mounts:
        raise RuntimeError(f"{current_app.name!r} has no mount {mount_name!r}: call provisioning.init_app(app) first.")
    return mounts[mount_name].once(TenantDirectory)


def look_up(mount_name: str, tenant_id: str, *, any_status: bool = False) -> CurrentTenant:
    """Return a tenant of a mount of the current app. Raises what `require_usable` raises."""
    return require_usable(get_directory(mount_name).get(tenant_id), any_status=any_status)


def require_usable(tenant: CurrentTenant | None, *, any_status: bool = False) -> CurrentTenant:
    """Return a tenant that is active.

    Raises `TenantUnknown` for None and, unless `any_status`, `TenantNotReady` while it is being provisioned and
    `TenantUnavailable` in every other state.
    """
    if tenant is None:
        raise TenantUnknown
    if tenant.status == "active" or any_status:
        return tenant
    if tenant.status == "provisioning":
        raise TenantNotReady(tenant.id, tenant.status)
    raise TenantUnavailable(tenant.id, tenant.status)
