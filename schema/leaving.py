"""Noticing that a client has left while its operation runs: nobody would read the answer."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import ClientDisconnect, Request

from schema.deadline import Stoppable

SOON = 0.1
"""Seconds before anybody listens. Most answers are out by then, and a timer that is called off costs a microsecond
where a task for each request would cost ten."""


class UntilClientLeaves(Stoppable):
    """Cancels what is awaited in its block when the client disconnects, and raises ClientDisconnect in its place.

    asyncpg then cancels the statement that PostgreSQL is at, and the pool has its connection back. Mutations are not
    stopped by it: see schema.writes. The request's body must have been read, for this reads what comes after it.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._listening: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(SOON, self._listen)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._listening is not None:
            self._listening.cancel()
        super().__exit__(kind, error, trace)

    def _listen(self) -> None:
        self._listening = asyncio.create_task(self._wait(), name="client-leaves")

    async def _wait(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.stop()

    def reason(self) -> Exception:
        return ClientDisconnect()
