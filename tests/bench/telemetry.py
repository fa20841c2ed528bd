"""CPU of a request with telemetry beside the same request without, in alternating slices of one run.

    python -m tests.bench.telemetry --db sqlite --slices 50 --rounds 4

Each mode runs in a process of its own, as in `tests.bench.compare`. The modes are `api` (telemetry is on, and there is
no SDK), `batches` (an SDK keeps every trace and hands it to an exporter in batches, which drops them), `sampled` and
`traces` (one trace in ten, or every one, is encoded as OTLP does before it is dropped), `metrics` (an SDK collects
metrics alone), `all` (as `traces`, and metrics) and `prometheus`. The time of the exporter's thread is part of the
figures.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench import compare

SINKS = {
    "off": (),
    "api": ("opentelemetry",),
    "batches": ("opentelemetry",),
    "sampled": ("opentelemetry",),
    "traces": ("opentelemetry",),
    "metrics": ("opentelemetry",),
    "all": ("opentelemetry",),
    "prometheus": ("prometheus",),
}
_SAMPLED_RATIO = 0.1


def set_up_sdk(mode: str) -> None:
    """Set up the SDK of a mode: spans that are exported in batches, and metrics that are collected every second."""
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    class EncodingExporter(SpanExporter):
        """Sends spans nowhere, though it may encode them before."""

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            if mode != "batches":
                encode_spans(spans).SerializeToString()
            return SpanExportResult.SUCCESS

    if mode in ("batches", "sampled", "traces", "all"):
        ratio = _SAMPLED_RATIO if mode == "sampled" else 1.0
        provider = TracerProvider(sampler=ParentBasedTraceIdRatio(ratio))
        provider.add_span_processor(BatchSpanProcessor(EncodingExporter()))
        trace.set_tracer_provider(provider)
    if mode in ("metrics", "all"):
        metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))


def serve(mode: str, db: str, rows: int) -> None:
    """Measure slices of the app in this mode, as `compare.serve` does."""
    from tests.bench import target

    if mode not in ("off", "api", "prometheus"):
        set_up_sdk(mode)
    target.config["PROVISIONING_TELEMETRY"] = SINKS[mode]
    compare.serve(db, rows)


@contextlib.contextmanager
def open_mode(mode: str, db: str, rows: int) -> Iterator[subprocess.Popen[str]]:
    """Context manager of a process that runs `serve` in this mode."""
    command = [sys.executable, "-m", "tests.bench.telemetry", "--serve", mode, "--db", db, "--rows", str(rows)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise SystemExit(f"the target with telemetry {mode} did not start")
        yield process
        process.kill()


def measure_mode(mode: str, arguments: Any) -> dict[str, list[list[tuple[float, float]]]]:
    """Return for each endpoint the pairs of every round: microseconds in this mode, and with telemetry off."""
    results: dict[str, list[list[tuple[float, float]]]] = {endpoint: [] for endpoint in compare.SLICE}
    for n in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            processes = {}
            for name, suffix in ((mode, "here"), ("off", "other")) if n % 2 else (("off", "other"), (mode, "here")):
                db = f"sqlite:///{folder}/{suffix}" if arguments.db == "sqlite" else f"{arguments.db}_{suffix}"
                processes[suffix] = stack.enter_context(open_mode(name, db, arguments.rows))
            for endpoint, rounds in results.items():
                rounds.append(compare.measure_pairs(processes["here"], processes["other"], endpoint, arguments.slices))
    return results


def compare_calm_slices(rounds: list[list[tuple[float, float]]]) -> float:
    """Return the ratio of the lowest tenths of both sides: of the slices in which little else ran on the machine."""
    here, off = (
        sorted(pair[side] for pairs in rounds for pair in pairs)[: max(1, sum(map(len, rounds)) // 10)]
        for side in (0, 1)
    )
    return statistics.mean(here) / statistics.mean(off)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--modes", nargs="*", default=[mode for mode in SINKS if mode != "off"])
    parser.add_argument("--db", default="sqlite")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--slices", type=int, default=50, help="of each endpoint in each round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.db, arguments.rows)
        return
    for mode in arguments.modes:
        for endpoint, rounds in measure_mode(mode, arguments).items():
            print(f"{mode:10} {compare.describe(endpoint, rounds)} calm {compare_calm_slices(rounds):.3f}", flush=True)


if __name__ == "__main__":
    assert Path("tests/bench").is_dir(), "run this from the root of the repository"
    main()
