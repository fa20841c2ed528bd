"""The archive of a tenant that is removed: whole, with a checksum, and nothing is removed without it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from flask_tenant_provisioning import ConfigurationError, StepContext, StepFailed, TenantProvisioning, to_folder
from tests.support.callers import Caller, tenant_path
from tests.support.database.rows import fetch_rows
from tests.support.workers.step_hosts import StepHost, read_provisioning


@pytest.fixture
def host(database_url: str) -> Iterator[StepHost]:
    host = StepHost(database_url)
    yield host
    host.close()


def purge(host: StepHost, partner: Caller, tenant: dict[str, Any]) -> None:
    response = partner.with_roles("provisioning-admin")("DELETE", f"{tenant_path(tenant)}?purge=true")
    assert response.status_code == 202, response.text
    host.work()


def lines(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.splitlines()]


def test_archive_contains_the_tenant_and_host_exports(host: StepHost, tmp_path: Path) -> None:
    @host.provisioning.export("notes")
    def notes(tenant: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for number in range(3):
            yield {"number": number, "text": f"nöte of {tenant['client_name']}"}

    host.provisioning.export("invoices")(list)
    host.provisioning.archive(to_folder(tmp_path / "archives"))
    partner = host.open()
    tenant = partner.create()

    purge(host, partner, tenant)

    name = f"{tenant['tenant']}.ndjson"
    data = (tmp_path / "archives" / name).read_bytes()
    head, about, *records, end = lines(data)
    assert head == {"kind": "archive", "version": 1, "tenant": tenant["tenant"], "exports": ["notes", "invoices"]}
    assert (about["kind"], about["data"]["email"]) == ("tenant", tenant["email"])
    assert records == [{"kind": "notes", "data": {"number": n, "text": "nöte of Example Corp"}} for n in range(3)]
    before = data[: data.rindex(b'{"kind":"end"')]
    assert end == {"kind": "end", "lines": 5, "sha256": hashlib.sha256(before).hexdigest()}
    checksum = (tmp_path / "archives" / f"{name}.sha256").read_text()
    assert checksum == f"{hashlib.sha256(data).hexdigest()}  {name}\n"
    assert sorted(path.name for path in (tmp_path / "archives").iterdir()) == [name, f"{name}.sha256"]
    assert fetch_rows(host.app, "tenants") == []


def test_the_export_comes_before_every_other_step(host: StepHost) -> None:
    host.provisioning.step("drop", phase="deprovisioning")(lambda: host.done.append("drop"))

    @host.provisioning.export("notes")
    def notes() -> list[Any]:
        host.done.append("export")
        return []

    host.provisioning.archive(lambda name: host.done.append("archive"))
    partner = host.open()
    purge(host, partner, partner.create())

    assert host.done == ["export", "archive", "drop"]


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (StepFailed("The warehouse is closed.", retry=False), "The warehouse is closed."),
        (None, "The step failed; the operator's log says why."),
    ],
    ids=["refused", "no JSON"],
)
def test_a_failed_export_stops_the_purge_and_says_so(
    host: StepHost, raised: Exception | None, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [True]

    @host.provisioning.export("notes")
    def notes() -> list[Any]:
        if broken and raised:
            raise raised
        return [{"when": object()}] if broken else []

    host.step("drop", phase="deprovisioning")
    host.provisioning.archive(lambda stream: host.done.append("archived"))
    partner = host.open()
    tenant = partner.create()
    purge(host, partner, tenant)
    for _ in range(5):
        host.work(600)

    progress = read_provisioning(partner, tenant)
    export, drop = progress["steps"]
    assert progress["state"] == "failed"
    assert (export["name"], export["state"], export["error"]["message"]) == ("export", "failed", message)
    assert (drop["state"], host.done) == ("waiting", [])
    assert len(fetch_rows(host.app, "tenants")) == 1
    assert f"the removal of tenant {tenant['tenant']} has stopped" in caplog.text
    broken.clear()
    assert partner("POST", f"{tenant_path(tenant)}/provisioning/retry").status_code == 202
    host.work()
    assert host.done == ["archived", "drop"]
    assert fetch_rows(host.app, "tenants") == []


def test_an_archive_gets_a_stream_and_its_checksum(host: StepHost) -> None:
    kept: list[tuple[str, bytes, str, dict[str, Any]]] = []

    @host.provisioning.archive
    def keep(name: str, stream: IO[bytes], sha256: str, context: StepContext) -> str:
        kept.append((name, stream.read(), sha256, context.saved))
        return f"s3://archives/{name}"

    host.provisioning.export("notes")(lambda: ({"number": number, "text": "x" * 1000} for number in range(3000)))
    seen: list[dict[str, Any]] = []
    host.provisioning.step("look", phase="deprovisioning")(lambda context: seen.append(context.saved_by("export")))
    partner = host.open()
    tenant = partner.create()
    purge(host, partner, tenant)

    ((name, data, checksum, saved),) = kept
    assert (name, saved) == (f"{tenant['tenant']}.ndjson", {})
    assert checksum == hashlib.sha256(data).hexdigest()
    assert len(lines(data)) == 3003
    assert seen == [{"archive": f"s3://archives/{name}", "sha256": checksum, "lines": 3003}]


def test_exports_without_an_archive_stop_the_start(tmp_path: Path) -> None:
    host = StepHost(f"sqlite:///{tmp_path}/x.sqlite3")
    host.provisioning.export("notes")(list)

    with pytest.raises(ConfigurationError, match="nowhere to put them"):
        host.open()


@pytest.mark.parametrize("kind", ["a b", "", "tenant", "end", "archive", "notes"])
def test_invalid_kind_is_refused(kind: str) -> None:
    provisioning = TenantProvisioning()
    provisioning.export("notes")(list)
    with pytest.raises(ConfigurationError, match="An export needs a kind of its own"):
        provisioning.export(kind)
