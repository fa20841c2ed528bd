"""Authentication and authorisation.

`guard` admits a request: `tokens` verifies its bearer token with the Flask-JWT-Extended settings of the app in
`authority`, `principal` reads the caller from the claims, and `refusals` logs the requests that are refused.
"""

from __future__ import annotations
