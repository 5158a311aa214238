"""Alembic environment: works on the connection that the store hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from curupira.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # The store opens and commits the transaction, with its lock.
    transactional_ddl=False,
)
context.run_migrations()
