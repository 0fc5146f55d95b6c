"""`plancharge verify`: computes everything anew, compares it with what is stored, and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from server.database import Database
from server.planning.domain.capacity import MonthCapacity
from server.planning.domain.numbers import NO_DAYS
from server.planning.repository import recomputation as repository
from server.planning.repository import settings as company
from server.planning.repository.recomputation import ComputedCapacity
from server.planning.service.recompute import Changes, find_changes, open_months

USERS_PER_CHUNK = 250
"""bounds the memory; a person brings some 40 months and a few hundred cells"""

_NOTHING = MonthCapacity(NO_DAYS, NO_DAYS, NO_DAYS, NO_DAYS)


class What(StrEnum):
    COMPUTED = "capacity.computed"
    TENTATIVE = "capacity.tentative"
    WORKING_DAYS = "capacity.working_days"
    LEAVE = "capacity.leave"
    EXPECTED = "cell.expected"


@dataclass(frozen=True, slots=True)
class Difference:
    """`id` is that of the month row or the cell. A missing row reads as 0 days."""

    what: What
    id: UUID
    user_id: UUID
    month: date
    stored: Decimal
    expected: Decimal


async def verify(
    database: Database, progress: Callable[[int], None] | None = None, chunk: int = USERS_PER_CHUNK
) -> AsyncIterator[Difference]:
    """The differences in the open months of the horizon, person by person; closed months are frozen.

    `progress` hears how many people are done. What a job has still to recompute differs too: wait for it first.
    """
    done, after = 0, None
    # One snapshot a chunk: what is written meanwhile is seen with all that follows from it, or not at all.
    engine = database.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    while True:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            users = await repository.everybody(session, after=after, limit=chunk)
            if not users:
                return
            settings = await company.current(session)
            months = await open_months(session, settings, settings.horizon_start, settings.horizon_end)
            changes = await find_changes(session, settings, users, months) if months else Changes([], [])
        for difference in _differences(changes):
            yield difference
        done, after = done + len(users), users[-1]
        if progress is not None:
            progress(done)


def _differences(changes: Changes) -> Iterator[Difference]:
    for row, before in changes.capacities:
        yield from _of_capacity(row, before or _NOTHING)
    for cell, stored in changes.expected:
        yield Difference(What.EXPECTED, cell.id, cell.user_id, cell.month, stored or NO_DAYS, cell.expected)


def _of_capacity(row: ComputedCapacity, before: MonthCapacity) -> Iterator[Difference]:
    for what, stored, now in (
        (What.COMPUTED, before.computed, row.computed),
        (What.TENTATIVE, before.tentative, row.tentative),
        (What.WORKING_DAYS, before.working_days, row.working_days),
        (What.LEAVE, before.leave, row.leave),
    ):
        if stored != now:
            yield Difference(what, row.id, row.user_id, row.month, stored, now)
