"""Checks of secrets: the key of cursors, and the keys that encrypt secrets of webhooks and settings."""

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


def _describe_keys(config: Config) -> tuple[str, str]:
    """Return what decrypts stored secrets, and what to do where it does not."""
    if config.encryption_keys:
        return ENCRYPTION_KEYS, f"put the key that encrypted them back, after the others in {ENCRYPTION_KEYS}"
    former = "a new key followed by the app's former secret key"
    return "the app's secret key", f"set {ENCRYPTION_KEYS} to the keys that encrypted them, or to {former}"


def check_cursor_secret(context: DoctorContext) -> Finding:
    """Check that a secret for the cursors of lists is set. Its mark is the same in processes with the same secret."""
    app, config = context.app, context.mount.config
    secrets = {
        "PROVISIONING_SECRET_KEY": config.secret_key,
        "SECRET_KEY": app.secret_key,
        "JWT_SECRET_KEY": app.config.get("JWT_SECRET_KEY"),
    }
    name = next((name for name, secret in secrets.items() if secret), None)
    if name is None:
        return Finding(
            FAIL, "no secret is set to seal them", "set PROVISIONING_SECRET_KEY, to the same value in every process"
        )
    mark = context.mount.cursors.seal("", "doctor")[:4]
    detail = f"sealed by {name}, mark {mark}"
    if len(secrets[name] or "") < _MIN_SECRET_LENGTH:
        return Finding(WARN, f"{detail}; it is short", f"use {_MIN_SECRET_LENGTH} characters or more")
    return Finding(OK, f"{detail}: it must be the same in every process and at every start")


#: Maximum number of endpoints checked, the oldest first.
_MAX_ENDPOINTS = 1000


def check_webhook_keys(context: DoctorContext) -> Finding:
    """Check that the keys decrypt the secrets of endpoints, and are not derived from the app's secret key."""
    mount = context.mount
    skip_finding = context.make_skip_finding("signed")
    if skip_finding is not None:
        return skip_finding
    endpoints, has_more = mount.storage.read(
        partial(actions.list_endpoints, partner=None, limit=_MAX_ENDPOINTS, after=None)
    )
    now = format_instant(mount.storage.clock())
    unreadable = sum(not _can_open_endpoint(mount.keyring, endpoint, now) for endpoint in endpoints)
    count = f"the first {_MAX_ENDPOINTS}" if has_more else f"{len(endpoints)}"
    if unreadable:
        return _report_unreadable(mount.config, unreadable, len(endpoints), count)
    return _report_readable(mount.config, len(endpoints), count)


def _can_open_endpoint(keyring: Keyring, endpoint: Endpoint, now: str) -> bool:
    try:
        load_signing_keys(keyring, endpoint, now)
    except UnsealError:
        return False
    return True


def _report_unreadable(config: Config, unreadable: int, total: int, count: str) -> Finding:
    keys, advice = _describe_keys(config)
    if unreadable == total:
        return Finding(FAIL, f"{keys} cannot decrypt the secrets of any of {count} webhooks", advice)
    detail = f"{keys} cannot decrypt the secrets of {unreadable} of {count} webhooks"
    return Finding(WARN, detail, f"{advice}, or ask the partners to rotate them")


def _report_readable(config: Config, total: int, count: str) -> Finding:
    if config.encryption_keys:
        return Finding(OK, f"{ENCRYPTION_KEYS} decrypt the secrets of {count} webhooks")
    if total:
        detail = f"the secrets of {count} webhooks are encrypted with the app's secret key, and lost when it changes"
        return Finding(
            WARN, detail, f"set {ENCRYPTION_KEYS} to a new key followed by that secret, then run `webhooks reseal`"
        )
    if config.webhook_limit:
        return Finding(
            OK, "there are none yet", f"set {ENCRYPTION_KEYS} before the first, or the app's secret key encrypts it"
        )
    return Finding(OK, "PROVISIONING_WEBHOOK_LIMIT is 0: there are none")


#: Maximum number of tenants and partners checked.
_MAX_SETTINGS = 1000


def check_settings_keys(context: DoctorContext) -> Finding:
    """Check that the keys decrypt the secrets in settings, and are not derived from the app's secret key."""
    mount = context.mount
    skip_finding = context.make_skip_finding("decrypted")
    if skip_finding is not None:
        return skip_finding
    rows = [row for row in mount.storage.read(_read_first_settings) if row.secrets]
    if not rows:
        return Finding(OK, "no settings contain a secret")
    unreadable = sum(not _can_open_settings(mount.keyring, row) for row in rows)
    if unreadable:
        keys, advice = _describe_keys(mount.config)
        detail = f"{keys} cannot decrypt the secrets in {unreadable} of {len(rows)} settings"
        return Finding(FAIL if unreadable == len(rows) else WARN, detail, f"{advice}, or set these settings again")
    if mount.config.encryption_keys:
        return Finding(OK, f"{ENCRYPTION_KEYS} decrypt the secrets in {len(rows)} settings")
    detail = f"the secrets in {len(rows)} settings are encrypted with the app's secret key, and lost when it changes"
    return Finding(WARN, detail, f"set {ENCRYPTION_KEYS} to a new key followed by that secret, then run `rekey`")


def _read_first_settings(session: Session) -> list[SettingsRow]:
    start = {"after_partner_id": "", "after_tenant_id": "", "limit": _MAX_SETTINGS}
    rows = session.run(session.storage.once(SettingsSQL).select_batch, start).fetchall()
    return [SettingsRow._make(row) for row in rows]


def _can_open_settings(keyring: Keyring, row: SettingsRow) -> bool:
    scope = Scope(row.partner_id, row.tenant_id)
    try:
        for path, text in flatten(json.loads(row.secrets or "{}")).items():
            keyring.open(text, scope.sealing_context(path))
    except UnsealError:
        return False
    return True
