"""Engines, units of work, column types and migrations."""

from .errors import LockTimeout as LockTimeout, Outdated as Outdated, UniqueViolation as UniqueViolation
from .identifiers import following as following, instant as instant, shown as shown, uuid7 as uuid7
from .incoming import each as each, incoming as incoming
from .statements import (
    SQL as SQL,
    GuardedInsert as GuardedInsert,
    Statement as Statement,
    parameters as parameters,
    renewal as renewal,
    renewed as renewed,
)
from .storage import Session as Session, Storage as Storage
