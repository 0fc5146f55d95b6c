"""The connections of one process, opened together and closed together: web server, worker and commands alike."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from redis.asyncio import Redis

from server.database import Database, create_engine
from server.events import Bus
from server.observability import observe_engine
from server.queue import Queue
from server.settings import Settings

CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Connections:
    database: Database
    redis: Redis
    bus: Bus


@contextlib.asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Connections]:
    """Nothing is asked of a server yet: each connects when first used, so that one which is away stops nobody else."""
    engine = create_engine(settings)
    observe_engine(engine)
    redis = Redis.from_url(settings.redis_url, socket_connect_timeout=CONNECT_SECONDS, health_check_interval=15)
    bus, queue = Bus(redis), Queue(settings.redis_url)
    try:
        yield Connections(Database(engine, bus, queue), redis, bus)
    finally:
        await bus.stop()
        await queue.close()
        await redis.aclose()
        await engine.dispose()
