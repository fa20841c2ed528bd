"""What can be wrong with a licence, told to the operator of the host."""

from __future__ import annotations


class LicenseError(Exception):
    """There is no licence to go by. `reason` says in a sentence what is wrong, `advice` what to do about it."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason, advice)
        self.reason = reason
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.reason} {self.advice}"


ASK = "Ask the vendor for a new licence file."
COPY = "Copy the vendor's file again, byte for byte."
