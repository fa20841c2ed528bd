"""Connections and forks: a process leaves the connections that it inherited to its parent.

Two processes that talk on one connection read each other's answers. `os.register_at_fork` tells of most forks; servers
that fork in C (uWSGI) do not call it, so each unit of work compares the process id, too.
"""

from __future__ import annotations

import os
import threading
import weakref

from sqlalchemy import Engine, Pool

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_process = os.getpid()
#: One for each process id: a lock that the parent held at the fork would never be released in the child.
_locks: dict[int, threading.Lock] = {}
#: Kept, since Python would close SQLite's connections with the pool, and the parent would lose its locks.
_inherited: list[Pool] = []


def guard(engine: Engine) -> None:
    """Have every fork from now on leave the pooled connections of `engine` to its parent."""
    leave_to_parent()
    _engines.add(engine)


def leave_to_parent() -> None:
    """Give each guarded engine an empty pool, once in a forked process; the parent's connections stay open."""
    global _process
    process = os.getpid()
    if process == _process:
        return
    with _locks.setdefault(process, threading.Lock()):
        if process == _process:
            return
        for pool, engine in {engine.pool: engine for engine in list(_engines)}.items():
            _inherited.append(pool)
            engine.dispose(close=False)
        _process = process


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=leave_to_parent)
