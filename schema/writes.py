"""What every mutation field runs in: it comes to its end, whoever else writes and whoever stops listening."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import structlog
from strawberry.extensions import FieldExtension

from schema.deadline import is_over
from server.errors import ExpectedError
from server.retries import again

log = structlog.get_logger(__name__)

_left_behind: set[asyncio.Task[Any]] = set()
"""held, since the event loop does not: what goes on after its caller has left"""


class Writes(FieldExtension):
    """The outermost extension of a mutation field.

    A write that PostgreSQL broke off for another's sake is run anew as a whole, its idempotency key included. One whose
    caller leaves goes on: what was accepted is kept or refused for a reason, never for the state of a network. Only the
    request's deadline ends it, which rolls it back.
    """

    def __init__(self, *, again: bool = True) -> None:
        """Not `again`: the service has several transactions, and runs those anew that were broken off."""
        self._again = again

    async def resolve_async(self, next_: Any, source: Any, info: Any, **arguments: Any) -> Any:
        async def write() -> Any:
            result = next_(source, info, **arguments)
            return await result if inspect.isawaitable(result) else result

        work = asyncio.ensure_future(again(write) if self._again else write())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if is_over():
                work.cancel()
                await asyncio.wait({work})  # its rollback, or the COMMIT that it had begun
            elif not work.done():
                _left_behind.add(work)
                work.add_done_callback(_forget)
            raise


def _forget(work: asyncio.Task[Any]) -> None:
    _left_behind.discard(work)
    error = None if work.cancelled() else work.exception()
    if error is not None and not isinstance(error, ExpectedError):
        log.error("unexpected_error", exc_info=error)
