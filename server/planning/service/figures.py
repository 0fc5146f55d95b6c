"""Everything that is computed of one person's months, from contracts, absences, assignments and overrides: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from uuid import UUID

from server.planning.domain.calendar import Calendar
from server.planning.domain.capacity import AbsencePeriod, ContractTerm, MonthCapacity, day_capacities, month_capacity
from server.planning.domain.load import AssignmentSpan, expected_load
from server.planning.domain.months import months_between


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for everybody. `leave_types` None: every absence type that reduces capacity is leave."""

    calendar: Calendar
    non_reducing: frozenset[str]
    leave_types: frozenset[str] | None


@dataclass(slots=True)
class Person:
    contracts: list[ContractTerm] = field(default_factory=list)
    absences: list[AbsencePeriod] = field(default_factory=list)
    assignments: list[AssignmentSpan] = field(default_factory=list)
    overrides: dict[date, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """`expected` has the projects on which something is expected, never a zero."""

    month: date
    capacity: MonthCapacity
    expected: dict[UUID, Decimal]


def figures(rules: Rules, person: Person, months: Collection[date]) -> Iterator[MonthFigures]:
    """The figures of these months, in the order given."""
    if not months:
        return
    first, last = min(months), max(months)
    # Sorted into their months once: three years of leave would otherwise be looked through again for each of them.
    absences: dict[date, list[AbsencePeriod]] = {}
    for absence in person.absences:
        for month in _months(absence.start, absence.end, first, last):
            absences.setdefault(month, []).append(absence)
    spans: dict[date, list[AssignmentSpan]] = {}
    for span in person.assignments:
        for month in _months(span.start, span.end, first, last):
            spans.setdefault(month, []).append(span)
    for month in months:
        away = absences.get(month, [])
        capacity = month_capacity(rules.calendar, month, person.contracts, away, rules.non_reducing, rules.leave_types)
        expected: dict[UUID, Decimal] = {}
        if month in spans:
            override = person.overrides.get(month)
            days = day_capacities(rules.calendar, month, person.contracts, away, rules.non_reducing, override)
            expected = expected_load(days, spans[month])
        yield MonthFigures(month, capacity, expected)


def _months(start: date, end: date, first: date, last: date) -> tuple[date, ...]:
    """The months of a period that reach into those from `first` to `last`."""
    start, end = max(start, first), min(end.replace(day=1), last)
    return months_between(start, end) if start.replace(day=1) <= end else ()
