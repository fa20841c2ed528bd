"""Metrics by the OpenTelemetry API. Importing this module imports `opentelemetry`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from .base import ReadGauges, Reading
from .instruments import INSTRUMENTS, Instrument
from .tracing import SCOPE, is_sdk

#: Seconds for which one reading serves all gauges of a collection.
_SHARED_SECONDS = 0.5


class OtelMetrics:
    """The instruments of one mount at the OpenTelemetry API. Without an SDK nothing is recorded.

    Each mount has a scope of its own: of two gauges with one name and scope, SDKs read only the first.
    """

    def __init__(self, mount: str) -> None:
        self._mount = mount
        meter = metrics.get_meter(f"{SCOPE}.{mount}")
        self._counters: dict[Instrument, Any] = {}
        self._histograms: dict[Instrument, Any] = {}
        self._readers: list[ReadGauges] = []
        self._latest: tuple[float, Sequence[Reading]] = (float("-inf"), ())
        self._has_sdk = False
        for instrument in INSTRUMENTS:
            if instrument.kind == "counter":
                self._counters[instrument] = meter.create_counter(
                    instrument.name, unit=instrument.unit, description=instrument.meaning
                )
            elif instrument.kind == "histogram":
                self._histograms[instrument] = meter.create_histogram(
                    instrument.name, unit=instrument.unit, description=instrument.meaning
                )
            else:
                meter.create_observable_gauge(
                    instrument.name,
                    callbacks=[self._make_callback(instrument)],
                    unit=instrument.unit,
                    description=instrument.meaning,
                )

    def has_sdk(self) -> bool:
        """Return whether the host's process has set up an SDK for metrics, which it does once."""
        self._has_sdk = self._has_sdk or is_sdk(metrics.get_meter_provider())
        return self._has_sdk

    def count(self, instrument: Instrument, amount: int, labels: Mapping[str, str]) -> None:
        """Add `amount` to a counter."""
        if self.has_sdk():
            self._counters[instrument].add(amount, {"mount": self._mount, **labels})

    def record(self, instrument: Instrument, seconds: float, labels: Mapping[str, str]) -> None:
        """Record a duration in a histogram."""
        if self.has_sdk():
            self._histograms[instrument].record(seconds, {"mount": self._mount, **labels})

    def observe(self, read: ReadGauges) -> None:
        """Read gauges by `read` whenever the SDK collects."""
        self._readers.append(read)

    def _make_callback(self, instrument: Instrument) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterator[Observation]:
            for reading in self._read_all():
                if reading.instrument is instrument:
                    yield Observation(reading.value, {"mount": self._mount, **reading.labels})

        return observe

    def _read_all(self) -> Sequence[Reading]:
        """Return the readings of all gauges, which the callbacks of one collection share."""
        at, readings = self._latest
        now = time.monotonic()
        if now - at >= _SHARED_SECONDS:
            readings = [reading for read in self._readers for reading in read()]
            self._latest = now, readings
        return readings
