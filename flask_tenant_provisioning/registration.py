"""How a host registers what is its own: on the extension, before or after `init_app`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from marshmallow import Schema

from .config import ConfigurationError
from .config.rates import INSTALL, can_limit
from .hooks import (
    DEPROVISIONING,
    OFFERED,
    OFFERED_TO_ARCHIVES,
    OFFERED_TO_STEPS,
    OFFERED_TO_USAGES,
    OPERATIONS,
    PROVISIONING,
    Hook,
    Hooks,
    MappedError,
    Step,
    Usage,
    mapped_kind,
    wanted,
)
from .plans import declared as declared_plan, limits_of
from .problems import ProvisioningError, catalogue
from .settings.declaration import declared as declared_namespace
from .steps.exporting import EXPORT, Exporting
from .tenants.declaration import declared

F = TypeVar("F", bound=Callable[..., Any])

_STEP = re.compile(r"[A-Za-z0-9._-]{1,100}")
_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Registration:
    """What `TenantProvisioning` offers a host beside `init_app`."""

    def __init__(self) -> None:
        self.hooks = Hooks()

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

        Raises `ConfigurationError` for an operation or a parameter that does not exist, or a name that is taken.
        """
        if not operations or (strangers := sorted({*operations} - {*OPERATIONS})):
            found = f"not {strangers[0]!r}" if operations else "at least one"
            raise ConfigurationError(f"A hook names operations out of {', '.join(OPERATIONS)}; {found}.")

        def register(function: F) -> F:
            wants = wanted(function, OFFERED, "hook")
            self.hooks.add(Hook(name or function.__name__, operations, function, tuple(after), wants))
            return function

        return register

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

        Raises `ConfigurationError` for what cannot be.
        """
        if phase not in (PROVISIONING, DEPROVISIONING) or (phase == DEPROVISIONING and undo):
            raise ConfigurationError(f"The phase of a step is {PROVISIONING!r}, or {DEPROVISIONING!r} without an undo.")
        if not isinstance(name, str) or not _STEP.fullmatch(name):
            raise ConfigurationError(f"A step's name is 1 to 100 of a-z, A-Z, 0-9, - _ and ., not {name!r}.")
        if type(retries) is not int or retries < 0 or timeout <= 0 or backoff < 0:
            raise ConfigurationError(f"The step {name!r} needs retries from 0 on and times above 0.")

        def register(function: F) -> F:
            wanted(function, OFFERED_TO_STEPS, "step")
            if undo is not None:
                wanted(undo, OFFERED_TO_STEPS, "undo")
            self.hooks.add_step(Step(name, phase, function, undo, retries, timeout, backoff, tuple(after)))
            return function

        return register

    def export(self, kind: str) -> Callable[[F], F]:
        """Write what a function yields (JSON objects) into the archive of each tenant that is removed for good.

        It is given what it names of `tenant` and `context`. The export is the first step of a deprovisioning: where it
        fails, nothing is removed. Raises `ConfigurationError` for a kind that is malformed or taken.
        """
        if not _STEP.fullmatch(kind) or kind in {*self.hooks.exports, "archive", "tenant", "end"}:
            raise ConfigurationError(f"An export needs a kind of its own, of letters, digits, - _ and ., not {kind!r}.")

        def register(function: F) -> F:
            wanted(function, OFFERED_TO_STEPS, "export")
            if not self.hooks.exports:
                step = Step(EXPORT, DEPROVISIONING, Exporting(self.hooks), None, 5, 3600, 1, (), first=True)
                self.hooks.add_step(step)
            self.hooks.exports[kind] = function
            return function

        return register

    def archive(self, function: F) -> F:
        """Keep the archives of exported tenants with this function, such as ``to_folder("/srv/archives")``.

        It is given what it names of `name` (of the file), `stream` (binary, at its beginning), `sha256`, `tenant` and
        `context`, and returns where the archive is. For the same tenant it may be called again.
        """
        wanted(function, OFFERED_TO_ARCHIVES, "archive")
        self.hooks.archive = function
        return function

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
        self.hooks.fields = declared(schema, filterable)
        self._fields_declared()

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
        self.hooks.add_plan(declared_plan(name, limits or {}, settings or {}))

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
        self.hooks.add_namespace(declared_namespace(namespace, schema))

    def usage(self, limit: str) -> Callable[[F], F]:
        """Say with a function how much of a `limit` a tenant uses: a plan that allows less is then refused to it.

        ::

            @provisioning.usage("seats")
            def seats(session, tenant):
                return session.scalar(select(func.count()).where(Seat.tenant_id == tenant["tenant"]))

        It is given what it names of `session` (an ORM session in the transaction that changes the plan) and `tenant`
        (the document as it was before), and returns a number. It runs only where a tenant goes from one plan to
        another, or to none; of a new tenant it is not asked. What it raises refuses the change, as in a hook.

        Raises `ConfigurationError` for a limit that is malformed or counted already, and for a parameter that does not
        exist.
        """
        if not isinstance(limit, str) or not _STEP.fullmatch(limit) or limit in self.hooks.usages:
            raise ConfigurationError(f"usage needs the name of a limit that no other function counts, not {limit!r}.")

        def register(function: F) -> F:
            self.hooks.usages[limit] = Usage(limit, function, wanted(function, OFFERED_TO_USAGES, "usage"))
            return function

        return register

    def limits_for(self, plan: str | None) -> dict[str, int]:
        """What a tenant on `plan` may have, by the name of each limit that any plan has.

        What its plan does not name is 0, and so is everything on no plan and on one that is not declared: nobody has
        all there is by mistake.
        """
        return limits_of(self.hooks.plans, plan)

    def rate_limits(self, function: F) -> F:
        """Ask this function for a partner's own rate limits.

        ::

            @provisioning.rate_limits
            def limits(partner, route_class):
                return "6000/minute" if partner == "acme" and route_class == "read" else None

        It is given the partner's name and a class of routes (``read``, ``write`` or ``bulk``), and returns a limit as
        ``PROVISIONING_RATE_LIMITS`` has it, or None where that one counts. It may look into the database: a process
        asks it once a minute for each partner and class.

        Raises `ConfigurationError` where Flask-Limiter is not installed, and the second time.
        """
        if self.hooks.rate_limits is not None:
            raise ConfigurationError("rate_limits was called already: one function knows every partner's limits.")
        if not can_limit():
            raise ConfigurationError(f"Rate limits need Flask-Limiter: {INSTALL}.")
        self.hooks.rate_limits = function
        return function

    def _fields_declared(self) -> None:
        """What is to happen once the fields are known."""

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
        if not _CODE.fullmatch(code) or code in {kind.code for kind in catalogue()}:
            raise ConfigurationError(f"map_error needs a code of its own, such as 'billing-refused', not {code!r}.")
        if not isinstance(cause, str) and not (isinstance(cause, type) and issubclass(cause, Exception)):
            raise ConfigurationError("map_error needs a class of exception or a constraint's name.")
        self.hooks.errors.append(MappedError(cause, self._kind(code, status, title, remedy, meaning), detail, field))

    def _kind(
        self, code: str, status: int, title: str | None, remedy: str | None, meaning: str | None
    ) -> type[ProvisioningError]:
        """The class of this code, which several causes may share. Raises `ConfigurationError` for two statuses."""
        for kind in self.hooks.kinds():
            if kind.code == code:
                if kind.status != status:
                    raise ConfigurationError(f"The code {code!r} has the status {kind.status} already.")
                return kind
        made: type[ProvisioningError] = mapped_kind(code, status, title, remedy, meaning)
        return made
