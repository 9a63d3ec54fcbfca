"""Run by alembic, on the connection and in the transaction of `emghand.progress.database`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
