"""Answers that hold a secret, as they are kept: sealed, each bound to the key that it was the answer to."""

from __future__ import annotations

import json
import logging

from ...keyring import Keyring, Unsealable
from ...problems import SecretUnavailable
from .keys import Identity
from .records import Kept

logger = logging.getLogger(__name__)


def sealed(answer: Kept, identity: Identity, keyring: Keyring) -> Kept:
    """`answer` with its body sealed, as the JSON of one text."""
    return answer._replace(body=json.dumps(keyring.seal(answer.body, _bound_to(identity))), secret=False)


def opened(answer: Kept, identity: Identity, keyring: Keyring) -> Kept:
    """`answer` as it was before `sealed`. Raises `SecretUnavailable` where the keyring does not open it."""
    try:
        return answer._replace(body=keyring.open(json.loads(answer.body), _bound_to(identity)), secret=True)
    except Unsealable as error:
        logger.error(
            "the answer to an Idempotency-Key cannot be opened: %s", error, extra={"partner": identity.partner}
        )
        raise SecretUnavailable("The answer to the first request cannot be opened any more.") from error


def _bound_to(identity: Identity) -> str:
    return json.dumps(["idempotency", identity.partner, identity.key])
