"""What the tenants' operations can be asked in the query."""

from __future__ import annotations

from ..config import Settings
from ..web.parameters import ChoiceField, FlagField, InstantField, LimitField, QuerySchema
from ..web.validation import TextField
from .fields import LONGEST_NAME, EmailField, email_key, name_key
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


class PartnerQuery(QuerySchema):
    """The partner that an administrator means."""

    partner = TextField(shortest=1, longest=255)


class ListQuery(PartnerQuery):
    """What `GET /tenants` can be asked."""

    limit = LimitField(load_default=50)
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


_LIST_QUERY, _PARTNER_QUERY = ListQuery(), PartnerQuery()


def list_query(_settings: Settings | None = None) -> ListQuery:
    """The schema of `GET /tenants`'s parameters; made once."""
    return _LIST_QUERY


def partner_query(_settings: Settings | None = None) -> PartnerQuery:
    """The schema of the parameters of every other request; made once."""
    return _PARTNER_QUERY
