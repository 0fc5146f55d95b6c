"""The arq worker: which jobs there are, when the recurring ones run, and what they are given."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import orjson
import structlog
from arq import cron
from arq.cron import CronJob
from arq.worker import Worker, func
from redis.exceptions import RedisError

from server import jobs
from server.connections import connected
from server.migrate import refuse_old_schema
from server.observability import configure_logging
from server.queue import QUEUE_NAME, redis_settings, serialise
from server.settings import Settings

log = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 20
RESTART_SECONDS = 1
SYNC_SECONDS = 6 * 3600


def _scheduled(job: Any, schedule: str) -> list[CronJob]:
    """`02:30`, `hourly:15` or `off`, in the company's time zone."""
    if schedule == "off":
        return []
    hour, _, minute = schedule.partition(":")
    return [cron(job, hour=None if hour == "hourly" else int(hour), minute=int(minute))]


def create_worker(settings: Settings, **options: Any) -> Worker:
    """A worker that runs until it is told to stop (SIGINT, SIGTERM) and lets the jobs at hand finish.

    What is lost with Redis is found again: each recurring job looks at the rows that wait for it.
    """
    stack = AsyncExitStack()

    async def start(ctx: dict[Any, Any]) -> None:
        connections = await stack.enter_async_context(connected(settings))
        await refuse_old_schema(connections.database)
        ctx.update(settings=settings, database=connections.database)
        log.info("worker_started")

    async def stop(ctx: dict[Any, Any]) -> None:  # noqa: ARG001 — arq's signature
        await stack.aclose()
        log.info("worker_stopped")

    return Worker(
        functions=[jobs.recompute_marked, func(jobs.run_sync, timeout=SYNC_SECONDS)],
        cron_jobs=[
            cron(jobs.recompute_marked, second={5, 35}, run_at_startup=True),
            cron(jobs.daily_upkeep, hour=0, minute=10, run_at_startup=True),
            cron(jobs.sync_upkeep, second={0, 15, 30, 45}, run_at_startup=True),
            *_scheduled(jobs.sync_payfit, settings.payfit_schedule),
            *_scheduled(jobs.sync_gryzzly, settings.gryzzly_schedule),
        ],
        redis_settings=redis_settings(settings.redis_url),
        queue_name=QUEUE_NAME,
        on_startup=start,
        on_shutdown=stop,
        job_serializer=serialise,
        job_deserializer=orjson.loads,
        timezone=settings.timezone,  # type: ignore[arg-type]  # arq says datetime.timezone, and any tzinfo serves
        job_timeout=600,
        job_completion_wait=SHUTDOWN_SECONDS,
        keep_result=60,
        max_jobs=4,
        log_results=False,
        **options,
    )


def run(settings: Settings) -> None:
    """Until it is told to stop. arq ends when it loses Redis, so a worker that once worked is started again."""
    configure_logging(settings)
    came_up = False
    while True:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)  # arq takes the current one, which newer Pythons do not make
        worker = create_worker(settings)
        try:
            return worker.run()
        except (RedisError, OSError) as error:
            came_up = came_up or "database" in worker.ctx
            if not came_up:
                raise
            log.warning("worker_lost_redis", error=type(error).__name__)
        finally:
            loop.close()  # takes arq's signal handlers with it: SIGTERM ends the pause below
        time.sleep(RESTART_SECONDS)
