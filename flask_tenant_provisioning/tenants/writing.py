"""New tenants and their events as text, ready for the statement that inserts many of them.

A text becomes JSON once, for the tenant's column and for the event's data. A test holds both against single creations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring as quoted
from typing import Any, NamedTuple

from ..access import Actor
from ..database import Storage, instant
from ..events import compact, event
from .actions import EMPTY, Values, new
from .models import SHOWN, WRITABLE, Tenant


class Wanted(NamedTuple):
    """A tenant that is to be made, at its `place` among all that are wanted, with its event.

    `row` holds both as `incoming` wants them: the columns of the tenant that differ from row to row, and of the event
    its `event_id` and `data`.
    """

    place: int
    tenant: Tenant
    email_key: str
    event: dict[str, Any]
    row: str

    def claims(self) -> Iterator[tuple[str, str]]:
        """What no other living tenant may have, by field: the email before the external id."""
        yield "email", self.email_key
        if self.tenant.external_id is not None:
            yield "external_id", self.tenant.external_id


#: What a client writes but the metadata: all of it texts, one after the other in a `Tenant`.
_TEXTS = WRITABLE[:-1]
_FIRST = Tenant._fields.index(_TEXTS[0])
_PLACES = slice(_FIRST, _FIRST + len(_TEXTS))
_WRITTEN = "".join(f'"{name}":%s,' for name in _TEXTS)


class Writer:
    """Writes tenants that come into being at one instant, now unless it is given, of one partner and by one actor."""

    def __init__(self, storage: Storage, actor: Actor, partner: str, at: str | None = None) -> None:
        self._storage, self._partner, self._own = storage, partner, storage.hooks.fields
        self._at = at or instant(storage.clock())
        self._event = event(storage, actor, "tenant.created", partner, {}, self._at)
        nobody = new("", partner, {**EMPTY, "client_name": "", "email": ""}, self._at, "active").document(None)
        alike = compact({name: nobody[name] for name in SHOWN if name not in ("tenant", "partner", *WRITABLE)})
        self._beginning, self._end = f'"partner":{quoted(partner)}', alike[1:-1]

    def wanted(self, values: Sequence[Values], event_ids: Sequence[str] | None = None) -> list[Wanted]:
        """A tenant of each of these valid values, under new identifiers; the events' are `event_ids` where given."""
        ids = self._storage.new_ids(2 * len(values))
        tenants, events = ids[::2], ids[1::2] if event_ids is None else event_ids
        return [self._wanted(place, *one) for place, one in enumerate(zip(values, tenants, events, strict=True))]

    def _wanted(self, place: int, values: Values, tenant_id: str, event_id: str) -> Wanted:
        tenant = new(tenant_id, self._partner, {**EMPTY, **values}, self._at, "active")
        columns: tuple[Any, ...] = tenant
        written = f'{_WRITTEN % tuple(map(_text, columns[_PLACES]))}"metadata":{tenant.metadata}'
        data = f'{{"tenant":"{tenant_id}",{self._beginning},{written},{self._end}{self._of_host(values)}}}'
        row = (
            f'{{"id":"{tenant_id}","event_id":"{event_id}","email_key":{quoted(values["email_key"])},'
            f'"name_key":{quoted(values["name_key"])},{written},"fields":{tenant.fields or "null"},"data":{data}}}'
        )
        happened = {**self._event, "id": event_id, "tenant_id": tenant_id, "data": data}
        return Wanted(place, tenant, values["email_key"], happened, row)

    def _of_host(self, values: Values) -> str:
        """The host's own fields, behind everybody's."""
        if self._own is None:
            return ""
        return "".join(f",{quoted(name)}:{compact(values['fields'].get(name))}" for name in self._own.fields)


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)
