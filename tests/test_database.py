"""What the engine keeps to itself, and what it makes of connections that died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

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


@pytest.fixture
async def small_pool(settings: Settings, database: Database) -> AsyncIterator[Database]:
    """Two connections that are kept and two under load; what is kept is due at once to be made anew."""
    few = settings.model_copy(update={"database_pool_size": 2, "database_pool_overflow": 2})
    engine = create_engine(few)
    yield Database(engine, database._publisher, database._enqueuer)
    await engine.dispose()


async def _pid(reads: Reads) -> int:
    async with reads.light() as connection:
        [row] = await WHO.rows(connection)
    return int(row["pid"])


async def test_light_reads_share_the_pool_and_leave_no_more_connections_than_it_keeps(
    small_pool: Database, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    pids = set(await asyncio.gather(*(_pid(small_pool.reads) for _ in range(20))))
    assert len(pids) <= 4
    assert small_pool.engine.pool.status().startswith("Pool size: 2  Connections in pool: 2 ")
    again = {await _pid(small_pool.reads) for _ in range(6)}
    assert len(again) <= 2
    assert again <= pids
    async with database.reads.session() as session:
        alive = await session.execute(
            text("SELECT pid FROM pg_stat_activity WHERE pid = ANY(:pids)"), {"pids": [*pids]}
        )
        assert len(set(alive.scalars())) == 2
    assert caplog.records == []


async def test_a_connection_that_is_too_old_is_made_anew_for_a_light_read(
    small_pool: Database, caplog: pytest.LogCaptureFixture
) -> None:
    first = await _pid(small_pool.reads)
    small_pool.engine.pool._recycle = 0  # type: ignore[attr-defined]
    await asyncio.sleep(0.01)
    second = await _pid(small_pool.reads)
    assert second != first
    assert caplog.records == []
