"""The company's calendar as the domain wants it: public holidays and the company's own decisions."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from sqlalchemy.ext.asyncio import AsyncSession

from server.planning.domain.calendar import Calendar, CalendarException
from server.planning.holidays import holidays_between
from server.planning.models import CompanySettingsRow
from server.planning.repository import calendar as repository


async def company_calendar(session: AsyncSession, settings: CompanySettingsRow, first: date, last: date) -> Calendar:
    """The calendar of these days, both included."""
    days = await repository.between(session, first, last)
    exceptions = tuple(CalendarException(row.day, row.worked, row.label) for row in days)
    return _calendar(settings.country, settings.subdivision, first.year, last.year, exceptions)


# The same object for the same content: a Calendar compares by identity, and what the domain remembers of its months
# is lost with it.
@lru_cache(maxsize=16)
def _calendar(
    country: str, subdivision: str | None, first_year: int, last_year: int, exceptions: tuple[CalendarException, ...]
) -> Calendar:
    holidays = holidays_between(country, subdivision, date(first_year, 1, 1), date(last_year, 12, 31))
    return Calendar(holidays, {exception.day: exception for exception in exceptions})
