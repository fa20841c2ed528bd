"""The licence of one mount while the host runs: loaded, reloaded when its file changes, and logged."""

from __future__ import annotations

import logging
import math
import os
import stat
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from ..config import Config
from ..errors import LicenseExpired
from .document import DAY, MAX_BYTES, License, LicenseError, State, format_time, verify

logger = logging.getLogger(__name__)
RENEW_ADVICE = "Ask the vendor for a renewed licence; a replaced licence file is picked up without a restart."


class LicenseSource:
    """Holds the last licence that was verified, and checks for a newer one when it is used.

    A file that is missing, unreadable or invalid is logged once, and the last valid licence stays in force. `clock`
    returns seconds since 1970. Safe among threads: one reads the file, and the others do not wait.
    """

    def __init__(self, settings: Config, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._store = (
            LicenseFile(settings.license_file) if settings.license_file else ConfiguredLicense(settings.license)
        )
        self._license: License | None = None
        self._error = LicenseError("The licence has not been read yet.", "Call `load` first.")
        self._logged_error: tuple[str | bytes | None, str] | None = None
        self._checked_at = math.inf
        self._announces_at = math.inf
        self._reload_lock = threading.Lock()
        self._announce_lock = threading.Lock()
        #: Increases each time another licence comes into force.
        self.generation = 0

    def load(self) -> License:
        """Read the licence now and return it, also if it has expired. Raises `LicenseError` if none was ever valid."""
        now = self._clock()
        with self._reload_lock:
            self._reload(now)
        license = self._current(now)
        if license is None:
            raise LicenseError(self._error.reason, self._error.advice)
        return license

    @property
    def license(self) -> License | None:
        """The licence in force, or None if none was ever valid."""
        return self._current(self._clock())

    @property
    def max_tenants(self) -> int | None:
        """The number of tenants that the licence allows, or None without a limit."""
        license = self._current(self._clock())
        return license.max_tenants if license else None

    def state(self) -> State | None:
        """Return the state of the licence, or None if there is none."""
        now = self._clock()
        license = self._current(now)
        return license.state(now) if license else None

    def require_provisioning(self) -> None:
        """Raise `LicenseExpired` (403) if the grace period is over or there is no licence."""
        now = self._clock()
        license = self._current(now)
        if license is None:
            raise LicenseExpired("There is no licence that allows provisioning.")
        if now >= license.grace_ends:
            raise LicenseExpired(f"The licence expired at {format_time(license.expires)}, and its grace has passed.")

    def _current(self, now: float) -> License | None:
        if not self._checked_at <= now < self._checked_at + self._settings.license_reload_seconds:
            self._reload_unless_running(now)
        if now >= self._announces_at:
            self._announce(now)
        return self._license

    def _reload_unless_running(self, now: float) -> None:
        if self._reload_lock.acquire(blocking=False):
            try:
                self._reload(now)
            finally:
                self._reload_lock.release()

    def _reload(self, now: float) -> None:
        self._checked_at = now
        settings, text = self._settings, None
        try:
            text = self._store.read(now)
            if text is not None:
                keys, revoked = settings.license_public_keys, settings.license_revoked
                self._accept(verify(text, keys, install_id=settings.install_id, revoked=revoked, now=now))
        except LicenseError as error:
            self._reject(text, error)

    def _accept(self, license: License) -> None:
        recovered, self._logged_error = self._logged_error is not None, None
        if license != self._license:
            with self._announce_lock:
                self._license = license
                self.generation += 1
                self._announces_at = -math.inf
        elif recovered:
            logger.info(
                "The licence file is valid again; licence %s stays in force.",
                license.id,
                extra={"license": license.id},
            )

    def _reject(self, text: str | bytes | None, error: LicenseError) -> None:
        self._store.force_reload()
        self._error = error
        problem = (text, error.reason)
        if self._license is not None and problem != self._logged_error:
            current_id = self._license.id
            logger.warning(
                "%s Licence %s stays in force.", error, current_id, extra={"license": current_id, "error": error.reason}
            )
        self._logged_error = problem

    def _announce(self, now: float) -> None:
        with self._announce_lock:
            license = self._license
            if license is None or now < self._announces_at:
                return
            state = license.state(now)
            self._announces_at = _get_state_end(license, state)
        _log_state(license, state, now)


def _get_state_end(license: License, state: State) -> float:
    ends = {State.VALID: license.warns_from, State.WARN: license.expires, State.GRACE: license.grace_ends}
    return ends.get(state, math.inf)


def _log_state(license: License, state: State, now: float) -> None:
    who, expires = f"{license.id} ({license.customer})", format_time(license.expires)
    days, rest = license.days_left(now), math.floor((license.grace_ends - now) / DAY)
    extra = {"license": license.id, "customer": license.customer, "state": state.value, "days_left": days}
    if state is State.VALID:
        logger.info("Licence %s is valid until %s, %d days.", who, expires, days, extra=extra)
    elif state is State.WARN:
        logger.warning("Licence %s expires in %d days, at %s. %s", who, days, expires, RENEW_ADVICE, extra=extra)
    elif state is State.GRACE:
        logger.warning(
            "Licence %s expired at %s. Provisioning stops in %d days, at %s. %s",
            who, expires, rest, format_time(license.grace_ends), RENEW_ADVICE, extra=extra,
        )  # fmt: skip
    else:
        logger.error(
            "Licence %s expired at %s, and its grace period ended %d days ago: nothing can be provisioned; "
            "reading, suspending, deleting and exporting still work. %s",
            who, expires, -rest - 1, RENEW_ADVICE, extra=extra,
        )  # fmt: skip


#: Seconds after a change during which the file is read at each check: two writes within one tick of a coarse file
#: system clock leave the same times and, perhaps, the same size.
SETTLING_SECONDS = 2.0
FILE_ADVICE = "Check PROVISIONING_LICENSE_FILE, and that the file exists and this process may read it."


class FileStamp(NamedTuple):
    """The metadata by which a change of a file is detected; `changed` also moves with the file's permissions."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class ConfiguredLicense:
    """A licence in the configuration, which cannot change."""

    def __init__(self, text: str | None) -> None:
        self._text = text
        self._unread = True

    def read(self, now: float) -> str | None:
        """Return the text, or None if it was returned before. Raises `LicenseError` if no licence is configured."""
        if not self._text:
            raise LicenseError(
                "No licence is configured.",
                "Set PROVISIONING_LICENSE_FILE to the path of the vendor's licence file.",
            )
        unread, self._unread = self._unread, False
        return self._text if unread else None

    def force_reload(self) -> None:
        """Return the text again at the next read."""
        self._unread = True


class LicenseFile:
    """A licence file, which is read again only if it may have changed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: FileStamp | None = None
        self._since = math.inf
        self._settled = False

    def read(self, now: float) -> bytes | None:
        """Return the content of the file, cut off one byte beyond 64 KiB, or None if it has certainly not changed.

        An unchanged file costs one `stat`. Raises `LicenseError` if the file cannot be read.
        """
        try:
            if self._settled and _make_stamp(os.stat(self._path)) == self._stamp:
                return None
            stamp, content = self._read_file()
        except (OSError, ValueError) as error:
            self._stamp, self._settled = None, False
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise LicenseError(f"The licence file {self._path!r} cannot be read: {why}.", FILE_ADVICE) from None
        if stamp != self._stamp or now < self._since:
            self._since = now
        self._stamp, self._settled = stamp, now - self._since >= SETTLING_SECONDS
        return content

    def force_reload(self) -> None:
        """Read the file at the next check even if it has not changed."""
        self._settled = False
        self._since = math.inf

    def _read_file(self) -> tuple[FileStamp, bytes]:
        _make_stamp(os.stat(self._path))
        with open(self._path, "rb") as file:
            return _make_stamp(os.fstat(file.fileno())), file.read(MAX_BYTES + 1)


def _make_stamp(status: os.stat_result) -> FileStamp:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    return FileStamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
