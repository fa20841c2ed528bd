"""How a step says that it failed, and how it is told that its time is over."""

from __future__ import annotations


class StepFailed(Exception):
    """Raised by a step of the host's; partners read its `message`.

    With ``retry=False`` the step gives up at once.
    """

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message)
        self.message, self.retry = message, retry


class StepAbandoned(Exception):
    """This attempt has taken too long: another one counts now, and whatever this one does is forgotten."""
