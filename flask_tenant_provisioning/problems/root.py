"""What every error of this package is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple


class Fault(NamedTuple):
    """One thing wrong with the input: a stable code and a sentence. Where it stands is the pointer's business."""

    code: str
    detail: str


class ProvisioningError(Exception):
    """Root of every error that this package answers over HTTP as a problem document (RFC 9457)."""

    code: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    #: What the caller of the API can do about it; shown at ``GET /problems/{code}``.
    remedy: ClassVar[str] = "Report the request id to the operator of this API."
    #: Whether it is one host's own, and stands in the catalogue of its mounts alone.
    of_host: ClassVar[bool] = False
    #: Whether a repeated request with the same ``Idempotency-Key`` is to meet it again, where its status is final.
    lasting = True

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or f"{self.title}."
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.members = members


def catalogue(root: type[ProvisioningError] = ProvisioningError) -> Iterator[type[ProvisioningError]]:
    """Every class of problem of this package, the root first, one per code."""
    if root.of_host:
        return
    yield root
    for child in root.__subclasses__():
        yield from catalogue(child)
