"""The jobs of the worker, four lines each: they take ids, survive being run twice, and never pickle."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from server.access import service as access
from server.actor import system_actor
from server.database import Database
from server.planning.service import recompute
from server.planning.service import settings as company
from server.settings import Settings

SYSTEM = system_actor("worker")


async def recompute_marked(context: dict[str, Any]) -> int:
    """Recomputes the rows that a large change only marked."""
    database: Database = context["database"]
    return await recompute.recompute_marked(database, SYSTEM)


async def daily_upkeep(context: dict[str, Any]) -> None:
    """Moves the plan's horizon forward, marks leavers, and forgets what has expired."""
    database: Database = context["database"]
    settings: Settings = context["settings"]
    today = datetime.now(settings.timezone).date()
    async with database.transaction(SYSTEM) as tx:
        await company.extend_horizon(tx, today)
        await company.mark_leavers(tx, today)
        await access.forget_expired(tx)
