"""Checks of secrets: the one that seals cursors, and the keys that seal secrets of webhooks and settings."""

from __future__ import annotations

import json
from functools import partial

from ...config import Config
from ...database.ids import format_instant
from ...database.session import Session
from ...keyring import Keyring, UnsealError
from ...settings.models import SettingsRow
from ...settings.statements import SettingsSQL
from ...settings.storage import Scope, flatten
from ...webhooks import actions
from ...webhooks.endpoint_secrets import load_signing_keys
from ...webhooks.models import Endpoint
from .context import ENCRYPTION_KEYS, FAIL, OK, WARN, DoctorContext, Finding

_MIN_SECRET_LENGTH = 16


def check_cursor_secret(context: DoctorContext) -> Finding:
    """There is a secret for the cursors of lists; its mark tells whether other processes have the same."""
    app, settings = context.app, context.mount.config
    secrets = {
        "PROVISIONING_SECRET_KEY": settings.secret_key,
        "SECRET_KEY": app.secret_key,
        "JWT_SECRET_KEY": app.config.get("JWT_SECRET_KEY"),
    }
    name = next((name for name, secret in secrets.items() if secret), None)
    if name is None:
        return Finding(FAIL, "no secret seals them", "set PROVISIONING_SECRET_KEY, the same for every process")
    mark = context.mount.cursors.seal("", "doctor")[:4]
    detail = f"sealed by {name}, mark {mark}"
    if len(secrets[name] or "") < _MIN_SECRET_LENGTH:
        return Finding(WARN, f"{detail}; it is short", f"give it {_MIN_SECRET_LENGTH} characters or more")
    return Finding(OK, f"{detail}: it must be the same in every process and at every start")


#: How many endpoints are looked at, the oldest.
_MAX_ENDPOINTS = 1000


def check_webhook_keys(context: DoctorContext) -> Finding:
    """The keys open the secrets in the database, and are not derived from one that is changed for other reasons."""
    mount = context.mount
    if unseen := context.make_skip_finding("signed"):
        return unseen
    endpoints, more = mount.storage.read(
        partial(actions.list_endpoints, partner=None, limit=_MAX_ENDPOINTS, after=None)
    )
    now = format_instant(mount.storage.clock())
    closed = sum(not _can_open_endpoint(mount.keyring, endpoint, now) for endpoint in endpoints)
    count = f"the first {_MAX_ENDPOINTS}" if more else f"{len(endpoints)}"
    if closed:
        return _report_unreadable(closed, len(endpoints), count)
    return _report_readable(mount.config, len(endpoints), count)


def _can_open_endpoint(keyring: Keyring, endpoint: Endpoint, now: str) -> bool:
    try:
        load_signing_keys(keyring, endpoint, now)
    except UnsealError:
        return False
    return True


def _report_unreadable(closed: int, among: int, count: str) -> Finding:
    advice = f"put the key back that sealed them, behind the others in {ENCRYPTION_KEYS}"
    if closed == among:
        return Finding(FAIL, f"{ENCRYPTION_KEYS} open the secret of none of {count} webhooks", advice)
    detail = f"{ENCRYPTION_KEYS} do not open the secrets of {closed} of {count} webhooks"
    return Finding(WARN, detail, f"{advice}, or have their partners rotate them")


def _report_readable(settings: Config, among: int, count: str) -> Finding:
    if settings.encryption_keys:
        return Finding(OK, f"{ENCRYPTION_KEYS} open the secrets of {count} webhooks")
    if among:
        detail = f"the secrets of {count} webhooks are lost with the app's secret key, which seals them"
        return Finding(
            WARN, detail, f"set {ENCRYPTION_KEYS}: a new key, and that secret behind it; then `webhooks reseal`"
        )
    if settings.webhook_limit:
        return Finding(
            OK, "there are none yet", f"set {ENCRYPTION_KEYS} before the first: the app's secret key would seal it"
        )
    return Finding(OK, "PROVISIONING_WEBHOOK_LIMIT is 0: there are none")


#: How many tenants and partners that set anything are looked at.
_MAX_SETTINGS = 1000


def check_settings_keys(context: DoctorContext) -> Finding:
    """The keys open the secrets in settings, and are not derived from one that is changed for other reasons."""
    mount = context.mount
    if unseen := context.make_skip_finding("opened"):
        return unseen
    found = [_can_open_settings(mount.keyring, row) for row in mount.storage.read(_read_first_settings) if row.secrets]
    if not found:
        return Finding(OK, "no settings hold a secret")
    if closed := found.count(False):
        advice = f"put the key back that sealed them, behind the others in {ENCRYPTION_KEYS}, or have them set anew"
        detail = f"{ENCRYPTION_KEYS} do not open the secrets in {closed} of {len(found)} settings"
        return Finding(FAIL if closed == len(found) else WARN, detail, advice)
    if mount.config.encryption_keys:
        return Finding(OK, f"{ENCRYPTION_KEYS} open the secrets in {len(found)} settings")
    detail = f"the secrets in {len(found)} settings are lost with the app's secret key, which seals them"
    return Finding(WARN, detail, f"set {ENCRYPTION_KEYS}: a new key, and that secret behind it; then `rekey`")


def _read_first_settings(session: Session) -> list[SettingsRow]:
    start = {"after_partner_id": "", "after_tenant_id": "", "limit": _MAX_SETTINGS}
    rows = session.run(session.storage.once(SettingsSQL).select_batch, start).fetchall()
    return [SettingsRow._make(row) for row in rows]


def _can_open_settings(keyring: Keyring, row: SettingsRow) -> bool:
    place = Scope(row.partner_id, row.tenant_id)
    try:
        for path, text in flatten(json.loads(row.secrets or "{}")).items():
            keyring.open(text, place.sealing_context(path))
    except UnsealError:
        return False
    return True
