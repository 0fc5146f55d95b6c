"""The arq worker: which jobs there are, when the recurring ones run, and what they are given."""

from __future__ import annotations

from typing import Any

import orjson
import structlog
from arq import cron
from arq.worker import Worker
from redis.asyncio import Redis

from server import jobs
from server.database import Database, create_engine
from server.events import Bus
from server.observability import configure_logging, observe_engine
from server.queue import QUEUE_NAME, Queue, redis_settings, serialise
from server.settings import Settings

log = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 20


def create_worker(settings: Settings) -> Worker:
    """A worker that runs until it is told to stop (SIGINT, SIGTERM), finishing the jobs at hand."""

    async def start(context: dict[str, Any]) -> None:
        engine = create_engine(settings)
        observe_engine(engine)
        redis = Redis.from_url(settings.redis_url)
        queue = Queue(settings.redis_url)
        context.update(settings=settings, redis=redis, queue=queue, database=Database(engine, Bus(redis), queue))
        log.info("worker_started")

    async def stop(context: dict[str, Any]) -> None:
        await context["database"].close()
        await context["queue"].close()
        await context["redis"].aclose()
        log.info("worker_stopped")

    return Worker(
        functions=[jobs.recompute_marked],
        cron_jobs=[
            cron(jobs.recompute_marked, second={5, 35}, run_at_startup=True),
            cron(jobs.daily_upkeep, hour=0, minute=10, run_at_startup=True),
        ],
        redis_settings=redis_settings(settings.redis_url),
        queue_name=QUEUE_NAME,
        on_startup=start,
        on_shutdown=stop,
        job_serializer=serialise,
        job_deserializer=orjson.loads,
        timezone=settings.timezone,
        job_timeout=600,
        job_completion_wait=SHUTDOWN_SECONDS,
        keep_result=60,
        max_jobs=4,
        log_results=False,
    )


def run(settings: Settings) -> None:
    configure_logging(settings)
    create_worker(settings).run()
