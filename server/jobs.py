"""The jobs of the worker, four lines each: they take ids, survive being run twice, and never pickle."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any
from uuid import UUID

from server import idempotency
from server.access import service as access
from server.actor import system_actor
from server.database import Database
from server.errors import Refused
from server.planning.repository import marks
from server.planning.service import contracts, recompute
from server.planning.service import settings as company
from server.retries import retried
from server.settings import Settings
from server.sync.models import Provider, SyncTrigger
from server.sync.providers import Providers
from server.sync.service import failure_mail, runner, runs

SYSTEM = system_actor("worker")


@retried
async def recompute_marked(ctx: dict[Any, Any]) -> int:
    """Recomputes the people whose rows a large change only marked; answers how many they were."""
    database: Database = ctx["database"]
    return await recompute.recompute_marked(database, SYSTEM)


@retried
async def daily_upkeep(ctx: dict[Any, Any]) -> None:
    """Moves the plan's horizon forward, marks leavers, and forgets what has expired."""
    database: Database = ctx["database"]
    settings: Settings = ctx["settings"]
    today = datetime.now(settings.timezone).date()
    async with database.transaction(SYSTEM) as tx:
        await company.extend_horizon(tx, today)
        await contracts.mark_leavers(tx, today)
    async with database.transaction(SYSTEM) as tx:
        await access.forget_expired(tx)
        await idempotency.purge(tx)
        await runs.forget_old(tx)
        await marks.forget_gone(tx.session)


async def run_sync(ctx: dict[Any, Any], run_id: str) -> None:
    """Works on a queued sync run, if nobody else does."""
    database: Database = ctx["database"]
    settings: Settings = ctx["settings"]
    today = datetime.now(settings.timezone).date()
    await runner.run(database, SYSTEM, Providers(settings, database).connect, UUID(run_id), today)


async def sync_payfit(ctx: dict[Any, Any]) -> None:
    await _start_sync(ctx, Provider.PAYFIT)


async def sync_gryzzly(ctx: dict[Any, Any]) -> None:
    await _start_sync(ctx, Provider.GRYZZLY)


@retried
async def _start_sync(ctx: dict[Any, Any], provider: Provider) -> None:
    """Nothing happens while a sync of this provider is under way, or without a key for it."""
    database: Database = ctx["database"]
    settings: Settings = ctx["settings"]
    today = datetime.now(settings.timezone).date()
    with contextlib.suppress(Refused):
        async with database.transaction(SYSTEM) as tx:
            await runs.start(tx, settings, provider, today, SyncTrigger.SCHEDULE)


@retried
async def sync_upkeep(ctx: dict[Any, Any]) -> None:
    """Loses runs that nobody works on, picks up those whose job was lost, and tells the admins of failures."""
    database: Database = ctx["database"]
    async with database.transaction(SYSTEM) as tx:
        await runs.upkeep(tx)
    await failure_mail.tell_admins(database, SYSTEM, ctx["settings"])
