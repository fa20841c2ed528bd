"""What an operation makes of a tenant, before anybody writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .models import Tenant

#: A field that is unique among a partner's living tenants, and what it is compared by.
Claim = tuple[str, str]


class Transition(NamedTuple):
    """`after` in place of `before`, and values of `hidden` columns, with an event of type `kind`."""

    kind: str
    before: Tenant
    after: Tenant
    hidden: Mapping[str, Any] = MappingProxyType({})

    @property
    def columns(self) -> dict[str, Any]:
        """What is to be written; nothing where the tenant stays as it is."""
        shown = zip(Tenant._fields, self.before, self.after, strict=True)
        changed = {name: new for name, old, new in shown if old != new}
        return {**changed, **self.hidden} if changed else {}

    def claims(self) -> Iterator[Claim]:
        """What the tenant newly wants for itself alone: an email before an external id."""
        if self.after.email != self.before.email:
            yield "email", self.hidden["email_key"]
        if self.after.external_id not in (None, self.before.external_id):
            yield "external_id", self.after.external_id
