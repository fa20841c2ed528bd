"""Several gunicorn workers behind one scrape: run with `PROMETHEUS_MULTIPROC_DIR` set to an empty folder.

PROMETHEUS_MULTIPROC_DIR=/run/app/metrics gunicorn -c gunicorn_conf.py 'app:create_app()'
"""

from __future__ import annotations

from typing import Any

from prometheus_client import multiprocess


def child_exit(server: Any, worker: Any) -> None:
    """Forget the connections of a worker that has ended; what it has counted stays."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
