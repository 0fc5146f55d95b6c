"""One run from its claim to its end: reads under a lease, applies in one transaction, and explains what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from clients.errors import ProviderError, Unavailable
from server.actor import Actor
from server.database import Database
from server.events import SyncChanged
from server.ids import new_id
from server.sync.models import Provider, SyncRunRow, SyncState
from server.sync.repository import runs
from server.sync.service import gryzzly, payfit
from server.sync.service.apply import apply
from server.sync.service.reading import LISTS, LeaseLost, Reader
from server.sync.service.runs import TIMING, Timing

log = structlog.get_logger(__name__)

Connect = Callable[[Provider, UUID], AbstractAsyncContextManager[Any]]
"""(provider, run) -> its client, for the time of the run"""

APPLY = {Provider.PAYFIT: payfit.apply, Provider.GRYZZLY: gryzzly.apply}
DATABASE_SECONDS = 60.0
TELLING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class End:
    state: SyncState
    cause: str | None = None
    message: str | None = None
    wait: float | None = None
    """seconds after which a queued run may go on"""


async def run(
    database: Database, actor: Actor, connect: Connect, run_id: UUID, today: date, timing: Timing = TIMING
) -> None:
    """Does nothing unless the run is queued and due, so that a job may be run twice. Never raises but on shutdown."""
    lease = new_id()
    async with database.transaction(actor) as tx:
        if not await runs.claim(tx.session, run_id, lease):
            return
        row = await runs.by_id(tx.session, run_id)
        assert row is not None
        tx.publish(SyncChanged(row.id, row.provider.value))
    work = asyncio.create_task(_work(database, actor, connect, row, lease, today))
    watch = asyncio.create_task(_watch(database, actor, run_id, lease, timing))
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        end = await _end_of(work, watch, row, timing)
    except asyncio.CancelledError:  # the worker is being stopped: another one goes on after the last staged page
        end = End(SyncState.QUEUED, "worker_stopped", "Its worker was stopped; another one goes on.", 0.0)
        await asyncio.shield(_leave(database, actor, row, lease, end))
        raise
    finally:
        for task in (work, watch):
            task.cancel()
        await asyncio.gather(work, watch, return_exceptions=True)
    if end is not None:
        await _leave(database, actor, row, lease, end)


async def _work(database: Database, actor: Actor, connect: Connect, row: SyncRunRow, lease: UUID, today: date) -> None:
    async with connect(row.provider, row.id) as client:
        reader = Reader(database, actor, row, lease)
        await reader.read(LISTS[row.provider](client))
    await apply(database, actor, reader, APPLY[row.provider], today)


async def _watch(database: Database, actor: Actor, run_id: UUID, lease: UUID, timing: Timing) -> bool:
    """Renews the lease; returns whether a cancellation was asked for (False: the lease does not hold any more)."""
    loop = asyncio.get_running_loop()
    renewed = loop.time()
    while loop.time() - renewed < timing.lease:
        await asyncio.sleep(timing.beat)
        try:
            async with database.transaction(actor) as tx:
                cancelled = await runs.beat(tx.session, run_id, lease)
        except (OSError, SQLAlchemyError, TimeoutError) as error:  # PostgreSQL may be back in time
            log.warning("sync_heartbeat_missed", run=str(run_id), error=type(error).__name__)
            continue
        if cancelled is not False:
            return bool(cancelled)
        renewed = loop.time()
    return False


async def _end_of(work: asyncio.Task[None], watch: asyncio.Task[bool], row: SyncRunRow, timing: Timing) -> End | None:
    """How the run ends; None: nothing is left to write, because it is applied or no longer ours."""
    if not work.done():
        cancelled = watch.result()
        if not cancelled:  # applied, most likely, which ends the lease, and about to tell so
            await asyncio.wait({work}, timeout=TELLING_SECONDS)
        work.cancel()
        with contextlib.suppress(BaseException):
            await work
        # What had been applied by then was applied whole, and says so itself.
        return _cancelled() if cancelled else None
    error = work.exception()
    if error is None:
        return None
    if isinstance(error, LeaseLost):
        return _cancelled()  # or lost, and then writing this finds no lease
    return _explained(error, row, timing)


def _cancelled() -> End:
    return End(SyncState.CANCELLED, "cancelled", "Cancelled; nothing of this run was applied.")


def _explained(error: BaseException, row: SyncRunRow, timing: Timing) -> End:
    if isinstance(error, ProviderError) and not isinstance(error, Unavailable):
        return End(SyncState.FAILED, error.cause.value, str(error))
    if isinstance(error, Unavailable):
        return _again(row, timing, error.cause.value, str(error), error.retry_after)
    if _is_connection_error(error):
        log.warning("sync_database_lost", run=str(row.id), error=type(error).__name__)
        return _again(row, timing, "database", "The database could not be reached; nothing was applied.")
    log.error("sync_failed", run=str(row.id), provider=row.provider.value, exc_info=error)
    detail = f"Something went wrong on our side; nothing was applied. The worker's log says what, for run {row.id}."
    return End(SyncState.FAILED, "internal", detail)


def _is_connection_error(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
        return error.connection_invalidated or state is None or state[:2] in {"08", "57", "40", "55"}
    return isinstance(error, OSError | TimeoutError)


def _again(row: SyncRunRow, timing: Timing, cause: str, message: str, asked: float | None = None) -> End:
    """Queued to go on later with what is staged, or failed when that was tried often enough."""
    tried = row.attempts - 1
    if tried >= len(timing.retries):
        return End(SyncState.FAILED, cause, message)
    return End(SyncState.QUEUED, cause, message, max(timing.retries[tried], asked or 0.0))


async def _leave(database: Database, actor: Actor, row: SyncRunRow, lease: UUID, end: End) -> None:
    """Tries for a minute: a database that restarts is back by then, and later the lease has expired anyway."""
    deadline = asyncio.get_running_loop().time() + DATABASE_SECONDS
    while True:
        try:
            await _write_end(database, actor, row, lease, end)
            return
        except (OSError, SQLAlchemyError, TimeoutError) as error:
            log.warning("sync_end_not_written", run=str(row.id), error=type(error).__name__)
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(1.0)


async def _write_end(database: Database, actor: Actor, row: SyncRunRow, lease: UUID, end: End) -> None:
    values: dict[str, Any] = {"cause": end.cause, "message": end.message}
    async with database.transaction(actor) as tx:
        if end.wait is not None:
            values["due_at"] = runs.after(end.wait)
        left = await runs.leave(tx.session, row.id, lease, end.state, **values)
        if left and end.state is not SyncState.QUEUED:
            await runs.clear_staging(tx.session, row.id)
            await tx.audit(f"sync.{end.state.value.lower()}", "sync_run", row.id, cause=end.cause)
        # Also when it had ended otherwise: what had told so may have been cancelled.
        tx.publish(SyncChanged(row.id, row.provider.value))
