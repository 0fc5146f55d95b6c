"""What the runs are doing and did: the present state of a provider, its changes as they come, and the past."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from server.actor import system_actor
from server.database import Database
from server.events import LOST, Bus, SyncChanged
from server.ids import named_id
from server.sync.models import ACTIVE, Provider, SyncRunRow, SyncState
from server.sync.repository import runs as repository
from server.sync.service.runs import TIMING, Timing, lose_abandoned

SYSTEM = system_actor("sync status")
LOOK_AGAIN_SECONDS = 15.0
"""a run whose worker died sends nothing: whoever watches looks by themselves"""


def never_run(provider: Provider) -> SyncRunRow:
    """Stands for a provider without a run; it is not stored."""
    return SyncRunRow(
        id=named_id("sync", provider.value),
        provider=provider,
        state=SyncState.NEVER_RUN,
        progress=Decimal(0),
        counts={},
        position={},
        attempts=0,
    )


async def current(database: Database, provider: Provider, timing: Timing = TIMING) -> SyncRunRow:
    """The newest run of a provider. One that nobody works on is marked LOST first, so that nobody waits for it."""
    async with database.reads.session() as session:
        row = await repository.newest(session, provider)
        abandoned = row is not None and await repository.is_abandoned(session, row.id, timing.lease, timing.queue)
    if row is None:
        return never_run(provider)
    return await _healed(database, row, timing) if abandoned else row


async def by_id(database: Database, run_id: UUID, timing: Timing = TIMING) -> SyncRunRow | None:
    async with database.reads.session() as session:
        row = await repository.by_id(session, run_id)
        abandoned = row is not None and await repository.is_abandoned(session, row.id, timing.lease, timing.queue)
    return await _healed(database, row, timing) if row is not None and abandoned else row


async def _healed(database: Database, row: SyncRunRow, timing: Timing) -> SyncRunRow:
    async with database.transaction(SYSTEM) as tx:
        await lose_abandoned(tx, timing)
        return await repository.by_id(tx.session, row.id) or row


async def watch(
    database: Database, bus: Bus, providers: Sequence[Provider], run_id: UUID | None = None, timing: Timing = TIMING
) -> AsyncGenerator[SyncRunRow, None]:
    """The present state of each provider (or of one run), then each change; with `run_id` until the run has ended.

    Changes that come faster than they are read are seen as one: each state sent is the newest, and the last one is
    always sent. Holds no connection while it waits.
    """
    async with bus.subscribe(SyncChanged) as events:
        shown: dict[Any, Any] = {}
        while True:
            rows = await _states(database, providers, run_id, timing)
            for row in rows:
                if shown.get(row.provider) != (look := _look(row)):
                    shown[row.provider] = look
                    yield row
            if run_id is not None and not any(row.state in ACTIVE for row in rows):
                return
            await _next(events, providers, run_id)


async def _states(
    database: Database, providers: Sequence[Provider], run_id: UUID | None, timing: Timing
) -> list[SyncRunRow]:
    if run_id is None:
        return [await current(database, provider, timing) for provider in providers]
    row = await by_id(database, run_id, timing)
    return [] if row is None else [row]


def _look(row: SyncRunRow) -> tuple[Any, ...]:
    return row.id, row.state, row.phase, row.progress, str(row.counts), row.message, row.cancel_requested_at


async def _next(events: asyncio.Queue[Any], providers: Sequence[Provider], run_id: UUID | None) -> None:
    """Returns once something may have changed, with the queue empty."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_AGAIN_SECONDS):
            while True:
                event = await events.get()
                if event is LOST or event.run_id == run_id or (run_id is None and event.provider in providers):
                    break
    while not events.empty():
        events.get_nowait()
