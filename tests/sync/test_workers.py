"""Real worker processes that are killed or stopped, and servers that restart, in the middle of a sync."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from server.connections import connected
from server.embedded import EmbeddedPostgres, EmbeddedValkey
from server.migrate import migrate
from server.sync.models import Provider, SyncState
from server.sync.service import history, runs
from server.sync.service.runs import TIMING, Timing
from tests.conftest import PROJECT_ROOT
from tests.sync.conftest import SYSTEM, Syncing, in_phase, until
from tests.sync.test_failures import everything, succeeds_next

PAYFIT, GRYZZLY = Provider.PAYFIT, Provider.GRYZZLY
IMPATIENT = Timing(beat=0.05, lease=3.0, queue=3.0, retries=(0.0, 0.0))


@contextlib.asynccontextmanager
async def worker(sync: Syncing) -> AsyncIterator[subprocess.Popen[bytes]]:
    """`plancharge worker` with keys of the simulators."""
    settings = sync.settings
    environment = {
        **os.environ,
        "PLANCHARGE_ENV": "test",
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "JWT_KEYS": settings.jwt_keys.get_secret_value(),
        "PAYFIT_API_KEY": "simulated-key",
        "PAYFIT_API_URL": sync.simulated.urls[PAYFIT],
        "PAYFIT_OAUTH_URL": sync.simulated.urls[PAYFIT],
        "GRYZZLY_API_KEY": "simulated-key",
        "GRYZZLY_API_URL": sync.simulated.urls[GRYZZLY] + "/v1",
        "PAYFIT_SCHEDULE": "off",
        "GRYZZLY_SCHEDULE": "off",
        "LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "server.cli", "worker"]
    process = await asyncio.to_thread(subprocess.Popen, command, cwd=PROJECT_ROOT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


async def in_state(sync: Syncing, run_id: object, *states: SyncState) -> bool:
    return (await sync.row(run_id)).state in states


async def test_a_worker_picks_up_what_was_started_and_brings_it_over(sync):
    async with worker(sync):
        run = await sync.start(PAYFIT)
        await until(lambda: in_state(sync, run.id, SyncState.SUCCEEDED))
    run = await sync.row(run.id)
    assert run.counts["PERSON"]["created"] == 40


async def test_a_worker_killed_between_two_pages_loses_the_run_and_the_next_one_heals(sync):
    before = await everything(sync)
    sync.simulated.switch("slow-page")  # page 3: absences come in four pages of 50
    async with worker(sync) as process:
        run = await sync.start(PAYFIT)
        await until(lambda: sync.simulated.payfit.waiting)
        process.send_signal(signal.SIGKILL)
    assert await in_state(sync, run.id, SyncState.RUNNING)
    await until(lambda: lost(sync, run.id), 10)
    row = await sync.row(run.id)
    assert (row.state, row.cause) == (SyncState.LOST, "lost")
    assert "Start the sync again" in row.message
    assert await everything(sync) == before
    await succeeds_next(sync, PAYFIT)


async def test_a_worker_killed_while_it_applies_leaves_all_as_before(sync):
    before = await everything(sync)
    async with sync.database.transaction(SYSTEM) as other:
        await other.session.execute(text("LOCK TABLE contracts IN ACCESS EXCLUSIVE MODE"))
        async with worker(sync) as process:
            run = await sync.start(PAYFIT)
            await until(lambda: in_phase(sync, run.id, "APPLYING"))
            await asyncio.sleep(0.5)
            assert await sync.one("SELECT count(*) FROM users") == 0  # written by then, and not committed
            process.send_signal(signal.SIGKILL)
    await until(lambda: lost(sync, run.id), 10)
    assert (await sync.row(run.id)).state is SyncState.LOST
    assert await everything(sync) == before
    await succeeds_next(sync, PAYFIT)


async def lost(sync: Syncing, run_id: object) -> bool:
    async with sync.database.transaction(SYSTEM) as tx:
        await runs.lose_abandoned(tx, IMPATIENT)
    return await in_state(sync, run_id, SyncState.LOST)


async def test_a_dead_run_is_noticed_within_a_minute_by_whoever_looks(sync):
    """The lease and the rounds as they are in production, by moving the run's clock instead of waiting."""
    assert TIMING.lease + 15 + TIMING.beat < 60
    assert TIMING.queue + 15 < 60 + 1
    run = await sync.start(PAYFIT)
    async with sync.database.transaction(SYSTEM) as tx:
        await tx.session.execute(
            text("UPDATE sync_runs SET state = 'RUNNING', lease = id, heartbeat_at = now() - interval '31 s'")
        )
    assert (await history.current(sync.database, PAYFIT)).state is SyncState.LOST
    assert (await history.by_id(sync.database, run.id)).state is SyncState.LOST
    await succeeds_next(sync, PAYFIT)


async def test_a_queued_run_that_nobody_picks_up_is_lost_and_does_not_stand_in_the_way(sync):
    run = await sync.start(PAYFIT)
    async with sync.database.transaction(SYSTEM) as tx:
        await tx.session.execute(text("UPDATE sync_runs SET created_at = now() - interval '46 s', due_at = created_at"))
        await tx.session.execute(text("UPDATE sync_runs SET due_at = created_at"))
    following = await sync.start(PAYFIT)
    assert following.id != run.id
    row = await sync.row(run.id)
    assert row.state is SyncState.LOST
    assert "No worker" in row.message
    assert (await sync.go_on(following.id)).state is SyncState.SUCCEEDED


async def test_a_run_whose_job_was_lost_is_enqueued_again(sync, redis):
    run = await sync.start(PAYFIT)
    await redis.flushdb()
    async with sync.database.transaction(SYSTEM) as tx:
        assert await runs.upkeep(tx) == [run.id]
    assert await redis.zcard("plancharge:jobs") == 1


async def test_a_worker_that_is_stopped_hands_its_run_over_with_its_pages(sync):
    sync.simulated.switch("slow-page")
    run = await sync.start(PAYFIT)
    work = asyncio.create_task(sync.go_on(run.id))
    await until(lambda: sync.simulated.payfit.waiting)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    row = await sync.row(run.id)
    assert (row.state, row.cause, row.phase) == (SyncState.QUEUED, "worker_stopped", "READING_ABSENCES")
    sync.simulated.switch("normal")
    people = sync.simulated.payfit.calls["GET /companies/{companyId}/collaborators"]
    row = await sync.go_on(run.id)
    assert (row.state, row.counts["PERSON"]["read"]) == (SyncState.SUCCEEDED, 40)
    assert sync.simulated.payfit.calls["GET /companies/{companyId}/collaborators"] == people


@pytest.fixture
async def own_servers(sync, tmp_path) -> AsyncIterator[tuple[Syncing, EmbeddedPostgres, EmbeddedValkey]]:
    """A sync on a PostgreSQL and a Valkey of its own, which may be restarted on the same ports."""
    with EmbeddedPostgres(tmp_path / "pg") as postgres, EmbeddedValkey(tmp_path / "valkey") as valkey:
        postgres._wanted_port, valkey._wanted_port = postgres.port, valkey.port
        update = {"database_url": postgres.url(), "redis_url": valkey.url()}
        settings = sync.settings.model_copy(update=update)
        await migrate(settings)
        async with connected(settings) as connections:
            yield replace(sync, database=connections.database, settings=settings), postgres, valkey


def once_at_page(sync: Syncing, path: str, number: int, happen: Callable[[], None]) -> list[float]:
    """Lets something happen before one page is answered; the list tells when it did."""
    seen, times = 0, []

    async def before(asked: str) -> None:
        nonlocal seen
        if asked.endswith(path):
            seen += 1
            if seen == number:
                await asyncio.to_thread(happen)
                times.append(time.monotonic())

    sync.simulated.before = before
    return times


def restart(server: EmbeddedPostgres | EmbeddedValkey) -> Callable[[], None]:
    def run() -> None:
        server.stop()
        server.start()

    return run


async def test_postgresql_that_is_away_for_a_moment_delays_the_run_and_loses_nothing(own_servers):
    sync, postgres, _ = own_servers
    sync.simulated.page_size = 4
    times = once_at_page(sync, "/collaborators", 6, postgres.stop)
    run = await sync.start(PAYFIT)
    work = asyncio.create_task(sync.go_on(run.id))
    await until(lambda: bool(times))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(postgres.start)
    run = await work
    assert (run.state, run.cause) == (SyncState.QUEUED, "database"), run.message
    assert run.counts["PERSON"]["read"] == 20
    run = await sync.go_on(run.id)
    assert (run.state, run.counts["PERSON"]["created"]) == (SyncState.SUCCEEDED, 40)
    assert sync.simulated.payfit.calls["GET /companies/{companyId}/collaborators"] == 11  # the sixth page twice
    again = await sync(PAYFIT)
    assert (again.state, again.counts["PERSON"]["updated"]) == (SyncState.SUCCEEDED, 0)


async def test_postgresql_restarted_between_two_pages_may_not_even_be_noticed(own_servers):
    sync, postgres, _ = own_servers
    sync.simulated.page_size = 4
    times = once_at_page(sync, "/collaborators", 6, restart(postgres))
    run = await sync(PAYFIT)
    assert len(times) == 1
    while run.state is SyncState.QUEUED:
        run = await sync.go_on(run.id)
    assert (run.state, run.counts["PERSON"]["created"]) == (SyncState.SUCCEEDED, 40)


async def test_redis_restarted_in_mid_run_is_not_even_noticed_by_it(own_servers):
    sync, _, valkey = own_servers
    sync.simulated.page_size = 4
    times = once_at_page(sync, "/collaborators", 6, restart(valkey))
    run = await sync(PAYFIT)
    assert len(times) == 1
    assert (run.state, run.counts["PERSON"]["created"]) == (SyncState.SUCCEEDED, 40)
    assert (await sync(GRYZZLY)).state is SyncState.SUCCEEDED


async def test_redis_restarted_under_a_real_worker_ends_in_success(own_servers):
    sync, _, valkey = own_servers
    times = once_at_page(sync, "/absences", 2, restart(valkey))
    async with worker(sync):
        run = await sync.start(PAYFIT)
        await until(lambda: bool(times), 60)
        await until(lambda: in_state(sync, run.id, SyncState.SUCCEEDED), 60)
    async with Redis.from_url(sync.settings.redis_url) as client:
        assert await client.ping()
    assert await sync.one("SELECT count(*) FROM users") == 40
