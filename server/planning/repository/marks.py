"""What the plan's tables stand at, in one round trip: the marks that every write to them leaves in its transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from server.light_rows import Light, Source

_STATE: Light[Any] = Light(
    text(
        "SELECT concat(pg_postmaster_start_time(),"
        " string_agg(concat(' ', backend, ':', transaction), '' ORDER BY backend)) FROM plan_marks"
    )
)
# Not of connections that are there: a writer would wait for the deletion. The trigger on the table leaves a new mark.
_FORGET = text(
    "DELETE FROM plan_marks WHERE backend IN (SELECT backend FROM plan_marks"
    " WHERE backend NOT IN (SELECT pid FROM pg_stat_activity) FOR UPDATE SKIP LOCKED)"
)


async def state(source: Source) -> str:
    """The same twice: nothing that the plan is read from was committed in between. It never comes back.

    docs/decisions/0014 has the proof. It holds for reads that follow on the same server, not on a replica of it.
    """
    [found] = await _STATE.of(source)
    return str(found[0])


async def forget_gone(session: AsyncSession) -> None:
    """Drops the marks of connections that have ended; what was kept under them is worked out once more."""
    await session.execute(_FORGET)
