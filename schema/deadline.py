"""How long an operation may take, over every transport."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from strawberry.extensions import SchemaExtension

from server.errors import TimedOut


class Stoppable:
    """A block whose task can be cancelled from outside, and which knows whether it was that: see asyncio.timeout."""

    was_stopped = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        return self

    def stop(self) -> None:
        self.was_stopped = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.was_stopped and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self.reason() from error

    def reason(self) -> Exception:
        raise NotImplementedError


class TimeLimit(Stoppable):
    """asyncio.timeout without its ten microseconds, which each request would pay twice. Raises TimedOut."""

    def __init__(self, seconds: float, detail: str) -> None:
        self._seconds, self._detail = seconds, detail

    def __enter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self.stop)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        super().__exit__(kind, error, trace)

    def reason(self) -> Exception:
        return TimedOut(self._detail.format(self._seconds))


_limit: ContextVar[TimeLimit | None] = ContextVar("limit", default=None)
TOOK_LONGER = (
    "This took longer than {:g} s and was stopped: ask for less at a time. If it was a mutation, look whether its "
    "change was kept before you send it again; under an idempotency key that is safe."
)


def is_over() -> bool:
    """Whether the operation that asks is being stopped because its time is up."""
    limit = _limit.get()
    return limit is not None and limit.was_stopped


class Deadline(SchemaExtension):
    """Stops what takes longer than REQUEST_SECONDS, and with it the statement that PostgreSQL is at.

    It bounds waiting: for locks, for connections, for statements. Python's own work is not interrupted by it; what
    bounds that is the cost, before anything runs. Of a subscription it bounds the start.
    """

    def on_execute(self) -> Iterator[None]:
        with TimeLimit(self.execution_context.context.settings.request_seconds, TOOK_LONGER) as limit:
            _limit.set(limit)
            yield
