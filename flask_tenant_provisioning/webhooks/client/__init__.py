"""The HTTP client of webhooks, which connects only to addresses that the SSRF guard allows.

It imports neither Flask nor SQLAlchemy. A send passes `sender` (deadline, errors), `ssrf` (which URL and which
addresses), `resolver` (DNS with a timeout), and `connections` (one exchange over a pooled connection).
"""

from __future__ import annotations
