"""The interface of telemetry: `Telemetry` records nothing, and its subclass `recording.ActiveTelemetry` records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from .instruments import Instrument

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


#: Seconds between two looks for an SDK while there is none.
LOOK_SECONDS = 1.0
#: What `start_request` remembers of a request, in its WSGI environ.
REQUEST_KEY = "flask_tenant_provisioning.telemetry"
#: The code of the problem that a request is answered with, in its WSGI environ.
PROBLEM_KEY = "flask_tenant_provisioning.problem"


class Reading(NamedTuple):
    """The value of a gauge, with its labels besides `mount`."""

    instrument: Instrument
    value: float
    labels: Mapping[str, str] = {}


#: A function that reads the gauges of a mount.
ReadGauges = Callable[[], Iterable[Reading]]


class RequestLabels(NamedTuple):
    """The labels of a request: its method and its route's template, such as ``/tenants/{tenant_id}``."""

    method: str
    route: str


class WorkSpan(NamedTuple):
    """A span of background work: its name and kind (`instruments.SPANS`), its parent and its attributes.

    `parent` is the `traceparent` that a row has kept, or None.
    """

    name: str
    kind: str
    parent: str | None
    attributes: Mapping[str, str | int]


class Piece:
    """A piece of background work while it runs.

    `outcome` is set by the one who does it, and stays ``failed`` if an exception escapes. `traceparent` (W3C Trace
    Context §3.2) continues its trace elsewhere; None without a trace.
    """

    __slots__ = ("outcome", "traceparent")

    def __init__(self, traceparent: str | None = None) -> None:
        self.outcome = "failed"
        self.traceparent = traceparent


class Telemetry:
    """Records nothing. Code that serves requests looks at `is_on` first, so that it calls nothing while it is off."""

    is_on = False
    #: Whether something has been found that takes spans or metrics; from then on it stays true.
    has_receiver = False

    def is_recording(self) -> bool:
        """Return whether something takes spans or metrics at present."""
        return False

    def is_tracing(self) -> bool:
        """Return whether something takes spans at present."""
        return False

    def start_request(self, environ: WSGIEnvironment, labels: RequestLabels) -> None:
        """Start the span and the time of a request, and make the span the current one."""

    def finish_request(self, environ: WSGIEnvironment, status: int) -> None:
        """Record a request that `start_request` started, which has put `REQUEST_KEY` into its environ."""

    def get_traceparent(self) -> str | None:
        """Return the `traceparent` of the current span; None without one."""
        return None

    def count(self, instrument: Instrument, amount: int, labels: Mapping[str, str]) -> None:
        """Add `amount` to a counter."""

    def record(self, instrument: Instrument, seconds: float, labels: Mapping[str, str]) -> None:
        """Record a duration in a histogram."""

    @contextmanager
    def measure(self, instrument: Instrument, labels: Mapping[str, str], span: WorkSpan) -> Iterator[Piece]:
        """Context manager of a piece of work; at its end its duration is recorded with its outcome as a label."""
        yield Piece()

    def trace_transaction(self) -> AbstractContextManager[None]:
        """Return a context manager of a unit of work, which is a span if it is part of a trace."""
        return nullcontext()

    def observe(self, read: ReadGauges) -> None:
        """Read gauges by `read` whenever metrics are collected."""

    def observe_process(self, read: ReadGauges) -> None:
        """Read gauges that each process has for itself by `read` whenever metrics are collected."""

    def render_metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics for a Prometheus server that accepts these media types, and their media type.

        Raises `RuntimeError` unless Prometheus is turned on.
        """
        raise RuntimeError("PROVISIONING_TELEMETRY does not contain 'prometheus'")

    def find_sinks(self) -> dict[str, bool]:
        """Return by name each sink that is turned on, and whether something takes what it is given."""
        return {}


#: The telemetry of mounts that have it turned off.
OFF = Telemetry()
