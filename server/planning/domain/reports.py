"""Figures for groups of people, and who is free."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from server.planning.domain.load import availability
from server.planning.domain.load import utilisation as utilisation_of
from server.planning.domain.numbers import NO_DAYS, to_ratio

_ZERO = Decimal(0)


class Formula(StrEnum):
    """The ratios a report can be read by; `definition` is what it states that it used."""

    UTILISATION = "UTILISATION"
    TACE = "TACE"
    TACI = "TACI"

    @property
    def definition(self) -> str:
        return _DEFINITIONS[self]


_DEFINITIONS = {
    Formula.UTILISATION: "load / capacity",
    Formula.TACE: "productive days / (working days − predictable leave)",
    Formula.TACI: "productive days / working days",
}


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """One person's month, in rounded days.

    `productive_days` is the effective load on the projects that the company's settings call productive;
    `working_days` and `leave` are those of `MonthCapacity`.
    """

    capacity: Decimal
    load: Decimal
    working_days: Decimal
    leave: Decimal
    productive_days: Decimal


@dataclass(frozen=True, slots=True)
class Utilisation:
    """A group's totals and ratios; a ratio is None where its denominator is 0."""

    capacity: Decimal
    load: Decimal
    working_days: Decimal
    leave: Decimal
    productive_days: Decimal
    utilisation: Decimal | None
    tace: Decimal | None
    taci: Decimal | None


def group_utilisation(months: Iterable[MonthFigures]) -> Utilisation:
    """Totals are sums of rounded months; ratios are those of the totals, not means of people's ratios."""
    capacity = load = working_days = leave = productive_days = NO_DAYS
    for month in months:
        capacity += month.capacity
        load += month.load
        working_days += month.working_days
        leave += month.leave
        productive_days += month.productive_days
    return Utilisation(
        capacity=capacity,
        load=load,
        working_days=working_days,
        leave=leave,
        productive_days=productive_days,
        utilisation=utilisation_of(load, capacity),
        tace=_ratio(productive_days, working_days - leave),
        taci=_ratio(productive_days, working_days),
    )


def _ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    return to_ratio(part / whole) if whole else None


@dataclass(frozen=True, slots=True)
class FreeTime:
    """The free days of one person, and the months that make them up."""

    days: Decimal
    months: tuple[tuple[date, Decimal], ...]

    def ranking(self, name: str, user_id: UUID) -> tuple[Decimal, str, UUID]:
        """Sorts the people with the most free days first, then by name whatever its case, then by id."""
        return (-self.days, name.casefold(), user_id)


def free_in_range(months: Iterable[tuple[date, Decimal, Decimal]], at_least: Decimal) -> FreeTime | None:
    """The free days of (month, capacity, load) rows, or None where they are fewer than `at_least`.

    An over-allocated month counts as none rather than as negative: too much work in April takes nothing from
    the days that are free in March.
    """
    free = tuple((month, days) for month, capacity, load in months if (days := availability(capacity, load)) > 0)
    total = sum((days for _, days in free), _ZERO)
    return FreeTime(total, free) if total >= at_least else None
