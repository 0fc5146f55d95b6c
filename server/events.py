"""Events between processes: frozen dataclasses to and from Redis publish/subscribe. They carry ids only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar
from uuid import UUID

import orjson
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from server.redis_or_none import RedisOrNone

log = structlog.get_logger(__name__)

QUEUE_SIZE = 256
RETRY_SECONDS = 1.0
SILENT_SECONDS = 1.0
"""after which Redis is asked whether it is still there: a host that is gone, or stands still, closes no connection"""
DEAD_SECONDS = 3.0
MISSED = b"null"
"""published once Redis is back, for the events that could not be"""


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
    So do all subscribers of all processes, later, when an event could not be published.
    """

    def __init__(self, redis: Redis, prefix: str = "plancharge:") -> None:
        self._redis = redis
        self._prefix = prefix
        self._queues: dict[str, set[asyncio.Queue[Any]]] = {kind.channel: set() for kind in EVENTS}
        self._kinds = {kind.channel: kind for kind in EVENTS}
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._or_none = RedisOrNone("events")
        self._missed: set[str] = set()
        self._telling: asyncio.Task[None] | None = None

    async def publish(self, events: Sequence[Event]) -> None:
        """Never raises, and never waits long: what was committed stays committed, whether or not it can be told."""
        missed = 0
        for event in events:
            if not await self._sent(event.channel, orjson.dumps(event, default=str)):
                self._missed.add(event.channel)
                missed += 1
        if missed:
            log.warning("events_not_published", count=missed)
            if self._telling is None or self._telling.done():
                self._telling = asyncio.create_task(self._tell_of_missed(), name="missed-events")

    async def _sent(self, channel: str, data: bytes) -> bool:
        return await self._or_none.ask(lambda: self._redis.publish(self._prefix + channel, data)) is not None

    async def _tell_of_missed(self) -> None:
        while self._missed:
            await asyncio.sleep(RETRY_SECONDS)
            channel = self._missed.pop()  # before it is sent: one that is missed meanwhile is told of once more
            if not await self._sent(channel, MISSED):
                self._missed.add(channel)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="event-bus")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self._listening.wait()

    async def stop(self) -> None:
        for task in (self._task, self._telling):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

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
                async with self._redis.pubsub() as pubsub:
                    async with asyncio.timeout(DEAD_SECONDS):
                        await pubsub.subscribe(*(self._prefix + channel for channel in self._queues))
                    await self._receive(pubsub)
            except (RedisError, OSError) as error:  # a TimeoutError is an OSError
                log.warning("event_bus_lost", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _receive(self, pubsub: PubSub) -> None:
        unconfirmed = len(self._queues)
        heard = time.monotonic()
        while True:
            message = await pubsub.get_message(timeout=SILENT_SECONDS)
            if message is not None:
                heard = time.monotonic()
            elif time.monotonic() - heard > DEAD_SECONDS:
                raise TimeoutError
            else:
                await pubsub.ping()
                continue
            if message["type"] == "message":
                self._deliver(message)
            elif message["type"] == "subscribe":
                unconfirmed -= 1
                if not unconfirmed:  # only now: what is read anew from here on is followed by every later event
                    self._subscribed()

    def _subscribed(self) -> None:
        if self._listening.is_set():
            self._lost()
        self._listening.set()

    def _deliver(self, message: dict[str, Any]) -> None:
        channel = message["channel"].decode().removeprefix(self._prefix)
        try:
            event = self._kinds[channel].from_json(orjson.loads(message["data"]))
        except (TypeError, ValueError, KeyError):  # MISSED, or from a process of another version
            self._lost(channel)
            return
        for queue in self._queues[channel]:
            self._put(queue, event)

    def _lost(self, *channels: str) -> None:
        """Of these channels; of all without one."""
        for channel in channels or self._queues:
            for queue in self._queues[channel]:
                self._put(queue, LOST)

    @staticmethod
    def _put(queue: asyncio.Queue[Any], item: object) -> None:
        try:
            queue.put_nowait(item)
        except asyncio.QueueFull:
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(LOST)
