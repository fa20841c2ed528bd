"""``Idempotency-Key``: a request that is repeated takes effect once (draft-ietf-httpapi-idempotency-key-header)."""

from .keys import (
    LONGEST_KEY as LONGEST_KEY,
    Identity as Identity,
    fingerprint as fingerprint,
    is_key as is_key,
    sent_key as sent_key,
)
from .records import (
    Kept as Kept,
    claim as claim,
    erase_tenants as erase_tenants,
    forget_expired as forget_expired,
    keep as keep,
)
from .sealing import opened as opened, sealed as sealed
