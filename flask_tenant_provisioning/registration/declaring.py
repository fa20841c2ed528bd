"""What the host declares: fields and settings of tenants, plans and their limits, and how often partners may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import Schema

from ..callables import require_plain, require_plain_schema
from ..config import ConfigurationError
from ..config.rates import INSTALL, can_limit
from ..hooks import OFFERED_TO_USAGES, F, Hooks, Usage, wanted
from ..names import is_name
from ..plans import declared as declared_plan, limits_of
from ..settings.declaration import declared as declared_namespace
from ..tenants.declaration import declared


class Declaring:
    """Fields, settings, plans, usages and rate limits."""

    hooks: Hooks

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
        fields = declared(schema, filterable)
        require_plain_schema(fields.schema)
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
            require_plain_schema(schema())
        self.hooks.add_namespace(declared_namespace(namespace, schema))

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

    def limits_for(self, plan: str | None) -> dict[str, int]:
        """What a tenant on `plan` may have, by the name of each limit that any plan has.

        What its plan does not name is 0, and so is everything on no plan and on one that is not declared: nobody has
        all there is by mistake.
        """
        return limits_of(self.hooks.plans, plan)

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
            require_plain(function, "usage")
            self.hooks.usages[limit] = Usage(limit, function, wanted(function, OFFERED_TO_USAGES, "usage"))
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
        if not can_limit():
            raise ConfigurationError(f"Rate limits need Flask-Limiter: {INSTALL}.")
        require_plain(function, "rate_limits function")
        self.hooks.rate_limits = function
        return function
