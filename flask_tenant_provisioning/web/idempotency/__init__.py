"""``Idempotency-Key``: a request that is repeated takes effect once (draft-ietf-httpapi-idempotency-key-header)."""

from .keys import Identity as Identity, sent_key as sent_key
from .records import Kept as Kept, claim as claim, forget_expired as forget_expired, keep as keep
from .sealing import opened as opened, sealed as sealed
