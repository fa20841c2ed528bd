"""Metrics for a Prometheus server. Importing this module imports `prometheus_client`.

Each mount has a registry of its own, so that nothing is added to the host's. With ``PROMETHEUS_MULTIPROC_DIR``
(prometheus_client's multiprocess mode) counters and histograms are those of all processes that share the folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from ..config import ConfigurationError
from .base import ReadGauges, Reading
from .instruments import INSTRUMENTS, POOL_CONNECTIONS, POOL_LIMIT, Instrument

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "provisioning_"
#: The gauges that each process has for itself: with several processes, their sum is shown.
_GAUGES_OF_PROCESS = (POOL_CONNECTIONS, POOL_LIMIT)
#: Seconds between two updates of these gauges by a process that serves requests.
_UPDATE_SECONDS = 5.0


class PrometheusMetrics:
    """The metrics of one mount."""

    def __init__(self, mount: str) -> None:
        self._mount = mount
        folder = os.environ.get(MULTIPROCESS_VARIABLE)
        if folder and not os.path.isdir(folder):
            raise ConfigurationError(f"{MULTIPROCESS_VARIABLE} must name a folder that exists, not {folder!r}.")
        self._is_multiprocess = bool(folder)
        self._readers: list[ReadGauges] = []
        self._process_readers: list[ReadGauges] = []
        self._children: dict[Any, Any] = {}
        self._update_at = 0.0
        self._registry = CollectorRegistry()
        own = None if self._is_multiprocess else self._registry
        self._metrics = {
            instrument: _make_metric(instrument, own) for instrument in INSTRUMENTS if instrument.kind != "gauge"
        }
        self._process_gauges: dict[Instrument, Gauge] = {}
        if self._is_multiprocess:
            self._process_gauges = {instrument: _make_process_gauge(instrument) for instrument in _GAUGES_OF_PROCESS}
            self._registry.register(_OwnMetrics(mount))
        self._registry.register(_Gauges(self._read))

    def count(self, instrument: Instrument, amount: int, labels: Mapping[str, str]) -> None:
        """Add `amount` to a counter."""
        self._child(instrument, labels).inc(amount)

    def record(self, instrument: Instrument, seconds: float, labels: Mapping[str, str]) -> None:
        """Record a duration in a histogram."""
        self._child(instrument, labels).observe(seconds)
        if self._is_multiprocess and time.monotonic() >= self._update_at:
            self._update_process_gauges()

    def observe(self, read: ReadGauges) -> None:
        """Read gauges by `read` at each scrape."""
        self._readers.append(read)

    def observe_process(self, read: ReadGauges) -> None:
        """Read the gauges of this process by `read`, at each scrape or, with several processes, every few seconds."""
        self._process_readers.append(read)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the text format or as OpenMetrics, and their media type."""
        if self._is_multiprocess:
            self._update_process_gauges()
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _child(self, instrument: Instrument, labels: Mapping[str, str]) -> Any:
        key = instrument, *labels.values()
        child = self._children.get(key)
        if child is None:
            child = self._metrics[instrument].labels(mount=self._mount, **labels)
            self._children[key] = child
        return child

    def _read(self) -> Iterator[tuple[Reading, str]]:
        readers = self._readers if self._is_multiprocess else [*self._readers, *self._process_readers]
        return ((reading, self._mount) for read in readers for reading in read())

    def _update_process_gauges(self) -> None:
        self._update_at = time.monotonic() + _UPDATE_SECONDS
        for read in self._process_readers:
            for reading in read():
                gauge = self._process_gauges[reading.instrument]
                gauge.labels(mount=self._mount, **reading.labels).set(reading.value)


def _make_metric(instrument: Instrument, registry: CollectorRegistry | None) -> Counter | Histogram:
    labels = ("mount", *instrument.labels)
    if instrument.kind == "counter":
        return Counter(instrument.prometheus_name, instrument.meaning, labels, registry=registry)
    return Histogram(
        instrument.prometheus_name, instrument.meaning, labels, registry=registry, buckets=instrument.buckets
    )


def _make_process_gauge(instrument: Instrument) -> Gauge:
    labels = ("mount", *instrument.labels)
    return Gauge(instrument.prometheus_name, instrument.meaning, labels, registry=None, multiprocess_mode="livesum")


class _Gauges:
    """Collector of the gauges that are read at each scrape."""

    def __init__(self, read: Callable[[], Iterable[tuple[Reading, str]]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Return a family for each gauge that has a value."""
        families: dict[Instrument, GaugeMetricFamily] = {}
        for reading, mount in self._read():
            instrument = reading.instrument
            if instrument not in families:
                labels = ("mount", *instrument.labels)
                families[instrument] = GaugeMetricFamily(instrument.prometheus_name, instrument.meaning, labels=labels)
            values = [mount, *(reading.labels[label] for label in instrument.labels)]
            families[instrument].add_metric(values, reading.value)
        yield from families.values()


class _OwnMetrics:
    """Collector of what the processes have recorded of this mount; metrics of the host's own are left out."""

    def __init__(self, mount: str) -> None:
        self._mount = mount
        self._all: Any = MultiProcessCollector(None)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        """Return the families whose names begin with ``provisioning_``, with the samples of this mount."""
        for metric in self._all.collect():
            if metric.name.startswith(_PREFIX):
                metric.samples = [sample for sample in metric.samples if sample.labels.get("mount") == self._mount]
                yield metric
