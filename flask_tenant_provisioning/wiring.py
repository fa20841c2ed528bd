"""The wiring of a mount: its objects, made in the order in which they need each other, and how an app serves it.

It is imported where a mount is needed, and never by `init_app` without a licence: with it come SQLAlchemy and every
feature.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, Flask

from .access.authority import Authority, enter_app_context
from .access.client_tokens import make_client_tokens
from .access.guard import Guard
from .access.tokens import TokenVerifier
from .clients.directory import ClientCache
from .config import Config
from .database.engine import is_flask_sqlalchemy, resolve_engine
from .database.session import Storage, TracedStorage
from .health.gauges import observe_gauges
from .invitations.reaction import InvitationsReaction
from .isolated import PrivateApp, install_isolated_mount
from .keyring import get_cursor_secret, load_keyring, require_cursor_secret
from .licensing.source import LicenseSource
from .mount import Cursors, Mount
from .mounts import Mounts
from .partners.cache import PartnerCache
from .registry import Registry
from .routes import select_routes
from .settings.reaction import SettingsReaction
from .signals import send_signals
from .steps.reaction import StepsReaction
from .tables import build_metadata
from .telemetry.factory import make_telemetry
from .tenants.hook_runner import HookRunner
from .tenants.models import make_custom_field_indexes
from .tenants.quotas import QuotaReaction
from .web.blueprint import make_blueprint
from .webhooks.client.resolver import Resolver
from .webhooks.client.sender import Sender
from .webhooks.client.ssrf import find_url_refusal, make_guard
from .webhooks.fanout import create_deliveries
from .workers.engines import make_engine

logger = logging.getLogger(__name__)
#: How long a request may wait for a document that a partner publishes, in seconds.
_FETCH_TIMEOUT_SECONDS = 5.0


def build_mount(
    app: Flask,
    db: Any,
    *,
    name: str,
    config: Config,
    registry: Registry,
    license: LicenseSource,
    clock: Callable[[], float],
    new_id: Callable[[], str],
) -> Mount:
    """Build a mount, without serving it. Its storage and its keyring open at first use.

    `db` is what the host gave to `init_app`. `clock` returns seconds since 1970, `new_id` the ids of tenants and
    events.
    """
    authority = PrivateApp(app, config).authority if config.mount == "isolated" else Authority(app, app)
    resolver = Resolver()
    mount = Mount(
        name=name,
        config=config,
        registry=registry,
        license=license,
        authority=authority,
        cursors=Cursors(get_cursor_secret(app, config) or ""),
        routes=select_routes(config),
        telemetry=make_telemetry(config, name),
        open_storage=partial(_open_storage, app, db, clock, new_id),
        open_keyring=partial(load_keyring, app, config),
        url_refusal=partial(find_url_refusal, config, resolver),
        fetch_url=Sender(make_guard(config, resolver), timeout=_FETCH_TIMEOUT_SECONDS).fetch,
        in_host=partial(enter_app_context, app),
        client_tokens=make_client_tokens(app, config, name, clock=clock, new_id=new_id),
        open_host_session=partial(getattr, db, "session", None) if is_flask_sqlalchemy(db) else None,
    )
    mount.guard = Guard(TokenVerifier(config, clock, authority, mount.client_tokens), config)
    mount.engine = make_engine(mount)
    if mount.telemetry.is_on:
        observe_gauges(mount)
    return mount


def _open_storage(app: Flask, db: Any, clock: Callable[[], float], new_id: Callable[[], str], mount: Mount) -> Storage:
    """Open the storage of `mount`, and connect it with what takes part in its transactions and what follows them."""
    config = mount.config
    engine, is_own = resolve_engine(app, db, config)
    storage = (TracedStorage if mount.telemetry.is_on else Storage)(
        engine,
        build_metadata(config.table_prefix),
        attempts=config.transaction_attempts,
        clock=clock,
        new_id=new_id,
        owns_engine=is_own,
        pooler=config.database_pooler,
        registry=mount.registry,
        reactions=(
            HookRunner(mount.registry, mount.in_host),
            StepsReaction(mount.registry),
            QuotaReaction(config.partner_cache_seconds),
            SettingsReaction(lambda: mount.keyring),
            InvitationsReaction(mount.registry, config.invitation_seconds, lambda: mount.keyring),
        ),
        context=mount.in_host,
        publish_reactions=(create_deliveries,),
        telemetry=mount.telemetry,
    )
    if mount.engine is not None:
        storage.wake_workers = mount.engine.wake
        storage.subscribe(mount.engine.notify_events)
    storage.subscribe(partial(send_signals, in_host=mount.in_host))
    return storage


def upgrade_tables(mount: Mount) -> None:
    """Migrate the tables and create the indexes of the declared fields. Indexes are left alone before a declaration."""
    from .database.migration import upgrade

    fields, prefix = mount.registry.fields, mount.config.table_prefix
    indexes = None if fields is None else make_custom_field_indexes(prefix, fields)
    upgrade(mount.storage.engine, prefix, indexes=indexes)


def get_blueprint(mount: Mount) -> Blueprint:
    """Return the blueprint of `mount`."""
    return mount.once(make_blueprint)


def serve_mount(app: Flask, mount: Mount, mounts: Mounts[Mount], *, migrates: bool) -> None:
    """Serve `mount` by the host, or by its private app in front of the host.

    Opens the storage, and migrates its tables if `migrates`. Raises `ConfigurationError` if it cannot be opened, and if
    the key for tokens (with no identity provider to verify them instead) or the secret for cursors is missing.
    """
    mount.authority.require_key(optional=bool(mount.config.issuers))
    require_cursor_secret(app, mount.config)
    _ = mount.storage  # opens it, also if nothing is migrated
    if migrates:
        upgrade_tables(mount)
    mount.guard.partners, mount.guard.clients = mount.once(PartnerCache), mount.once(ClientCache)
    blueprint = get_blueprint(mount)
    mount.app.register_blueprint(blueprint)
    if mount.app is app:
        _exempt_from_csrf(app, blueprint)
    else:
        install_isolated_mount(app, mount, mounts)


def _exempt_from_csrf(app: Flask, blueprint: Blueprint) -> None:
    """Exempt the blueprint from the app's Flask-WTF `CSRFProtect`: it reads no cookie."""
    flask_wtf, csrf = sys.modules.get("flask_wtf.csrf"), app.extensions.get("csrf")
    if flask_wtf is not None and isinstance(csrf, flask_wtf.CSRFProtect):
        csrf.exempt(blueprint)
        name = blueprint.name
        logger.info(
            "the blueprint %r is exempt from CSRFProtect: it reads bearer tokens, no cookie",
            name,
            extra={"mount": name},
        )
