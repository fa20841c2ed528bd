"""The database layer: everything that is specific to a driver or a database, and what features build on SQLAlchemy.

A feature's own statements are in its `statements.py`.

engine          the host's engine, or one of our own; connections of forked processes
requirements    what an engine and its connections must be like
session         reads and transactions, retried where the database undid them
statements      SQL that is compiled once, and the shapes that several features share
lease           claims on rows by one of several workers
pages           reading a page of rows
types           column types, JSON members, names of tables
ids             UUIDs and instants as text
errors          the meaning of a driver's exception
sqlite          the write lock and the write-ahead log of SQLite
indexes         indexes on a host's custom fields
migration       the packaged migrations
"""

from __future__ import annotations
