"""Incremental reads: what to pass as `updatedAfter` next time so that no change is missed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from server.database import Reads

# `updated_at` is the start of the transaction that wrote, so a row may appear with a time that has already passed.
# The oldest transaction still open bounds how far back that can be; this must run before the rows are read.
_OLDEST_OPEN = text(
    "SELECT least(statement_timestamp(), min(xact_start)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


async def next_updated_after(reads: Reads) -> datetime:
    """Never later than the start of the oldest write still open."""
    async with reads.session() as session:
        mark: datetime = (await session.execute(_OLDEST_OPEN)).scalar_one()
    return mark
