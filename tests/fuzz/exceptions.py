"""Exceptions from the fuzzer's checks: each is a rule of the contract that no schema can state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Exchange(NamedTuple):
    """A request and what answered it.

    `fate` is what became of its tenant: "deleted", "purged", or "" for neither. `kind` is its body's media type.
    """

    headers: Mapping[str, Any]
    query: Mapping[str, Any]
    status: int
    answer: Mapping[str, Any]
    fate: str = ""
    replayed: bool = False
    kind: str | None = None
    method: str = "GET"

    def is_refusal(self, status: int, code: str) -> bool:
        """Return whether the response is this problem."""
        return (self.status, self.answer.get("code")) == (status, code)


class Exemption(NamedTuple):
    """A failure of schemathesis, by its class, that is none where `holds`."""

    name: str
    failure: str
    reason: str
    holds: Callable[[Exchange], bool]


def _is_consistent(sent: Exchange) -> bool:
    """Return whether the response shows a deleted tenant as deleted; 304 and its settings show nothing."""
    if "client_name" not in sent.answer:
        return sent.method == "GET"
    return (sent.answer["status"] == "deleted") is (sent.fate == "deleted")


def _has_stale_precondition(sent: Exchange) -> bool:
    return "If-Match" in sent.headers and sent.is_refusal(412, "precondition-failed")


def _faults(sent: Exchange) -> set[tuple[str, str]]:
    """Return where the answer finds fault, and the codes of the faults."""
    return {(error["pointer"], error["code"]) for error in sent.answer.get("errors", ())}


def _names(sent: Exchange) -> set[str]:
    """Return the names that the response finds fault with."""
    return {error["pointer"] for error in sent.answer.get("errors", ())}


_PARTNER_FAULTS = {
    (pointer, code) for pointer in ("#/partner", "#/parent") for code in ("invalid-partner-id", "invalid-text")
}

EXCEPTIONS = (
    Exemption(
        "a cursor that nobody sealed",
        "RejectedPositiveData",
        "A cursor is sealed with the server's key: to a schema it is any text, and every text but ours is 400.",
        lambda sent: not {"cursor", "after"}.isdisjoint(sent.query) and sent.is_refusal(400, "invalid-cursor"),
    ),
    Exemption(
        "a table that is none",
        "RejectedPositiveData",
        "Names that differ and quotes that match make a table (RFC 4180): to a schema it is any text.",
        lambda sent: sent.kind == "text/csv" and sent.is_refusal(400, "malformed-upload"),
    ),
    Exemption(
        "an upload without rows",
        "RejectedPositiveData",
        "Blank lines are no rows: to a schema lines are any text, and an upload needs one row at least.",
        lambda sent: (
            sent.is_refusal(400, "malformed-upload") and sent.answer.get("detail") == "The upload has no rows."
        ),
    ),
    Exemption(
        "another external id than that of the path",
        "RejectedPositiveData",
        "A schema of the body does not know the path.",
        lambda sent: sent.is_refusal(400, "validation-error") and _faults(sent) == {("#/external_id", "mismatch")},
    ),
    Exemption(
        "an id that no partner can have",
        "RejectedPositiveData",
        "Which characters are printable is Unicode's word, which changes, and no pattern has it.",
        lambda sent: sent.status == 400 and bool(sent.answer.get("errors")) and _faults(sent) <= _PARTNER_FAULTS,
    ),
    Exemption(
        "a URL that the guard refuses",
        "RejectedPositiveData",
        "Which URLs are let through depends on what their names resolve to, and on what the operator allows.",
        lambda sent: sent.is_refusal(400, "validation-error") and _names(sent) == {"#/url"},
    ),
    Exemption(
        "credentials that are none",
        "RejectedPositiveData",
        "Which clients there are, what they may do and which kinds of credentials go together is in no schema.",
        lambda sent: sent.status in (400, 401) and {*sent.answer} == {"error", "error_description"},
    ),
    Exemption(
        "a client with more than its creator has",
        "RejectedPositiveData",
        "What a client may be given depends on the permissions of the caller's token.",
        lambda sent: sent.is_refusal(403, "insufficient-permission"),
    ),
    Exemption(
        "keys that do not fit a client",
        "RejectedPositiveData",
        "Which kind of key a client has, and whether the members of one make a key, depends on more than one member.",
        lambda sent: (
            sent.is_refusal(400, "validation-error")
            and all(name.startswith(("#/jwks", "#/networks", "#/jwks_url")) for name in _names(sent))
        ),
    ),
    Exemption(
        "an object that JSON readers read in two ways",
        "RejectedPositiveData",
        "Keys of a client are an object of any members to a schema, and no JSON may hold NULs or such integers.",
        lambda sent: sent.is_refusal(400, "malformed-json"),
    ),
    Exemption(
        "a rotation of what has no secret",
        "RejectedPositiveData",
        "A client that authenticates by a key of its own has no secret.",
        lambda sent: sent.is_refusal(409, "conflict"),
    ),
    Exemption(
        "a parent below which it cannot stand",
        "RejectedPositiveData",
        "Which partners there are, and who stands above whom, depends on the requests before.",
        lambda sent: sent.is_refusal(400, "validation-error") and _names(sent) == {"#/parent"},
    ),
    Exemption(
        "another version in If-Match",
        "RejectedPositiveData",
        "Which entity tag matches depends on the tenant's state; any other is 412.",
        _has_stale_precondition,
    ),
    Exemption(
        "another version before what was sent is looked at",
        "AcceptedNegativeData",
        "What settings may be depends on those that are there: whoever means another version hears that first.",
        _has_stale_precondition,
    ),
    Exemption(
        "a stored 412",
        "RejectedPositiveData",
        "The answer of a key is replayed to the same method, path and body, whatever If-Match says by then.",
        lambda sent: sent.replayed and sent.is_refusal(412, "precondition-failed"),
    ),
    Exemption(
        "a key for two requests",
        "RejectedPositiveData",
        "Whether a key is new depends on the requests before; the same key with another request is 422.",
        lambda sent: "Idempotency-Key" in sent.headers and sent.is_refusal(422, "idempotency-key-reused"),
    ),
    Exemption(
        "a deleted tenant that is still there",
        "UseAfterFree",
        "Until it is purged a deleted tenant and what is below it can be read, and itself be restored; it says so.",
        lambda sent: sent.fate != "purged" and _is_consistent(sent),
    ),
)


def find_exemption(failure: str, sent: Exchange) -> str | None:
    """The name of the exception that covers this failure."""
    return next(
        (exception.name for exception in EXCEPTIONS if exception.failure == failure and exception.holds(sent)), None
    )
