"""What an engine works on; what it offers is `web.mount.Engine`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Work(Protocol):
    """One kind of work that waits in rows; a piece of it is what `claim` returns. Times are in seconds.

    A claim lasts for `lease` and is kept by `renew`; whoever loses it has no effect any more. A worker does as many
    pieces at once as there are `slots`. After `stop` no piece goes on for longer than it has to.
    """

    lease: float
    slots: int

    def claim(self, limit: int) -> Sequence[Any]: ...
    def renew(self, pieces: Iterable[Any]) -> None: ...
    def timeout(self, piece: Any) -> float: ...
    def run(self, piece: Any) -> None: ...
    def expire(self, piece: Any) -> None: ...
    def stop(self) -> None: ...


class External:
    """Work is found by workers elsewhere."""

    def serve(self) -> None:
        pass

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        pass

    def happened(self) -> None:
        pass

    def stop(self, grace: float) -> None:
        pass
