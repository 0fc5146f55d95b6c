"""BatchLoader: a dataloader that is asked for all the keys of a level at once, with one future per batch and none per
key."""

from __future__ import annotations

from asyncio import Task, ensure_future, shield
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

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
        """Return a future of one value, for resolvers and for executors that ask row by row."""
        return ensure_future(self._load(key))

    async def _load(self, key: Key) -> Found:
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
                self.next = _Batch(self)
            self.next.keys += missing
            batch_of.update(dict.fromkeys(missing, self.next))
        batches = dict.fromkeys(map(batch_of.__getitem__, keys))
        for batch in batches:
            await batch.done()
        if len(batches) == 1:
            return list(map(batch.values.__getitem__, keys))
        return [batch_of[key].values[key] for key in keys]

    def forget(self, batch: _Batch[Key, Found]) -> None:
        """Have a cancelled batch's keys fetched anew by whoever asks for them next."""
        if self.next is batch:
            self.next = None
        for key in batch.keys:
            if self._batch_of.get(key) is batch:
                del self._batch_of[key]


class _Batch(Generic[Key, Found]):
    """Keys that are fetched together, from the next turn of the event loop on."""

    def __init__(self, loader: BatchLoader[Key, Found]) -> None:
        self.keys: list[Key] = []
        self.values: dict[Key, Found | Exception] = {}
        self._loader = loader
        self._waiting = 0
        self._task = ensure_future(self._run())

    async def _run(self) -> None:
        self._loader.next = None
        self.values = dict(zip(self.keys, await self._loader.fetch(self.keys), strict=True))

    async def done(self) -> None:
        self._waiting += 1
        try:
            await shield(self._task)  # one of several who wait may be cancelled
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self._task.cancel()
                self._loader.forget(self)
