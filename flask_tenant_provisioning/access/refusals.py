"""The log of refused requests: each 401 and 403 on its own line, 404s as a count (OWASP ASVS 5.0 §16.3.1–16.3.3)."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from flask import request

from ..config import Config
from ..encoding import escape_control_characters
from ..errors import NotFound, ProvisioningError
from ..responses import get_request_id
from .principal import Principal

logger = logging.getLogger(__name__)

#: The key of the WSGI environ under which the guard stores the principal of a verified token.
CALLER_KEY: Final = "flask_tenant_provisioning.caller"
#: The interval in seconds at which counts of 404s are logged.
NOT_FOUND_SECONDS = 60.0
#: The number of partners whose 404s are counted at a time.
_MAX_PARTNERS = 1000


class RefusalLog:
    """Logs the refused requests of one mount. Of a token only its subject, partner and roles are logged."""

    def __init__(self, settings: Config, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._known_roles = sorted(settings.roles)
        self._monotonic = monotonic
        self._not_found: Counter[str] = Counter()
        self._since = monotonic()
        self._lock = threading.Lock()

    def log(self, problem: ProvisioningError) -> None:
        """Log the current request if `problem`, its response, is a refusal."""
        caller: Principal | None = request.environ.get(CALLER_KEY)
        if problem.status in (401, 403):
            self._log_refusal(problem, caller)
        elif isinstance(problem, NotFound) and caller is not None:
            self._count_not_found(caller.partner)

    def _log_refusal(self, problem: ProvisioningError, caller: Principal | None) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        method, route = escape_control_characters(request.method), request.url_rule.rule if request.url_rule else ""
        subject, partner = (caller.subject, caller.partner) if caller else (None, None)
        extra: dict[str, Any] = {
            "status": problem.status,
            "reason": problem.code,
            "cause": type(problem.__cause__).__name__ if problem.__cause__ else None,
            "subject": subject,
            "partner": partner,
            "request_id": get_request_id(),
            "method": method,
            "route": route,
            "address": request.environ.get("REMOTE_ADDR"),
        }
        logger.info(
            "%s %s refused: %d %s, subject %r, partner %r, request %s",
            method,
            route,
            problem.status,
            problem.code,
            subject,
            partner,
            get_request_id(),
            extra=extra,
        )
        more = {
            "request_id": get_request_id(),
            "claim": problem.members.get("claim"),
            "required": problem.members.get("required"),
            "roles": sorted(caller.roles) if caller else None,
            "known_roles": self._known_roles,
        }
        logger.debug(
            "request %s refused: %s It needs %r; the token's roles are %r, the configured roles %r",
            get_request_id(),
            escape_control_characters(problem.detail),
            more["claim"] or more["required"],
            more["roles"],
            self._known_roles,
            extra=more,
        )

    def _count_not_found(self, partner: str) -> None:
        with self._lock:
            if partner in self._not_found or len(self._not_found) < _MAX_PARTNERS:
                self._not_found[partner] += 1
            now = self._monotonic()
            if now - self._since < NOT_FOUND_SECONDS:
                return
            seconds, counts = now - self._since, self._not_found
            self._since, self._not_found = now, Counter()
        for name, count in counts.items():
            extra = {"partner": name, "count": count, "seconds": round(seconds)}
            logger.info("%d requests of partner %r returned 404 in %d seconds", count, name, seconds, extra=extra)
