"""Why a person's month has the capacity it has: lines that a planner understands and that add up exactly."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from server.planning.domain.calendar import Calendar, DayKind
from server.planning.domain.capacity import (
    AbsencePeriod,
    ContractTerm,
    DayCapacities,
    Half,
    away_halves,
    clip,
    days_away,
    touching,
    under_contract,
)
from server.planning.domain.months import days_of, last_day
from server.planning.domain.numbers import NO_DAYS, to_days

_ZERO = Decimal(0)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


class CapacityLineKind(StrEnum):
    WEEKDAYS = "WEEKDAYS"
    HOLIDAY = "HOLIDAY"
    CLOSED = "CLOSED"
    WORKED_HOLIDAY = "WORKED_HOLIDAY"
    NO_CONTRACT = "NO_CONTRACT"
    PART_TIME = "PART_TIME"
    ABSENCE = "ABSENCE"
    PENDING_ABSENCE = "PENDING_ABSENCE"
    OVERRIDE = "OVERRIDE"
    STALE = "STALE"
    LOAD = "LOAD"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class CapacityLine:
    """One step of an explanation. `reference_id` is the absence of an absence line, the project of a load line."""

    kind: CapacityLineKind
    label: str
    days: Decimal
    reference_id: UUID | None = None


def explain_capacity(
    calendar: Calendar,
    month: date,
    contracts: Iterable[ContractTerm],
    absences: Iterable[AbsencePeriod],
    non_reducing: frozenset[str],
    override: Decimal | None = None,
) -> tuple[CapacityLine, ...]:
    """The lines from the month's weekdays to its effective capacity, which is exactly their sum.

    Each line is the difference of two rounded running totals, so that rounding never needs a line of its own.
    A pending absence takes nothing yet: its line has 0 days and says how many it would take.
    """
    contracts = tuple(contracts)
    owed = under_contract(calendar, month, contracts)
    lines = (
        *_calendar_lines(calendar, month),
        *_contract_lines(calendar, month, clip(contracts, month), owed),
        *_absence_lines(owed, month, touching(absences, month, non_reducing)),
    )
    rounded: list[CapacityLine] = []
    exact, computed = _ZERO, NO_DAYS
    for line in lines:
        exact += line.days
        before, computed = computed, to_days(exact)
        rounded.append(CapacityLine(line.kind, line.label, computed - before, line.reference_id))
    if override is not None:
        label = f"Capacity set by hand to {to_days(override)} days instead of {computed}"
        rounded.append(CapacityLine(CapacityLineKind.OVERRIDE, label, to_days(override) - computed))
    return tuple(rounded)


def _calendar_lines(calendar: Calendar, month: date) -> Iterator[CapacityLine]:
    weekdays = [day for day in days_of(month) if calendar.kind(day) is not DayKind.WEEKEND]
    yield CapacityLine(CapacityLineKind.WEEKDAYS, f"Mondays to Fridays of {month:%B %Y}", Decimal(len(weekdays)))
    for day in weekdays:
        match calendar.kind(day):
            case DayKind.HOLIDAY:
                label = f"Public holiday on {_long(day)}: {calendar.label(day)}"
                yield CapacityLine(CapacityLineKind.HOLIDAY, label, Decimal(-1))
            case DayKind.CLOSED:
                label = f"Company closed on {_long(day)}: {calendar.label(day)}"
                yield CapacityLine(CapacityLineKind.CLOSED, label, Decimal(-1))
            case _ if day in calendar.holidays:
                label = f"Worked public holiday on {_long(day)}: {calendar.label(day)}"
                yield CapacityLine(CapacityLineKind.WORKED_HOLIDAY, label, _ZERO)


def _contract_lines(
    calendar: Calendar, month: date, terms: tuple[ContractTerm, ...], owed: DayCapacities
) -> Iterator[CapacityLine]:
    covered = dict(zip(owed.dates, owed.shares, strict=True))
    for gap in _gaps(calendar.working_days(month), covered):
        label = f"No contract {_span(gap[0], gap[-1])}" if covered else f"No contract in {month:%B %Y}"
        yield CapacityLine(CapacityLineKind.NO_CONTRACT, label, Decimal(-len(gap)))
    for term in terms:
        end = term.end or last_day(month)
        shares = [share for day, share in covered.items() if term.start <= day <= end]
        missing = sum(shares, _ZERO) - len(shares)
        if missing:
            when = "" if (term.start, end) == (month, last_day(month)) else f" {_span(term.start, end)}"
            yield CapacityLine(CapacityLineKind.PART_TIME, f"Part time{when}: {_terms_in_words(term)}", missing)


def _gaps(working_days: tuple[date, ...], covered: dict[date, Decimal]) -> list[list[date]]:
    """The runs of working days that no contract covers."""
    gaps: list[list[date]] = []
    in_gap = False
    for day in working_days:
        if day in covered:
            in_gap = False
        elif in_gap:
            gaps[-1].append(day)
        else:
            gaps.append([day])
            in_gap = True
    return gaps


def _absence_lines(owed: DayCapacities, month: date, absences: list[AbsencePeriod]) -> Iterator[CapacityLine]:
    """What each absence takes that those before it do not; confirmed ones first, since pending ones take the rest."""
    in_order = sorted(absences, key=lambda a: (a.pending, a.start, a.start_half is Half.AFTERNOON, a.id))
    taken_before = _ZERO
    for number, absence in enumerate(in_order, start=1):
        taken = days_away(owed, away_halves(in_order[:number], month))
        days, taken_before = taken - taken_before, taken
        if absence.pending:
            label = f"Absence awaiting approval {_period(absence)}: would take {to_days(days)} days"
            yield CapacityLine(CapacityLineKind.PENDING_ABSENCE, label, _ZERO, absence.id)
        else:
            yield CapacityLine(CapacityLineKind.ABSENCE, f"Absence {_period(absence)}", -days, absence.id)


def _terms_in_words(term: ContractTerm) -> str:
    if term.pattern is None:
        return _percent(term.fte)
    return ", ".join(
        f"{name} {_percent(share) if share else 'off'}"
        for name, share in zip(_WEEKDAYS, term.pattern, strict=True)
        if share != 1
    )


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f} %"


def _period(absence: AbsencePeriod) -> str:
    start = f"{_long(absence.start)}{' (afternoon)' if absence.start_half is Half.AFTERNOON else ''}"
    end = f"{_long(absence.end)}{' (morning)' if absence.end_half is Half.MORNING else ''}"
    if absence.start != absence.end:
        return f"from {start} to {end}"
    return f"on {end if absence.start_half is Half.MORNING else start}"


def _span(start: date, end: date) -> str:
    return f"on {_long(start)}" if start == end else f"from {_long(start)} to {_long(end)}"


def _long(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B %Y}"
