"""`tenants …`: what an operator does is what the API does."""

from __future__ import annotations

import getpass
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup
from sqlalchemy import select

import flask_tenant_provisioning
from flask_tenant_provisioning.cli import output
from flask_tenant_provisioning.cli.output import Table, fit_widths, format_fields, measure_width, truncate, wrap
from flask_tenant_provisioning.encoding import escape_control_characters
from tests.support import hosts
from tests.support.callers import Caller
from tests.support.commands import CommandResult, run_command
from tests.support.hosts import issue_license
from tests.support.licences import BEGIN, DAY, EXPIRED, VALID

NEW = ("tenants", "create", "--partner", "acme", "--client-name", "Example Corp", "--email", "admin@example.com")
FIRST = "00000000-0000-7000-8000-000000000001"

Make = Callable[..., Flask]


@pytest.fixture
def make(make_app: Make) -> Make:
    """Makes apps whose clock stands still and whose ids count."""
    numbers = itertools.count(1)

    def make_fixed_app(mount: dict[str, Any] | None = None, **config: Any) -> Flask:
        fixed = {"clock": lambda: float(BEGIN), "new_id": lambda: f"00000000-0000-7000-8000-{next(numbers):012d}"}
        return make_app(mount={**fixed, **(mount or {})}, **{"PROVISIONING_LICENSE": VALID, **config})

    return make_fixed_app


@pytest.fixture
def host(make: Make) -> Flask:
    return make()


def tenants(app: Flask, *arguments: str, **options: Any) -> CommandResult:
    return run_command(app, "tenants", *arguments, **options)


def create_tenant(app: Flask, name: str = "Example Corp", partner: str = "acme", **fields: str) -> dict[str, Any]:
    """A new tenant's document."""
    required_options = {"client-name": name, "email": f"{name.lower().replace(' ', '.')}@example.com", **fields}
    options = itertools.chain(*((f"--{option}", value) for option, value in required_options.items()))
    done = tenants(app, "create", "--partner", partner, *options, "--json")
    assert (done.status, done.err) == (0, "")
    document: dict[str, Any] = json.loads(done.out)
    return document


def change_tenant(app: Flask, *arguments: str) -> dict[str, Any]:
    """The document after a change."""
    done = tenants(app, *arguments, "--json")
    assert (done.status, done.err) == (0, "")
    document: dict[str, Any] = json.loads(done.out)
    return document


def names(done: CommandResult) -> list[str]:
    """Return the names in a JSON list."""
    assert (done.status, done.err) == (0, "")
    return [json.loads(line)["client_name"] for line in done.out.splitlines()]


def events(app: Flask) -> list[tuple[Any, ...]]:
    storage = app.extensions["tenant_provisioning"]["provisioning"].storage
    t = storage.table("events").c
    wanted = (t.type, t.partner_id, t.actor_subject, t.actor_partner, t.request_id, t.actor_address, t.actor_user_agent)
    with storage.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*wanted).order_by(t.id))]


def test_create_shows_the_tenant(host: Flask) -> None:
    assert run_command(host, *NEW, "--metadata", "region=eu", "--metadata", "note=a=b") == CommandResult(
        0,
        "tenant            00000000-0000-7000-8000-000000000001\n"
        "partner           acme\n"
        "external_id       -\n"
        "client_name       Example Corp\n"
        "email             admin@example.com\n"
        "phone_number      -\n"
        "industry          -\n"
        "plan              -\n"
        "metadata.region   eu\n"
        "metadata.note     a=b\n"
        "status            active\n"
        "suspended_reason  -\n"
        "version           1\n"
        "created_at        2025-02-10T16:30:00.000Z\n"
        "updated_at        2025-02-10T16:30:00.000Z\n"
        "deleted_at        -\n"
        "purge_at          -\n",
    )


def test_json_is_the_document_that_the_api_shows(host: Flask) -> None:
    fields = {"phone-number": "+1234567890", "industry": "Bücher", "plan": "gold", "external-id": "x-1"}
    document = create_tenant(host, "Größe 株式会社", email="a@example.com", **fields)
    assert document == Caller(host, "acme")("GET", f"/tenants/{FIRST}").get_json()
    assert document["industry"] == "Bücher"
    assert json.loads(tenants(host, "show", FIRST, "--json").out) == document


def test_event_names_the_operator(host: Flask) -> None:
    create_tenant(host)
    change_tenant(host, "suspend", FIRST)
    actor = ("acme", getpass.getuser(), "acme", None, None, None)
    assert events(host) == [("tenant.created", *actor), ("tenant.suspended", *actor)]


def test_each_error_names_its_field(host: Flask) -> None:
    assert tenants(
        host, "create", "--partner", "acme", "--email", "x", "--plan", "p" * 101, "--metadata", "=v"
    ) == CommandResult(
        1,
        "",
        "Error: Invalid input: 4 fields are invalid.\n"
        "  client_name: This field is required.\n"
        "  email: Invalid email address.\n"
        "  metadata.: A key must have 1 to 40 characters.\n"
        "  plan: Must have 0 to 100 characters.\n"
        "Correct the values named above.\n",
    )


def test_missing_partner_is_reported_like_in_the_api(host: Flask) -> None:
    assert tenants(host, "create", "--partner", "", "--email", "a@example.com", "--client-name", "A") == CommandResult(
        1,
        "",
        "Error: Invalid query parameter: 1 query parameter is invalid.\n"
        "  partner: Must have 1 to 255 characters.\n"
        "Correct the options named above.\n",
    )


def test_duplicate_email_names_the_holder(host: Flask) -> None:
    run_command(host, *NEW)
    assert run_command(host, *NEW) == CommandResult(
        1,
        "",
        "Error: Tenant already exists: Another tenant has this email.\n"
        "  field: email\n"
        f"  conflicting_tenant: {FIRST}\n"
        "`field` names the taken value. Use the tenant in `conflicting_tenant`, or choose another value.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--email", "a@example.com"], "Missing option '--partner'."),
        (["create", "--partner", "a", "--metadata", "k"], "'--metadata': 'k' is not of the form KEY=VALUE."),
        (["create", "--partner", "a", "--metadata", "k=1", "--metadata", "k=2"], "'k' is given twice."),
        (["create", "--partner", "a\udcff"], "Invalid value for '--partner': must be UTF-8 without NUL characters."),
        (["create", "--partner", "a", "--client-name", "b\0"], "must be UTF-8 without NUL characters."),
        (["update", FIRST], "Name a field to change."),
        (["update", FIRST, "--plan", "a", "--unset", "plan"], "Invalid value for --unset: plan is named twice."),
        (["update", FIRST, "--metadata", "k=1", "--unset", "metadata"], "metadata is named twice."),
        (["update", FIRST, "--metadata", "k=1", "--unset", "metadata.k"], "metadata.k is named twice."),
        (["update", FIRST, "--unset", "metadata", "--unset", "metadata.k"], "metadata.k is named twice."),
        (["list", "--limit", "-1"], "Invalid value for '--limit'"),
        (["show"], "Missing argument 'TENANT'."),
        (["upsert"], "No such command 'upsert'"),
    ],
)  # fmt: skip
def test_contradictory_options_are_a_usage_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    app = hosts.make_host(f"sqlite:///{tmp_path}/usage.sqlite3")
    done = tenants(app, *arguments)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_list_shows_tenants_of_all_partners(host: Flask) -> None:
    create_tenant(host, "Example Corp")
    create_tenant(host, "株式会社", partner="beta", email="jp@example.com")
    whole = (
        "tenant                                client_name   partner  status  email\n"
        "00000000-0000-7000-8000-000000000001  Example Corp  acme     active  example.corp@example.com\n"
        "00000000-0000-7000-8000-000000000003  株式会社      beta     active  jp@example.com\n"
    )
    assert tenants(host, "list") == CommandResult(0, whole)
    assert tenants(host, "list", "--partner", "beta") == CommandResult(
        0,
        "tenant                                client_name  partner  status  email\n"
        "00000000-0000-7000-8000-000000000003  株式会社     beta     active  jp@example.com\n",
    )


def test_a_table_fits_the_terminal(host: Flask) -> None:
    create_tenant(host, "A Company With A Very Long Name Incorporated", email="somebody.with.a.name@example.com")
    create_tenant(host, "有限会社とても長い名前の会社", email="b@example.com")
    assert tenants(host, "list", env={"COLUMNS": "80"}) == CommandResult(
        0,
        "tenant                                client_name  partner  status  email\n"
        "00000000-0000-7000-8000-000000000001  A Company …  acme     active  somebody.wi…\n"
        "00000000-0000-7000-8000-000000000003  有限会社と…  acme     active  b@example.c…\n",
    )


def test_a_list_of_json_is_a_document_a_line(host: Flask) -> None:
    documents = [create_tenant(host, name) for name in "AB"]
    done = tenants(host, "list", "--json")
    assert (done.status, done.err, done.out.count("\n")) == (0, "", 2)
    assert [json.loads(line) for line in done.out.splitlines()] == documents


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["Alpha", "Beta"]),
        (["--include-deleted"], ["Alpha", "Beta", "Gone"]),
        (["--status", "deleted"], ["Gone"]),
        (["--status", "suspended"], ["Beta"]),
        (["--email", "ALPHA@Example.com"], ["Alpha"]),
        (["--external-id", "x-2"], ["Beta"]),
        (["--q", "be"], ["Beta"]),
        (["--sort", "-client_name"], ["Beta", "Alpha"]),
        (["--partner", "p-2"], ["Beta"]),
        (["--partner", "nobody"], []),
    ],
)
def test_a_list_can_be_narrowed_and_sorted(host: Flask, options: list[str], expected: list[str]) -> None:
    create_tenant(host, "Alpha", partner="p-1")
    suspended = create_tenant(host, "Beta", partner="p-2", **{"external-id": "x-2"})
    change_tenant(host, "suspend", suspended["tenant"])
    change_tenant(host, "delete", create_tenant(host, "Gone", partner="p-1")["tenant"])
    assert names(tenants(host, "list", "--json", *options)) == expected


def test_a_list_follows_the_pages_up_to_the_limit(host: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ABCDEFG":
        create_tenant(host, name)
    monkeypatch.setattr(output, "MAX_PAGE_SIZE", 3)
    sorted_so = ("list", "--json", "--sort", "-client_name")
    assert names(tenants(host, *sorted_so, "--limit", "0")) == [*"GFEDCBA"]
    assert names(tenants(host, *sorted_so, "--limit", "5")) == [*"GFEDC"]
    assert names(tenants(host, *sorted_so, "--limit", "3")) == [*"GFE"]
    done = tenants(host, "list", "--limit", "5")
    assert (done.out.count("\n"), done.err) == (6, "There are more: --limit 0 lists them all.\n")
    assert tenants(host, "list", "--limit", "0").err == ""


def test_an_empty_list_says_so(host: Flask) -> None:
    assert tenants(host, "list") == CommandResult(0, "", "There are no such tenants.\n")
    assert tenants(host, "list", "--json") == CommandResult(0, "")


def test_invalid_filter_is_reported(host: Flask) -> None:
    assert tenants(host, "list", "--status", "gone", "--sort", "plan", "--email", "x") == CommandResult(
        1,
        "",
        "Error: Invalid query parameter: 3 query parameters are invalid.\n"
        "  email: Invalid email address.\n"
        "  sort: Must be one of: created_at, -created_at, client_name, -client_name.\n"
        "  status: Must be one of: provisioning, active, suspended, failed, deleted.\n"
        "Correct the options named above.\n",
    )


@pytest.mark.parametrize("wanted", [[FIRST.replace("1", "9")], ["nonsense"], [FIRST, "--partner", "beta"]])
def test_absent_tenant_is_reported(host: Flask, wanted: list[str]) -> None:
    create_tenant(host)
    advice = "Check the id, and --partner if you gave it: `tenants list` shows the tenants."
    not_found = CommandResult(1, "", f"Error: Tenant not found.\n{advice}\n")
    for command in ("show", "suspend", "reactivate", "delete", "restore"):
        assert tenants(host, command, *wanted) == not_found
    assert tenants(host, "update", *wanted, "--plan", "x") == not_found
    assert tenants(host, "delete", *wanted, "--purge", "--yes") == not_found


def test_update_changes_named_fields_and_clears_unset_ones(host: Flask) -> None:
    run_command(host, *NEW, "--plan", "gold", "--industry", "IT", "--metadata", "a=1", "--metadata", "b.c=2")
    update = ["--client-name", "New", "--unset", "plan", "--unset", "metadata.b.c", "--metadata", "d=4"]
    after = change_tenant(host, "update", FIRST, "--partner", "acme", *update)
    assert {name: after[name] for name in ("client_name", "plan", "industry", "metadata", "version")} == {
        "client_name": "New",
        "plan": None,
        "industry": "IT",
        "metadata": {"a": "1", "d": "4"},
        "version": 2,
    }
    assert change_tenant(host, "update", FIRST, "--unset", "metadata")["metadata"] == {}


def test_update_refuses_to_unset_required_and_unknown_fields(host: Flask) -> None:
    run_command(host, *NEW)
    assert tenants(
        host, "update", FIRST, "--unset", "client-name", "--unset", "status", "--unset", "nix"
    ) == CommandResult(
        1,
        "",
        "Error: Invalid input: 3 fields are invalid.\n"
        "  client_name: This field may not be null.\n"
        "  nix: There is no such field.\n"
        "  status: This field is set by the server.\n"
        "Correct the values named above.\n",
    )


def test_a_tenant_goes_through_its_states(host: Flask) -> None:
    create_tenant(host)
    suspended = change_tenant(host, "suspend", FIRST, "--reason", "unpaid")
    assert (suspended["status"], suspended["suspended_reason"]) == ("suspended", "unpaid")
    assert change_tenant(host, "reactivate", FIRST)["status"] == "active"
    deleted = change_tenant(host, "delete", FIRST)
    assert (deleted["status"], deleted["purge_at"]) == ("deleted", "2025-03-12T16:30:00.000Z")
    assert change_tenant(host, "restore", FIRST)["status"] == "active"
    assert [kind for kind, *_ in events(host)] == [
        "tenant.created", "tenant.suspended", "tenant.reactivated", "tenant.deleted", "tenant.restored",
    ]  # fmt: skip


def test_invalid_state_is_reported(host: Flask) -> None:
    create_tenant(host)
    change_tenant(host, "delete", FIRST)
    assert tenants(host, "suspend", FIRST) == CommandResult(
        1,
        "",
        "Error: Invalid state: A tenant that is deleted cannot be suspended.\n"
        "  tenant_status: deleted\n"
        "Its current state does not allow this.\n",
    )


def test_too_long_reason_is_reported(host: Flask) -> None:
    create_tenant(host)
    done = tenants(host, "suspend", FIRST, "--reason", "x" * 501)
    assert (done.status, done.err.splitlines()[1]) == (1, "  reason: Must have 1 to 500 characters.")


def test_purge_asks_for_confirmation(host: Flask) -> None:
    create_tenant(host, "Evil\x1b[2J", email="evil@example.com")
    question = f"Permanently remove Evil\\x1b[2J of acme ({FIRST})? [y/N]:"
    for typed in ("n\n", ""):
        done = tenants(host, "delete", FIRST, "--purge", input=typed)
        assert (done.status, "Aborted!" in done.err) == (1, True)
        assert question in done.err + done.out
    assert tenants(host, "show", FIRST).status == 0
    assert tenants(host, "delete", FIRST, "--purge", input="y\n").status == 0
    assert tenants(host, "show", FIRST).status == 1


def test_purge_with_yes_needs_no_confirmation(host: Flask) -> None:
    create_tenant(host, "A")
    second = create_tenant(host, "B")["tenant"]
    assert tenants(host, "delete", FIRST, "--purge", "--yes") == CommandResult(0, f"Purged the tenant {FIRST}.\n")
    assert tenants(host, "delete", second, "--purge", "--yes", "--json") == CommandResult(0, "")
    assert names(tenants(host, "list", "--json", "--include-deleted")) == []
    assert [kind for kind, *_ in events(host)][2:] == ["tenant.purged", "tenant.purged"]


@pytest.mark.parametrize(
    ("config", "detail"),
    [
        ({"PROVISIONING_LICENSE": EXPIRED}, "The licence expired at 2024-12-22T16:30:00Z, and its grace has passed."),
        (
            {"PROVISIONING_LICENSE": None},
            "No licence is configured. Set PROVISIONING_LICENSE_FILE to the path of the vendor's licence file.",
        ),
        ({"PROVISIONING_EDITION": "community"}, "PROVISIONING_EDITION is 'community': nothing can be provisioned."),
    ],
)
def test_without_a_valid_licence_only_creation_is_refused(make: Make, config: dict[str, Any], detail: str) -> None:
    licensed = make()
    create_tenant(licensed, "Gone")
    tenant = create_tenant(licensed, "Stays")["tenant"]
    change_tenant(licensed, "delete", FIRST)
    app = make(**config)
    refused = CommandResult(
        1,
        "",
        f"Error: Licence expired: {detail}\nRenew the licence: `license show` shows what is wrong with it.\n",
    )
    assert run_command(app, *NEW) == refused
    assert tenants(app, "restore", FIRST) == refused
    for command in ("show", "suspend", "reactivate", "delete"):
        assert tenants(app, command, tenant).status == 0


def test_the_licences_limit_is_kept(make: Make) -> None:
    app = make(PROVISIONING_LICENSE=issue_license(not_before=BEGIN, expires=BEGIN + DAY, max_tenants=1))
    create_tenant(app)
    assert run_command(app, *NEW) == CommandResult(
        1,
        "",
        "Error: Quota exceeded: The limit of 1 tenants is reached.\n"
        "  limit: 1\n"
        "Delete what is no longer needed, or raise the limit.\n",
    )


@pytest.mark.without_tables
def test_missing_tables_are_reported(make: Make) -> None:
    done = tenants(make(PROVISIONING_AUTO_MIGRATE=False), "list")
    assert (done.status, done.out) == (1, "")
    assert done.err.endswith(
        "Error: Storage unavailable: The database is not ready.\n`doctor` shows what is wrong with the database.\n"
    )


def test_a_mount_is_chosen_by_its_name(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    settings: dict[str, Any] = {"url_prefix": "/eu", "table_prefix": "eu_"}
    flask_tenant_provisioning.TenantProvisioning(name="eu", **settings).init_app(
        app, f"sqlite:///{tmp_path}/eu.sqlite3"
    )
    done = tenants(app, *NEW[1:], "--mount", "eu", "--json")
    assert done.status == 0
    assert names(tenants(app, "list", "--json", "--mount", "eu")) == ["Example Corp"]
    assert names(tenants(app, "list", "--json")) == []
    assert tenants(app, "list", "--mount", "us") == CommandResult(
        1, "", "Error: There is no mount 'us'. Mounts of this app: provisioning, eu.\n"
    )


def test_an_output_that_lacks_a_character_escapes_it(host: Flask) -> None:
    create_tenant(host, "Größe", email="a@example.com")
    done = run_in_ascii_locale(host, "list")
    assert "Gr\\xf6\\xdfe" in done.out
    assert json.loads(run_in_ascii_locale(host, "list", "--json").out.encode("utf-8"))["client_name"] == "Größe"


def run_in_ascii_locale(app: Flask, *arguments: str) -> CommandResult:
    """Run in a locale that has no umlauts."""
    done = CliRunner(charset="ascii").invoke(
        FlaskGroup(create_app=lambda: app), ["provisioning", "tenants", *arguments]
    )
    return CommandResult(done.exit_code, done.stdout_bytes.decode("utf-8"))


def test_the_group_imports_nothing_heavy(tmp_path: Path) -> None:
    root = Path(flask_tenant_provisioning.__file__).parent
    script = (
        "import sys, types, click\n"
        "package = types.ModuleType('flask_tenant_provisioning')\n"
        f"package.__path__ = [{str(root)!r}]\n"
        "sys.modules[package.__name__] = package\n"
        "before = set(sys.modules)\n"
        "from flask_tenant_provisioning.cli import provisioning\n"
        "print(sorted(provisioning.list_commands(None)), *sorted(set(sys.modules) - before))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == (
        "['clients', 'db', 'docs-link', 'doctor', 'events', 'invitations', 'isolation', 'jobs', 'license', 'openapi', "
        "'partners', 'purge', 'rekey', 'run', 'settings', 'tenants', 'token', 'webhooks', 'worker'] "
        "flask_tenant_provisioning.cli\n"
    )


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("", 0), ("株式", 4), ("e\u0301", 1), ("ﾊﾝ", 2), ("👩", 2), ("각", 2), ("\u1100\u1161\u11a8", 2)],
)
def test_a_text_takes_its_columns(text: str, columns: int) -> None:
    assert measure_width(text) == columns


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("株式会社", 7, "株式会…"),
        ("株式会社", 6, "株式…"),
        ("e\u0301e\u0301e", 2, "e\u0301…"),
    ],
)
def test_a_text_is_cut_between_characters(text: str, most: int, expected: str) -> None:
    assert truncate(text, most) == expected
    assert measure_width(truncate(text, most)) <= most


def test_a_text_is_folded_between_characters() -> None:
    assert [*wrap("株式会社abc", 3)] == ["株", "式", "会", "社a", "bc"]
    assert [*wrap("", 5)] == [""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain Größe\u3000株", "plain Größe\u3000株"),
        ("\x1b[31m\r\n\t\x9b", "\\x1b[31m\\r\\n\\t\\x9b"),
        ("a\u202eb\u2066c\u2028d", "a\\u202eb\\u2066c\\u2028d"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\ud800\U000e0041", "\\ud800\\U000e0041"),
    ],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    assert escape_control_characters(text) == expected


@pytest.mark.parametrize(
    ("widths", "columns", "expected"),
    [
        ([36, 12, 6], 80, [36, 12, 6]),
        ([36, 40, 10, 6, 40], 80, [36, 10, 10, 6, 10]),
        ([36, 40, 40], 60, [36, 10, 10]),
        ([36, 40, 40], 46, [36, 8]),
        ([36, 40], 10, [36]),
    ],
)
def test_the_widest_columns_give_way_and_the_first_never(widths: list[int], columns: int, expected: list[int]) -> None:
    assert fit_widths(widths, columns) == expected


def test_the_first_rows_decide_the_widths() -> None:
    table = Table(("a", "b"), 12)
    assert [*table.format_rows([{"a": "x", "b": "short"}])] == ["a  b", "x  short"]
    assert [*table.format_rows([{"a": "x", "b": "longer"}])] == ["x  long…"]


def test_long_values_go_on_below() -> None:
    assert [*format_fields({"name": "x" * 20, "none": None, "map": {"k": "v"}, "empty": {}}, 18)] == [
        "name   xxxxxxxxxxx",
        "       xxxxxxxxx",
        "none   -",
        "map.k  v",
        "empty  -",
    ]
