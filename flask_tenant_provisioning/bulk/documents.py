"""Bulk jobs and what came of their rows, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..database import shown
from ..problems import catalogue
from ..web.api import Api
from .actions import Seen
from .results import Result


def job(seen: Seen) -> dict[str, Any]:
    """A job as it is at this moment."""
    found = seen.job
    return {
        "job": found.id,
        "partner": found.partner_id,
        "operation": found.operation,
        "mode": found.mode,
        "validate_only": bool(found.rehearsal),
        "state": found.state,
        "total": found.rows,
        "processed": seen.processed,
        **seen.tally._asdict(),
        "rate": seen.rate,
        "created_at": shown(found.created_at),
        "started_at": shown(found.started_at),
        "finished_at": shown(found.finished_at),
    }


def item(result: Result, titles: Mapping[str, str], types: str) -> dict[str, Any]:
    """What came of a row; `types` is what each problem's ``type`` begins with, `titles` are those of the codes."""
    problem = result.problem
    if problem is not None:
        title = titles.get(problem["code"], problem["code"])
        problem = {"type": types + problem["code"], "title": title, "status": result.status, **problem}
    return result._replace(problem=problem)._asdict()


def titles(api: Api) -> dict[str, str]:
    """The title of each code of problem, the host's own too."""
    return {kind.code: kind.title for kind in (*catalogue(), *api.hooks.kinds())}
