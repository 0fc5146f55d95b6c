"""Noticing that a client has left while its operation runs: nobody would read the answer."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.requests import ClientDisconnect, Request

from schema.deadline import Stoppable

SOON = 0.1
"""Seconds before anybody listens. Most answers are out by then, and a task for each request would cost it ten
microseconds."""


class UntilClientLeaves(Stoppable):
    """Cancels what is awaited in its block when the client disconnects, and raises ClientDisconnect in its place.

    asyncpg then cancels the statement that PostgreSQL is at, and the pool has its connection back. Mutations are not
    stopped by it: see schema.writes. The request's body must have been read, for this reads what comes after it.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(SOON)
        self._request = request
        self._listening: asyncio.Task[None] | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening is not None:
            self._listening.cancel()
        super().__exit__(kind, error, trace)

    def on_due(self) -> None:
        self._listening = asyncio.create_task(self._wait(), name="client-leaves")

    async def _wait(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.stop()

    def reason(self) -> Exception:
        return ClientDisconnect()
