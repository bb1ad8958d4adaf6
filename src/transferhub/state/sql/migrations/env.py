"""Alembic runs this; `transferhub.state.sql.migrate` gives it the connection."""

from alembic import context

from transferhub.state.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
