"""How every table is named."""

from __future__ import annotations

from sqlalchemy import MetaData

NAMES = {
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


def empty_metadata(prefix: str) -> MetaData:
    """A MetaData whose tables are to be named ``prefix`` + their own name."""
    return MetaData(naming_convention=NAMES, info={"prefix": prefix})


def prefixed(metadata: MetaData, name: str) -> str:
    """The full name of the table `name`."""
    return f"{metadata.info['prefix']}{name}"
