"""The HTTP of the service's health."""

from __future__ import annotations

from flask import Response

from ..problems import InvalidParameter, StorageUnavailable
from ..web.parameters import NO_QUERY
from ..web.routing import PUBLIC, Call, Routes
from .actions import health
from .schemas import HealthSchema

routes = Routes()


@routes.add(
    "GET",
    "/health",
    permissions=PUBLIC,
    always_public=True,
    answers={200: HealthSchema},
    problems=(InvalidParameter, StorageUnavailable),
)
def read_health(call: Call) -> Response:
    """See whether the database answers, and whether the workers keep up."""
    call.asked(NO_QUERY)
    return call.answer(health(call.mount.storage))
