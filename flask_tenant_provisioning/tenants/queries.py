"""What the tenants' operations can be asked in the query."""

from __future__ import annotations

from ..web.api import Api
from ..web.parameters import ChoiceField, FlagField, InstantField, LimitField, QuerySchema, WriteQuery
from ..web.validation import PartnerIdField, TextField
from .fields import LONGEST_NAME, EmailField, email_key, name_key
from .listing import DEFAULT_LIMIT
from .own_filters import OWN, OwnFilterField
from .schemas import STATUSES

SORTS = ("created_at", "-created_at", "client_name", "-client_name")


class EmailFilterField(EmailField):
    """An address to look for, as it is compared."""

    def accept(self, value: str) -> str:
        return email_key(value)


class PrefixField(TextField):
    """What a name begins with, as it is compared."""

    def accept(self, value: str) -> str:
        return name_key(value)


class ReadQuery(QuerySchema):
    """What `GET /tenants/{id}` can be asked; an administrator may name the partner, and so may one above it."""

    partner = PartnerIdField()


class CreateQuery(WriteQuery):
    """What creating can be asked; an administrator may name the partner."""

    partner = PartnerIdField()


class DeleteQuery(WriteQuery):
    """What deleting can be asked: to purge at once."""

    purge = FlagField(load_default=False)


class ListQuery(QuerySchema):
    """What `GET /tenants` can be asked; an administrator may name the partner, and so may one above it."""

    partner = PartnerIdField()
    limit = LimitField(load_default=DEFAULT_LIMIT)
    cursor = TextField(shortest=1, longest=4096)
    sort = ChoiceField(*SORTS, load_default="created_at")
    status = ChoiceField(*STATUSES)
    email = EmailFilterField()
    external_id = TextField(shortest=1, longest=128)
    plan = TextField(longest=100)
    industry = TextField(longest=100)
    created_after = InstantField()
    created_before = InstantField()
    updated_after = InstantField()
    updated_before = InstantField()
    q = PrefixField(shortest=1, longest=LONGEST_NAME)
    include_deleted = FlagField(load_default=False)


_LIST, _READ, _CREATE, _DELETE = ListQuery(), ReadQuery(), CreateQuery(), DeleteQuery()


def list_query(api: Api | None = None) -> ListQuery:
    """The schema of `GET /tenants`'s parameters, with the host's own; made once."""
    return _LIST if api is None or api.hooks.fields is None else api.once(_hosts_list_query)


def _hosts_list_query(api: Api) -> ListQuery:
    own = api.hooks.fields
    names = own.filterable if own else ()
    filters = {f"{OWN}{name}": OwnFilterField(own.fields[name], data_key=name) for name in names} if own else {}
    found: ListQuery = type("HostListQuery", (ListQuery,), filters)()
    return found


def read_query(_api: Api | None = None) -> ReadQuery:
    """The schema of the parameters of `GET /tenants/{id}`; made once."""
    return _READ


def create_query(_api: Api | None = None) -> CreateQuery:
    """The schema of the parameters of `POST /tenants` and of the upsert; made once."""
    return _CREATE


def delete_query(_api: Api | None = None) -> DeleteQuery:
    """The schema of `DELETE`'s parameters; made once."""
    return _DELETE
