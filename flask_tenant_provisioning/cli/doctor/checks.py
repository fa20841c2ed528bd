"""Every check, by its name, in the order in which a person would look."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import configuration, database, keys, license, mounting, tokens, work
from .findings import Finding, Patient

Check = Callable[[Patient], Finding]

CHECKS: Mapping[str, Check] = {
    "configuration": configuration.keys_are_known,
    "license": license.in_force,
    "tenants": license.below_limit,
    "database": database.answers,
    "pool": database.pool_is_bounded,
    "migrations": database.migrated,
    "jwt": keys.manager,
    "jwt-algorithms": keys.algorithms,
    "jwt-key": keys.strong,
    "jwt-expiry": tokens.expire,
    "jwt-probe": tokens.are_accepted,
    "mount": mounting.registered,
    "csrf": mounting.exempt_from_csrf,
    "hooks": mounting.hooks,
    "cursors": mounting.cursors_are_sealed,
    "worker": work.keeps_up,
}
