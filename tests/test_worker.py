"""The arq worker: jobs run for real over Valkey, schedules are registered, and it stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import date
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from server import jobs
from server.actor import Actor
from server.database import Database
from server.embedded import EmbeddedValkey
from server.events import Bus
from server.planning.models import CapacityRow, CompanySettingsRow
from server.planning.repository import recomputation
from server.queue import QUEUE_NAME, Queue
from server.settings import Settings
from server.worker import create_worker
from tests.factories import Factory
from tests.running import environment, free_port, run, started

MARCH = date(2026, 3, 1)

# arq 0.28 closes its connections by a name that redis-py 5 has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def stale(make: Factory, database: Database) -> None:
    """A full-time person whose March is stored wrong, and marked by a change too large to recompute on the spot."""
    ada = await make.user()
    await make.contract(ada)
    await make.capacity(ada, MARCH, "3.00")
    async with database.transaction(Actor(None)) as tx:
        await recomputation.mark(tx.session, [ada.id])


async def in_march(database: Database) -> str:
    """The stored capacity; March 2026 has 22 working days in France."""
    async with database.reads.session() as session:
        return str(await session.scalar(select(CapacityRow.computed).where(CapacityRow.month == MARCH)))


async def burst(settings: Settings) -> int:
    """Runs what is queued and what is due at a start, and says how many jobs failed."""
    worker = create_worker(settings, burst=True, handle_signals=False, poll_delay=0.05)
    try:
        await worker.async_run()
    finally:
        await worker.close()
    return worker.jobs_failed


async def test_a_deferred_recomputation_is_queued_after_the_commit_and_done_by_the_worker(
    settings: Settings, make: Factory, database: Database, redis: Redis
) -> None:
    await stale(make, database)
    async with database.transaction(Actor(None)) as tx:
        tx.enqueue("recompute_marked")
        assert await redis.zcard(QUEUE_NAME) == 0
    assert await redis.zcard(QUEUE_NAME) == 1
    assert await burst(settings) == 0
    assert await redis.zcard(QUEUE_NAME) == 0
    assert await in_march(database) == "22.00"


async def test_nothing_is_queued_when_the_transaction_fails(database: Database, redis: Redis) -> None:
    with contextlib.suppress(RuntimeError):
        async with database.transaction(Actor(None)) as tx:
            tx.enqueue("recompute_marked")
            raise RuntimeError
    assert await redis.zcard(QUEUE_NAME) == 0


async def test_a_lost_job_is_made_good_by_the_next_round(
    settings: Settings, make: Factory, database: Database, bus: Bus
) -> None:
    await stale(make, database)
    away = Database(database.engine, bus, Queue("redis://127.0.0.1:1/0"))
    async with away.transaction(Actor(None)) as tx:
        tx.enqueue("recompute_marked")  # Redis is away: the commit stands, the job is lost
    assert await burst(settings) == 0
    assert await in_march(database) == "22.00"


def test_the_schedules_are_registered(settings: Settings) -> None:
    worker = create_worker(settings, handle_signals=False)
    schedules = {schedule.coroutine.__name__: schedule for schedule in worker.cron_jobs}
    assert {"recompute_marked", "daily_upkeep"} <= set(schedules)
    assert (schedules["daily_upkeep"].hour, schedules["daily_upkeep"].minute) == (0, 10)
    assert str(worker.timezone) == "Europe/Paris"


async def test_the_daily_upkeep_survives_being_run_twice(settings: Settings, database: Database) -> None:
    for _ in range(2):
        await jobs.daily_upkeep({"database": database, "settings": settings})
    async with database.reads.session() as session:
        row = await session.get_one(CompanySettingsRow, 1)
    assert row.horizon_end.month == 12


async def test_the_process_runs_jobs_and_stops_on_sigterm(
    settings: Settings, make: Factory, database: Database, redis: Redis, tmp_path: Path
) -> None:
    with started(tmp_path / "log", "worker", **environment(settings)) as worker:
        await asyncio.to_thread(worker.wait_for, "worker_started")
        await stale(make, database)
        async with database.transaction(Actor(None)) as tx:
            tx.enqueue("recompute_marked")
        for _ in range(300):
            if await in_march(database) == "22.00":
                break
            await asyncio.sleep(0.1)
        await asyncio.to_thread(worker.stop)
        assert worker.logged()[-1]["event"] == "worker_stopped"
        assert "Traceback" not in worker.text()
    assert await in_march(database) == "22.00"


def test_without_redis_the_worker_says_so_in_one_line(settings: Settings, migrated: None) -> None:
    done = run("worker", **environment(settings, REDIS_URL="redis://127.0.0.1:1/0"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: Redis cannot be reached")
    assert "Traceback" not in done.stderr + done.stdout


def test_a_worker_outlives_a_restart_of_redis(settings: Settings, migrated: None, tmp_path: Path) -> None:
    port = free_port()
    with EmbeddedValkey(tmp_path / "valkey", port=port, fast=True) as server:
        url = server.url()
        with started(tmp_path / "log", "worker", **environment(settings, REDIS_URL=url)) as worker:
            worker.wait_for("worker_started")
            server.stop()
            worker.wait_for("worker_lost_redis")
            server.start()
            deadline = time.monotonic() + 30
            while worker.text().count("worker_started") < 2 and time.monotonic() < deadline:
                time.sleep(0.1)
            worker.stop()
            assert worker.logged()[-1]["event"] == "worker_stopped"
            assert "Traceback" not in worker.text()
