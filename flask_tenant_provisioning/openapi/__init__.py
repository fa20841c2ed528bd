"""API documentation: the OpenAPI document, a page to browse it, and a page for each problem code.

document.py         build the document of one mount, and cache it
routes.py           GET /openapi.json, /docs, /problems
pages.py            the HTML pages and their files
operations.py       operations and their parameters; responses.py, links.py: what they return, and what follows
converter.py        JSON Schema of the fields of marshmallow; patterns.py: their regular expressions
schemas.py          names of components, schemas of request bodies
host_schemas.py     a host's fields and settings
problem_types.py    the explanation and the members of each code; problem_schemas.py: its JSON Schema
event_schemas.py    JSON Schema of events, and webhooks
examples.py         examples of components and of bodies
"""
