"""The HTTP of the defaults that partners give their tenants: an administrator's, but that each may read its own."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..partners.requests import known_partner, require_manager
from ..partners.routes import PARTNER
from ..problems import InvalidParameter, PartnerNotFound, SettingsOutdated, SettingsVersionNotFound
from ..web.parameters import write_query
from ..web.requests import CONDITIONAL, REPEATABLE, WITH_BODY, fence
from ..web.routing import JSON, MERGE_PATCH, Call, Routes
from . import actions, requests
from .actions import FindOwner
from .requests import HISTORY
from .schemas import SettingsHistorySchema, SettingsSchema, history_query, rollback_input, settings_input

routes = Routes()

SETTINGS = f"{PARTNER}/settings"
_WRITE = (*WITH_BODY, *CONDITIONAL, PartnerNotFound)


@routes.add(
    "GET",
    SETTINGS,
    permissions=("settings:read",),
    answers={200: SettingsSchema},
    problems=(InvalidParameter, PartnerNotFound),
)
def read_partner_settings(call: Call, partner_id: str) -> Response:
    """Read the settings that a partner's tenants have where neither they nor their plans set others."""
    return requests.read(call, _seen(call, partner_id))


@routes.add(
    "PUT",
    SETTINGS,
    permissions=("partner:manage",),
    body=settings_input,
    query=write_query,
    answers={200: SettingsSchema},
    problems=_WRITE,
)
def replace_partner_settings(call: Call, partner_id: str) -> Response:
    """Replace every default that a partner gives its tenants."""
    return requests.put(call, _managed(call, partner_id))


@routes.add(
    "PATCH",
    SETTINGS,
    permissions=("partner:manage",),
    body=settings_input,
    consumes=(MERGE_PATCH, JSON),
    query=write_query,
    answers={200: SettingsSchema},
    problems=(*_WRITE, *REPEATABLE),
)
def patch_partner_settings(call: Call, partner_id: str) -> Response:
    """Change some of the defaults that a partner gives its tenants (RFC 7396)."""
    return requests.patch(call, _managed(call, partner_id))


@routes.add(
    "GET",
    f"{SETTINGS}/history",
    permissions=("settings:read",),
    query=history_query,
    answers={200: SettingsHistorySchema},
    problems=(*HISTORY, PartnerNotFound),
)
def list_partner_settings_versions(call: Call, partner_id: str) -> Response:
    """List the versions of the defaults that a partner gives its tenants, the newest first."""
    return requests.history(call, _seen(call, partner_id), repr(("partner settings", partner_id)))


@routes.add(
    "POST",
    f"{SETTINGS}/rollback",
    permissions=("partner:manage",),
    body=rollback_input,
    query=write_query,
    answers={200: SettingsSchema},
    problems=(*_WRITE, *REPEATABLE, SettingsVersionNotFound, SettingsOutdated),
)
def roll_partner_settings_back(call: Call, partner_id: str) -> Response:
    """Set the defaults that a partner gave its tenants in an earlier version, as a new version."""
    return requests.rollback(call, _managed(call, partner_id))


def _seen(call: Call, partner_id: str) -> FindOwner:
    """The partner, as far as the caller sees it. Raises `PartnerNotFound`."""
    if fence(call) not in (None, partner_id):
        raise PartnerNotFound
    return partial(actions.of_partner, partner=known_partner(partner_id))


def _managed(call: Call, partner_id: str) -> FindOwner:
    """The partner, for an administrator. Raises `Forbidden`."""
    require_manager(call)
    return partial(actions.of_partner, partner=known_partner(partner_id))
