"""Alembic's environment: the connection comes from the caller, never from a file."""

from alembic import context

options = context.config.attributes
context.configure(
    connection=options["connection"],
    version_table=options["version_table"],
    transactional_ddl=False,
)
context.run_migrations()
