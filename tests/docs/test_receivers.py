"""The receivers of the page "Receiving webhooks", each in its own language, told genuine webhooks and others."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask

from flask_tenant_provisioning.webhooks.signing import sign, signing_key
from tests.support.snippets import DOCS, find_snippets
from tests.support.webhooks.vectors import VECTORS, A, B, C, Vector

PAGE = DOCS / "receiving.md"
MAINS = Path(__file__).parent / "receivers"
BODIES = (b"", b'{"a":"\xc3\xa9"}', b"\xff\x00\n")


class Case(NamedTuple):
    """A webhook, the time of its arrival, and whether it is genuine."""

    body: bytes
    id: str
    timestamp: str
    signatures: str
    secret: str
    now: int
    genuine: bool

    @property
    def line(self) -> str:
        """The line for a receiver's standard input."""
        fields = (field if isinstance(field, bytes) else str(field).encode() for field in self[:-1])
        return "\t".join(base64.b64encode(field).decode() for field in fields)


def case(vector: Vector, genuine: bool, **changed: Any) -> Case:
    usual = Case(
        vector.body, vector.id, str(vector.timestamp), vector.signature, vector.receiver, vector.timestamp, genuine
    )
    return usual._replace(**changed)


def cases(vector: Vector) -> list[Case]:
    """All that a receiver of this vector's scheme has to tell apart."""
    scheme, _, signature = vector.signature.partition(",")
    key = signing_key(vector.secret)
    other = {A: B.signature, B: A.signature, C: A.signature}[vector]
    genuine: list[dict[str, Any]] = [
        {},
        {"now": vector.timestamp + 300},
        {"now": vector.timestamp - 300},
        {"signatures": f"{other} v9,abc nonsense v1,=== v1a,AAAA {vector.signature}"},
        {"signatures": f"{vector.signature} {other}"},
        *({"body": body, "signatures": sign([key], vector.id, vector.timestamp, body)} for body in BODIES),
    ]
    refused: list[dict[str, Any]] = [
        {"now": vector.timestamp + 301},
        {"now": vector.timestamp - 301},
        {"body": vector.body + b"\n"},
        {"id": "other"},
        {"id": ""},
        *({"timestamp": text} for text in (str(vector.timestamp + 1), "", "now", f"{vector.timestamp}\n", "9" * 30)),
        *({"signatures": text} for text in ("", other, signature, f"{scheme},", scheme, f"v9,{signature}", ",", "é")),
        {"signatures": f"{scheme},{signature[4:]}"},
        {"signatures": f"{'v1a' if scheme == 'v1' else 'v1'},{signature}"},
        {"secret": {A: B.receiver, B: A.receiver, C: A.receiver}[vector]},
    ]
    return [case(vector, True, **changes) for changes in genuine] + [
        case(vector, False, **changes) for changes in refused
    ]


class Receiver(NamedTuple):
    """A language: the block that the page shows goes into `file`, what feeds it (``receivers/``) into `main`."""

    language: str
    file: str
    main: str
    commands: list[list[str]]

    def write(self, folder: Path) -> None:
        """Write both; one after the other where the file is the same."""
        (snippet,) = find_snippets(self.language, PAGE)
        for file, code in ((self.file, snippet.code), (self.main, (MAINS / self.main).read_text(encoding="utf-8"))):
            with (folder / file).open("a", encoding="utf-8") as out:
                out.write(code)

    def answers(self, folder: Path, all_cases: list[Case]) -> list[str]:
        """Return its verdict on each case; of several commands, the first ones build it."""
        if shutil.which(self.commands[0][0]) is None:
            pytest.skip(f"{self.commands[0][0]} is not installed")
        self.write(folder)
        text = "".join(f"{case.line}\n" for case in all_cases)
        for command in self.commands:
            result = subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, timeout=120)
            assert result.returncode == 0, result.stderr
        return result.stdout.split()


SCRIPTS = [
    Receiver("js", "main.js", "main.js", [["node", "main.js"]]),
    Receiver("php", "main.php", "main.php", [["php", "main.php"]]),
    Receiver("ruby", "main.rb", "main.rb", [["ruby", "main.rb"]]),
]
COMPILED = [
    Receiver("go", "receiver.go", "main.go", [["go", "build", "-o", "main", "main.go", "receiver.go"], ["./main"]]),
    Receiver("java", "Webhooks.java", "Main.java", [["javac", "Main.java", "Webhooks.java"], ["java", "Main"]]),
]


@pytest.mark.parametrize(
    "receiver",
    [*SCRIPTS, *(pytest.param(language, marks=pytest.mark.slow) for language in COMPILED)],
    ids=lambda receiver: receiver.language,
)
def test_receiver_accepts_genuine_webhooks_only(receiver: Receiver, tmp_path: Path) -> None:
    all_cases = [case for vector in VECTORS for case in cases(vector)]
    verdicts = receiver.answers(tmp_path, all_cases)
    assert [
        (case, word) for case, word in zip(all_cases, verdicts, strict=True) if (word == "genuine") != case.genuine
    ] == []


@pytest.fixture
def page() -> dict[str, Any]:
    """The names that the page's Python blocks define, in an app of its own."""
    app = Flask("receiver")
    names: dict[str, Any] = {"app": app}
    for snippet in find_snippets("python", PAGE):
        exec(compile(snippet.code, str(PAGE), "exec"), names)
    return names


@pytest.mark.parametrize("vector", [A, B], ids=str)
def test_plain_python_receiver_accepts_genuine_webhooks_only(vector: Vector, page: dict[str, Any]) -> None:
    all_cases = cases(vector)
    assert [case for case in all_cases if page["is_genuine"](*case[:-1]) != case.genuine] == []


def test_the_receiver_in_flask_answers_204_or_says_why_not(
    page: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(page["app"].config, "WEBHOOK_SECRETS", [A.receiver, C.receiver])
    client = page["app"].test_client()
    now = page["now"]
    body = b'{"type": "tenant.created", "tenant": "0193"}'
    signatures = sign([signing_key(C.secret)], "msg_1", now, body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signatures}
    assert client.post("/webhooks", data=body, headers=headers).status_code == 204
    assert capsys.readouterr().out == "tenant.created 0193\n"
    response = client.post("/webhooks", data=A.body, headers=A.headers)
    assert (response.status_code, response.get_json()) == (
        400,
        {"error": "It was sent more than 300 seconds ago, by the clock here."},
    )
