"""The only module that knows how arq enqueues: JSON on the wire, never pickle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.exceptions import RedisError

from server.database import Job

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

    async def enqueue(self, jobs: Sequence[Job]) -> None:
        """Never raises: a lost job is found by the worker's next round over the rows that wait for it."""
        try:
            pool = await self._connected()
            for job in jobs:
                await pool.enqueue_job(job.name, *job.arguments)
        except (RedisError, OSError) as error:
            log.warning("jobs_not_enqueued", jobs=[job.name for job in jobs], error=type(error).__name__)

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
