"""`plancharge sync`: one sync in this process, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime

from server.actor import system_actor
from server.connections import connected
from server.database import Database
from server.settings import Settings
from server.sync.models import ACTIVE, Provider, SyncRunRow, SyncTrigger
from server.sync.providers import Providers
from server.sync.service import history, runner, runs

SYSTEM = system_actor("sync command")


async def sync_now(settings: Settings, provider: Provider, show: Callable[[SyncRunRow], None]) -> SyncRunRow:
    """The run as it ended; `show` gets each state on the way. Raises Refused when one is under way already.

    A worker that runs may pick it up first: then this only watches.
    """
    today = datetime.now(settings.timezone).date()
    async with connected(settings) as connections:
        database = connections.database
        await connections.bus.start()
        try:
            async with database.transaction(SYSTEM) as tx:
                run = await runs.start(tx, settings, provider, today, SyncTrigger.COMMAND)
            work = asyncio.create_task(_until_ended(settings, database, run))
            async with aclosing(history.watch(database, connections.bus, [provider], run.id)) as states:
                async for row in states:
                    show(row)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return await history.by_id(database, run.id) or run
        finally:
            await connections.bus.stop()


async def _until_ended(settings: Settings, database: Database, run: SyncRunRow) -> None:
    """Goes on with a run that waits to try again, as a worker would."""
    connect = Providers(settings, database).connect
    today = datetime.now(settings.timezone).date()
    row: SyncRunRow | None = run
    while row is not None and row.state in ACTIVE:
        await runner.run(database, SYSTEM, connect, run.id, today)
        await asyncio.sleep(1.0)
        row = await history.by_id(database, run.id)
