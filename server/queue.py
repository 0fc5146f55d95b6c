"""The only module that knows how arq enqueues: JSON on the wire, never pickle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from arq.connections import ArqRedis, RedisSettings, create_pool

from server.database import Job
from server.redis_or_none import RedisOrNone

log = structlog.get_logger(__name__)

QUEUE_NAME = "plancharge:jobs"


def serialise(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, default=str)


def redis_settings(url: str) -> RedisSettings:
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 2
    settings.conn_retries = 1
    return settings


class Queue:
    """Enqueues after a commit; connects when first needed, so that a web server starts without Redis."""

    def __init__(self, redis_url: str) -> None:
        self._settings = redis_settings(redis_url)
        self._pool: ArqRedis | None = None
        self._connecting = asyncio.Lock()
        self._or_none = RedisOrNone("job queue")

    async def enqueue(self, jobs: Sequence[Job]) -> None:
        """Never raises, and never waits long: a lost job is found by the worker's next round over the rows that wait
        for it."""
        for job in jobs:
            if not await self._or_none.ask(lambda job=job: self._enqueued(job)):  # type: ignore[misc]
                log.warning("job_not_enqueued", job=job.name)

    async def _enqueued(self, job: Job) -> bool:
        await (await self._connected()).enqueue_job(job.name, *job.arguments)
        return True

    async def _connected(self) -> ArqRedis:
        async with self._connecting:  # or two first calls at once would open two pools, and close one
            if self._pool is None:
                self._pool = await create_pool(
                    self._settings,
                    job_serializer=serialise,
                    job_deserializer=orjson.loads,
                    default_queue_name=QUEUE_NAME,
                )
            return self._pool

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.aclose(close_connection_pool=True)
