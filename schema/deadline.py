"""How long an operation may take, over every transport."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from server.errors import TimedOut

TICK = 0.05
"""seconds by which a block may be late to hear that its time is up"""


class _Alarms:
    """Tells each block when its seconds have passed: one timer that looks at all of them, while there are any. A timer
    for each block would take every request, which has three, longer than its sign-in."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._due: dict[Stoppable, float] = {}
        self._is_ticking = False

    def set(self, block: Stoppable, seconds: float) -> None:
        self._due[block] = time.monotonic() + seconds
        if not self._is_ticking:
            self._is_ticking = True
            self.loop.call_later(TICK, self._look)

    def unset(self, block: Stoppable) -> None:
        self._due.pop(block, None)

    def _look(self) -> None:
        now = time.monotonic()
        for block in [block for block, due in self._due.items() if due <= now]:
            del self._due[block]
            block.on_due()
        self._is_ticking = bool(self._due)
        if self._is_ticking:
            self.loop.call_later(TICK, self._look)


_alarms: _Alarms | None = None


def _alarms_of_loop() -> _Alarms:
    global _alarms  # a process serves on one loop; one per test, each with alarms of its own
    loop = asyncio.get_running_loop()
    if _alarms is None or _alarms.loop is not loop:
        _alarms = _Alarms(loop)
    return _alarms


class Stoppable:
    """A block whose task can be cancelled from outside, and which knows whether it was that: see asyncio.timeout."""

    was_stopped = False

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """until `on_due`"""

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._alarms = _alarms_of_loop()
        self._alarms.set(self, self.seconds)
        return self

    def stop(self) -> None:
        self.was_stopped = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alarms.unset(self)
        if self.was_stopped and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self.reason() from error

    def on_due(self) -> None:
        raise NotImplementedError

    def reason(self) -> Exception:
        raise NotImplementedError


TOOK_LONGER = (
    "This took longer than {:g} s and was stopped: ask for less at a time. If it was a mutation, look whether its "
    "change was kept before you send it again; under an idempotency key that is safe."
)


class TimeLimit(Stoppable):
    """asyncio.timeout without a timer of its own. Raises TimedOut."""

    def __init__(self, seconds: float, detail: str) -> None:
        super().__init__(seconds)
        self._detail = detail

    def on_due(self) -> None:
        self.stop()

    def reason(self) -> Exception:
        return TimedOut(self._detail.format(self.seconds))


_limit: ContextVar[TimeLimit | None] = ContextVar("limit", default=None)


class Deadline(TimeLimit):
    """Stops an operation that takes longer than REQUEST_SECONDS, and with it the statement that PostgreSQL is at.

    It bounds waiting: for locks, for connections, for statements. Python's own work is not interrupted by it; what
    bounds that is the cost, before anything runs. Of a subscription it bounds the start.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, TOOK_LONGER)

    def __enter__(self) -> Self:
        _limit.set(self)
        return super().__enter__()


def is_over() -> bool:
    """Whether the operation that asks is being stopped because its time is up."""
    limit = _limit.get()
    return limit is not None and limit.was_stopped
