"""One execution of a plan: the errors it met, the values it waits for and the answer they make up."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Future, gather, get_running_loop, isfuture
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from graphql import GraphQLList
from graphql.pyutils import Path

from .failures import Failures
from .positions import ChosenPositions, FieldPositions, Frame, Positions
from .waiting import Batch, Cell, Column, Keys, Shared, Then, Waiting

if TYPE_CHECKING:
    from .executor import CompiledExecutor
    from .plan import Field, Plan

__all__ = ["Run"]


class Run:
    """The state of one execution.

    Fields run level by level. Errors are kept as they are met and, whenever a stretch of synchronous work ends, put
    into the order in which graphql-core's depth-first walk would have met them. What must be awaited is started in
    that same order; values that arrive together are completed together.
    """

    def __init__(self, executor: CompiledExecutor, plan: Plan) -> None:
        self.executor = executor
        self.plan = plan
        self.data: dict[str, Any] = {}
        self.failures = Failures()
        self._unswept = 0
        self._pending: list[Waiting] = []
        self._waiting: dict[Waiting, None] = {}
        self._ready: list[Waiting] = []
        self._wake: Future[None] | None = None
        self._decisions: dict[tuple[int, int], Any] = {}

    # What completion reports

    def fail(self, at: Positions, number: int, error: Exception, *, last: bool = False) -> None:
        """Record an error; `last` puts it behind the errors of what lies below its position."""
        self.failures.add(at, number, error, last=last)

    def wait(
        self, at: Positions, number: int, awaitable: Awaitable[Any], then: Then, *, abortable: bool = True
    ) -> None:
        """Leave a position empty until the awaitable is done; one that is not abortable ends by itself on an abort."""
        self._pending.append(Cell(at, [number], then, awaitable, abortable=abortable))

    def wait_for_keys(
        self, at: Positions, rows: Sequence[int], keys: list[Any], futures: dict[Any, Future[Any]], then: Then
    ) -> None:
        """Leave positions empty until all the futures of their keys are done."""
        self._pending.append(Keys(at, rows, then, keys, futures))

    def wait_for_batch(
        self,
        at: FieldPositions,
        rows: Sequence[int],
        keys: list[Any],
        distinct: list[Any],
        loaded: Awaitable[list[Any]],
    ) -> None:
        """Leave positions empty until the values of all their keys are there."""
        self._pending.append(Batch(at, rows, at.field.value.settle, loaded, keys, distinct))

    def wait_for_column(
        self, at: FieldPositions, awaitable: Awaitable[Any], then: Callable[[Run, FieldPositions, Any], list[Any]]
    ) -> None:
        """Leave a whole column empty until the one answer that it depends on is there."""
        rows = range(len(at.frame.sources))
        self._pending.append(Column(at, rows, lambda run, _at, values: then(run, at, values[0]), awaitable))

    @staticmethod
    def is_future(value: Any) -> TypeGuard[Future[Any]]:
        return isfuture(value)

    def decision(self, key: tuple[int, int], ask: Callable[[], Any]) -> Any:
        """Return what a caller-only guard decided, asking it at its first use in this operation."""
        if key not in self._decisions:
            try:
                decided = ask()
            except Exception as error:
                decided = error
            if self.executor.is_awaitable(decided):
                decided = Shared(decided)
            self._decisions[key] = decided
        return self._decisions[key]

    def on_graphql_core(self, type_: GraphQLList[Any], at: Positions, number: int, value: Any) -> Awaitable[Any]:
        """Complete an async iterable on graphql-core, which closes it early when an item fails."""
        executor = self.executor
        executor.count_fallback("list from an async iterable")
        completed = executor.complete_list_value(type_, at.field.details, at.info(number), at.path(number), value, None)
        return cast("Awaitable[list[Any]]", completed)

    def mark(self) -> int:
        """Return a mark for `forget_since`."""
        return len(self._pending)

    def forget_since(self, mark: int) -> None:
        """Drop what was to be awaited for rows that were never finished."""
        dropped = self._pending[mark:]
        del self._pending[mark:]
        self._abandon(dropped)

    # Running

    def execute(self, serially: bool) -> Awaitable[None] | None:
        """Run the root fields; returns an awaitable if anything has to be awaited."""
        source = self.executor.root_value
        if serially:
            return self._execute_serially(source)
        self.data = self.plan.root.rows(self, None, [source])[0]
        self._flush()
        return self._drain() if self._pending else None

    def _execute_serially(self, source: Any) -> Awaitable[None] | None:
        frame = Frame(self, self.plan.root, None, [source])
        frame.rows = [self.data]
        fields = iter(self.plan.root.fields)
        if not self._run_until_waiting(frame, fields):
            return None

        async def run_remaining() -> None:
            await self._drain()
            while self._run_until_waiting(frame, fields):
                await self._drain()

        return run_remaining()

    def _run_until_waiting(self, frame: Frame, fields: Iterator[Field]) -> bool:
        """Run root fields one after another; stop at one that has to be awaited and say so."""
        signal = self.executor.abort_signal
        while not self.failures.is_total:
            field = next(fields, None)
            if field is None:
                return False
            if signal is not None and signal.aborted:
                raise self.executor.abort_error()
            # A mutation may change what the caller is allowed to do, so no decision outlives its root field.
            self._decisions.clear()
            self.data[field.key] = field.current().column(self, frame)[0]
            self._flush()
            if self._pending:
                return True
        return False

    async def _drain(self) -> None:
        """Await everything, and whatever that leads to."""
        loop = get_running_loop()
        try:
            while self._pending or self._waiting:
                if len(self._pending) == 1 and not self._waiting:
                    await self._await_alone(self._pending.pop())
                    continue
                self._start(loop)
                self._wake = loop.create_future()
                if not self._ready:
                    await self._wake
                ready, self._ready = self._ready, []
                self._process(ready)
        except BaseException:
            await self._cancel()
            raise
        finally:
            self.failures.forget_arrivals()

    async def _await_alone(self, waiting: Waiting) -> None:
        """Await the only thing there is to await in this task, as graphql-core does, without one of its own."""
        self._waiting[waiting] = None
        await waiting.settle(self.executor)
        self._process([waiting])

    def _start(self, loop: AbstractEventLoop) -> None:
        pending, self._pending = self._pending, []
        if len({id(waiting.at) for waiting in pending}) > 1:
            pending.sort(key=lambda waiting: self.failures.order(waiting.at, waiting.numbers[0])[1:])
        for waiting in pending:
            self._waiting[waiting] = None
            waiting.start(self.executor, loop, self._on_ready)

    def _on_ready(self, waiting: Waiting) -> None:
        self._ready.append(waiting)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _process(self, ready: list[Waiting]) -> None:
        """Complete what arrived, all values of one column together."""
        self.failures.forget_arrivals()
        groups: dict[tuple[int, Then], list[tuple[int, Waiting]]] = {}
        for rank, waiting in enumerate(ready):
            if waiting in self._waiting:  # else it was abandoned
                del self._waiting[waiting]
                groups.setdefault((id(waiting.at), waiting.then), []).append((rank, waiting))
        for (_, then), members in groups.items():
            at, first = members[0][1].at, members[0][1]
            if isinstance(first, Batch) and len(members) == 1:
                shared = first.shared(self, at)
                if shared is not None:
                    at.store(first.numbers, shared)
                    continue
            numbers: list[int] = []
            values: list[Any] = []
            ranks: list[tuple[int, int]] = []
            for rank, waiting in members:
                numbers += waiting.numbers
                values += waiting.values()
                ranks.append((rank, len(numbers)))
            chosen = ChosenPositions(at, numbers)
            self.failures.arrived(chosen, ranks)
            at.store(numbers, then(self, chosen, values))
        self._flush()

    def _flush(self) -> None:
        """Report the errors met since the last time, and give up what they made superfluous."""
        failed = self.failures.report(self.executor.collected_errors)
        if not failed:
            return
        # Looking through all that waits for every failed row would take quadratic time, so failures are saved up
        # unless the whole answer is gone; what waits in vain meanwhile costs nothing but its own work.
        self._unswept += failed
        if self.failures.is_total or self._unswept * 64 >= len(self._waiting) + len(self._pending):
            self._sweep()

    def _sweep(self) -> None:
        """Give up what is awaited for positions that have become null."""
        self._unswept = 0
        is_nulled = self.executor.collected_errors.has_nulled_position
        unstarted = [waiting for waiting in self._pending if self._is_gone(waiting, is_nulled)]
        if unstarted:
            gone = set(unstarted)
            self._pending = [waiting for waiting in self._pending if waiting not in gone]
            self._abandon(unstarted)
        for waiting in [waiting for waiting in self._waiting if self._is_gone(waiting, is_nulled)]:
            del self._waiting[waiting]
            self.settle(waiting.cancel(shared=False))

    @staticmethod
    def _is_gone(waiting: Waiting, is_nulled: Callable[[Path | None], bool]) -> bool:
        return all(is_nulled(waiting.at.path(number)) for number in waiting.numbers)

    def _abandon(self, dropped: list[Waiting]) -> None:
        # As graphql-core does: work begun beside a synchronous failure is settled in the background, not awaited.
        self.settle([awaitable for waiting in dropped for awaitable in waiting.awaitables()])

    def settle(self, awaitables: list[Awaitable[Any]]) -> None:
        """Let abandoned awaitables run to their end in the background."""
        if awaitables:
            self.executor.settle_in_background(awaitables)

    async def _cancel(self) -> None:
        tasks = [task for waiting in self._waiting for task in waiting.cancel(shared=True)]
        self._waiting.clear()
        if tasks:
            with suppress(CancelledError):  # cancelled once more while the resolvers clean up
                await gather(*tasks, return_exceptions=True)
