"""Sentences about closed months, and the lock that closing does not share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import delete, exists, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.planning.models import ClosedMonthRow, StaleUserRow

# One key for the whole company rather than one per month: a month is closed twelve times a year, and a single key
# cannot be taken in two orders. Any number of two bigint-sized constants does; this one spells "plan".
_LOCK = 0x706C616E


async def share_lock(session: AsyncSession) -> None:
    """Taken by every write of the plan: what is open stays open until it has ended. Take it before any row lock."""
    await session.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _LOCK})


async def exclusive_lock(session: AsyncSession) -> None:
    """Taken by closing and reopening: waits for the writes under way, and keeps new ones waiting."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def closed_among(session: AsyncSession, months: Collection[date]) -> frozenset[date]:
    statement = select(ClosedMonthRow.month).where(is_any(ClosedMonthRow.month, list(months)))
    return frozenset((await session.scalars(statement)).all())


async def closed_between(session: AsyncSession, first: date, last: date) -> Sequence[ClosedMonthRow]:
    statement = select(ClosedMonthRow).where(ClosedMonthRow.month.between(first, last)).order_by(ClosedMonthRow.month)
    return (await session.scalars(statement)).all()


async def is_recomputing(session: AsyncSession) -> bool:
    """Whether a job has still to bring somebody's open months up to date."""
    return bool((await session.scalars(select(exists().select_from(StaleUserRow)))).one())


async def close(session: AsyncSession, month: date, closed_by_id: UUID | None) -> ClosedMonthRow:
    statement = insert(ClosedMonthRow).values(month=month, closed_by_id=closed_by_id).returning(ClosedMonthRow)
    return (await session.scalars(statement)).one()


async def reopen(session: AsyncSession, month: date) -> None:
    await session.execute(delete(ClosedMonthRow).where(ClosedMonthRow.month == month))
