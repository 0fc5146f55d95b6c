"""What the people of the demo company state beside what is expected of them, and the time that they declare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

from server.ids import named_id
from server.planning.domain.capacity import day_capacities
from server.planning.domain.load import effective
from server.planning.domain.months import month_of
from server.planning.domain.numbers import MAX_STATED_DAYS, NO_DAYS, to_days
from server.planning.models import CellSource
from server.planning.service.figures import MonthFigures
from server.planning.service.figures import Person as Plan
from server.seed.assignments import capacity_of
from server.seed.company import Company
from server.seed.people import Cause, Employee

DECLARING = 1_000
"""Of a larger company only so many people declare time: day by day it would outnumber all other rows."""

_SOURCES = (CellSource.MANUAL, CellSource.API, CellSource.IMPORT, CellSource.LEGACY)
_SOURCE_WEIGHTS = (60, 20, 14, 6)
_HALF = Decimal("0.5")
_STATED, _CONFLICTING, _CLEARED = 0.10, 0.105, 0.108
_DECLARED_MONTHS = 3


@dataclass(slots=True)
class Cell:
    project_id: UUID
    month: date
    expected: Decimal = NO_DAYS
    stated: Decimal | None = None
    source: CellSource | None = None
    version: int = 0
    actual: Decimal | None = None
    late: bool = False

    @property
    def days(self) -> Decimal:
        return effective(self.stated, self.expected)

    def state(self, days: Decimal, source: CellSource, version: int = 1) -> None:
        self.stated, self.source, self.version = to_days(days), source, version


@dataclass(frozen=True, slots=True)
class TimeEntry:
    id: UUID
    project_id: UUID
    day: date
    seconds: int
    external_id: str
    late: bool
    created_at: datetime


@dataclass(slots=True)
class Cells:
    """The cells of one person, by month and project."""

    by_month: dict[date, dict[UUID, Cell]] = field(default_factory=dict)

    def of(self, month: date) -> list[Cell]:
        return list(self.by_month.get(month, {}).values())

    def cell(self, month: date, project_id: UUID) -> Cell:
        return self.by_month.setdefault(month, {}).setdefault(project_id, Cell(project_id, month))

    def __iter__(self) -> Iterator[Cell]:
        for cells in self.by_month.values():
            yield from cells.values()


def cells_of(rng: Random, company: Company, person: Employee, plan: Plan, months: list[MonthFigures]) -> Cells:
    """The expected cells, some of them stated; nobody is over-allocated by it but whom `person.cause` says."""
    cells = Cells()
    for month in months:
        room = capacity_of(plan, month) - sum(month.expected.values(), NO_DAYS)
        for project_id, expected in month.expected.items():
            cell = cells.cell(month.month, project_id)
            cell.expected = expected
            _maybe_state(rng, cell, max(room, NO_DAYS))
            room -= cell.days - expected
    if person.index % 100 == 10:
        _state_nothing(company, cells)
    _ignore(company, person, months, cells)
    return cells


def _maybe_state(rng: Random, cell: Cell, room: Decimal) -> None:
    """Mostly nothing; sometimes the expected days to the half day, rarely what contradicts them."""
    dice = rng.random()
    if dice >= _CLEARED:
        return
    if dice >= _CONFLICTING:  # stated once, and cleared: the expected value holds again
        cell.version = 2
        return
    if dice >= _STATED:
        days = _halves(cell.expected * Decimal("0.4")) if room < 3 else _halves(cell.expected + room)
    else:
        days = _halves(cell.expected + rng.choice((Decimal("0.25"), Decimal("0.25"), Decimal("0.75"), NO_DAYS)))
    while days - cell.expected > room or days > MAX_STATED_DAYS:
        days -= _HALF
    source = rng.choices(_SOURCES, _SOURCE_WEIGHTS)[0]
    cell.state(max(days, NO_DAYS), source, rng.choice((1, 1, 1, 2, 3)))


def _halves(days: Decimal) -> Decimal:
    return days // _HALF * _HALF


def _state_nothing(company: Company, cells: Cells) -> None:
    """The person is expected, and a planner says: not that month. 0 is a statement like any other."""
    target = company.month_near(2)
    for cell in sorted(cells, key=lambda cell: abs((cell.month - target).days)):
        if cell.expected:
            cell.state(NO_DAYS, CellSource.MANUAL, 2)
            return


def _ignore(company: Company, person: Employee, months: list[MonthFigures], cells: Cells) -> None:
    """A whole month is stated for somebody who does not have it: on leave, part-time, or hired or gone midway."""
    target = company.month_near(1 + person.index // 10 % 4)
    working_days = company.rules.calendar.working_days

    def mistaken(month: MonthFigures) -> Decimal | None:
        full = Decimal(len(working_days(month.month)))
        capacity = month.capacity
        match person.cause:
            case Cause.LEAVE_IGNORED:
                return capacity.working_days if capacity.leave >= 3 else None
            case Cause.PART_TIME_IGNORED:
                return full if capacity.working_days == capacity.computed < full else None
            case Cause.PARTIAL_MONTH_IGNORED:
                partial = any(
                    edge is not None and month_of(edge) == month.month
                    for contract in person.contracts
                    for edge in (contract.start, contract.end)
                )
                return full if partial and capacity.computed < full else None
            case _:
                return None

    for month in sorted(months, key=lambda month: (abs((month.month - target).days), month.month)):
        planned, days = cells.of(month.month), mistaken(month)
        if days is not None and planned:
            max(planned, key=lambda cell: cell.expected).state(days, CellSource.MANUAL)
            return


def declared(rng: Random, company: Company, person: Employee, plan: Plan, cells: Cells) -> list[TimeEntry]:
    """The time entries of the last months up to the day before `as_of`; their days become the cells' actuals."""
    if person.index >= DECLARING or person.index % 7 == 3:
        return []
    entries: list[TimeEntry] = []
    current = month_of(company.demo.as_of)
    last_closed = max(company.closed, default=None)
    for month in company.months:
        if not (company.month_near(-_DECLARED_MONTHS) <= month <= current):
            continue
        planned = [cell for cell in cells.of(month) if cell.days]
        if planned:
            entries += _of_month(rng, company, person, plan, planned, late=month == last_closed)
    seconds: dict[tuple[date, UUID], int] = {}
    for entry in entries:
        cell = cells.cell(month_of(entry.day), entry.project_id)
        cell.late = cell.late or entry.late
        key = (cell.month, cell.project_id)
        seconds[key] = seconds.get(key, 0) + entry.seconds
    for (month, project_id), total in seconds.items():
        cells.cell(month, project_id).actual = to_days(Decimal(total) / company.seconds_per_day)
    return entries


def _of_month(
    rng: Random, company: Company, person: Employee, plan: Plan, planned: list[Cell], *, late: bool
) -> Iterator[TimeEntry]:
    """One or two entries a day. `late`: of some people, the last day of the month came in after it was closed."""
    month, as_of = planned[0].month, company.demo.as_of
    shares = day_capacities(
        company.rules.calendar, month, plan.contracts, plan.absences, company.rules.non_reducing
    ).by_day()
    days = [(day, share) for day, share in shares.items() if share and day < as_of]
    weights = [int(cell.days * 100) for cell in planned]
    for position, (day, share) in enumerate(days):
        if rng.random() < 0.04:  # forgotten
            continue
        seconds = int(share * company.seconds_per_day)
        is_late = late and person.index % 40 == 5 and position == len(days) - 1
        first, second = rng.choices(planned, weights, k=2)
        halves = [(first, seconds // 2), (second, seconds - seconds // 2)]
        if first is second:
            halves = [(first, seconds + rng.choice((-1800, -900, 0, 0, 0, 900, 1800)))]
        for number, (cell, length) in enumerate(halves):
            yield _entry(company, person, cell.project_id, day, length, number, is_late)


def _entry(
    company: Company, person: Employee, project_id: UUID, day: date, seconds: int, number: int, late: bool
) -> TimeEntry:
    external_id = f"seed-{person.index}-{day:%Y%m%d}-{number}"
    evening = datetime.combine(day, time(17), company.moment.tzinfo)
    return TimeEntry(
        id=named_id("seed", "time-entry", external_id),
        project_id=project_id,
        day=day,
        seconds=max(seconds, 900),
        external_id=external_id,
        late=late,
        created_at=company.moment - timedelta(minutes=30) if late else min(evening, company.moment),
    )
