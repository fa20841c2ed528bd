"""The examples of observability: the dashboard, the rules, Prometheus itself, several workers, and JSON logs."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flask_tenant_provisioning.telemetry.instruments import INSTRUMENTS, SPANS
from tests.support.callers import EXAMPLE, Caller
from tests.support.database import postgresql
from tests.support.hosts import PREFIX, make_host
from tests.support.servers import Address, send_request, serve
from tests.support.storms.server import environment, signed_token
from tests.support.telemetry import METRICS_TOKEN, SCRAPE_HEADERS, SCRAPED, TRACED, Spans, find_sample, get_trace_id
from tests.support.waiting import wait_for
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS, open_receiver
from tests.support.workers.step_hosts import StepHost

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "observability"
PAGE = FOLDER.parents[1] / "docs" / "observability.md"
ALERTS, DASHBOARD = FOLDER / "alerts.yml", FOLDER / "dashboard.json"
_NAME = re.compile(r"\bprovisioning_[a-z_]+")


def read_queries() -> list[str]:
    """The queries of the dashboard, with values for its variables."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    return [query.replace("$mount", ".*").replace("$__rate_interval", "1m") for query in queries]


@pytest.mark.one_database
def test_tables_of_the_page_are_those_of_the_code() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    metrics = [
        f"| `{metric.name}` | {metric.kind} "
        f"| {', '.join(f'`{label}`' for label in metric.labels) or '–'} | {metric.meaning} |"
        for metric in INSTRUMENTS
    ]
    spans = [f"| `{span.name}` | {span.kind} | {span.meaning} |" for span in SPANS]
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
    assert [row for row in rows if row.startswith("| `provisioning.")] == metrics
    assert [row for row in rows if row in spans] == spans
    assert [row.split("`")[1] for row in rows if row.startswith("| `Provisioning")] == alerts


@pytest.fixture
def busy_host(database_url: str) -> Iterator[StepHost]:
    """A host in which something of each kind has happened."""
    host = StepHost(database_url, **SCRAPED, **LOCAL_WEBHOOKS)
    host.step("bucket", retries=1)
    partner = host.open()
    host.broken["bucket"] = ValueError("once")
    with open_receiver() as receiver:
        assert partner("POST", "/webhooks", json={"url": receiver.url}).status_code == 201
        rows = [{"client_name": "A", "email": "u1@example.com"}, {"client_name": "A"}]
        assert partner("POST", "/bulk-jobs", json=rows).status_code == 202
        assert partner("POST", "/tenants", json={}).status_code == 400
        host.work()
        host.broken.clear()
        host.work(60)
    yield host
    host.close()


@pytest.mark.one_database
def test_metrics_of_dashboard_and_rules_exist_in_a_scrape(busy_host: StepHost) -> None:
    response = busy_host.app.test_client().get(f"{PREFIX}/metrics", headers=SCRAPE_HEADERS)
    scraped = {*_NAME.findall(response.text)}

    named = {*_NAME.findall(" ".join(read_queries())), *_NAME.findall(ALERTS.read_text())}
    assert len(named) > 10
    assert named <= scraped
    shown = {name.removesuffix("_count").removesuffix("_bucket") for name in named}
    assert {instrument.prometheus_name for instrument in INSTRUMENTS} == shown


@pytest.mark.one_database
def test_rules_and_configuration_are_valid(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    for file in FOLDER.glob("*.yml"):
        shutil.copy(file, tmp_path)
    (tmp_path / "metrics_token").write_text(METRICS_TOKEN)
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def ask(address: Address, path: str, **query: str) -> Any:
    """The answer of a Prometheus server."""
    url = f"http://{address[0]}:{address[1]}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)["data"]


@pytest.mark.slow
@pytest.mark.one_database
def test_a_prometheus_server_scrapes_and_evaluates_everything(busy_host: StepHost, tmp_path: Path) -> None:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed")
    address = ("127.0.0.1", postgresql.find_free_port())
    shutil.copy(ALERTS, tmp_path)
    (tmp_path / "metrics_token").write_text(METRICS_TOKEN)
    with serve(busy_host.app) as host:
        config = (FOLDER / "prometheus.yml").read_text().replace("127.0.0.1:5000", f"{host[0]}:{host[1]}")
        (tmp_path / "prometheus.yml").write_text(config.replace(": 15s", ": 1s"))
        command = [binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        with (tmp_path / "log").open("wb") as log:
            server = subprocess.Popen(
                [*command, f"--web.listen-address={address[0]}:{address[1]}"], cwd=tmp_path, stdout=log, stderr=log
            )
        try:

            def has_two_scrapes() -> bool:
                try:
                    found = ask(address, "query", query="count_over_time(provisioning_database_up[1m]) > 1")
                except OSError:
                    return False
                return bool(found["result"])

            assert wait_for(has_two_scrapes, 60), (tmp_path / "log").read_text()
            (target,) = ask(address, "targets")["activeTargets"]
            assert (target["health"], target["lastError"]) == ("up", "")
            empty = [query for query in read_queries() if not ask(address, "query", query=query)["result"]]
            assert empty == []
            assert wait_for(lambda: {rule["health"] for rule in list_rules(address)} == {"ok"}, 30)
            assert len(list_rules(address)) == 8
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def list_rules(address: Address) -> list[dict[str, Any]]:
    """The rules that a Prometheus server has loaded."""
    return [rule for group in ask(address, "rules")["groups"] for rule in group["rules"]]


@pytest.mark.slow
@pytest.mark.one_database
def test_one_scrape_shows_the_requests_of_all_gunicorn_workers(tmp_path: Path) -> None:
    if importlib.util.find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    address = ("127.0.0.1", postgresql.find_free_port())
    folder = tmp_path / "metrics"
    folder.mkdir()
    config = environment(PROVISIONING_DATABASE_URL=f"sqlite:///{tmp_path}/db.sqlite3", **SCRAPED)
    env = {**config, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    options = ["--workers=2", "--threads=2", f"--bind={address[0]}:{address[1]}", f"--config={FOLDER}/gunicorn_conf.py"]
    command = [sys.executable, "-m", "gunicorn", *options, "app:create_app()"]
    quickstart = FOLDER.parent / "quickstart"
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=quickstart, env=env, stdout=log, stderr=log)
    try:
        assert wait_for(lambda: is_ready(address), 30), (tmp_path / "log").read_text()
        assert wait_for(lambda: have_all_workers_served(address, folder), 60), (tmp_path / "log").read_text()
        token = signed_token("acme")
        for n in range(40):
            body = {**EXAMPLE, "email": f"u{n}@example.com"}
            assert send_request(address, "POST", f"{PREFIX}/tenants", token, body).status == 201
        texts = [send_request(address, "GET", f"{PREFIX}/metrics", METRICS_TOKEN).body.decode() for _ in range(6)]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)

    counted = "provisioning_request_duration_seconds_count"
    assert {find_sample(text, counted, {"route": "/tenants", "status": 201}) for text in texts} == {40}
    assert {find_sample(text, "provisioning_database_up", {}) for text in texts} == {1}
    assert "python_info" not in texts[0]


def have_all_workers_served(address: Address, folder: Path) -> bool:
    """Send some requests at once, and return whether each of two processes has counted one by now."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: is_ready(address), range(8)))
    return len({name.rpartition("_")[2] for name in os.listdir(folder)}) >= 2


def is_ready(address: Address) -> bool:
    try:
        return send_request(address, "GET", f"{PREFIX}/health/ready", "").status == 200
    except OSError:
        return False


@pytest.fixture
def json_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The API's log lines, as the example's formatter writes them."""
    monkeypatch.syspath_prepend(str(FOLDER))
    stream, logger = io.StringIO(), logging.getLogger("flask_tenant_provisioning")
    level = logger.level
    handler = importlib.import_module("json_logs").log_as_json(stream)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


def read_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.one_database
def test_json_lines_carry_fields_request_and_trace(json_logs: io.StringIO, database_url: str) -> None:
    spans = Spans()
    app = make_host(database_url, **TRACED)
    response = Caller(app, roles=("nothing",))("GET", "/tenants", headers={"X-Request-ID": "req-1"})
    assert response.status_code == 403

    line = next(line for line in read_lines(json_logs) if line.get("reason") == "insufficient-permission")
    assert (line["level"], line["request_id"]) == ("INFO", "req-1")
    assert line["logger"] == "flask_tenant_provisioning.access.refusals"
    assert int(line["trace_id"], 16) == get_trace_id(spans.one(f"GET {PREFIX}/tenants"))
    assert {"partner", "subject", "time", "span_id"} <= line.keys()


@pytest.mark.one_database
def test_json_lines_of_a_failed_step_carry_its_trace_and_traceback(json_logs: io.StringIO, database_url: str) -> None:
    spans = Spans()
    host = StepHost(database_url, **TRACED)
    host.step("bucket")
    host.broken["bucket"] = ValueError("broken\n{}")
    host.open().create()
    host.work()

    line = next(line for line in read_lines(json_logs) if line.get("step") == "bucket")
    assert int(line["trace_id"], 16) == get_trace_id(spans.one("step bucket"))
    assert "ValueError: broken" in line["traceback"]
    host.close()


@pytest.mark.one_database
def test_json_lines_without_telemetry_have_no_trace(json_logs: io.StringIO, database_url: str) -> None:
    app = make_host(database_url)
    Caller(app, roles=("nothing",))("GET", "/tenants")

    lines = read_lines(json_logs)
    assert lines
    assert not any("trace_id" in line for line in lines)
