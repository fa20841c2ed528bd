"""The Flask extension: reads the configuration, checks the licence, mounts the API, and offers the host's
registrations.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from flask import Blueprint, Flask, current_app

from .config import PERMISSIONS, PREFIX, Config, ConfigurationError
from .config_checks import INSTALL_LIMITER, has_flask_limiter
from .database.ids import make_uuid7
from .errors import ProvisioningError, iter_problem_classes
from .hooks import (
    ARCHIVE_ARGUMENTS,
    HOOK_ARGUMENTS,
    HOOK_OPERATIONS,
    INVITE_ARGUMENTS,
    STEP_ARGUMENTS,
    USAGE_ARGUMENTS,
    F,
    get_function_name,
    get_requested_arguments,
    require_sync_function,
    require_sync_schema,
)
from .licensing.document import LicenseError
from .licensing.source import LicenseSource
from .mounts import EXTENSION_KEY, Mounts, get_mounts
from .registry import (
    DEPROVISIONING,
    PROVISIONING,
    ErrorMapping,
    Hook,
    InviteFunction,
    Permission,
    Registry,
    Step,
    UsageFunction,
    get_plan_limits,
    is_name,
    make_plan,
    make_problem_class,
)

if TYPE_CHECKING:
    from marshmallow import Schema

    from .invitations.context import Invitation
    from .isolation.declaration import Isolation
    from .isolation.tenant import CurrentTenant
    from .mount import Mount
    from .settings.tenant_settings import TenantSettings

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
_CODE_PATTERN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: The form of a permission's name, which is also a scope of OAuth (RFC 6749 §3.3).
_PERMISSION_PATTERN = re.compile(r"[a-z][a-z0-9_-]{0,49}(:[a-z][a-z0-9_-]{0,49}){1,3}")


class TenantProvisioning:
    """Mounts the provisioning API on a Flask app, where a licence allows it.

    ::

        provisioning = TenantProvisioning()
        provisioning.init_app(app, db)

    `db` is a Flask-SQLAlchemy object, an `Engine`, a URL, or None for the database of ``PROVISIONING_DATABASE_URL``,
    which is by default a SQLite file in the instance folder.
    Keyword `overrides` replace ``PROVISIONING_*`` keys for this mount: ``url_prefix="/eu"``. A second mount in
    one app needs its own `name`. `clock` returns seconds since 1970, `new_id` the ids of tenants and events.

    The API reads bearer tokens from the ``Authorization`` header, and no operation reads a cookie, so that a browser
    cannot be used to forge requests. A `CSRFProtect` that the app already has is therefore told to exempt the API. One
    that is created later refuses the partners' requests until the host exempts it:
    ``csrf.exempt(provisioning.blueprint)``.

    ``mount="isolated"`` (or ``PROVISIONING_MOUNT``) serves the API by a private app below the prefix, for hosts whose
    request hooks, login walls or user lookup would interfere; `flask provisioning doctor` reports where they do.
    """

    def __init__(
        self,
        app: Flask | None = None,
        db: Any = None,
        *,
        name: str = "provisioning",
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = make_uuid7,
        **overrides: Any,
    ) -> None:
        #: What the host has registered by the methods of this object.
        self.registry = Registry()
        require_sync_function(clock, "clock")
        require_sync_function(new_id, "new_id")
        #: The name of the mount, which is unique in an app.
        self.name = name
        self._clock = clock
        self._new_id = new_id
        self._config_overrides = overrides
        self._db = db
        self._latest_app: Flask | None = None
        self._migrated_mounts: list[Mount] = []
        self._isolation: Isolation | None = None
        if app is not None:
            self.init_app(app)

    @property
    def blueprint(self) -> Blueprint:
        """The blueprint of the latest `init_app`, mounted or not. Raises `RuntimeError` before the first call."""
        if self._latest_app is None:
            raise RuntimeError("Call provisioning.init_app(app) first.")
        from .wiring import get_blueprint

        return get_blueprint(get_mounts(self._latest_app)[self.name])

    def init_app(self, app: Flask, db: Any = None, **overrides: Any) -> None:
        """Mount the API on `app`.

        Without a valid licence nothing is mounted, the app starts, and one log line says why. The ``PROVISIONING_*``
        keys, which the page "Configuration" describes, are read once: later changes to ``app.config`` have no effect.

        Raises `ConfigurationError` that names every invalid key and its fix.
        """
        if db is None:
            db = self._db
        self.registry.validate()
        mounts: Mounts[Mount] = app.extensions.setdefault(EXTENSION_KEY, Mounts())
        config = Config.read(app.config, {**self._config_overrides, **overrides}, self.registry.permissions)
        config = dataclasses.replace(config, roles=self.registry.grant_permissions(config.roles))
        mounts.require_free_name_and_prefix(app, self.name, config)
        _warn_about_jwt_overrides(config)
        license = LicenseSource(config, self._clock)
        build_mount = partial(self._build_mount, app, db, config, license)
        if _is_licensed(license, config):
            from .wiring import serve_mount

            mount = build_mount()
            is_embedded = db is None and config.database_url is None
            migrates = is_embedded if config.auto_migrate is None else config.auto_migrate
            if migrates:
                self._migrated_mounts.append(mount)
            serve_mount(app, mount, mounts, migrates=migrates)
            mounts.add(self.name, config.url_prefix, mount)
        else:
            mounts.add_unbuilt(self.name, config.url_prefix, build_mount)
        if self._isolation is not None:
            self._isolation.init_app(app)
        self._latest_app = app

    def _build_mount(self, app: Flask, db: Any, config: Config, license: LicenseSource) -> Mount:
        """Build a mount, whose objects load SQLAlchemy and all features."""
        from .wiring import build_mount

        return build_mount(
            app,
            db,
            name=self.name,
            config=config,
            registry=self.registry,
            license=license,
            clock=self._clock,
            new_id=self._new_id,
        )

    def hook(self, *operations: str, name: str | None = None, after: Sequence[str] = ()) -> Callable[[F], F]:
        """Run a function inside the transaction of each of `operations`; an exception refuses the whole write.

        ::

            @provisioning.hook("tenant.create")
            def open_workspace(session, tenant, principal):
                session.add(Workspace(tenant_id=tenant["tenant"]))

        The function receives the arguments that it names: `session` (an ORM session in the tenant's own transaction),
        `tenant` (the document as it is now), `before` (the document as it was; None for a new tenant), `principal` and
        `operation`. It runs after the hooks in `after`, otherwise in the order of `name`, which defaults to the
        function's name. It may run more than once and be rolled back (`validate_only`): it must do nothing but use the
        database.

        Raises `ConfigurationError` for an unknown operation or parameter, for a name that is taken, and for an async
        function or a generator function.
        """
        unknown = sorted({*operations} - {*HOOK_OPERATIONS})
        if unknown or not operations:
            problem = f"not {unknown[0]!r}" if operations else "at least one"
            raise ConfigurationError(f"A hook names operations out of {', '.join(HOOK_OPERATIONS)}; {problem}.")

        def register(function: F) -> F:
            require_sync_function(function, "hook")
            arguments = get_requested_arguments(function, HOOK_ARGUMENTS, "hook")
            hook_name = name or get_function_name(function)
            self.registry.add_hook(Hook(hook_name, operations, function, tuple(after), arguments))
            return function

        return register

    def permission(self, name: str, description: str, *, roles: Sequence[str] = ()) -> None:
        """Declare a permission of the host's own, such as ``report:read``.

        ::

            provisioning.permission("report:read", "Read the monthly reports.", roles=["partner-admin"])

            @app.get("/reports")
            @provisioning.requires("report:read")
            def list_reports(): ...

        `roles` grant it, besides those of ``PROVISIONING_ROLES`` that name it. The `description` says in a sentence
        what it allows: partners read it in the OpenAPI document.

        Raises `ConfigurationError` for a name that is malformed or taken, for an empty description, and after
        `init_app`, which reads the roles.
        """
        if self._latest_app is not None:
            raise ConfigurationError(f"Declare the permission {name!r} before init_app, which reads the roles.")
        if not isinstance(name, str) or not _PERMISSION_PATTERN.fullmatch(name):
            raise ConfigurationError(f"A permission's name is like 'report:read', of a-z, 0-9, - and _, not {name!r}.")
        if name in PERMISSIONS or name in self.registry.permissions:
            raise ConfigurationError(f"There is a permission named {name!r} already.")
        if not isinstance(description, str) or not description.strip():
            raise ConfigurationError(f"Describe in a sentence what the permission {name!r} allows.")
        self.registry.permissions[name] = Permission(name, description.strip(), tuple(roles))

    def requires(self, *permissions: str) -> Callable[[Callable[P, R]], Callable[P, Any]]:
        """Guard one of the host's own views: only principals with all `permissions` of this mount are admitted.

        Other callers get the problem document that the API would return. Place it below the route decorator. The
        permissions are the API's own, and those that `permission` has declared.

        Raises `ConfigurationError` without permissions, and for an unknown one.
        """
        from .access.guard import check_permissions, guard_view

        return guard_view(check_permissions(permissions, self.registry.list_permissions()), self.name)

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
        """Return an exception that hooks raise, or a constraint that they violate, as a documented problem of the
        host's own.

        `cause` is an exception class, or the name of one of the host's database constraints. `detail` is what the
        caller reads; by default the exception's text, or for a constraint the `title`. `field` adds an entry for that
        field to the problem's `errors`.

        Raises `ConfigurationError` for a status outside 400 to 499, for 401, and for a code that is malformed or taken.
        """
        if status not in range(400, 500) or status == 401:
            raise ConfigurationError(f"map_error needs a status from 400 to 499 other than 401, not {status!r}.")
        if not _CODE_PATTERN.fullmatch(code) or code in {kind.code for kind in iter_problem_classes()}:
            raise ConfigurationError(f"map_error needs a code of its own, such as 'billing-refused', not {code!r}.")
        if not isinstance(cause, str) and not (isinstance(cause, type) and issubclass(cause, Exception)):
            raise ConfigurationError("map_error needs a class of exception or a constraint's name.")
        problem_class = self._get_problem_class(code, status, title, remedy, meaning)
        self.registry.errors.append(ErrorMapping(cause, problem_class, detail, field))

    def _get_problem_class(
        self, code: str, status: int, title: str | None, remedy: str | None, meaning: str | None
    ) -> type[ProvisioningError]:
        """Return the problem class of this code; several causes may share one.

        Raises `ConfigurationError` if the code was registered with another status.
        """
        for problem_class in self.registry.problem_classes():
            if problem_class.code == code:
                if problem_class.status != status:
                    raise ConfigurationError(f"The code {code!r} has the status {problem_class.status} already.")
                return problem_class
        return make_problem_class(code, status, title, remedy, meaning)

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
        """Run a function durably after a tenant is created, until it succeeds or `retries` further attempts have
        failed.

        ::

            @provisioning.step("bucket", undo=drop_bucket, after=["schema"])
            def make_bucket(tenant, context):
                context.save({"bucket": storage.create(key=context.idempotency_key)})

        The function receives the arguments that it names: `tenant` (the document) and `context` (`StepContext`). It can
        run more than once, for example after its worker crashed; `context` helps to apply its effect only once. An
        attempt may take `timeout` seconds. The first retry follows after `backoff` seconds; the delay doubles with each
        further one.

        A tenant with steps is `provisioning` until all of them have succeeded. If one gives up, the tenant becomes
        `failed`, and the `undo` function of each step that had begun runs, in reverse order. Steps of the phase
        `deprovisioning` run before a tenant is purged; they have no undo.

        Raises `ConfigurationError` for an invalid argument, and for an async function or a generator function.
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
            self.registry.add_step(Step(name, phase, function, undo, retries, timeout, backoff, tuple(after)))
            return function

        return register

    def export(self, kind: str) -> Callable[[F], F]:
        """Write the JSON objects that a function yields into the archive of each tenant that is purged.

        The function receives the arguments that it names: `tenant` and `context`. The export is the first step of
        deprovisioning: if it fails, nothing is removed. Raises `ConfigurationError` for a kind that is malformed or
        taken, and for an async function.
        """
        if not is_name(kind) or kind in {*self.registry.exports, "archive", "tenant", "end"}:
            raise ConfigurationError(f"An export needs a kind of its own, of letters, digits, - _ and ., not {kind!r}.")

        from .steps.export import EXPORT_STEP, ExportStep

        def register(function: F) -> F:
            require_sync_function(function, "export", may_yield=True)
            get_requested_arguments(function, STEP_ARGUMENTS, "export")
            if not self.registry.exports:
                step = Step(EXPORT_STEP, DEPROVISIONING, ExportStep(self.registry), None, 5, 3600, 1, (), first=True)
                self.registry.add_step(step)
            self.registry.exports[kind] = function
            return function

        return register

    def archive(self, function: F) -> F:
        """Store the archives of exported tenants with this function, such as ``to_folder("/srv/archives")``.

        The function receives the arguments that it names: `name` (of the file), `stream` (binary, at its beginning),
        `sha256`, `tenant` and `context`. It returns the location of the archive, and may be called again for the same
        tenant. Raises `ConfigurationError` for an async function or a generator function.
        """
        require_sync_function(function, "archive")
        get_requested_arguments(function, ARCHIVE_ARGUMENTS, "archive")
        self.registry.archive = function
        return function

    def invite(self, *, retries: int = 12, timeout: float = 60, backoff: float = 10) -> Callable[[F], F]:
        """Send invitations to the administrators of tenants with this function; without one, nobody can be invited.

        ::

            @provisioning.invite()
            def send_invitation(tenant, admin, invitation):
                send_mail(admin.email, "welcome.txt", name=admin.name, link=invitation.link)

        The function receives the arguments that it names: `tenant` (the document), `admin` (`InvitedAdmin`) and
        `invitation` (`Invitation`) with the one-time token, and with ``PROVISIONING_INVITATION_URL`` the link. It runs
        durably, once the tenant is active, until it succeeds or `retries` further attempts have failed, each with the
        same token. It can run more than once for one invitation. An attempt may take `timeout` seconds. The first retry
        follows after `backoff` seconds; the delay doubles with each further one, up to an hour. `StepFailed` with
        ``retry=False`` ends the attempts.

        Raises `ConfigurationError` for an invalid argument, for an async function or a generator function, and for a
        second function.
        """
        if type(retries) is not int or retries < 0 or timeout <= 0 or backoff < 0:
            raise ConfigurationError("invite needs retries from 0 on and times above 0.")

        def register(function: F) -> F:
            require_sync_function(function, "invite function")
            arguments = get_requested_arguments(function, INVITE_ARGUMENTS, "invite function")
            self.registry.set_invite(InviteFunction(function, arguments, retries, timeout, backoff))
            return function

        return register

    def find_invitation(self, token: str) -> Invitation:
        """Return the invitation of a token, for the page that shows the form to accept it. It stays valid.

        Raises `InvitationRefused` if it cannot be accepted, and `RuntimeError` outside an application context.
        """
        from .invitations.acceptance import find_invitation

        return find_invitation(_get_current_mount(self.name), token)

    def accept_invitation(self, token: str, session: Any = None) -> Invitation:
        """Accept the invitation of a token, once, in the transaction in which the host adds its user.

        ::

            invitation = provisioning.accept_invitation(token)
            db.session.add(User(email=invitation.admin.email, tenant_id=invitation.tenant["tenant"]))
            db.session.commit()

        The transaction is that of `session`, an ORM session on the API's database. Without one it is that of
        ``db.session``, if `init_app` was given the Flask-SQLAlchemy object; else the call commits by itself. A rollback
        leaves the invitation as it was.

        Raises `InvitationRefused` if it cannot be accepted: `InvitationUnknown`, `InvitationExpired`,
        `InvitationRevoked`, `InvitationAccepted` or `TenantUnavailable`; `StorageUnavailable` if the database fails, or
        another transaction was faster; and `RuntimeError` for a session on another database.
        """
        from .invitations.acceptance import accept_invitation

        return accept_invitation(_get_current_mount(self.name), token, session)

    def tenant_fields(self, schema: type[Schema], *, filterable: Sequence[str] = ()) -> None:
        """Add the fields of a marshmallow schema to every tenant: to request bodies, responses, events and hooks.

        ::

            class Billing(Schema):
                region = fields.String(required=True, validate=OneOf(["eu", "us"]))
                seats = fields.Integer(load_default=1, validate=Range(min=1))

            provisioning.tenant_fields(Billing, filterable=["region"])

        The dumped values are stored as JSON of at most 16 KiB. `filterable` names fields by which lists can be filtered
        (``GET /tenants?region=eu``): texts of at most 100 characters, integers, booleans, dates and times. Each has its
        own indexes, which ``flask provisioning db upgrade`` creates, and drops once the field is no longer filterable.

        Raises `ConfigurationError` for a name that tenants or list parameters already have, for a field that cannot be
        stored as JSON or cannot be filtered by, and for a second call.
        """
        if self.registry.fields is not None:
            raise ConfigurationError("tenant_fields was called already: one schema holds all of the host's fields.")
        from .tenants.custom_field_checks import make_tenant_fields

        fields = make_tenant_fields(schema, filterable)
        require_sync_schema(fields.schema)
        self.registry.fields = fields
        self._create_field_indexes()

    def settings(self, namespace: str, schema: type[Schema]) -> None:
        """Declare a namespace of tenant settings, with the fields of a marshmallow schema.

        ::

            class MailSettings(Schema):
                sender = fields.Email(data_key="from", load_default="noreply@example.com")
                daily = fields.Integer(strict=True, load_default=100, validate=Range(min=1))
                password = fields.String(metadata={"secret": True})
                region = fields.String(metadata={"immutable": True})

            provisioning.settings("mail", MailSettings)

        A field's ``load_default`` applies if neither the tenant, nor its plan, nor its partner sets a value. No field
        is required: a key without any value is absent. A `secret` field is encrypted at rest and never returned by the
        API; an `immutable` field cannot be changed once it is set. The host reads settings with `settings_for`.

        Raises `ConfigurationError` for a name that is malformed or taken, for a field that cannot be stored as JSON,
        for defaults that the schema rejects, and for plans with values that the namespace rejects.
        """
        if namespace in self.registry.namespaces:
            raise ConfigurationError(f"There is a namespace named {namespace!r} already.")
        from .settings.namespaces import declare_namespace

        self.registry.add_namespace(declare_namespace(namespace, schema))

    def plan(
        self,
        name: str,
        *,
        limits: Mapping[str, int] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Declare a plan that tenants can be put on; plans that are not declared are then refused.

        ::

            provisioning.plan("pro", limits={"seats": 50}, settings={"mail": {"daily": 10_000}})

        `limits` are the host's own numbers by name. `settings` are values by namespace, which apply if neither the
        tenant nor its partner sets others. ``PROVISIONING_PLANS``, if set, names the plans on offer.

        Raises `ConfigurationError` for a name that is malformed or taken, for a limit that is not a number from 0 on,
        and for settings that their namespace rejects, whether the namespace is declared before or after the plan.
        """
        if name in self.registry.plans:
            raise ConfigurationError(f"There is a plan named {name!r} already.")
        self.registry.add_plan(make_plan(name, limits or {}, settings or {}))

    def limits_for(self, plan: str | None) -> dict[str, int]:
        """Return the limits of a tenant on `plan`, by the name of each limit that any plan has.

        A limit that the plan does not name is 0. All limits are 0 without a plan and for a plan that is not declared,
        so that a mistake never grants unlimited use.
        """
        return get_plan_limits(self.registry.plans, plan)

    def usage(self, limit: str) -> Callable[[F], F]:
        """Register a function that returns how much of a `limit` a tenant uses; a plan that allows less is then
        refused.

        ::

            @provisioning.usage("seats")
            def seats(session, tenant):
                return session.scalar(select(func.count()).where(Seat.tenant_id == tenant["tenant"]))

        The function receives the arguments that it names: `session` (an ORM session in the transaction that changes the
        plan) and `tenant` (the document before the change), and returns a number. It runs only if an existing tenant
        moves to another plan or to none. An exception refuses the change, as in a hook.

        Raises `ConfigurationError` for a limit that is malformed or has a function already, for an unknown parameter,
        and for an async function or a generator function.
        """
        if not is_name(limit) or limit in self.registry.usages:
            raise ConfigurationError(f"usage needs the name of a limit that no other function counts, not {limit!r}.")

        def register(function: F) -> F:
            require_sync_function(function, "usage")
            arguments = get_requested_arguments(function, USAGE_ARGUMENTS, "usage")
            self.registry.usages[limit] = UsageFunction(limit, function, arguments)
            return function

        return register

    def rate_limits(self, function: F) -> F:
        """Register the function that returns each partner's own rate limits.

        ::

            @provisioning.rate_limits
            def limits(partner, route_class):
                return "6000/minute" if partner == "acme" and route_class == "read" else None

        The function receives the partner's name and a route class (``read``, ``write`` or ``bulk``). It returns limits
        in the form of ``PROVISIONING_RATE_LIMITS``, or None to apply those configured there. It may query the database:
        each process calls it once a minute for each partner and class.

        Raises `ConfigurationError` if Flask-Limiter is not installed, for an async function or a generator function,
        and for a second call.
        """
        if self.registry.rate_limits is not None:
            raise ConfigurationError("rate_limits was called already: one function knows every partner's limits.")
        if not has_flask_limiter():
            raise ConfigurationError(f"Rate limits need Flask-Limiter: {INSTALL_LIMITER}.")
        require_sync_function(function, "rate_limits function")
        self.registry.rate_limits = function
        return function

    def settings_for(self, tenant_id: str, *, partner: str | None = None) -> TenantSettings:
        """Return a tenant's effective settings by namespace, as the schemas load them, with secrets in clear.

        ::

            sender = provisioning.settings_for(tenant_id).mail.sender

        They are read-only: lists are tuples, and dicts cannot be changed. Changes by this process are seen at once,
        those of other processes within ``PROVISIONING_SETTINGS_CACHE_SECONDS``. Inside a hook they are read in its
        transaction. The mount is that of the current app. `partner`, if known, saves a query for the tenant's partner.

        Raises `TenantNotFound`, and `RuntimeError` outside an application context.
        """
        from .settings.tenant_settings import SettingsCache

        return _get_current_mount(self.name).once(SettingsCache).get(tenant_id, partner)

    @property
    def isolation(self) -> Isolation:
        """The declarations about the tenants of the host's own requests, tasks and rows; see "Tenant isolation".

        Name resolvers and a strategy before `init_app`.
        """
        if self._isolation is None:
            from .isolation.declaration import Isolation

            self._isolation = Isolation(self.name)
            if self._latest_app is not None:
                self._isolation.init_app(self._latest_app)
        return self._isolation

    def tenant_context(
        self, tenant_id: str, *, any_status: bool = False
    ) -> contextlib.AbstractContextManager[CurrentTenant]:
        """Return a context manager that makes a tenant the current one, for jobs, commands and tests.

        ::

            with provisioning.tenant_context(tenant_id) as tenant:
                send_invoices()

        Entering it raises `TenantUnknown` for a tenant that does not exist and, unless `any_status`, `TenantNotReady`
        or `TenantUnavailable` for one that is not active; `TenantConflict` within the context of another tenant; and
        `RuntimeError` outside an application context. Threads that the block starts have no tenant.
        """
        return self.isolation.tenant_context(tenant_id, any_status=any_status)

    def docs_link(self, seconds: int = 3600) -> str:
        """Return a path to the API's documentation that opens it in a browser for `seconds` seconds.

        For hosts with ``PROVISIONING_PUBLIC_DOCS=False``, which show the link to users whom they have authenticated. If
        the documentation is public, this is its plain path. Raises `RuntimeError` outside an application context.
        """
        from .web.docs_links import make_link

        return make_link(_get_current_mount(self.name), seconds)

    def _create_field_indexes(self) -> None:
        """Create the indexes of the declared fields in tables that were migrated before the declaration."""
        if self._migrated_mounts:
            from .wiring import upgrade_tables

            for mount in self._migrated_mounts:
                upgrade_tables(mount)


def _get_current_mount(name: str) -> Mount:
    """Return the mount of this name in the current app. Raises `RuntimeError` if there is none."""
    mounts: Mounts[Mount] = get_mounts(current_app)
    if name not in mounts:
        raise RuntimeError(f"{current_app.name!r} has no mount {name!r}: call provisioning.init_app(app) first.")
    return mounts[name]


def _is_licensed(license: LicenseSource, config: Config) -> bool:
    """Return whether the edition and the licence allow to mount the API; if not, log why."""
    if config.edition == "community":
        advice = "PROVISIONING_EDITION is 'community'. Set it to 'enterprise' to use the licence."
        logger.info("the provisioning API is not mounted: %s", advice, extra={"reason": "community"})
        return False
    try:
        license.load()
    except LicenseError as error:
        logger.warning("the provisioning API is not mounted: %s", error, extra={"reason": error.reason})
        return False
    return True


def _warn_about_jwt_overrides(config: Config) -> None:
    """Log a warning if the configuration has keys for tokens that only an isolated mount reads."""
    if config.jwt_overrides and config.mount != "isolated":
        names = ", ".join(PREFIX + name for name in config.jwt_overrides)
        logger.warning(
            "%s: no effect unless PROVISIONING_MOUNT is 'isolated'; the JWT_* keys apply",
            names,
            extra={"keys": names},
        )
