"""What came in is wrong."""

from __future__ import annotations

from .root import ProvisioningError


class InvalidInput(ProvisioningError):
    """What came in is wrong (400); `errors` lists all of it at once, each with an RFC 6901 pointer."""

    status = 400
    code = "validation-error"
    title = "Invalid input"
    remedy = "Correct each field that `errors` points at and send the request again."


class MalformedJSON(InvalidInput):
    """The body is not one JSON value that every parser would read alike."""

    code = "malformed-json"
    title = "Malformed JSON"
    remedy = (
        "Send one JSON value in UTF-8: no duplicate keys, no NaN or Infinity, no lone surrogates or NUL characters, "
        "integers within 64 bits, nesting of 32 levels at most."
    )


class InvalidParameter(InvalidInput):
    """The query asks for something that this operation does not know, or in a way that it does not take."""

    code = "invalid-parameter"
    title = "Invalid query parameter"
    remedy = "Correct or remove the query parameters that `errors` names."


class InvalidCursor(InvalidInput):
    """The cursor was changed, or was made for another list: other filters, another order, another partner."""

    code = "invalid-cursor"
    title = "Invalid cursor"
    remedy = "Use `next` as it was answered, with the same filters and sort; start again without `cursor` otherwise."


class InvalidIdempotencyKey(InvalidInput):
    """The header `Idempotency-Key` holds no key."""

    code = "invalid-idempotency-key"
    title = "Invalid Idempotency-Key"
    remedy = "Send one key of 1 to 255 printable ASCII characters, bare or in double quotes."
