"""The extension: reads the configuration, checks the licence, mounts the API, and registers what a host adds to it."""

from __future__ import annotations

import functools
import logging
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, Flask, current_app
from marshmallow import Schema
from sqlalchemy import Engine

from .access.authority import Authority, enter_app_context
from .access.guard import Guard
from .access.tokens import TokenVerifier
from .config import PREFIX, Config, ConfigurationError
from .config_checks import INSTALL_LIMITER, has_flask_limiter
from .database.engine import resolve_engine
from .database.ids import make_uuid7
from .database.session import Storage
from .errors import ProvisioningError, iter_problem_classes
from .hooks import (
    ARCHIVE_ARGUMENTS,
    HOOK_ARGUMENTS,
    HOOK_OPERATIONS,
    STEP_ARGUMENTS,
    USAGE_ARGUMENTS,
    F,
    get_function_name,
    get_requested_arguments,
    require_sync_function,
    require_sync_schema,
)
from .isolated import PrivateApp, install_isolated_mount
from .keyring import get_cursor_secret, load_keyring, require_cursor_secret
from .licensing.document import LicenseError
from .licensing.source import LicenseSource
from .mount import Cursors, Mount
from .partners.cache import require_active_partner
from .registry import (
    DEPROVISIONING,
    PROVISIONING,
    ErrorMapping,
    Hook,
    Registry,
    Step,
    UsageFunction,
    get_plan_limits,
    is_name,
    make_plan,
    make_problem_class,
)
from .routes import ROUTES
from .settings.lifecycle import SettingsLifecycle
from .settings.namespaces import declare_namespace
from .settings.tenant_settings import TenantSettings, get_settings_cache
from .signals import send_signals
from .steps.export import EXPORT_STEP, ExportStep
from .steps.lifecycle import StepsLifecycle
from .tables import build_metadata
from .tenants.custom_field_checks import make_tenant_fields
from .tenants.hook_runner import HookRunner
from .tenants.models import make_custom_field_indexes
from .tenants.quotas import QuotaListener
from .web.blueprint import make_blueprint
from .web.docs_links import make_link
from .webhooks.client.resolver import Resolver
from .webhooks.client.ssrf import find_url_refusal
from .webhooks.fanout import Fanout, matches
from .workers.engines import make_engine

_CODE_PATTERN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class HookMethods:
    """Functions inside of transactions, and problems of what they raise."""

    hooks: Registry

    def hook(self, *operations: str, name: str | None = None, after: Sequence[str] = ()) -> Callable[[F], F]:
        """Run a function inside the very transaction of each of `operations`; what it raises refuses the whole write.

        ::

            @provisioning.hook("tenant.create")
            def open_workspace(session, tenant, principal):
                session.add(Workspace(tenant_id=tenant["tenant"]))

        It is given what it names of `session` (an ORM session in the tenant's own transaction), `tenant` (the document
        as it is now), `before` (as it was; None for a new one), `principal` and `operation`. It runs after the hooks
        that `after` names, otherwise by `name`, which is the function's unless given. It may run more than once, and
        be rolled back (`validate_only`): it does nothing but talk to the database.

        Raises `ConfigurationError` for an operation or a parameter that does not exist, a name that is taken, and a
        function that is asynchronous or a generator.
        """
        if not operations or (strangers := sorted({*operations} - {*HOOK_OPERATIONS})):
            found = f"not {strangers[0]!r}" if operations else "at least one"
            raise ConfigurationError(f"A hook names operations out of {', '.join(HOOK_OPERATIONS)}; {found}.")

        def register(function: F) -> F:
            require_sync_function(function, "hook")
            wants = get_requested_arguments(function, HOOK_ARGUMENTS, "hook")
            self.hooks.add(Hook(name or get_function_name(function), operations, function, tuple(after), wants))
            return function

        return register

    def map_error(
        self,
        cause: type[Exception] | str,
        *,
        status: int,
        code: str,
        title: str | None = None,
        detail: str | None = None,
        remedy: str | None = None,
        meaning: str | None = None,
        field: str | None = None,
    ) -> None:
        """Answer what hooks raise as a problem of the host's own, documented like the others.

        `cause` is a class of exception, or the name of one of the host's database constraints. `detail` is what the
        caller reads; by default the exception's own text, for a constraint the `title`. `field` puts the fault into
        the problem's `errors`, at that field.

        Raises `ConfigurationError` for a status that is no refusal, and for a code that is malformed or taken.
        """
        if status not in range(400, 500) or status == 401:
            raise ConfigurationError(f"map_error needs a status from 400 to 499 other than 401, not {status!r}.")
        if not _CODE_PATTERN.fullmatch(code) or code in {kind.code for kind in iter_problem_classes()}:
            raise ConfigurationError(f"map_error needs a code of its own, such as 'billing-refused', not {code!r}.")
        if not isinstance(cause, str) and not (isinstance(cause, type) and issubclass(cause, Exception)):
            raise ConfigurationError("map_error needs a class of exception or a constraint's name.")
        self.hooks.errors.append(ErrorMapping(cause, self._kind(code, status, title, remedy, meaning), detail, field))

    def _kind(
        self, code: str, status: int, title: str | None, remedy: str | None, meaning: str | None
    ) -> type[ProvisioningError]:
        """The class of this code, which several causes may share. Raises `ConfigurationError` for two statuses."""
        for kind in self.hooks.kinds():
            if kind.code == code:
                if kind.status != status:
                    raise ConfigurationError(f"The code {code!r} has the status {kind.status} already.")
                return kind
        made: type[ProvisioningError] = make_problem_class(code, status, title, remedy, meaning)
        return made


class StepMethods:
    """Steps, exports and the archive that keeps them."""

    hooks: Registry

    def step(
        self,
        name: str,
        *,
        undo: Callable[..., Any] | None = None,
        retries: int = 5,
        timeout: float = 60,
        backoff: float = 1,
        after: Sequence[str] = (),
        phase: str = PROVISIONING,
    ) -> Callable[[F], F]:
        """Run a function durably after a tenant's creation: until it succeeds, or has failed `retries` times more.

        ::

            @provisioning.step("bucket", undo=drop_bucket, after=["schema"])
            def make_bucket(tenant, context):
                context.save({"bucket": storage.create(key=context.idempotency_key)})

        It is given what it names of `tenant` (the document) and `context` (`StepContext`). It may run again, after a
        crash of its worker too; `context` helps it to take effect once. An attempt may take `timeout` seconds; the
        first of the further ones follows after `backoff` seconds, each next one after twice as long.

        A tenant with steps is `provisioning` until all have succeeded. Where one gives up it is `failed`, and `undo`,
        a function of the same kind, runs for each step that had begun, the last one first. Steps of the phase
        `deprovisioning` run before a tenant is removed for good; they have no undo.

        Raises `ConfigurationError` for what cannot be, such as a function that is asynchronous or a generator.
        """
        if phase not in (PROVISIONING, DEPROVISIONING) or (phase == DEPROVISIONING and undo):
            raise ConfigurationError(f"The phase of a step is {PROVISIONING!r}, or {DEPROVISIONING!r} without an undo.")
        if not is_name(name):
            raise ConfigurationError(f"A step's name is 1 to 100 of a-z, A-Z, 0-9, - _ and ., not {name!r}.")
        if type(retries) is not int or retries < 0 or timeout <= 0 or backoff < 0:
            raise ConfigurationError(f"The step {name!r} needs retries from 0 on and times above 0.")

        def register(function: F) -> F:
            require_sync_function(function, "step")
            get_requested_arguments(function, STEP_ARGUMENTS, "step")
            if undo is not None:
                require_sync_function(undo, "undo")
                get_requested_arguments(undo, STEP_ARGUMENTS, "undo")
            self.hooks.add_step(Step(name, phase, function, undo, retries, timeout, backoff, tuple(after)))
            return function

        return register

    def export(self, kind: str) -> Callable[[F], F]:
        """Write what a function yields (JSON objects) into the archive of each tenant that is removed for good.

        It is given what it names of `tenant` and `context`. The export is the first step of a deprovisioning: where it
        fails, nothing is removed. Raises `ConfigurationError` for a kind that is malformed or taken, and for an
        asynchronous function.
        """
        if not is_name(kind) or kind in {*self.hooks.exports, "archive", "tenant", "end"}:
            raise ConfigurationError(f"An export needs a kind of its own, of letters, digits, - _ and ., not {kind!r}.")

        def register(function: F) -> F:
            require_sync_function(function, "export", may_yield=True)
            get_requested_arguments(function, STEP_ARGUMENTS, "export")
            if not self.hooks.exports:
                step = Step(EXPORT_STEP, DEPROVISIONING, ExportStep(self.hooks), None, 5, 3600, 1, (), first=True)
                self.hooks.add_step(step)
            self.hooks.exports[kind] = function
            return function

        return register

    def archive(self, function: F) -> F:
        """Keep the archives of exported tenants with this function, such as ``to_folder("/srv/archives")``.

        It is given what it names of `name` (of the file), `stream` (binary, at its beginning), `sha256`, `tenant` and
        `context`, and returns where the archive is. For the same tenant it may be called again.
        Raises `ConfigurationError` for a function that is asynchronous or a generator.
        """
        require_sync_function(function, "archive")
        get_requested_arguments(function, ARCHIVE_ARGUMENTS, "archive")
        self.hooks.archive = function
        return function


class DeclarationMethods:
    """Fields, settings, plans, usages and rate limits."""

    hooks: Registry

    def tenant_fields(self, schema: type[Schema], *, filterable: Sequence[str] = ()) -> None:
        """Add the fields of a marshmallow schema to every tenant: to bodies, answers, events, hooks and documents.

        ::

            class Billing(Schema):
                region = fields.String(required=True, validate=OneOf(["eu", "us"]))
                seats = fields.Integer(load_default=1, validate=Range(min=1))

            provisioning.tenant_fields(Billing, filterable=["region"])

        What the schema dumps is kept as JSON, 16 KiB at most. `filterable` names fields that are a text (100
        characters at most), an integer, a flag, a date or a time: ``GET /tenants?region=eu``. Each has indexes of its
        own, which ``flask provisioning db upgrade`` makes, and drops once it is not filtered by any more.

        Raises `ConfigurationError` for a name that every tenant or list has already, for a field of which no JSON
        can be kept or that cannot be filtered by, and the second time.
        """
        if self.hooks.fields is not None:
            raise ConfigurationError("tenant_fields was called already: one schema holds all of the host's fields.")
        fields = make_tenant_fields(schema, filterable)
        require_sync_schema(fields.schema)
        self.hooks.fields = fields
        self._fields_declared()

    def _fields_declared(self) -> None:
        """What is to happen once the fields are known."""

    def settings(self, namespace: str, schema: type[Schema]) -> None:
        """Declare settings that tenants have, as the fields of a marshmallow schema, under the name `namespace`.

        ::

            class MailSettings(Schema):
                sender = fields.Email(data_key="from", load_default="noreply@example.com")
                daily = fields.Integer(strict=True, load_default=100, validate=Range(min=1))
                password = fields.String(metadata={"secret": True})
                region = fields.String(metadata={"immutable": True})

            provisioning.settings("mail", MailSettings)

        A field's ``load_default`` counts where neither the tenant, nor its plan, nor its partner sets another value.
        None is required: a key that nobody sets is absent. What is `secret` is encrypted at rest and shown to nobody;
        what is `immutable` cannot be changed once it has been set. The host reads them with `settings_for`.

        Raises `ConfigurationError` for a name that is malformed or taken, for a field of which no JSON can be kept, for
        defaults that the schema itself refuses, and for plans that set what the namespace does not take.
        """
        if namespace in self.hooks.namespaces:
            raise ConfigurationError(f"There is a namespace named {namespace!r} already.")
        if isinstance(schema, type) and issubclass(schema, Schema):
            require_sync_schema(schema())
        self.hooks.add_namespace(declare_namespace(namespace, schema))

    def plan(
        self,
        name: str,
        *,
        limits: Mapping[str, int] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Declare a plan that tenants can be put on; any other is then refused.

        ::

            provisioning.plan("pro", limits={"seats": 50}, settings={"mail": {"daily": 10_000}})

        `limits` are the host's own numbers by name, `settings` what a tenant's settings are by namespace where neither
        it nor its partner sets others. ``PROVISIONING_PLANS``, where it is set, names those that are on offer.

        Raises `ConfigurationError` for a name that is malformed or taken, for a limit that is no number from 0 on, and
        for settings that their namespace refuses, whichever of the two comes later.
        """
        if name in self.hooks.plans:
            raise ConfigurationError(f"There is a plan named {name!r} already.")
        self.hooks.add_plan(make_plan(name, limits or {}, settings or {}))

    def limits_for(self, plan: str | None) -> dict[str, int]:
        """What a tenant on `plan` may have, by the name of each limit that any plan has.

        What its plan does not name is 0, and so is everything on no plan and on one that is not declared: nobody has
        all there is by mistake.
        """
        return get_plan_limits(self.hooks.plans, plan)

    def usage(self, limit: str) -> Callable[[F], F]:
        """Say with a function how much of a `limit` a tenant uses: a plan that allows less is then refused to it.

        ::

            @provisioning.usage("seats")
            def seats(session, tenant):
                return session.scalar(select(func.count()).where(Seat.tenant_id == tenant["tenant"]))

        It is given what it names of `session` (an ORM session in the transaction that changes the plan) and `tenant`
        (the document as it was before), and returns a number. It runs only where a tenant goes from one plan to
        another, or to none; of a new tenant it is not asked. What it raises refuses the change, as in a hook.

        Raises `ConfigurationError` for a limit that is malformed or counted already, for a parameter that does not
        exist, and for a function that is asynchronous or a generator.
        """
        if not is_name(limit) or limit in self.hooks.usages:
            raise ConfigurationError(f"usage needs the name of a limit that no other function counts, not {limit!r}.")

        def register(function: F) -> F:
            require_sync_function(function, "usage")
            self.hooks.usages[limit] = UsageFunction(
                limit, function, get_requested_arguments(function, USAGE_ARGUMENTS, "usage")
            )
            return function

        return register

    def rate_limits(self, function: F) -> F:
        """Ask this function for a partner's own rate limits.

        ::

            @provisioning.rate_limits
            def limits(partner, route_class):
                return "6000/minute" if partner == "acme" and route_class == "read" else None

        It is given the partner's name and a class of routes (``read``, ``write`` or ``bulk``), and returns a limit as
        ``PROVISIONING_RATE_LIMITS`` has it, or None where that one counts. It may look into the database: a process
        asks it once a minute for each partner and class.

        Raises `ConfigurationError` where Flask-Limiter is not installed, for a function that is asynchronous or a
        generator, and the second time.
        """
        if self.hooks.rate_limits is not None:
            raise ConfigurationError("rate_limits was called already: one function knows every partner's limits.")
        if not has_flask_limiter():
            raise ConfigurationError(f"Rate limits need Flask-Limiter: {INSTALL_LIMITER}.")
        require_sync_function(function, "rate_limits function")
        self.hooks.rate_limits = function
        return function


class RegistrationMethods(HookMethods, StepMethods, DeclarationMethods):
    """What `TenantProvisioning` offers a host beside `init_app`."""

    def __init__(self) -> None:
        self.hooks = Registry()


logger = logging.getLogger(__name__)
EXTENSION_KEY = "tenant_provisioning"


class TenantProvisioning(RegistrationMethods):
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
        new_id: Callable[[], str] = make_uuid7,
        **settings: Any,
    ) -> None:
        super().__init__()
        require_sync_function(clock, "clock")
        require_sync_function(new_id, "new_id")
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
        mounts: dict[str, Mount] = app.extensions.setdefault(EXTENSION_KEY, {})
        read = Config.read(app.config, {**self._overrides, **settings})
        _require_free_place(app, mounts, self.name, read)
        license = LicenseSource(read, self._clock)
        authority = _make_authority(app, read)
        mount = Mount(
            name=self.name,
            settings=read,
            hooks=self.hooks,
            license=license,
            authority=authority,
            guard=Guard(
                TokenVerifier(read, self._clock, authority.verifying),
                read,
                lambda principal: require_active_partner(mount, principal),
            ),
            cursors=Cursors(get_cursor_secret(app, read) or ""),
            routes=ROUTES,
            open_storage=lambda: self._storage(app, db, mount),
            open_keyring=functools.partial(load_keyring, app, read),
            url_refusal=functools.partial(find_url_refusal, read, Resolver()),
            in_host=functools.partial(enter_app_context, app),
            engine=make_engine(read, lambda: mount),
        )
        self._blueprint = make_blueprint(mount)
        if _is_licensed(license, read):
            authority.require_key()
            require_cursor_secret(app, read)
            self._prepare(mount.storage, read, embedded=db is None and read.database_url is None)
            mount.app.register_blueprint(self._blueprint)
            if mount.app is app:
                _exempt_from_csrf(app, self._blueprint)
            else:
                install_isolated_mount(app, mount, mounts)
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
        return get_settings_cache(_get_current_mount(self.name)).get(tenant_id, partner)

    def docs_link(self, seconds: int = 3600) -> str:
        """The path of the API's documents with what opens them in a browser for so many seconds.

        For hosts with ``PROVISIONING_PUBLIC_DOCS=False``: show the link to people whom the host lets in. Where the
        documents are public it is their plain path. Raises `RuntimeError` outside of an application context.
        """
        return make_link(_get_current_mount(self.name), seconds)

    def _storage(self, app: Flask, db: Any, mount: Mount) -> Storage:
        settings = mount.settings
        engine, ours = resolve_engine(app, db, settings)
        return Storage(
            engine,
            build_metadata(settings.table_prefix),
            attempts=settings.transaction_attempts,
            clock=self._clock,
            new_id=self._new_id,
            autocommit=ours,
            pooler=settings.database_pooler,
            hooks=self.hooks,
            reactions=(
                HookRunner(self.hooks, mount.in_host),
                StepsLifecycle(self.hooks),
                QuotaListener(settings.partner_cache_seconds),
                SettingsLifecycle(lambda: mount.keyring),
            ),
            context=mount.in_host,
            wake=lambda keys: mount.engine.wake(keys),
            announce=lambda events: _notify_committed(mount, events),
            followers=(Fanout(matches),),
        )

    def _prepare(self, storage: Storage, settings: Config, *, embedded: bool) -> None:
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
        upgrade(engine, prefix, indexes=None if fields is None else make_custom_field_indexes(prefix, fields))


def _get_current_mount(name: str) -> Mount:
    """The mount of this name in the current app. Raises `RuntimeError` where there is none."""
    mounts: dict[str, Mount] = current_app.extensions.get(EXTENSION_KEY, {})
    if name not in mounts:
        raise RuntimeError(f"{current_app.name!r} has no mount {name!r}: call provisioning.init_app(app) first.")
    return mounts[name]


def _notify_committed(mount: Mount, events: Sequence[Mapping[str, Any]]) -> None:
    """Let the engine and the host know what has been committed."""
    get_settings_cache(mount).invalidate(events)
    mount.engine.notify_events()
    send_signals(events, mount.in_host)


def _require_free_place(app: Flask, mounts: dict[str, Mount], name: str, settings: Config) -> None:
    """Raise `ConfigurationError` where the mount's name or its prefix is taken."""
    if name in mounts:
        raise ConfigurationError(
            f"This app has a mount named {name!r} already; "
            f"give the second one a name and a prefix: TenantProvisioning(name='eu', url_prefix='/eu')."
        )
    if settings.mount == "blueprint" and name in app.blueprints:
        raise ConfigurationError(
            f"This app has a blueprint named {name!r} already; "
            f"give the mount another name: TenantProvisioning(name='partners')."
        )
    for other in mounts.values():
        if other.settings.url_prefix == settings.url_prefix:
            raise ConfigurationError(
                f"The mount {other.name!r} is at {settings.url_prefix!r} already; "
                f"give {name!r} a prefix: TenantProvisioning(name={name!r}, url_prefix='/{name}')."
            )


def _is_licensed(license: LicenseSource, settings: Config) -> bool:
    """Whether a licence lets it mount; where none does, a line of the log says why."""
    if settings.edition == "community":
        advice = "PROVISIONING_EDITION is 'community'. Set it to 'enterprise' to use the licence."
        logger.info("the provisioning API is not mounted: %s", advice, extra={"reason": "community"})
        return False
    try:
        license.load()
    except LicenseError as error:
        logger.warning("the provisioning API is not mounted: %s", error, extra={"reason": error.reason})
        return False
    return True


def _make_authority(app: Flask, settings: Config) -> Authority:
    """Who vouches for the mount's tokens, and serves it: the host, or a private app."""
    if settings.mount == "isolated":
        return PrivateApp(app, settings).authority
    if settings.own_jwt:
        names = ", ".join(PREFIX + name for name in settings.own_jwt)
        logger.warning(
            "%s: without effect, since PROVISIONING_MOUNT is not 'isolated'; the JWT_* keys count",
            names,
            extra={"keys": names},
        )
    return Authority(app, app)


def _exempt_from_csrf(app: Flask, blueprint: Blueprint) -> None:
    """Tell a host-wide Flask-WTF `CSRFProtect` that this blueprint reads no cookie."""
    flask_wtf, csrf = sys.modules.get("flask_wtf.csrf"), app.extensions.get("csrf")
    if flask_wtf is not None and isinstance(csrf, flask_wtf.CSRFProtect):
        csrf.exempt(blueprint)
        name = blueprint.name
        logger.info(
            "the blueprint %r is exempt from CSRFProtect: it reads bearer tokens, no cookie",
            name,
            extra={"mount": name},
        )
