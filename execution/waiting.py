"""What an execution waits for: one value, the values of many keys, or one answer for a whole column."""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop, Future, ensure_future, gather, get_running_loop
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from .positions import Positions

if TYPE_CHECKING:
    from .executor import CompiledExecutor
    from .run import Run

__all__ = ["Batch", "Cell", "Column", "Keys", "Shared", "Then", "Waiting"]

Then = Callable[["Run", Positions, list[Any]], list[Any]]


class Waiting(ABC):
    """Positions of the answer that are empty until something is done."""

    __slots__ = ("at", "numbers", "then")

    def __init__(self, at: Positions, numbers: Sequence[int], then: Then) -> None:
        self.at = at
        self.numbers = numbers
        self.then = then

    @abstractmethod
    async def settle(self, executor: CompiledExecutor) -> None:
        """Await here and now instead of starting."""

    @abstractmethod
    def start(self, executor: CompiledExecutor, loop: AbstractEventLoop, on_ready: Callable[[Waiting], None]) -> None:
        """Start to wait."""

    @abstractmethod
    def values(self) -> list[Any]:
        """Return what arrived, one value or exception per position."""

    @abstractmethod
    def cancel(self, *, shared: bool) -> list[Awaitable[Any]]:
        """Cancel what was started for this, and also futures that others may await if `shared`; return them."""

    @abstractmethod
    def awaitables(self) -> list[Awaitable[Any]]:
        """Return what was never started."""


def outcome(future: Future[Any]) -> Any:
    """Return a future's exception or result; a cancelled one raises CancelledError, which ends the operation."""
    return future.exception() or future.result()


class Cell(Waiting):
    """One position and its awaitable."""

    __slots__ = ("abortable", "awaitable", "future", "outcome")

    def __init__(
        self, at: Positions, numbers: Sequence[int], then: Then, awaitable: Awaitable[Any], *, abortable: bool = True
    ) -> None:
        super().__init__(at, numbers, then)
        self.abortable = abortable
        self.awaitable = awaitable
        self.future: Future[Any] | None = None
        self.outcome: Any = None

    async def settle(self, executor: CompiledExecutor) -> None:
        try:
            if self.abortable and executor.abort_signal is not None:
                self.outcome = await executor.with_abort_signal(self.awaitable)
            else:
                self.outcome = await self.awaitable
        except Exception as error:
            self.outcome = error

    def start(self, executor: CompiledExecutor, loop: AbstractEventLoop, on_ready: Callable[[Waiting], None]) -> None:  # noqa: ARG002
        awaitable = self.awaitable
        if self.abortable and executor.abort_signal is not None:
            awaitable = executor.with_abort_signal(awaitable)
        self.future = ensure_future(awaitable)

        def when_done(future: Future[Any]) -> None:
            if not future.cancelled():
                future.exception()  # seen even if the position has become null and nobody asks for the value
            on_ready(self)

        self.future.add_done_callback(when_done)

    def values(self) -> list[Any]:
        return [self.outcome if self.future is None else outcome(self.future)]

    def cancel(self, *, shared: bool) -> list[Awaitable[Any]]:
        if self.future is None or (self.future is self.awaitable and not shared):
            return []
        self.future.cancel()
        return [self.future]

    def awaitables(self) -> list[Awaitable[Any]]:
        return [self.awaitable]


class Column(Cell):
    """All positions of a column and the one awaitable that decides them."""

    __slots__ = ()

    def values(self) -> list[Any]:
        return super().values() * len(self.numbers)


class Batch(Cell):
    """Positions whose values are loaded by key, all by one awaitable of the values of the distinct keys."""

    __slots__ = ("distinct", "keys")

    def __init__(
        self,
        at: Positions,
        numbers: Sequence[int],
        then: Then,
        awaitable: Awaitable[list[Any]],
        keys: list[Any],
        distinct: list[Any],
    ) -> None:
        super().__init__(at, numbers, then, awaitable)
        self.keys = keys
        self.distinct = distinct

    def values(self) -> list[Any]:
        loaded = super().values()[0]
        if isinstance(loaded, Exception):
            return [loaded] * len(self.numbers)
        return self._by_key(loaded)

    def shared(self, run: Run, at: Positions) -> list[Any] | None:
        """Where many rows lead to few objects, complete each once if that makes no difference to the answer."""
        loaded = super().values()[0]
        if isinstance(loaded, Exception) or len(self.distinct) * 2 > len(self.keys):
            return None
        completed = at.field.value.once(run, at, loaded)
        return None if completed is None else self._by_key(completed)

    def _by_key(self, values: list[Any]) -> list[Any]:
        found = dict(zip(self.distinct, values, strict=True))
        return list(map(found.__getitem__, self.keys))


class Keys(Waiting):
    """Positions whose values are loaded by key, several positions possibly by the same key.

    A dataloader settles the futures of a batch in one go, so watching the last one is enough: no callback, task or
    wake-up per key.
    """

    __slots__ = ("_left", "_notify", "_task", "futures", "keys")

    def __init__(
        self, at: Positions, numbers: Sequence[int], then: Then, keys: list[Any], futures: dict[Any, Future[Any]]
    ) -> None:
        super().__init__(at, numbers, then)
        self.keys = keys
        self.futures = futures
        self._left: list[Future[Any]] = []
        self._task: Future[Any] | None = None
        self._notify: Callable[[Waiting], None] | None = None

    async def settle(self, executor: CompiledExecutor) -> None:
        loop = get_running_loop()
        done: Future[None] = loop.create_future()

        def on_ready(_: Waiting) -> None:
            if not done.done():
                done.set_result(None)

        self.start(executor, loop, on_ready)
        await done

    def start(self, executor: CompiledExecutor, loop: AbstractEventLoop, on_ready: Callable[[Waiting], None]) -> None:
        self._notify = on_ready
        futures = list(self.futures.values())
        if executor.abort_signal is not None:
            self._task = ensure_future(executor.with_abort_signal(gather(*futures, return_exceptions=True)))
            self._task.add_done_callback(lambda _: on_ready(self))
            return
        self._left = [future for future in futures if not future.done()]
        if self._left:
            self._left[-1].add_done_callback(self._watch)
        else:
            loop.call_soon(on_ready, self)

    def _watch(self, _: Future[Any]) -> None:
        left = self._left
        while left and left[-1].done():
            left.pop()
        if left:
            left[-1].add_done_callback(self._watch)
        elif self._notify is not None:
            self._notify(self)

    def values(self) -> list[Any]:
        if self._task is not None:
            settled = outcome(self._task)
            if isinstance(settled, Exception):
                return [settled] * len(self.numbers)
            outcomes = dict(zip(self.futures, settled, strict=True))
        else:
            outcomes = {key: outcome(future) for key, future in self.futures.items()}
        return list(map(outcomes.__getitem__, self.keys))

    def cancel(self, *, shared: bool) -> list[Awaitable[Any]]:
        self._notify = None
        if self._task is not None:
            self._task.cancel()
            return [self._task]
        if not shared:
            return []
        for future in self.futures.values():
            future.cancel()
        return list(self.futures.values())

    def awaitables(self) -> list[Awaitable[Any]]:
        return list(self.futures.values())


class Shared:
    """An awaitable that several positions may await."""

    __slots__ = ("_awaitable", "_future")

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self._awaitable = awaitable
        self._future: Future[Any] | None = None

    def __await__(self) -> Generator[Any, None, Any]:
        if self._future is None:
            self._future = ensure_future(self._awaitable)
        return self._future.__await__()
