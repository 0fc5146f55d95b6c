"""Sentences about the company's settings: one row."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.light_rows import Light, Source
from server.planning.models import CompanySettingsRow

_NOTHING = "The company has no settings yet: run `plancharge migrate`."


async def current(session: AsyncSession) -> CompanySettingsRow:
    statement = select(CompanySettingsRow).execution_options(populate_existing=True)
    row = (await session.scalars(statement)).one_or_none()
    if row is None:
        raise RuntimeError(_NOTHING)
    return row


class Horizon(NamedTuple):
    """First and last month of the plan."""

    first: date
    last: date


_HORIZON = Light(select(CompanySettingsRow.horizon_start, CompanySettingsRow.horizon_end), Horizon)


async def horizon(source: Source) -> Horizon:
    found = await _HORIZON.of(source)
    if not found:
        raise RuntimeError(_NOTHING)
    return found[0]


async def locked(session: AsyncSession) -> CompanySettingsRow:
    statement = select(CompanySettingsRow).with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(statement)).one()


async def insert_missing(session: AsyncSession, horizon_start: date, horizon_end: date) -> None:
    values = {"id": 1, "horizon_start": horizon_start, "horizon_end": horizon_end}
    await session.execute(insert(CompanySettingsRow).values(**values).on_conflict_do_nothing())


# round() of a numeric rounds half away from zero, which for days is half up, as everywhere.
_ACTUALS = text(
    "UPDATE forecasts AS f SET actual = declared.days, updated_at = now() FROM ("
    " SELECT user_id, project_id, CAST(date_trunc('month', day) AS date) AS month,"
    " round(CAST(sum(seconds) AS numeric) / :seconds_per_day, 2) AS days"
    " FROM time_entries GROUP BY 1, 2, 3) AS declared"
    " WHERE f.user_id = declared.user_id AND f.project_id = declared.project_id AND f.month = declared.month"
    " AND f.actual IS DISTINCT FROM declared.days AND f.month NOT IN (SELECT month FROM closed_months)"
)


async def derive_actuals(session: AsyncSession, seconds_per_day: int) -> None:
    """The declared days of the open months anew, from the declared seconds."""
    await session.execute(_ACTUALS, {"seconds_per_day": seconds_per_day})
