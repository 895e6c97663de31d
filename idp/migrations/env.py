"""Run by Alembic: migrates over the connection that `idp.setup` has opened, in one transaction."""

from alembic import context

from idp import applications, audit, keys, tokens, vault  # noqa: F401 (their tables must be known)
from idp.db import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
