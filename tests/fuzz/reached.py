"""Coverage of a fuzzing run: a fuzzer that is refused everywhere finds nothing and looks just as green."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

#: Successes that a role cannot have, with the reason.
OUT_OF_REACH = {
    ("partner-admin", "DELETE /tenants/{tenant_id}", 204): "purging needs `tenant:purge`",
}
#: The same for every role.
UNLIKELY = {
    ("GET /openapi.json", 304): "its tag is a hash, which nothing at random hits",
    ("DELETE /tenants/{tenant_id}", 202): "the quickstart has no steps before a purge",
    ("POST /tenants/{tenant_id}/provisioning/retry", 202): "the quickstart has no steps to try again",
    ("POST /tenants/{tenant_id}/provisioning/cancel", 202): "the quickstart has no steps to cancel",
}


#: How often an operation answered with each status and media type.
Answers = Counter[tuple[int, str]]


def answers(reports: Iterable[Path]) -> dict[str, Answers]:
    """Return the responses of each operation, by the events that schemathesis wrote."""
    by_operation: dict[str, Answers] = {}
    for label, status, kind in itertools.chain.from_iterable(map(_answers, reports)):
        by_operation.setdefault(label, Counter())[status, kind] += 1
    return by_operation


def list_missed(document: dict[str, Any], by_operation: dict[str, Answers], role: str) -> list[str]:
    """List the documented successes that no response had, 304 among them, in each media type."""
    wanted = [
        (f"{method.upper()} {path}", int(status), kind)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not operation["security"] or role in operation["x-roles"]
        for status, response in operation["responses"].items()
        if int(status) < 400
        for kind in map(_bare, response.get("content", [""]))
    ]
    return [
        f"{label}: {status} {kind}".rstrip()
        for label, status, kind in wanted
        if not any(seen == status and kind in ("", media_type) for seen, media_type in by_operation.get(label, ()))
        and (role, label, status) not in OUT_OF_REACH
        and (label, status) not in UNLIKELY
    ]


def table(document: dict[str, Any], by_operation: dict[str, Answers]) -> str:
    """One line for each documented operation: its answers by status."""
    labels = [f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations]
    counts = (
        "  ".join(f"{status}: {n}" for status, n in _by_status(by_operation.get(label, Counter()))) for label in labels
    )
    return "\n".join(f"  {label:48}{count}" for label, count in zip(labels, counts, strict=True))


def count_exemptions(tally: Path) -> list[str]:
    """Count the uses of each exception, by the notes of the hooks."""
    counts = Counter(tally.read_text("utf-8").splitlines()) if tally.exists() else Counter[str]()
    return [f"exempt: {name} ({count} times)" for name, count in counts.most_common()]


def _by_status(statuses: Answers) -> list[tuple[int, int]]:
    counts = Counter[int]()
    for (status, _), count in statuses.items():
        counts[status] += count
    return sorted(counts.items())


def _bare(kind: str) -> str:
    """A media type without its parameters."""
    return kind.partition(";")[0]


def _answers(report: Path) -> Iterator[tuple[str, int, str]]:
    with report.open(encoding="utf-8") as events:
        for line in events:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for case_id, interaction in recorder.get("interactions", {}).items():
                case, response = recorder["cases"].get(case_id), interaction.get("response")
                if case and response:
                    kind = _bare(response["headers"].get("content-type", [""])[0])
                    yield f"{case['value']['method']} {case['value']['path']}", response["status_code"], kind
