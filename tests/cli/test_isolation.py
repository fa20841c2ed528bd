"""`flask provisioning isolation`: create the policies, and find the tables without."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from tests.support.commands import run_command
from tests.support.doctor import run_doctor
from tests.support.hosts import make_host
from tests.support.isolated_rows import RowHost, open_role

ADVICE = "run `flask provisioning isolation apply` as the owner of the tables"
LEAKS = [
    {
        "table": "invoices",
        "problem": "the unique key (number) tells of other tenants' rows",
        "advice": "make it unique per tenant: (tenant_id, number)",
        "fault": False,
    },
    {
        "table": "invoices",
        "problem": "the foreign key (project_id) may refer to another tenant's row in projects",
        "advice": "refer by (tenant_id, project_id)",
        "fault": False,
    },
]


@pytest.fixture
def host(postgresql_database: str) -> Iterator[RowHost]:
    """A host without policies, whose role owns its tables."""
    with open_role(postgresql_database) as role:
        new_host = RowHost(postgresql_database, role)
        new_host.open(policies=False)
        for table in ("projects", "invoices", "rates", "currencies"):
            new_host.run_as_owner(f"ALTER TABLE {table} OWNER TO {role}")
        yield new_host
        new_host.close()


def test_policies_are_printed_applied_and_checked(host: RowHost) -> None:
    before = run_command(host.app, "isolation", "check")
    assert before.status == 1
    assert f"fail  projects: row-level security is off / {ADVICE}\n" in before.out
    printed = run_command(host.app, "isolation", "apply", "--sql")
    assert (printed.status, len(printed.out.splitlines())) == (0, 8)
    assert run_command(host.app, "isolation", "check").status == 1
    applied = run_command(host.app, "isolation", "apply")
    assert (applied.status, applied.out, applied.err) == (0, printed.out, "8 statements.\n")
    again = run_command(host.app, "isolation", "apply")
    assert (again.status, again.out, again.err) == (0, "", "Nothing to do.\n")
    after = run_command(host.app, "isolation", "check", "--json")
    assert (after.status, json.loads(after.out)) == (0, LEAKS)


def test_a_table_that_the_metadata_does_not_know_is_found(host: RowHost) -> None:
    run_command(host.app, "isolation", "apply")
    host.run_as_owner("CREATE TABLE forgotten (id int, tenant_id text)")
    checked = run_command(host.app, "isolation", "check")
    assert checked.status == 1
    expected = "fail  forgotten: has a column tenant_id and no policy / declare it in the metadata, or as exempt\n"
    assert expected in checked.out
    assert "rates" not in checked.out
    assert "provisioning_events" not in checked.out


def test_ci_checks_policies_with_the_role_that_it_has(postgresql_database: str) -> None:
    host = RowHost(postgresql_database, str(make_url(postgresql_database).username))
    host.open()
    checked = run_command(host.app, "isolation", "check")
    assert (checked.status, "is a superuser, whom no policy binds" in checked.out) == (1, True)
    assert run_command(host.app, "isolation", "check", "--any-role").status == 0
    host.close()


def test_a_role_that_owns_no_table_is_told_so(host: RowHost) -> None:
    host.run_as_owner(f"ALTER TABLE projects OWNER TO {host.owner.url.username}")
    refused = run_command(host.app, "isolation", "apply")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith("Error: The database refused it: ")
    assert "must be owner of table projects" in refused.err


@pytest.mark.parametrize("command", ["apply", "check"])
def test_a_host_without_a_strategy_is_told_so(database_url: str, command: str) -> None:
    result = run_command(make_host(database_url), "isolation", command)
    expected = "Error: The app names no strategy: provisioning.isolation.use(RowLevelSecurity(…)).\n"
    assert (result.status, result.err) == (1, expected)


def test_doctor_says_whether_the_policies_hold(host: RowHost) -> None:
    status, detail, advice = run_doctor(host.app)["isolated-rows"]
    assert (status, advice) == ("fail", f"{ADVICE}; `flask provisioning isolation check` lists all")
    assert detail == "RowLevelSecurity: projects: row-level security is off, and 3 more"
    run_command(host.app, "isolation", "apply")
    status, detail, _ = run_doctor(host.app)["isolated-rows"]
    assert status == "warn"
    assert detail == "RowLevelSecurity: invoices: the unique key (number) tells of other tenants' rows, and 1 more"
