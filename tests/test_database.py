"""What the engine keeps to itself, and what it makes of connections that died."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.database import Database, Reads, create_engine
from server.light_rows import Light
from server.settings import Settings
from server.users import repository as users
from tests.factories import Factory

WHO = Light(text("SELECT pg_backend_pid() AS pid"))
POOLED = 5


async def test_an_error_of_the_database_does_not_tell_the_values_that_were_sent(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.reads.session() as session:
            await session.execute(text("SELECT CAST(:name AS text) FROM nowhere"), {"name": "ada@example.test"})
    assert "nowhere" in str(caught.value)
    assert "ada@example.test" not in str(caught.value)


async def test_of_connections_that_died_together_one_read_is_told(settings: Settings, database: Database) -> None:
    """PostgreSQL was restarted: the pool's other connections are replaced before anybody gets one."""
    engine = create_engine(settings)
    reads, all_held = Reads(engine), asyncio.Barrier(POOLED)

    async def who() -> int:
        async with reads.light() as connection:
            [row] = await WHO.rows(connection)
            await all_held.wait()
        return int(row["pid"])

    try:
        pids = await asyncio.gather(*(who() for _ in range(POOLED)))
        assert len(set(pids)) == POOLED
        async with database.reads.session() as session:
            for pid in pids:
                await session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        failed = 0
        for _ in range(2 * POOLED):
            try:
                async with reads.light() as connection:
                    await WHO.rows(connection)
            except DBAPIError:
                failed += 1
        assert failed == 1
    finally:
        await engine.dispose()


async def test_moments_are_printed_the_same_whatever_the_database_s_date_style(
    settings: Settings, database: Database, make: Factory
) -> None:
    user = await make.user()
    async with database.reads.session() as session:
        await session.execute(text("ALTER ROLE CURRENT_USER SET datestyle = 'SQL, DMY'"))
    engine = create_engine(settings)
    try:
        async with Reads(engine).light() as connection:
            [row] = await users.light_by_ids(connection, [user.id])
        assert str(row.updated_at)[:19] == f"{user.updated_at:%Y-%m-%d %H:%M:%S}"
    finally:
        await engine.dispose()
        async with database.reads.session() as session:
            await session.execute(text("ALTER ROLE CURRENT_USER RESET datestyle"))
