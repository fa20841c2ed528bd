"""The HTTP of the event feed."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from flask import Response, request

from ..errors import CursorExpired, InvalidCursor, InvalidParameter
from ..web.request import Request
from ..web.routing import Routes
from . import feed, models
from .feed import publish_pending
from .schemas import EventPageSchema, EventQuery

routes = Routes()

EVENTS_PATH = "/events"


@routes.add(
    "GET",
    EVENTS_PATH,
    permissions=("event:read",),
    query=EventQuery,
    responses={200: EventPageSchema},
    problems=(InvalidParameter, InvalidCursor, CursorExpired),
)
def list_events(call: Request) -> Response:
    """Read the event feed in order. Request the next page with `next` as `after`, at once if `has_more` is true."""
    query, storage, cursors = call.query(EventQuery), call.mount.storage, call.mount.cursors
    partner = call.require_partner(query)
    cursor_scope = f"events of {partner}"
    after = int(cursors.open(query["after"], cursor_scope)) if "after" in query else None
    more_waits = publish_pending(storage, partner)
    page = storage.read(partial(feed.load_page, partner=partner, query=query, after=after))
    render = models.render_audited_event if "audit:read" in call.principal.permissions else models.render_event
    next_cursor = cursors.seal(str(page.end), cursor_scope)
    permissions = call.principal.permissions
    items = [models.hide_guarded_data(render(event._asdict()), permissions) for event in page.events]
    response = call.json_response({"items": items, "next": next_cursor, "has_more": page.has_more or more_waits})
    parameters = {**request.args.to_dict(), "after": next_cursor}
    response.headers["Link"] = f'<{call.mount.base_path()}{EVENTS_PATH}?{urlencode(parameters)}>; rel="next"'
    return response
