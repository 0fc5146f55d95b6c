"""Sentences about the days on which the company differs from the public calendar."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.planning.models import CalendarDayRow


async def between(session: AsyncSession, first: date, last: date) -> Sequence[CalendarDayRow]:
    statement = select(CalendarDayRow).where(CalendarDayRow.day.between(first, last)).order_by(CalendarDayRow.day)
    return (await session.scalars(statement.execution_options(populate_existing=True))).all()


async def by_days(session: AsyncSession, days: Collection[date]) -> Sequence[CalendarDayRow]:
    return (await session.scalars(select(CalendarDayRow).where(is_any(CalendarDayRow.day, days)))).all()


async def put(session: AsyncSession, day: date, worked: bool, label: str) -> None:
    statement = insert(CalendarDayRow).values(day=day, worked=worked, label=label)
    values = {"worked": statement.excluded.worked, "label": statement.excluded.label}
    await session.execute(statement.on_conflict_do_update(index_elements=[CalendarDayRow.day], set_=values))


async def remove(session: AsyncSession, days: Collection[date]) -> None:
    await session.execute(delete(CalendarDayRow).where(is_any(CalendarDayRow.day, days)))
