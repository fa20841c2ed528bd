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
from tests.support import custom_fields, hosts
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.commands import CommandResult, run_command
from tests.support.database.rows import fetch_rows
from tests.support.hosts import issue_license
from tests.support.licences import BEGIN, DAY, EXPIRED, VALID

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

    def make_fixed_app(**config: Any) -> Flask:
        fixed = {"clock": lambda: float(BEGIN), "new_id": lambda: f"00000000-0000-7000-8000-{next(numbers):012d}"}
        return make_app(mount=fixed, **{"PROVISIONING_LICENSE": VALID, **config})

    return make_fixed_app


@pytest.fixture
def host(make: Make) -> Flask:
    return make()


def make_row(n: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {n}", "email": f"admin{n}@example.com", **more}


def ndjson(*tenants: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(tenant).encode() + b"\n" for tenant in tenants)


def run_import(app: Flask, file: Path | str, *options: str, **more: Any) -> CommandResult:
    return run_command(app, "tenants", "import", str(file), "--partner", "acme", *options, **more)


def run_export(app: Flask, *options: str, partner: str = "acme") -> CommandResult:
    return run_command(app, "tenants", "export", "--partner", partner, *options)


def read_tenants(app: Flask, partner: str = "acme") -> list[dict[str, Any]]:
    """Return the partner's tenants without the fields that the server sets."""
    result = run_command(
        app, "tenants", "list", "--partner", partner, "--limit", "0", "--json", "--sort", "client_name"
    )
    server_fields = ("tenant", "partner", "version", "created_at", "updated_at")
    return [
        {k: v for k, v in json.loads(line).items() if k not in server_fields} for line in result.out.split("\n")[:-1]
    ]


def is_empty(app: Flask) -> bool:
    return not any(fetch_rows(app, table) for table in ("tenants", "bulk_jobs", "bulk_chunks"))


FILES: dict[str, bytes] = {
    "tenants.json": json.dumps([make_row(1, plan="gold"), make_row(2)]).encode(),
    "tenants.ndjson": ndjson(make_row(1, plan="gold"), make_row(2)),
    "TENANTS.JSONL": ndjson(make_row(1, plan="gold"), make_row(2)),
    "tenants.csv": b"client_name;email;plan\nClient 1;admin1@example.com;gold\nClient 2;admin2@example.com;\n",
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_becomes_tenants(host: Flask, tmp_path: Path, name: str, packed: bool) -> None:
    file = tmp_path / (f"{name}.gz" if packed else name)
    file.write_bytes(gzip.compress(FILES[name]) if packed else FILES[name])
    assert run_import(host, file) == CommandResult(
        0, f"2 rows: 2 succeeded, 0 unchanged, 0 failed.\nJob {JOB}: succeeded.\n"
    )
    assert [(tenant["client_name"], tenant["email"], tenant["plan"]) for tenant in read_tenants(host)] == [
        ("Client 1", "admin1@example.com", "gold"),
        ("Client 2", "admin2@example.com", None),
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input_becomes_tenants(host: Flask, pack: Callable[[bytes], bytes]) -> None:
    result = run_import(host, "-", "--format", "csv", input=pack(FILES["tenants.csv"]))
    assert result == CommandResult(0, f"2 rows: 2 succeeded, 0 unchanged, 0 failed.\nJob {JOB}: succeeded.\n")
    assert len(read_tenants(host)) == 2


def test_failed_rows_are_listed_with_their_lines(host: Flask) -> None:
    sent = (
        b"\n"
        + ndjson(make_row(1), make_row(2, email="x", plan="p" * 101, external_id="b"))
        + b"{\n"
        + ndjson(make_row(1))
    )
    assert run_import(host, "-", "--format", "ndjson", input=sent) == CommandResult(
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
    sent = ndjson(make_row(0), *(make_row(n, email="nobody") for n in range(1, 31)))
    result = run_import(host, "-", "--format", "ndjson", "--json", input=sent)
    job, *failed = map(json.loads, result.out.splitlines())
    assert (result.status, result.err) == (1, "")
    assert job == {
        "job": JOB, "operation": "create", "mode": "partial", "state": "partial", "total": 31,
        "succeeded": 1, "failed": 30, "unchanged": 0,
    }  # fmt: skip
    assert [(item["row"], item["state"], item["status"], item["problem"]["line"]) for item in failed] == [
        (n, "failed", 400, n) for n in range(2, 32)
    ]


def test_a_table_shows_the_first_rows_that_failed(host: Flask) -> None:
    sent = ndjson(*(make_row(n, email="nobody") for n in range(23)))
    result = run_import(host, "-", "--format", "ndjson", input=sent)
    assert [line.split()[0] for line in result.out.splitlines()[3:]] == ["row", *map(str, range(1, 21))]
    assert result.err == f"There are 3 more: --resume {JOB} --json lists them all.\n"


def test_atomic_does_all_or_nothing(host: Flask) -> None:
    result = run_import(
        host, "-", "--format", "ndjson", "--atomic", input=ndjson(make_row(1), make_row(2, email="x"), make_row(3))
    )
    assert result.status == 1
    assert result.out.startswith(f"3 rows: 0 succeeded, 0 unchanged, 1 failed, 2 not done.\nJob {JOB}: failed.\n\n")
    assert read_tenants(host) == []
    assert run_import(host, "-", "--format", "ndjson", "--atomic", input=ndjson(make_row(1), make_row(3))).status == 0
    assert len(read_tenants(host)) == 2


def test_a_dry_run_leaves_no_tenant(host: Flask) -> None:
    assert run_import(host, "-", "--format", "ndjson", "--dry-run", input=ndjson(make_row(1))) == CommandResult(
        0, f"1 row: 1 would succeed, 0 unchanged, 0 failed.\nJob {JOB}: succeeded.\n"
    )
    assert read_tenants(host) == []


@pytest.mark.parametrize(
    ("operation", "row", "message"),
    [
        ("upsert", make_row(1, external_id="x"), "1 row: 0 succeeded, 1 unchanged, 0 failed."),
        ("upsert", make_row(1, external_id="x", plan="gold"), "1 row: 1 succeeded, 0 unchanged, 0 failed."),
        ("update", {"external_id": "x", "plan": "gold"}, "1 row: 1 succeeded, 0 unchanged, 0 failed."),
        ("suspend", {"external_id": "x", "reason": "unpaid"}, "1 row: 1 succeeded, 0 unchanged, 0 failed."),
        ("reactivate", {"external_id": "x"}, "1 row: 0 succeeded, 1 unchanged, 0 failed."),
        ("delete", {"external_id": "x"}, "1 row: 1 succeeded, 0 unchanged, 0 failed."),
    ],
)
def test_import_runs_the_given_operation(host: Flask, operation: str, row: dict[str, Any], message: str) -> None:
    run_import(host, "-", "--format", "ndjson", input=ndjson(make_row(1, external_id="x")))
    result = run_import(host, "-", "--format", "ndjson", "--operation", operation, input=ndjson(row))
    assert (result.status, result.out.splitlines()[0]) == (0, message)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b'client_name,email\nA,a@x.example\nB,"b', "A quote is not closed, on line 3."),
        ("a.csv", b"email,email\n", 'The header names the column "email" twice, on line 1.'),
        ("a.json", b'[{"client_name":\n', "The JSON array ends within a row, on line 1."),
        ("a.json", ndjson(make_row(1)), "The upload is not a JSON array: it does not begin with [, on line 1."),
        ("a.ndjson.gz", gzip.compress(ndjson(make_row(1)))[:-9], "The gzip ends too early."),
        ("a.ndjson.gz", ndjson(make_row(1)), "The upload is not gzip, or it is damaged."),
        ("a.ndjson", ndjson(*map(make_row, range(4))), "The upload has more than 3 rows."),
        ("a.ndjson", b" " * 2000, "The upload is larger than 1024 bytes."),
    ],
    ids=[
        "open-quote", "column-twice", "open-array", "no-array", "gzip-cut", "no-gzip", "too-many-rows", "too-many-bytes"
    ],
)  # fmt: skip
def test_a_broken_upload_leaves_nothing(make: Make, tmp_path: Path, name: str, data: bytes, message: str) -> None:
    app = make(PROVISIONING_BULK_MAX_ROWS=3, PROVISIONING_BULK_MAX_BYTES=1024)
    file = tmp_path / name
    file.write_bytes(data)
    assert run_import(app, file) == CommandResult(2, "", f"Error: {file}: {message} Nothing was saved.\n")
    assert is_empty(app)


def test_an_atomic_upload_has_a_limit_of_its_own(make: Make) -> None:
    app = make(PROVISIONING_BULK_ATOMIC_ROWS=1)
    sent = ndjson(make_row(1), make_row(2))
    result = run_import(app, "-", "--format", "ndjson", "--atomic", input=sent)
    assert result == CommandResult(2, "", "Error: <stdin>: The upload has more than 1 rows. Nothing was saved.\n")
    assert run_import(app, "-", "--format", "ndjson", input=sent).status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_contradictory_options_are_a_usage_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    app = hosts.make_host(f"sqlite:///{tmp_path}/usage.sqlite3")
    result = run_command(app, "tenants", *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err


@pytest.mark.parametrize(
    "config", [{"PROVISIONING_LICENSE": EXPIRED}, {"PROVISIONING_EDITION": "community"}], ids=["expired", "community"]
)
def test_without_a_valid_licence_creating_imports_are_refused(make: Make, config: dict[str, Any]) -> None:
    run_import(make(), "-", "--format", "ndjson", input=ndjson(make_row(1, external_id="x")))
    app = make(**config)
    for operation in ("create", "upsert"):
        result = run_import(app, "-", "--format", "ndjson", "--operation", operation, input=ndjson(make_row(2)))
        assert (result.status, result.out) == (1, "")
        assert result.err.startswith("Error: Licence expired: ")
    assert len(fetch_rows(app, "bulk_jobs")) == 1
    deleted = run_import(app, "-", "--format", "ndjson", "--operation", "delete", input=ndjson({"external_id": "x"}))
    assert deleted.status == 0


def test_the_licences_limit_is_kept(make: Make) -> None:
    app = make(PROVISIONING_LICENSE=issue_license(not_before=BEGIN, expires=BEGIN + DAY, max_tenants=2))
    result = run_import(app, "-", "--format", "ndjson", "--json", input=ndjson(*map(make_row, range(3))))
    assert [json.loads(line)["problem"]["code"] for line in result.out.splitlines()[1:]] == ["quota-exceeded"]
    assert len(read_tenants(app)) == 2


@pytest.fixture
def impatient(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """A host that receives Ctrl-C at its third tenant, with one row in each chunk."""
    monkeypatch.setattr(actions, "CHUNK_ROWS", 1)
    provisioning, app = TenantProvisioning(), Flask("host")
    app.config.update(hosts.make_config())
    main, calls = threading.main_thread().ident, itertools.count(1)
    assert main is not None

    @provisioning.hook("tenant.create")
    def look() -> None:
        if next(calls) == 3:
            signal.pthread_kill(main, signal.SIGINT)

    provisioning.init_app(app, database_url)
    yield app
    hosts.get_engine(app).dispose()


def test_an_import_that_is_interrupted_can_be_resumed(impatient: Flask) -> None:
    done = run_import(impatient, "-", "--format", "ndjson", input=ndjson(*map(make_row, range(3, 43))))
    (job,) = fetch_rows(impatient, "bulk_jobs")
    again = ("tenants", "import", "--resume", job["id"])
    assert done == CommandResult(
        130,
        "",
        "Stopped. The job is kept: other workers continue it, if any run. To continue it here:\n"
        f"  flask provisioning {' '.join(again)}\n",
    )
    chunks = [(chunk["done_at"], chunk["leased_until"]) for chunk in fetch_rows(impatient, "bulk_chunks")]
    assert (None, None) in chunks
    assert all(leased is None for done, leased in chunks if done is None), "what was begun is ended"
    whole = CommandResult(0, f"40 rows: 40 succeeded, 0 unchanged, 0 failed.\nJob {job['id']}: succeeded.\n")
    assert run_command(impatient, *again) == whole
    assert len(fetch_rows(impatient, "tenants")) == 40
    assert run_command(impatient, *again) == whole, "what has ended is told"


def test_an_upload_that_is_interrupted_leaves_nothing(impatient: Flask) -> None:
    class Interrupted(io.BytesIO):
        """A file whose reader presses Ctrl-C at its second block."""

        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise KeyboardInterrupt
            return super().read(size)

    sent = Interrupted(ndjson(*map(make_row, range(3000))))
    result = run_import(impatient, "-", "--format", "ndjson", input=sent)
    assert result == CommandResult(130, "", "Stopped. Nothing was saved.\n")
    assert is_empty(impatient)


def test_a_job_that_was_cancelled_goes_on(host: Flask) -> None:
    bulk = Bulk(host, Caller(host, "acme"))
    job = bulk.upload("create", [make_row(1), make_row(2)])
    cancelled = bulk.act(actions.cancel_job, job)
    assert JobRunner(bulk.mount, job, Progress()).run() == cancelled, "nobody goes on with it unasked"
    strange = run_command(host, "tenants", "import", "--resume", job.id, "--partner", "other")
    assert (strange.status, strange.err.splitlines()[0]) == (1, "Error: Bulk job not found.")
    assert run_command(host, "tenants", "import", "--resume", job.id, "--partner", "acme") == CommandResult(
        0, f"2 rows: 2 succeeded, 0 unchanged, 0 failed.\nJob {job.id}: succeeded.\n"
    )


def test_job_finished_by_a_worker_is_reported(host: Flask) -> None:
    bulk = Bulk(host, Caller(host, "acme"))
    job = bulk.upload("create", [make_row(1, email="x"), make_row(2, email="y")])
    bulk.work()
    result = run_command(host, "tenants", "import", "--resume", job.id)
    assert (result.status, result.err) == (1, "")
    assert result.out.startswith(FAILED.replace(JOB, job.id))


def test_import_works_on_its_own_job_only(host: Flask) -> None:
    other = Bulk(host, Caller(host, "other"))
    waiting = other.upload("create", [make_row(1)])
    assert run_import(host, "-", "--format", "ndjson", input=ndjson(make_row(1))).status == 0
    assert other.job(waiting).state == "queued"


def test_export_contains_writable_fields_only(host: Flask, tmp_path: Path) -> None:
    whole = make_row(1, external_id="x", phone_number="+1234567890", industry="IT", plan="gold", metadata={"a": "ü"})
    run_import(host, "-", "--format", "ndjson", input=ndjson(whole, make_row(2)))
    assert run_export(host) == CommandResult(
        0,
        '{"external_id":"x","client_name":"Client 1","email":"admin1@example.com","phone_number":"+1234567890",'
        '"industry":"IT","plan":"gold","metadata":{"a":"ü"}}\n'
        '{"client_name":"Client 2","email":"admin2@example.com","metadata":{}}\n',
    )
    table = tmp_path / "t.csv"
    assert run_export(host, "--output", str(table)) == CommandResult(0, f"2 tenants in {table}.\n")
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
        make_row(
            n, client_name=f"{n}{text}".strip(), external_id=text, industry=text, metadata={text: text, f"k{n}": "v"}
        )
        for n, text in enumerate(ODD)
    ]
    assert run_import(host, "-", "--format", "ndjson", input=ndjson(*sent)).status == 0
    file = tmp_path / name
    assert run_export(host, "--output", str(file)) == CommandResult(0, f"{len(ODD)} tenants in {file}.\n")
    assert file.read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
    assert list(tmp_path.glob("*.part")) == []
    back = ["import", str(file), "--operation", operation, "--partner"]
    kind = [] if "." in name else ["--format", "ndjson"]
    again = run_command(host, "tenants", *back, "other", *kind)
    assert (again.status, again.err) == (0, ""), again.out
    assert read_tenants(host, "other") == read_tenants(host)
    assert len(read_tenants(host)) == len(ODD)
    same = run_command(host, "tenants", "import", str(file), "--operation", "upsert", "--partner", "acme", *kind)
    assert same.out.startswith(f"{len(ODD)} rows: 0 succeeded, {len(ODD)} unchanged, 0 failed.\n")


@pytest.mark.parametrize("format", ["ndjson", "csv"])
def test_the_apps_own_fields_are_taken_back_too(database_url: str, format: str) -> None:
    app = custom_fields.make_host(database_url)
    own = {
        "region": "eu", "seats": 7, "trial": False, "renewal": "2026-01-31", "costCenter": "00,12",
        "address": {"city": "Bonn; am Rhein", "zip": "53111"}, "contacts": [{"city": 'a "b"'}, {"city": "c"}],
        "limits": {"cpu": 3}, "score": 1.5, "extra": "12",
    }  # fmt: skip
    sent = ndjson(
        make_row(1, **own), make_row(2, region="us", extra={"a": [None, True]}), make_row(3, region="us", extra="x")
    )
    assert run_import(app, "-", "--format", "ndjson", input=sent).status == 0
    out = run_export(app, "--format", format).out
    assert '"badge"' not in out
    result = run_command(app, "tenants", "import", "-", "--format", format, "--partner", "other", input=out)
    assert (result.status, result.err) == (0, ""), result.out
    assert read_tenants(app, "other") == read_tenants(app)
    assert [tenant["extra"] for tenant in read_tenants(app)] == ["12", {"a": [None, True]}, "x"]


def test_an_export_leaves_the_deleted_out(host: Flask) -> None:
    run_import(host, "-", "--format", "ndjson", input=ndjson(make_row(1, external_id="x"), make_row(2)))
    run_command(host, "tenants", "import", "-", "--format", "ndjson", "--operation", "delete", "--partner", "acme",
        input=ndjson({"external_id": "x"}))  # fmt: skip
    assert [json.loads(line)["client_name"] for line in run_export(host).out.splitlines()] == ["Client 2"]
    whole = run_export(host, "--include-deleted").out.splitlines()
    assert sorted(json.loads(line)["client_name"] for line in whole) == ["Client 1", "Client 2"]


def test_export_without_tenants_says_so(host: Flask, tmp_path: Path) -> None:
    run_import(host, "-", "--format", "ndjson", input=ndjson(make_row(1)))
    assert run_export(host, partner="other") == CommandResult(0, "", "There are no such tenants.\n")
    table = tmp_path / "nobody.csv"
    assert run_export(host, "--output", str(table), partner="other").err == "There are no such tenants.\n"
    result = run_import(host, table)
    assert result == CommandResult(2, "", f"Error: {table}: The upload has no rows. Nothing was saved.\n")


def test_export_escapes_formulas_and_imports_unchanged(host: Flask, tmp_path: Path) -> None:
    texts = [f"{before}{sign}1" for sign in FORMULA_SIGNS for before in ("", "'", "''", "a")]
    texts += ["'", "''", "'a", "1"]
    sent = [make_row(n, phone_number="+4915112345", metadata={f"={n % 3}": text}) for n, text in enumerate(texts)]
    assert run_import(host, "-", "--format", "ndjson", input=ndjson(*sent)).status == 0
    file = tmp_path / "acme.csv"
    assert run_export(host, "--output", str(file)).status == 0
    with file.open(newline="", encoding="utf-8") as table:
        cells = [cell for row in csv.reader(table) for cell in row]
    assert len(cells) > len(texts)
    assert not any(cell.startswith(tuple(FORMULA_SIGNS)) for cell in cells)
    assert run_command(host, "tenants", "import", str(file), "--partner", "other").status == 0
    assert read_tenants(host, "other") == read_tenants(host)
    assert len(read_tenants(host)) == len(texts)


def test_a_table_has_the_keys_that_are_named(host: Flask) -> None:
    sent = ndjson(make_row(1, metadata={"a": "1", "b": "2", "c": "3"}), make_row(2))
    run_import(host, "-", "--format", "ndjson", input=sent)
    out = run_export(host, "--format", "csv", "--metadata-key", "c", "--metadata-key", "a").out
    assert [row[6:] for row in csv.reader(out.splitlines())] == [["metadata.c", "metadata.a"], ["3", "1"], ["", ""]]


def test_values_that_csv_cannot_hold_are_reported(host: Flask) -> None:
    run_import(host, "-", "--format", "ndjson", input=ndjson(make_row(1, plan="", metadata={"a": "", "b": "2"})))
    result = run_export(host, "--format", "csv")
    assert result.err == "2 empty texts are lost when this file is imported; NDJSON keeps them.\n"
    assert run_export(host).err == ""


@pytest.mark.parametrize(("keys", "fits"), [(994, True), (995, False)])
def test_a_table_has_no_more_columns_than_an_import_takes(host: Flask, tmp_path: Path, keys: int, fits: bool) -> None:
    columns, table = [str(key) for key in range(keys)], tmp_path / "t.csv"
    sent = ndjson(*(make_row(n, metadata=dict.fromkeys(columns[n * 50 :][:50], "x")) for n in range(20)))
    run_import(host, "-", "--format", "ndjson", input=sent)
    result = run_export(host, "--output", str(table))
    if fits:
        assert run_command(host, "tenants", "import", str(table), "--partner", "other").status == 0
        assert read_tenants(host, "other") == read_tenants(host)
        return
    assert result == CommandResult(
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
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("t.csv.gz", b"before")]


def test_unwritable_file_is_reported(host: Flask, tmp_path: Path) -> None:
    file = tmp_path / "absent" / "t.csv"
    result = run_export(host, "--output", str(file))
    assert (result.status, result.out) == (1, "")
    assert str(file) in result.err
    assert "No such file or directory" in result.err


class Terminal(io.StringIO):
    """A terminal: its current lines, and everything drawn before."""

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


def test_rate_counts_from_the_start_of_the_display() -> None:
    now = [100.0]
    pace = Pace(1_000_000, 200_000, lambda: now[0])
    now[0] += 10
    assert pace.format(200_000) == "200,000 of 1,000,000 rows"
    assert pace.format(300_000) == "300,000 of 1,000,000 rows, 10,000/s, 1:10 left"
    assert pace.format(201_000) == "201,000 of 1,000,000 rows, 100/s, 2:13:10 left"
    assert format_bar(500_000, 1_000_000) == "[############------------]"
    assert format_bar(0, 0) == "[------------------------]"
