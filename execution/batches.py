"""BatchLoader: a dataloader that is asked for all the keys of a level at once, with one future per batch and none per
key."""

from __future__ import annotations

from asyncio import Task, ensure_future, shield
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["BatchLoader"]

Key = TypeVar("Key")
Found = TypeVar("Found")


class BatchLoader(Generic[Key, Found]):
    """Loads by key what is asked for in one turn of the event loop together, and each key once in its life.

    `fetch(keys)` returns the values in the order of the keys, which are distinct; an exception among them is that key's
    error, one that is raised is the error of all. Make one per request: what was loaded is kept until it is dropped.
    A batch that nobody waits for any more is cancelled.
    """

    def __init__(self, fetch: Callable[[list[Key]], Awaitable[Sequence[Found | Exception]]]) -> None:
        self.fetch = fetch
        self.next: _Batch[Key, Found] | None = None
        self._batch_of: dict[Key, _Batch[Key, Found]] = {}

    def load(self, key: Key) -> Task[Found]:
        """Return a future of one value, for executors that ask row by row."""
        return ensure_future(self.one(key))

    async def one(self, key: Key) -> Found:
        """Return one value, for a resolver that awaits it at once: without a task of its own, unlike `load`."""
        (value,) = await self.load_all([key])
        if isinstance(value, Exception):
            raise value
        return value

    async def load_all(self, keys: Sequence[Key]) -> list[Found | Exception]:
        """Return the values, or exceptions, in the order of the keys."""
        batch_of = self._batch_of
        missing = [key for key in keys if key not in batch_of]
        if missing:
            if self.next is None:
                self.next = _Batch(self._run)
            self.next.keys += missing
            batch_of.update(dict.fromkeys(missing, self.next))
        batches = dict.fromkeys(map(batch_of.__getitem__, keys))
        for batch in batches:  # all of them before the first is awaited: nobody else may cancel the next one meanwhile
            batch.waiting += 1
        try:
            for batch in batches:
                await shield(batch.task)  # one of several who wait may be cancelled
        finally:
            for batch in batches:
                self._leave(batch)
        if len(batches) == 1:
            return list(map(batch.values.__getitem__, keys))
        return [batch_of[key].values[key] for key in keys]

    def _leave(self, batch: _Batch[Key, Found]) -> None:
        batch.waiting -= 1
        if not batch.waiting and not batch.task.done():
            batch.task.cancel()
            self._forget(batch)

    def _forget(self, batch: _Batch[Key, Found]) -> None:
        """Have a cancelled batch's keys fetched anew by whoever asks for them next."""
        if self.next is batch:
            self.next = None
        for key in batch.keys:
            if self._batch_of.get(key) is batch:
                del self._batch_of[key]

    async def _run(self, batch: _Batch[Key, Found]) -> None:
        self.next = None
        batch.values = dict(zip(batch.keys, await self.fetch(batch.keys), strict=True))


class _Batch(Generic[Key, Found]):
    """Keys that are fetched together, from the next turn of the event loop on.

    It refers to its loader only while its task runs: what is found would else be a cycle, and wait for the garbage
    collector.
    """

    def __init__(self, run: Callable[[_Batch[Key, Found]], Coroutine[Any, Any, None]]) -> None:
        self.keys: list[Key] = []
        self.values: dict[Key, Found | Exception] = {}
        self.waiting = 0
        self.task = ensure_future(run(self))
