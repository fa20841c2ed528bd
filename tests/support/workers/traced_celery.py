"""A host for `celery -A tests.support.workers.traced_celery worker`, whose spans are written to a file, one a line.

The environment variable `TRACED_HOST` is JSON: the app's `config`, the database's `url` and the file `spans`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from flask import Flask
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from flask_tenant_provisioning import TenantProvisioning
from tests.support.workers.celery_hosts import celery_init_app


def declare_steps(provisioning: TenantProvisioning) -> None:
    """Declare the step that both processes know."""

    @provisioning.step("bucket")
    def make_bucket(tenant: dict[str, Any]) -> None:
        """Do nothing: its span counts."""


def format_span(span: ReadableSpan) -> str:
    """A span as one line: its process, name, trace, id and parent."""
    assert span.context is not None
    parent = None if span.parent is None else span.parent.span_id
    values = (os.getpid(), span.name, span.context.trace_id, span.context.span_id, parent)
    return json.dumps(values) + "\n"


def make_app(config: dict[str, Any], url: str, spans: str) -> Flask:
    """Make the host of a worker, with its Celery app and its SDK."""
    provider = TracerProvider()
    file = Path(spans).open("a")  # noqa: SIM115  # as long as the process
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=file, formatter=format_span)))
    trace.set_tracer_provider(provider)
    app = Flask("host")
    app.config.update(config)
    celery_init_app(app)
    provisioning = TenantProvisioning()
    declare_steps(provisioning)
    provisioning.init_app(app, url)
    return app


if "TRACED_HOST" in os.environ:
    celery = make_app(**json.loads(os.environ["TRACED_HOST"])).extensions["celery"]
