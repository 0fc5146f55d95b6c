"""Events between processes: frozen dataclasses to and from Redis publish/subscribe. They carry ids only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

QUEUE_SIZE = 256
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PlanningChanged:
    """Cells and month rows that changed; `months` bounds them, so that a subscriber can skip what it does not show.

    Empty ids with `resync` mean "more than can be listed: read again".
    """

    channel: ClassVar[str] = "planning"
    first_month: date
    last_month: date
    user_ids: tuple[UUID, ...] = ()
    cell_ids: tuple[UUID, ...] = ()
    month_ids: tuple[UUID, ...] = ()
    resync: bool = False

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PlanningChanged:
        return cls(
            first_month=date.fromisoformat(data["first_month"]),
            last_month=date.fromisoformat(data["last_month"]),
            user_ids=tuple(map(UUID, data["user_ids"])),
            cell_ids=tuple(map(UUID, data["cell_ids"])),
            month_ids=tuple(map(UUID, data["month_ids"])),
            resync=data["resync"],
        )


@dataclass(frozen=True, slots=True)
class AccessChanged:
    """Someone's rights, sessions or tokens changed: forget what is cached about them (None: about everyone)."""

    channel: ClassVar[str] = "access"
    user_id: UUID | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AccessChanged:
        return cls(user_id=UUID(data["user_id"]) if data["user_id"] else None)


@dataclass(frozen=True, slots=True)
class SyncChanged:
    """A sync run advanced or ended: read it again."""

    channel: ClassVar[str] = "sync"
    run_id: UUID
    provider: str

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SyncChanged:
        return cls(run_id=UUID(data["run_id"]), provider=data["provider"])


Event = PlanningChanged | AccessChanged | SyncChanged
EVENTS: tuple[type[Event], ...] = (PlanningChanged, AccessChanged, SyncChanged)


class Lost:
    """The connection to the bus was lost, or a subscriber was too slow: anything may have been missed."""


LOST = Lost()


class Bus:
    """One Redis connection per process for all subscribers, fanned out in memory to bounded queues.

    A subscriber that falls behind has its queue emptied and gets LOST instead: memory stays bounded, and it knows.
    """

    def __init__(self, redis: Redis, prefix: str = "plancharge:") -> None:
        self._redis = redis
        self._prefix = prefix
        self._queues: dict[str, set[asyncio.Queue[Any]]] = {kind.channel: set() for kind in EVENTS}
        self._kinds = {kind.channel: kind for kind in EVENTS}
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def publish(self, events: Sequence[Event]) -> None:
        """Never raises: what was committed stays committed, and subscribers notice the lost connection themselves."""
        try:
            for event in events:
                await self._redis.publish(self._prefix + event.channel, orjson.dumps(asdict(event), default=str))
        except (RedisError, OSError) as error:
            log.warning("events_not_published", count=len(events), error=type(error).__name__)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="event-bus")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._listening.wait(), timeout=2)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @contextlib.asynccontextmanager
    async def subscribe(self, kind: type[Event]) -> AsyncIterator[asyncio.Queue[Any]]:
        """A queue of events of this kind, and LOST where some may be missing. Subscribe first, then read the state."""
        queue: asyncio.Queue[Any] = asyncio.Queue(QUEUE_SIZE)
        self._queues[kind.channel].add(queue)
        try:
            yield queue
        finally:
            self._queues[kind.channel].discard(queue)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(*(self._prefix + channel for channel in self._queues))
                    if self._listening.is_set():
                        self._lost()
                    self._listening.set()
                    async for message in pubsub.listen():
                        self._deliver(message)
            except (RedisError, OSError) as error:
                log.warning("event_bus_lost", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    def _deliver(self, message: dict[str, Any]) -> None:
        channel = message["channel"].decode().removeprefix(self._prefix)
        event = self._kinds[channel].from_json(orjson.loads(message["data"]))
        for queue in self._queues[channel]:
            self._put(queue, event)

    def _lost(self) -> None:
        for queues in self._queues.values():
            for queue in queues:
                self._put(queue, LOST)

    @staticmethod
    def _put(queue: asyncio.Queue[Any], item: object) -> None:
        try:
            queue.put_nowait(item)
        except asyncio.QueueFull:
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(LOST)
