"""Every check, by its name, in the order in which a person would look."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import configuration, database, host, keys, license, limits, mounting, routes, settings, tokens, webhooks, work
from .findings import Finding, Patient

Check = Callable[[Patient], Finding]

CHECKS: Mapping[str, Check] = {
    "configuration": configuration.keys_are_known,
    "license": license.in_force,
    "tenants": license.below_limit,
    "database": database.answers,
    "pool": database.pool_is_bounded,
    "pooler": database.pooler_is_named,
    "privileges": database.role_may_write,
    "migrations": database.migrated,
    "tables": database.only_ours,
    "autogenerate": host.migrations,
    "tenant-rows": database.rows_of_tenants_are_removed,
    "jwt": keys.manager,
    "jwt-users": keys.users,
    "jwt-algorithms": keys.algorithms,
    "jwt-key": keys.strong,
    "jwt-expiry": tokens.expire,
    "jwt-probe": tokens.are_accepted,
    "mount": mounting.registered,
    "csrf": host.no_csrf_wall,
    "hooks": host.hooks,
    "answers": host.answers,
    "sessions": host.sessions,
    "compression": host.compression,
    "middleware": host.middleware,
    "routes": routes.apart,
    "cursors": mounting.cursors_are_sealed,
    "rate-limits": limits.are_counted,
    "webhook-keys": webhooks.can_be_signed,
    "webhook-reach": webhooks.go_nowhere_near,
    "settings-keys": settings.can_be_opened,
    "worker": work.keeps_up,
}
