"""Uploads: from the bytes of a request to chunks of rows, holding no more than one chunk in memory.

`body` reads the request, `reader` splits it into chunks by way of `json_reader` or `csv_reader`, within `limits`. Only
`body` knows Flask, none the database. A wrong row stays a row: it is refused later, with its line.
"""

from __future__ import annotations
