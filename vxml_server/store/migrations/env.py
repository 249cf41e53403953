"""What Alembic runs: the steps that are missing, on the connection that `schema.upgrade` gives."""

from __future__ import annotations

from alembic import context

from vxml_server.store import (  # noqa: F401 (their tables are of the metadata)
    queue_tables,
    recording_tables,
    registration_tables,
    voicemail_tables,
)
from vxml_server.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # Both databases have transactional DDL, once SQLite's driver does not begin by itself
    # (see engine.py), so an interrupted upgrade leaves the old tables.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
