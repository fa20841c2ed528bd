"""The extension itself: reads the configuration, checks the licence, and mounts the API as a guest."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, Flask, current_app
from sqlalchemy import Engine

from .access import Guard
from .access.tokens import Tokens
from .blueprint import ROUTES, make_blueprint
from .callables import require_plain
from .config import Settings
from .database.engine import resolve
from .database.identifiers import uuid7
from .database.storage import Storage
from .engine.choosing import engine_of
from .hosting import exempt_from_csrf, inside, keyring, require_secret, secret
from .licensing import LicenseSource
from .mounting import authority_of, is_licensed, isolate, require_place
from .partners.standing import require_standing
from .registration import Registration
from .schema import metadata
from .settings.reacting import Belongings
from .settings.reading import readings
from .settings.view import TenantSettings
from .signals import announce
from .steps.planning import Planning
from .tenants.consulting import Consultation
from .tenants.own_indexes import own_indexes
from .tenants.quotas import Quotas
from .web.cursors import Cursors
from .web.docs_links import make_link
from .web.mount import Mount
from .webhooks.allowed import refusal_of
from .webhooks.fanout import Fanout
from .webhooks.globs import matches
from .webhooks.resolver import Resolver

logger = logging.getLogger(__name__)

KEY = "tenant_provisioning"


class TenantProvisioning(Registration):
    """Mounts the provisioning API on a Flask app, where a licence allows it.

    ::

        provisioning = TenantProvisioning()
        provisioning.init_app(app, db)

    `db` is a Flask-SQLAlchemy object, an `Engine`, a URL, or None for a SQLite file in the instance folder.
    Keyword `settings` override ``PROVISIONING_*`` keys for this mount: ``url_prefix="/eu"``. A second mount in
    one app needs a `name` of its own. `clock` gives seconds since 1970, `new_id` the ids of tenants and events.

    The API reads its bearer tokens from the ``Authorization`` header and no cookie, so nobody can forge a request
    by way of a browser. A `CSRFProtect` that the app has already is therefore told to leave the API alone; one that
    comes later would refuse what partners send until the host does so: ``csrf.exempt(provisioning.blueprint)``.

    ``mount="isolated"`` (or ``PROVISIONING_MOUNT``) serves it by a private app behind the prefix, for hosts whose
    hooks, walls or user lookup would come between; `flask provisioning doctor` says where they would.
    """

    def __init__(
        self,
        app: Flask | None = None,
        db: Any = None,
        *,
        name: str = "provisioning",
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = uuid7,
        **settings: Any,
    ) -> None:
        super().__init__()
        require_plain(clock, "clock")
        require_plain(new_id, "new_id")
        self.name = name
        self._clock = clock
        self._new_id = new_id
        self._overrides = settings
        self._blueprint: Blueprint | None = None
        self._db = db
        self._kept: list[tuple[Engine, str]] = []
        if app is not None:
            self.init_app(app)

    @property
    def blueprint(self) -> Blueprint:
        """What the latest `init_app` mounted, or would have mounted with a licence. Raises `RuntimeError` before it."""
        if self._blueprint is None:
            raise RuntimeError("Call provisioning.init_app(app) first.")
        return self._blueprint

    def init_app(self, app: Flask, db: Any = None, **settings: Any) -> None:
        """Mount the API on `app`. Without a licence nothing is mounted, the app starts, and one log line says why.

        Raises `ConfigurationError` that says what to do about every key at fault.
        """
        if db is None:
            db = self._db
        self.hooks.check()
        mounts: dict[str, Mount] = app.extensions.setdefault(KEY, {})
        read = Settings.read(app.config, {**self._overrides, **settings})
        require_place(app, mounts, self.name, read)
        license = LicenseSource(read, self._clock)
        authority = authority_of(app, read)
        mount = Mount(
            name=self.name,
            settings=read,
            hooks=self.hooks,
            license=license,
            authority=authority,
            guard=Guard(
                Tokens(read, self._clock, authority.verifying),
                read,
                lambda principal: require_standing(mount, principal),
            ),
            cursors=Cursors(secret(app, read) or ""),
            routes=ROUTES,
            open_storage=lambda: self._storage(app, db, mount),
            open_keyring=functools.partial(keyring, app, read),
            url_refusal=functools.partial(refusal_of, read, Resolver()),
            in_host=functools.partial(inside, app),
            engine=engine_of(read, lambda: mount),
        )
        self._blueprint = make_blueprint(mount)
        if is_licensed(license, read):
            authority.require_key()
            require_secret(app, read)
            self._prepare(mount.storage, read, embedded=db is None and read.database_url is None)
            mount.app.register_blueprint(self._blueprint)
            if mount.app is app:
                exempt_from_csrf(app, self._blueprint)
            else:
                isolate(app, mount, mounts)
        mounts[self.name] = mount

    def settings_for(self, tenant_id: str, *, partner: str | None = None) -> TenantSettings:
        """The settings of a tenant, by namespace: what counts for it, as the schemas load it, secrets in clear.

        ::

            sender = provisioning.settings_for(tenant_id).mail.sender

        They cannot be changed: lists are tuples, and dicts are read-only. What this process changes is seen at once,
        what others do within ``PROVISIONING_SETTINGS_CACHE_SECONDS``. In a hook they are read in its transaction. The
        mount is that of the current app. `partner`, where it is known, spares the search for whose tenant it is.

        Raises `TenantNotFound`, and `RuntimeError` outside of an application context.
        """
        return readings(_current(self.name)).of(tenant_id, partner)

    def docs_link(self, seconds: int = 3600) -> str:
        """The path of the API's documents with what opens them in a browser for so many seconds.

        For hosts with ``PROVISIONING_PUBLIC_DOCS=False``: show the link to people whom the host lets in. Where the
        documents are public it is their plain path. Raises `RuntimeError` outside of an application context.
        """
        return make_link(_current(self.name), seconds)

    def _storage(self, app: Flask, db: Any, mount: Mount) -> Storage:
        settings = mount.settings
        engine, ours = resolve(app, db, settings)
        return Storage(
            engine,
            metadata(settings.table_prefix),
            attempts=settings.transaction_attempts,
            clock=self._clock,
            new_id=self._new_id,
            autocommit=ours,
            pooler=settings.database_pooler,
            hooks=self.hooks,
            reactions=(
                Consultation(self.hooks, mount.in_host),
                Planning(self.hooks),
                Quotas(settings.partner_cache_seconds),
                Belongings(lambda: mount.keyring),
            ),
            context=mount.in_host,
            wake=lambda keys: mount.engine.wake(keys),
            announce=lambda events: _tell(mount, events),
            followers=(Fanout(matches),),
        )

    def _prepare(self, storage: Storage, settings: Settings, *, embedded: bool) -> None:
        """Bring the tables up to date, where the host wants that at start."""
        if settings.auto_migrate or (settings.auto_migrate is None and embedded):
            self._kept.append((storage.engine, settings.table_prefix))
            self._upgrade(storage.engine, settings.table_prefix)

    def _fields_declared(self) -> None:
        """Index the fields in the tables that are brought up to date at start, where that was before."""
        for engine, prefix in self._kept:
            self._upgrade(engine, prefix)

    def _upgrade(self, engine: Engine, prefix: str) -> None:
        """Migrate, and index what the host declared; while it has declared nothing, it may yet."""
        from .database.migration import upgrade

        fields = self.hooks.fields
        upgrade(engine, prefix, indexes=None if fields is None else own_indexes(prefix, fields))


def _current(name: str) -> Mount:
    """The mount of this name in the current app. Raises `RuntimeError` where there is none."""
    mounts: dict[str, Mount] = current_app.extensions.get(KEY, {})
    if name not in mounts:
        raise RuntimeError(f"{current_app.name!r} has no mount {name!r}: call provisioning.init_app(app) first.")
    return mounts[name]


def _tell(mount: Mount, events: Sequence[Mapping[str, Any]]) -> None:
    """Let the engine and the host know what has been committed."""
    readings(mount).forget(events)
    mount.engine.happened()
    announce(events, mount.in_host)
