"""The archive of a tenant that is removed: whole, with a checksum, and nothing is removed without it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from flask_tenant_provisioning import ConfigurationError, StepContext, StepFailed, TenantProvisioning, to_folder
from tests.steps import House, progress
from tests.witness import one, rows
from tests.world import Caller


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    made = House(database_url)
    yield made
    made.close()


def purge(house: House, partner: Caller, tenant: dict[str, Any]) -> None:
    answer = partner.as_("provisioning-admin")("DELETE", f"{one(tenant)}?purge=true")
    assert answer.status_code == 202, answer.text
    house.work()


def lines(data: bytes) -> list[Any]:
    return [json.loads(line) for line in data.splitlines()]


def test_an_archive_holds_the_tenant_and_what_the_host_exports(house: House, tmp_path: Path) -> None:
    @house.provisioning.export("notes")
    def notes(tenant: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for number in range(3):
            yield {"number": number, "text": f"nöte of {tenant['client_name']}"}

    house.provisioning.export("invoices")(list)
    house.provisioning.archive(to_folder(tmp_path / "archives"))
    partner = house.open()
    tenant = partner.create()

    purge(house, partner, tenant)

    name = f"{tenant['tenant']}.ndjson"
    data = (tmp_path / "archives" / name).read_bytes()
    head, about, *found, end = lines(data)
    assert head == {"kind": "archive", "version": 1, "tenant": tenant["tenant"], "exports": ["notes", "invoices"]}
    assert (about["kind"], about["data"]["email"]) == ("tenant", tenant["email"])
    assert found == [{"kind": "notes", "data": {"number": n, "text": "nöte of Example Corp"}} for n in range(3)]
    before = data[: data.rindex(b'{"kind":"end"')]
    assert end == {"kind": "end", "lines": 5, "sha256": hashlib.sha256(before).hexdigest()}
    checksum = (tmp_path / "archives" / f"{name}.sha256").read_text()
    assert checksum == f"{hashlib.sha256(data).hexdigest()}  {name}\n"
    assert sorted(path.name for path in (tmp_path / "archives").iterdir()) == [name, f"{name}.sha256"]
    assert rows(house.app, "tenants") == []


def test_the_export_comes_before_every_other_step(house: House) -> None:
    house.provisioning.step("drop", phase="deprovisioning")(lambda: house.done.append("drop"))

    @house.provisioning.export("notes")
    def notes() -> list[Any]:
        house.done.append("export")
        return []

    house.provisioning.archive(lambda name: house.done.append("archive"))
    partner = house.open()
    purge(house, partner, partner.create())

    assert house.done == ["export", "archive", "drop"]


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (StepFailed("The warehouse is closed.", retry=False), "The warehouse is closed."),
        (None, "The step failed; the operator's log says why."),
    ],
    ids=["refused", "no JSON"],
)
def test_a_failed_export_stops_the_purge_and_says_so(
    house: House, raised: Exception | None, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [True]

    @house.provisioning.export("notes")
    def notes() -> list[Any]:
        if broken and raised:
            raise raised
        return [{"when": object()}] if broken else []

    house.step("drop", phase="deprovisioning")
    house.provisioning.archive(lambda stream: house.done.append("archived"))
    partner = house.open()
    tenant = partner.create()
    purge(house, partner, tenant)
    for _ in range(5):
        house.work(600)

    found = progress(partner, tenant)
    export, drop = found["steps"]
    assert found["state"] == "failed"
    assert (export["name"], export["state"], export["error"]["message"]) == ("export", "failed", message)
    assert (drop["state"], house.done) == ("waiting", [])
    assert len(rows(house.app, "tenants")) == 1
    assert f"the removal of tenant {tenant['tenant']} has stopped" in caplog.text
    broken.clear()
    assert partner("POST", f"{one(tenant)}/provisioning/retry").status_code == 202
    house.work()
    assert house.done == ["archived", "drop"]
    assert rows(house.app, "tenants") == []


def test_an_archive_gets_a_stream_and_its_checksum(house: House) -> None:
    kept: list[tuple[str, bytes, str, dict[str, Any]]] = []

    @house.provisioning.archive
    def keep(name: str, stream: IO[bytes], sha256: str, context: StepContext) -> str:
        kept.append((name, stream.read(), sha256, context.saved))
        return f"s3://archives/{name}"

    house.provisioning.export("notes")(lambda: ({"number": number, "text": "x" * 1000} for number in range(3000)))
    seen: list[dict[str, Any]] = []
    house.provisioning.step("look", phase="deprovisioning")(lambda context: seen.append(context.saved_by("export")))
    partner = house.open()
    tenant = partner.create()
    purge(house, partner, tenant)

    ((name, data, checksum, saved),) = kept
    assert (name, saved) == (f"{tenant['tenant']}.ndjson", {})
    assert checksum == hashlib.sha256(data).hexdigest()
    assert len(lines(data)) == 3003
    assert seen == [{"archive": f"s3://archives/{name}", "sha256": checksum, "lines": 3003}]


def test_exports_without_an_archive_stop_the_start(tmp_path: Path) -> None:
    house = House(f"sqlite:///{tmp_path}/x.sqlite3")
    house.provisioning.export("notes")(list)

    with pytest.raises(ConfigurationError, match="nowhere to put them"):
        house.open()


@pytest.mark.parametrize("kind", ["a b", "", "tenant", "end", "archive", "notes"])
def test_a_kind_that_cannot_be_is_refused(kind: str) -> None:
    provisioning = TenantProvisioning()
    provisioning.export("notes")(list)
    with pytest.raises(ConfigurationError, match="An export needs a kind of its own"):
        provisioning.export(kind)
