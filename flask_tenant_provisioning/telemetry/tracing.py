"""Spans by the OpenTelemetry API. Importing this module imports `opentelemetry`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from typing import TYPE_CHECKING

from opentelemetry import context as contexts, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .base import Piece, WorkSpan

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SCOPE = "flask_tenant_provisioning"
#: The longest `traceparent` and `tracestate` that are read. Version 00 has 55 characters; a later one may have more.
MAX_TRACEPARENT, MAX_TRACESTATE = 128, 512
#: The outcomes of background work that are no error.
GOOD_OUTCOMES = frozenset({"succeeded", "lost"})
_PROPAGATOR = TraceContextTextMapPropagator()
_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_ERROR = Status(StatusCode.ERROR)


def is_sdk(provider: object) -> bool:
    """Return whether a provider is an SDK's, not one of the API's own that records nothing."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


class Tracing:
    """Spans of one mount. None is started without an SDK."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer(SCOPE)
        self._has_sdk = False

    def has_sdk(self) -> bool:
        """Return whether the host's process has set up an SDK for traces, which it does once."""
        self._has_sdk = self._has_sdk or is_sdk(trace.get_tracer_provider())
        return self._has_sdk

    def start_request_span(
        self, environ: WSGIEnvironment, name: str, attributes: Mapping[str, str]
    ) -> tuple[Span, Token[Context]]:
        """Start the span of a request and make it the current one.

        Its parent is the host's current span, or else the one that a well-formed ``traceparent`` header names.
        """
        parent = None
        if "HTTP_TRACEPARENT" in environ and not trace.get_current_span().get_span_context().is_valid:
            parent = parse_headers(environ["HTTP_TRACEPARENT"], environ.get("HTTP_TRACESTATE", ""))
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)
        return span, contexts.attach(trace.set_span_in_context(span))

    def end_request_span(self, started: tuple[Span, Token[Context]], status: int) -> None:
        """End a span of `start_request_span`; statuses from 500 on are errors (HTTP semantic conventions)."""
        span, token = started
        contexts.detach(token)
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(_ERROR)
        span.end()

    @contextmanager
    def open_work_span(self, work: WorkSpan, piece: Piece) -> Iterator[None]:
        """Context manager of the span of a piece of work, which gets the span's `traceparent`. Without an SDK there is
        none.

        The trace is the one that the row has kept. A current span of the host's, such as that of a Celery task, is
        linked.
        """
        if not self.has_sdk():
            yield
            return
        parent = parse_headers(work.parent) if work.parent else None
        current = trace.get_current_span().get_span_context()
        links = [Link(current)] if parent is not None and current.is_valid else None
        span = self._tracer.start_span(work.name, parent, _KINDS[work.kind], work.attributes, links)
        token = contexts.attach(trace.set_span_in_context(span))
        piece.traceparent = format_traceparent()
        try:
            yield
        finally:
            contexts.detach(token)
            span.set_attribute("provisioning.outcome", piece.outcome)
            if piece.outcome not in GOOD_OUTCOMES:
                span.set_status(Status(StatusCode.ERROR, piece.outcome))
            span.end()

    @contextmanager
    def open_transaction_span(self) -> Iterator[None]:
        """Context manager of the span of a unit of work. Outside a trace, as for a worker's polls, there is none."""
        if not (self.has_sdk() and trace.get_current_span().get_span_context().is_valid):
            yield
            return
        span = self._tracer.start_span("transaction")
        token = contexts.attach(trace.set_span_in_context(span))
        try:
            yield
        except BaseException:
            span.set_attribute("provisioning.rolled_back", True)
            raise
        finally:
            contexts.detach(token)
            span.end()


def parse_headers(traceparent: str, tracestate: str = "") -> Context | None:
    """Return the context that the headers of W3C Trace Context name; None if `traceparent` is malformed."""
    if len(traceparent) > MAX_TRACEPARENT:
        return None
    carrier = {"traceparent": traceparent}
    if tracestate and len(tracestate) <= MAX_TRACESTATE:
        carrier["tracestate"] = tracestate
    context = _PROPAGATOR.extract(carrier, Context())
    return context if trace.get_current_span(context).get_span_context().is_valid else None


def format_traceparent() -> str | None:
    """Return the `traceparent` of the current span; None without one."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags & 1:02x}"
