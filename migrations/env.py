"""Runs the migrations on the address that server/migrate.py passes; from Alembic's own command line on DATABASE_URL."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from server.database import UNNAMED_STATEMENTS
from server.settings import read_settings
from server.tables import metadata

LOCK_TIMEOUT = "5s"


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        # One migration at a time: two deploys that start together must not both create the same table. All of it
        # belongs to the transaction and none to the session, which behind a pooler is somebody else's a moment later.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('plancharge:migrate'))"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        context.run_migrations()


async def run_async() -> None:
    url = context.config.attributes.get("url") or read_settings().database_url
    # Whether the address is a pooler's is not known here, and what names would save is nothing for a migration.
    engine = create_async_engine(url, poolclass=pool.NullPool, connect_args=UNNAMED_STATEMENTS)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(run_async())
