"""The company's calendar: which days are worked, and why the others are not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from server.planning.domain.months import days_of, month_of


class DayKind(StrEnum):
    WORKING = "WORKING"
    WEEKEND = "WEEKEND"
    HOLIDAY = "HOLIDAY"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True)
class CalendarException:
    """A company's own decision on one day: a bridge is not worked, the journée de solidarité on a holiday is."""

    day: date
    worked: bool
    label: str


# Compared by identity: a calendar is built once and is part of the keys of capacity's cache, where hashing
# its content at each look-up would cost more than the look-up saves.
@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """Jours ouvrés: Monday to Friday, less public holidays and company closures.

    A weekend is never worked, not even by an exception: capacity never counts Saturdays.
    """

    holidays: Mapping[date, str]
    exceptions: Mapping[date, CalendarException]
    _worked: dict[date, tuple[date, ...]] = field(default_factory=dict, init=False, repr=False)

    def kind(self, day: date) -> DayKind:
        exception = self.exceptions.get(day)
        if day.weekday() >= 5:
            return DayKind.WEEKEND
        if exception is not None and exception.worked:
            return DayKind.WORKING
        if day in self.holidays:
            return DayKind.HOLIDAY
        return DayKind.WORKING if exception is None else DayKind.CLOSED

    def is_working(self, day: date) -> bool:
        return self.kind(day) is DayKind.WORKING

    def label(self, day: date) -> str | None:
        """What the company calls the day, otherwise the holiday's name, otherwise nothing."""
        exception = self.exceptions.get(day)
        return self.holidays.get(day) if exception is None else exception.label

    def working_days(self, month: date) -> tuple[date, ...]:
        first = month_of(month)
        worked = self._worked.get(first)
        if worked is None:
            worked = self._worked[first] = tuple(day for day in days_of(first) if self.is_working(day))
        return worked
