"""What the operations on bulk jobs can be asked in the query."""

from __future__ import annotations

from ..tenants.queries import CreateQuery
from ..web.api import Api
from ..web.parameters import ChoiceField, LimitField, QuerySchema
from ..web.validation import PartnerIdField, TextField
from . import results
from .models import MODES, OPERATIONS, STATES

DEFAULT_LIMIT = 50


class UploadQuery(CreateQuery):
    """What `POST /bulk-jobs` can be asked; with `validate_only` the job leaves nothing but its results."""

    operation = ChoiceField(*OPERATIONS, load_default=OPERATIONS[0])
    mode = ChoiceField(*MODES, load_default=MODES[0])


class BulkJobListQuery(QuerySchema):
    """What `GET /bulk-jobs` can be asked; an administrator may name the partner."""

    partner = PartnerIdField()
    state = ChoiceField(*STATES)
    limit = LimitField(load_default=DEFAULT_LIMIT)
    cursor = TextField(shortest=1, longest=4096)


class BulkItemsQuery(QuerySchema):
    """What a job's items can be asked; `limit` and `cursor` are for pages of JSON alone."""

    state = ChoiceField(*results.STATES)
    limit = LimitField()
    cursor = TextField(shortest=1, longest=4096)


_UPLOAD, _LIST, _ITEMS = UploadQuery(), BulkJobListQuery(), BulkItemsQuery()


def upload_query(_api: Api | None = None) -> UploadQuery:
    """The schema of an upload's parameters; made once."""
    return _UPLOAD


def job_list_query(_api: Api | None = None) -> BulkJobListQuery:
    """The schema of `GET /bulk-jobs`'s parameters; made once."""
    return _LIST


def items_query(_api: Api | None = None) -> BulkItemsQuery:
    """The schema of the parameters of a job's items; made once."""
    return _ITEMS
