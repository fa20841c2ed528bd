"""`tenants import` and `tenants export`: what one writes the other takes."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click import ClickException
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.bulk import actions
from flask_tenant_provisioning.cli import output
from flask_tenant_provisioning.cli.progress import Pace, Progress, format_bar
from flask_tenant_provisioning.cli.tenants import bulk_import
from flask_tenant_provisioning.cli.tenants.bulk_import import JobRunner
from flask_tenant_provisioning.cli.tenants.export import TenantCSV
from flask_tenant_provisioning.cli.tenants.files import open_output
from tests import own_fields, world
from tests.bulk import Bulk
from tests.commands import Done, run
from tests.support.licences import BEGIN, DAY, EXPIRED, VALID
from tests.witness import rows
from tests.world import Caller, signed_license

JOB = "00000000-0000-7000-8000-000000000001"
FAILED = f"2 rows: 0 succeeded, 0 unchanged, 2 failed.\nJob {JOB}: failed.\n"
#: What a cell of a table, or a line of NDJSON, could trip over.
ODD = (
    'a "quoted" text',
    "a,b;c\td",
    "two\r\nlines\n",
    " spaces ",
    "=1+1",
    "Größe 株式会社",
    "'single'",
    "a\u2028\x85b",
    "null",
    ";" * 30,
)

#: Every sign that a spreadsheet takes for the beginning of a formula, written out: the test is not to ask the code.
FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
Make = Callable[..., Flask]


@pytest.fixture
def make(make_app: Make) -> Make:
    """Makes apps whose clock stands still and whose ids count."""
    numbers = itertools.count(1)

    def made(**config: Any) -> Flask:
        fixed = {"clock": lambda: float(BEGIN), "new_id": lambda: f"00000000-0000-7000-8000-{next(numbers):012d}"}
        return make_app(mount=fixed, **{"PROVISIONING_LICENSE": VALID, **config})

    return made


@pytest.fixture
def host(make: Make) -> Flask:
    return make()


def named(n: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {n}", "email": f"admin{n}@example.com", **more}


def ndjson(*tenants: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(tenant).encode() + b"\n" for tenant in tenants)


def imported(app: Flask, file: Path | str, *options: str, **more: Any) -> Done:
    return run(app, "tenants", "import", str(file), "--partner", "acme", *options, **more)


def exported(app: Flask, *options: str, partner: str = "acme") -> Done:
    return run(app, "tenants", "export", "--partner", partner, *options)


def held(app: Flask, partner: str = "acme") -> list[dict[str, Any]]:
    """What the partner's tenants are like, but for what the server gives them."""
    done = run(app, "tenants", "list", "--partner", partner, "--limit", "0", "--json", "--sort", "client_name")
    given = ("tenant", "partner", "version", "created_at", "updated_at")
    return [{k: v for k, v in json.loads(line).items() if k not in given} for line in done.out.split("\n")[:-1]]


def nothing_is_kept(app: Flask) -> bool:
    return not any(rows(app, table) for table in ("tenants", "bulk_jobs", "bulk_chunks"))


FILES: dict[str, bytes] = {
    "tenants.json": json.dumps([named(1, plan="gold"), named(2)]).encode(),
    "tenants.ndjson": ndjson(named(1, plan="gold"), named(2)),
    "TENANTS.JSONL": ndjson(named(1, plan="gold"), named(2)),
    "tenants.csv": b"client_name;email;plan\nClient 1;admin1@example.com;gold\nClient 2;admin2@example.com;\n",
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_becomes_tenants(host: Flask, tmp_path: Path, name: str, packed: bool) -> None:
    file = tmp_path / (f"{name}.gz" if packed else name)
    file.write_bytes(gzip.compress(FILES[name]) if packed else FILES[name])
    assert imported(host, file) == Done(0, f"2 rows: 2 succeeded, 0 unchanged, 0 failed.\nJob {JOB}: succeeded.\n")
    assert [(one["client_name"], one["email"], one["plan"]) for one in held(host)] == [
        ("Client 1", "admin1@example.com", "gold"),
        ("Client 2", "admin2@example.com", None),
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input_becomes_tenants(host: Flask, pack: Callable[[bytes], bytes]) -> None:
    done = imported(host, "-", "--format", "csv", input=pack(FILES["tenants.csv"]))
    assert done == Done(0, f"2 rows: 2 succeeded, 0 unchanged, 0 failed.\nJob {JOB}: succeeded.\n")
    assert len(held(host)) == 2


def test_rows_that_fail_are_told_with_their_lines(host: Flask) -> None:
    sent = b"\n" + ndjson(named(1), named(2, email="x", plan="p" * 101, external_id="b")) + b"{\n" + ndjson(named(1))
    assert imported(host, "-", "--format", "ndjson", input=sent) == Done(
        1,
        "4 rows: 1 succeeded, 0 unchanged, 3 failed.\n"
        f"Job {JOB}: partial.\n"
        "\n"
        f"row  line  code              {'detail':67}  external_id\n"
        "2    3     validation-error  email: Invalid email address.; plan: Must have 0 to 100 characters.  b\n"
        "3    4     malformed-json    Expecting property name enclosed in double quotes at column 2.       -\n"
        "4    5     tenant-exists     Another tenant has this email.                                       -\n",
    )


def test_json_tells_every_row_that_failed(host: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_import, "MAX_PAGE_SIZE", 7)
    sent = ndjson(named(0), *(named(n, email="nobody") for n in range(1, 31)))
    done = imported(host, "-", "--format", "ndjson", "--json", input=sent)
    job, *failed = map(json.loads, done.out.splitlines())
    assert (done.status, done.err) == (1, "")
    assert job == {
        "job": JOB, "operation": "create", "mode": "partial", "state": "partial", "total": 31,
        "succeeded": 1, "failed": 30, "unchanged": 0,
    }  # fmt: skip
    assert [(one["row"], one["state"], one["status"], one["problem"]["line"]) for one in failed] == [
        (n, "failed", 400, n) for n in range(2, 32)
    ]


def test_a_table_shows_the_first_rows_that_failed(host: Flask) -> None:
    sent = ndjson(*(named(n, email="nobody") for n in range(23)))
    done = imported(host, "-", "--format", "ndjson", input=sent)
    assert [line.split()[0] for line in done.out.splitlines()[3:]] == ["row", *map(str, range(1, 21))]
    assert done.err == f"There are 3 more: --resume {JOB} --json lists them all.\n"


def test_atomic_does_all_or_nothing(host: Flask) -> None:
    done = imported(host, "-", "--format", "ndjson", "--atomic", input=ndjson(named(1), named(2, email="x"), named(3)))
    assert done.status == 1
    assert done.out.startswith(f"3 rows: 0 succeeded, 0 unchanged, 1 failed, 2 not done.\nJob {JOB}: failed.\n\n")
    assert held(host) == []
    assert imported(host, "-", "--format", "ndjson", "--atomic", input=ndjson(named(1), named(3))).status == 0
    assert len(held(host)) == 2


def test_a_dry_run_leaves_no_tenant(host: Flask) -> None:
    assert imported(host, "-", "--format", "ndjson", "--dry-run", input=ndjson(named(1))) == Done(
        0, f"1 row: 1 would succeed, 0 unchanged, 0 failed.\nJob {JOB}: succeeded.\n"
    )
    assert held(host) == []


@pytest.mark.parametrize(
    ("operation", "row", "said"),
    [
        ("upsert", named(1, external_id="x"), "1 row: 0 succeeded, 1 unchanged, 0 failed."),
        ("upsert", named(1, external_id="x", plan="gold"), "1 row: 1 succeeded, 0 unchanged, 0 failed."),
        ("update", {"external_id": "x", "plan": "gold"}, "1 row: 1 succeeded, 0 unchanged, 0 failed."),
        ("suspend", {"external_id": "x", "reason": "unpaid"}, "1 row: 1 succeeded, 0 unchanged, 0 failed."),
        ("reactivate", {"external_id": "x"}, "1 row: 0 succeeded, 1 unchanged, 0 failed."),
        ("delete", {"external_id": "x"}, "1 row: 1 succeeded, 0 unchanged, 0 failed."),
    ],
)
def test_a_row_does_what_the_operation_says(host: Flask, operation: str, row: dict[str, Any], said: str) -> None:
    imported(host, "-", "--format", "ndjson", input=ndjson(named(1, external_id="x")))
    done = imported(host, "-", "--format", "ndjson", "--operation", operation, input=ndjson(row))
    assert (done.status, done.out.splitlines()[0]) == (0, said)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b'client_name,email\nA,a@x.example\nB,"b', "A quote is not closed, on line 3."),
        ("a.csv", b"email,email\n", 'The header names the column "email" twice, on line 1.'),
        ("a.json", b'[{"client_name":\n', "The JSON array ends within a row, on line 1."),
        ("a.json", ndjson(named(1)), "The upload is not a JSON array: it does not begin with [, on line 1."),
        ("a.ndjson.gz", gzip.compress(ndjson(named(1)))[:-9], "The gzip ends too early."),
        ("a.ndjson.gz", ndjson(named(1)), "The upload is not gzip, or it is damaged."),
        ("a.ndjson", ndjson(*map(named, range(4))), "The upload has more than 3 rows."),
        ("a.ndjson", b" " * 2000, "The upload is larger than 1024 bytes."),
    ],
    ids=[
        "open-quote", "column-twice", "open-array", "no-array", "gzip-cut", "no-gzip", "too-many-rows", "too-many-bytes"
    ],
)  # fmt: skip
def test_a_broken_upload_leaves_nothing(make: Make, tmp_path: Path, name: str, data: bytes, said: str) -> None:
    app = make(PROVISIONING_BULK_MAX_ROWS=3, PROVISIONING_BULK_MAX_BYTES=1024)
    file = tmp_path / name
    file.write_bytes(data)
    assert imported(app, file) == Done(2, "", f"Error: {file}: {said} Nothing was saved.\n")
    assert nothing_is_kept(app)


def test_an_atomic_upload_has_a_limit_of_its_own(make: Make) -> None:
    app = make(PROVISIONING_BULK_ATOMIC_ROWS=1)
    sent = ndjson(named(1), named(2))
    done = imported(app, "-", "--format", "ndjson", "--atomic", input=sent)
    assert done == Done(2, "", "Error: <stdin>: The upload has more than 1 rows. Nothing was saved.\n")
    assert imported(app, "-", "--format", "ndjson", input=sent).status == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import"], "Name a FILE and its --partner, or a job with --resume."),
        (["import", "-"], "Name a FILE and its --partner, or a job with --resume."),
        (["import", "--partner", "acme"], "Name a FILE and its --partner, or a job with --resume."),
        (["import", "-", "--partner", "acme"], "The format of <stdin> is unknown. Use --format: json, ndjson, csv."),
        (["import", "absent.csv", "--partner", "acme"], "'absent.csv': No such file or directory"),
        (["import", "-", "--partner", "acme", "--operation", "purge"], "Invalid value for '--operation'"),
        (["import", "-", "--resume", JOB], "--resume can only be combined with"),
        (["import", "--resume", JOB, "--atomic"], "--resume can only be combined with"),
        (["import", "--resume", "x"], "'x' is not a valid UUID."),
        (["export"], "Missing option '--partner'."),
        (["export", "--partner", "acme", "--format", "json"], "Invalid value for '--format'"),
        (["export", "--partner", "acme", "--output", "a.json"], "a.json cannot be written in the format of its name"),
        (["export", "--partner", "acme", "--metadata-key", "a"], "--metadata-key goes with --format csv."),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_usage_error(tmp_path: Path, arguments: list[str], said: str) -> None:
    app = world.host(f"sqlite:///{tmp_path}/usage.sqlite3")
    done = run(app, "tenants", *arguments)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize(
    "config", [{"PROVISIONING_LICENSE": EXPIRED}, {"PROVISIONING_EDITION": "community"}], ids=["expired", "community"]
)
def test_without_a_licence_nothing_is_taken_in_that_could_not_succeed(make: Make, config: dict[str, Any]) -> None:
    imported(make(), "-", "--format", "ndjson", input=ndjson(named(1, external_id="x")))
    app = make(**config)
    for operation in ("create", "upsert"):
        done = imported(app, "-", "--format", "ndjson", "--operation", operation, input=ndjson(named(2)))
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith("Error: Licence expired: ")
    assert len(rows(app, "bulk_jobs")) == 1
    deleted = imported(app, "-", "--format", "ndjson", "--operation", "delete", input=ndjson({"external_id": "x"}))
    assert deleted.status == 0


def test_the_licences_limit_is_kept(make: Make) -> None:
    app = make(PROVISIONING_LICENSE=signed_license(not_before=BEGIN, expires=BEGIN + DAY, max_tenants=2))
    done = imported(app, "-", "--format", "ndjson", "--json", input=ndjson(*map(named, range(3))))
    assert [json.loads(line)["problem"]["code"] for line in done.out.splitlines()[1:]] == ["quota-exceeded"]
    assert len(held(app)) == 2


@pytest.fixture
def impatient(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """A host at whose third tenant somebody presses Ctrl-C, and whose jobs' chunks hold one row each."""
    monkeypatch.setattr(actions, "CHUNK_ROWS", 1)
    provisioning, app = TenantProvisioning(), Flask("host")
    app.config.update(world.configuration())
    main, calls = threading.main_thread().ident, itertools.count(1)
    assert main is not None

    @provisioning.hook("tenant.create")
    def look() -> None:
        if next(calls) == 3:
            signal.pthread_kill(main, signal.SIGINT)

    provisioning.init_app(app, database_url)
    yield app
    world.engine_of(app).dispose()


def test_an_import_that_is_interrupted_can_be_resumed(impatient: Flask) -> None:
    done = imported(impatient, "-", "--format", "ndjson", input=ndjson(*map(named, range(3, 43))))
    (job,) = rows(impatient, "bulk_jobs")
    again = ("tenants", "import", "--resume", job["id"])
    assert done == Done(
        130,
        "",
        "Stopped. The job is kept: other workers continue it, if any run. To continue it here:\n"
        f"  flask provisioning {' '.join(again)}\n",
    )
    chunks = [(chunk["done_at"], chunk["leased_until"]) for chunk in rows(impatient, "bulk_chunks")]
    assert (None, None) in chunks
    assert all(leased is None for done, leased in chunks if done is None), "what was begun is ended"
    whole = Done(0, f"40 rows: 40 succeeded, 0 unchanged, 0 failed.\nJob {job['id']}: succeeded.\n")
    assert run(impatient, *again) == whole
    assert len(rows(impatient, "tenants")) == 40
    assert run(impatient, *again) == whole, "what has ended is told"


def test_an_upload_that_is_interrupted_leaves_nothing(impatient: Flask) -> None:
    class Interrupted(io.BytesIO):
        """A file whose reader presses Ctrl-C at its second block."""

        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise KeyboardInterrupt
            return super().read(size)

    sent = Interrupted(ndjson(*map(named, range(3000))))
    done = imported(impatient, "-", "--format", "ndjson", input=sent)
    assert done == Done(130, "", "Stopped. Nothing was saved.\n")
    assert nothing_is_kept(impatient)


def test_a_job_that_was_cancelled_goes_on(host: Flask) -> None:
    bulk = Bulk(host, Caller(host, "acme"))
    job = bulk.upload("create", [named(1), named(2)])
    cancelled = bulk.act(actions.cancel_job, job)
    assert JobRunner(bulk.mount, job, Progress()).run() == cancelled, "nobody goes on with it unasked"
    strange = run(host, "tenants", "import", "--resume", job.id, "--partner", "other")
    assert (strange.status, strange.err.splitlines()[0]) == (1, "Error: Bulk job not found.")
    assert run(host, "tenants", "import", "--resume", job.id, "--partner", "acme") == Done(
        0, f"2 rows: 2 succeeded, 0 unchanged, 0 failed.\nJob {job.id}: succeeded.\n"
    )


def test_a_job_that_others_have_done_is_told(host: Flask) -> None:
    bulk = Bulk(host, Caller(host, "acme"))
    job = bulk.upload("create", [named(1, email="x"), named(2, email="y")])
    bulk.work()
    done = run(host, "tenants", "import", "--resume", job.id)
    assert (done.status, done.err) == (1, "")
    assert done.out.startswith(FAILED.replace(JOB, job.id))


def test_an_import_does_its_own_job_alone(host: Flask) -> None:
    other = Bulk(host, Caller(host, "other"))
    waiting = other.upload("create", [named(1)])
    assert imported(host, "-", "--format", "ndjson", input=ndjson(named(1))).status == 0
    assert other.job(waiting).state == "queued"


def test_an_export_is_what_a_client_may_write(host: Flask, tmp_path: Path) -> None:
    whole = named(1, external_id="x", phone_number="+1234567890", industry="IT", plan="gold", metadata={"a": "ü"})
    imported(host, "-", "--format", "ndjson", input=ndjson(whole, named(2)))
    assert exported(host) == Done(
        0,
        '{"external_id":"x","client_name":"Client 1","email":"admin1@example.com","phone_number":"+1234567890",'
        '"industry":"IT","plan":"gold","metadata":{"a":"ü"}}\n'
        '{"client_name":"Client 2","email":"admin2@example.com","metadata":{}}\n',
    )
    table = tmp_path / "t.csv"
    assert exported(host, "--output", str(table)) == Done(0, f"2 tenants in {table}.\n")
    assert table.read_bytes().decode() == (
        '"external_id","client_name","email","phone_number","industry","plan","metadata.a"\r\n'
        "x,Client 1,admin1@example.com,'+1234567890,IT,gold,ü\r\n"
        ",Client 2,admin2@example.com,,,,\r\n"
    )


@pytest.mark.parametrize("name", ["t.ndjson", "t.ndjson.gz", "t.csv", "t.csv.gz", "t"])
@pytest.mark.parametrize("operation", ["create", "upsert"])
def test_an_import_takes_an_export_back(
    host: Flask, tmp_path: Path, name: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "MAX_PAGE_SIZE", 2)
    sent = [
        named(n, client_name=f"{n}{text}".strip(), external_id=text, industry=text, metadata={text: text, f"k{n}": "v"})
        for n, text in enumerate(ODD)
    ]
    assert imported(host, "-", "--format", "ndjson", input=ndjson(*sent)).status == 0
    file = tmp_path / name
    assert exported(host, "--output", str(file)) == Done(0, f"{len(ODD)} tenants in {file}.\n")
    assert file.read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
    assert list(tmp_path.glob("*.part")) == []
    back = ["import", str(file), "--operation", operation, "--partner"]
    kind = [] if "." in name else ["--format", "ndjson"]
    again = run(host, "tenants", *back, "other", *kind)
    assert (again.status, again.err) == (0, ""), again.out
    assert held(host, "other") == held(host)
    assert len(held(host)) == len(ODD)
    same = run(host, "tenants", "import", str(file), "--operation", "upsert", "--partner", "acme", *kind)
    assert same.out.startswith(f"{len(ODD)} rows: 0 succeeded, {len(ODD)} unchanged, 0 failed.\n")


@pytest.mark.parametrize("format", ["ndjson", "csv"])
def test_the_apps_own_fields_are_taken_back_too(database_url: str, format: str) -> None:
    app = own_fields.host(database_url)
    own = {
        "region": "eu", "seats": 7, "trial": False, "renewal": "2026-01-31", "costCenter": "00,12",
        "address": {"city": "Bonn; am Rhein", "zip": "53111"}, "contacts": [{"city": 'a "b"'}, {"city": "c"}],
        "limits": {"cpu": 3}, "score": 1.5, "extra": "12",
    }  # fmt: skip
    sent = ndjson(named(1, **own), named(2, region="us", extra={"a": [None, True]}), named(3, region="us", extra="x"))
    assert imported(app, "-", "--format", "ndjson", input=sent).status == 0
    out = exported(app, "--format", format).out
    assert '"badge"' not in out
    done = run(app, "tenants", "import", "-", "--format", format, "--partner", "other", input=out)
    assert (done.status, done.err) == (0, ""), done.out
    assert held(app, "other") == held(app)
    assert [one["extra"] for one in held(app)] == ["12", {"a": [None, True]}, "x"]


def test_an_export_leaves_the_deleted_out(host: Flask) -> None:
    imported(host, "-", "--format", "ndjson", input=ndjson(named(1, external_id="x"), named(2)))
    run(host, "tenants", "import", "-", "--format", "ndjson", "--operation", "delete", "--partner", "acme",
        input=ndjson({"external_id": "x"}))  # fmt: skip
    assert [json.loads(line)["client_name"] for line in exported(host).out.splitlines()] == ["Client 2"]
    whole = exported(host, "--include-deleted").out.splitlines()
    assert sorted(json.loads(line)["client_name"] for line in whole) == ["Client 1", "Client 2"]


def test_an_export_of_nobody_says_so(host: Flask, tmp_path: Path) -> None:
    imported(host, "-", "--format", "ndjson", input=ndjson(named(1)))
    assert exported(host, partner="other") == Done(0, "", "There are no such tenants.\n")
    table = tmp_path / "nobody.csv"
    assert exported(host, "--output", str(table), partner="other").err == "There are no such tenants.\n"
    done = imported(host, table)
    assert done == Done(2, "", f"Error: {table}: The upload has no rows. Nothing was saved.\n")


def test_an_export_holds_no_formula_and_comes_back_as_it_was(host: Flask, tmp_path: Path) -> None:
    texts = [f"{before}{sign}1" for sign in FORMULA_SIGNS for before in ("", "'", "''", "a")]
    texts += ["'", "''", "'a", "1"]
    sent = [named(n, phone_number="+4915112345", metadata={f"={n % 3}": text}) for n, text in enumerate(texts)]
    assert imported(host, "-", "--format", "ndjson", input=ndjson(*sent)).status == 0
    file = tmp_path / "acme.csv"
    assert exported(host, "--output", str(file)).status == 0
    with file.open(newline="", encoding="utf-8") as table:
        cells = [cell for row in csv.reader(table) for cell in row]
    assert len(cells) > len(texts)
    assert not any(cell.startswith(tuple(FORMULA_SIGNS)) for cell in cells)
    assert run(host, "tenants", "import", str(file), "--partner", "other").status == 0
    assert held(host, "other") == held(host)
    assert len(held(host)) == len(texts)


def test_a_table_has_the_keys_that_are_named(host: Flask) -> None:
    sent = ndjson(named(1, metadata={"a": "1", "b": "2", "c": "3"}), named(2))
    imported(host, "-", "--format", "ndjson", input=sent)
    out = exported(host, "--format", "csv", "--metadata-key", "c", "--metadata-key", "a").out
    assert [row[6:] for row in csv.reader(out.splitlines())] == [["metadata.c", "metadata.a"], ["3", "1"], ["", ""]]


def test_what_a_table_cannot_hold_is_said(host: Flask) -> None:
    imported(host, "-", "--format", "ndjson", input=ndjson(named(1, plan="", metadata={"a": "", "b": "2"})))
    done = exported(host, "--format", "csv")
    assert done.err == "2 empty texts are lost when this file is imported; NDJSON keeps them.\n"
    assert exported(host).err == ""


@pytest.mark.parametrize(("keys", "fits"), [(994, True), (995, False)])
def test_a_table_has_no_more_columns_than_an_import_takes(host: Flask, tmp_path: Path, keys: int, fits: bool) -> None:
    found, table = [str(key) for key in range(keys)], tmp_path / "t.csv"
    sent = ndjson(*(named(n, metadata=dict.fromkeys(found[n * 50 :][:50], "x")) for n in range(20)))
    imported(host, "-", "--format", "ndjson", input=sent)
    done = exported(host, "--output", str(table))
    if fits:
        assert run(host, "tenants", "import", str(table), "--partner", "other").status == 0
        assert held(host, "other") == held(host)
        return
    assert done == Done(
        1,
        "",
        "Error: There are more metadata keys than the 1,000 columns that an import accepts: "
        "choose some with --metadata-key, or export NDJSON.\n",
    )
    assert list(tmp_path.glob("t*")) == []


def test_an_export_that_fails_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    file = tmp_path / "t.csv.gz"
    file.write_bytes(b"before")
    sheet = TenantCSV(None, ["a"], is_selection=False)
    empty = dict.fromkeys(("external_id", "client_name", "email", "phone_number", "industry", "plan"))
    documents = [{**empty, "metadata": {"a": "1"}}, {**empty, "metadata": {"new": "1"}}]
    with pytest.raises(ClickException, match="A tenant has got a new metadata key"), open_output(str(file)) as out:
        out.writelines(sheet.iter_rows(documents))
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("t.csv.gz", b"before")]


def test_a_file_that_cannot_be_written_is_told(host: Flask, tmp_path: Path) -> None:
    file = tmp_path / "absent" / "t.csv"
    done = exported(host, "--output", str(file))
    assert (done.status, done.out) == (1, "")
    assert str(file) in done.err
    assert "No such file or directory" in done.err


class Terminal(io.StringIO):
    """What a user sees, and what was drawn before."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_is_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    now, terminal = [0.0], Terminal()
    progress = Progress(terminal, lambda: now[0])
    seen = []
    for now[0] in (0.0, 0.1, 0.2, 0.3, 0.5):
        seen.append(progress.is_due())
        if progress.is_due():
            progress.show(f"at {now[0]} of a long way")
    assert seen == [True, False, True, False, True]
    progress.clear()
    progress.clear()
    assert terminal.getvalue().split("\r\x1b[K") == [
        "", "at 0.0 of a long w…", "at 0.2 of a long w…", "at 0.5 of a long w…", ""
    ]  # fmt: skip


def test_a_log_has_a_line_now_and_then() -> None:
    now, log = [0.0], io.StringIO()
    progress = Progress(log, lambda: now[0])
    for now[0] in map(float, range(25)):
        if progress.is_due():
            progress.show(f"at {now[0]}")
    progress.clear()
    assert log.getvalue() == "at 10.0\nat 20.0\n"


def test_the_pace_is_told_since_somebody_looks() -> None:
    now = [100.0]
    pace = Pace(1_000_000, 200_000, lambda: now[0])
    now[0] += 10
    assert pace.format(200_000) == "200,000 of 1,000,000 rows"
    assert pace.format(300_000) == "300,000 of 1,000,000 rows, 10,000/s, 1:10 left"
    assert pace.format(201_000) == "201,000 of 1,000,000 rows, 100/s, 2:13:10 left"
    assert format_bar(500_000, 1_000_000) == "[############------------]"
    assert format_bar(0, 0) == "[------------------------]"
