"""The HTTP layer between Flask and the actions of the features.

blueprint       the Flask blueprint: rules, views, the catch-all
routing         how a feature declares its routes
request         the request as a route sees it: caller, body, query, response
headers         media types and preconditions
parameters      query parameters
long_requests   reading of bodies, and limits on slow clients and on requests that hold a thread
streaming       streamed responses
write           a write: dry run, idempotency, transaction, response
idempotency     the responses that are stored under an Idempotency-Key
pagination      cursors and links between the pages of a list
errors          error handlers
field_schemas   JSON Schema of a host's own marshmallow fields
docs_links      links that open the API's documents in a browser
"""

from __future__ import annotations
