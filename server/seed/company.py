"""What everybody of the demo company shares: its calendar, its closed months and its projects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from uuid import UUID

from server.ids import named_id
from server.planning.domain.calendar import Calendar, CalendarException
from server.planning.domain.months import add_months, last_day, month_of, months_between
from server.planning.holidays import holidays_between
from server.planning.service.figures import Rules
from server.projects.models import ProjectStatus
from server.seed.demo import Demo, dice
from server.seed.names import CLIENTS, FAMILIES, INTERNAL, UNITS, WORKS

_CLIENT_STATUSES = (
    *(ProjectStatus.ACTIVE, ProjectStatus.DONE, ProjectStatus.ACTIVE, ProjectStatus.PLANNED, ProjectStatus.DONE),
    *(ProjectStatus.ACTIVE, ProjectStatus.ON_HOLD, ProjectStatus.ACTIVE, ProjectStatus.DONE, ProjectStatus.ACTIVE),
    *(ProjectStatus.PLANNED, ProjectStatus.ACTIVE, ProjectStatus.DONE, ProjectStatus.CANCELLED, ProjectStatus.ACTIVE),
    *(ProjectStatus.ACTIVE, ProjectStatus.DONE, ProjectStatus.ACTIVE, ProjectStatus.PLANNED),
)
_INTERNAL_EVERY = 15
_HOLD_DAYS = 60
_SECOND_BRIDGE_WEEKDAYS = (1, 3)


@dataclass(frozen=True, slots=True)
class CompanySettings:
    """The part of the settings row that the figures depend on."""

    country: str
    subdivision: str | None
    seconds_per_day: int
    non_reducing: frozenset[str]
    leave_types: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Project:
    """`opens` and `closes` bound the load on it: nobody is given to a finished project in the future."""

    id: UUID
    code: str
    name: str
    status: ProjectStatus
    start: date
    end: date | None
    unit: int
    productive: bool
    archived: bool
    opens: date
    closes: date


@dataclass(frozen=True, slots=True)
class Company:
    demo: Demo
    rules: Rules
    seconds_per_day: int
    months: tuple[date, ...]
    closed: dict[date, datetime]
    projects: tuple[Project, ...]
    open_projects: dict[tuple[int | None, date], list[Project]]
    """by unit (None: any) and month, those that take load until the month's end"""

    @property
    def moment(self) -> datetime:
        return self.demo.moment

    @property
    def first(self) -> date:
        return self.months[0]

    @property
    def last(self) -> date:
        return last_day(self.months[-1])

    def month_near(self, offset: int) -> date:
        """The month so many months after that of `as_of`, or the nearest that is planned."""
        return min(max(add_months(month_of(self.demo.as_of), offset), self.months[0]), self.months[-1])


def build(demo: Demo, settings: CompanySettings) -> Company:
    months = months_between(demo.first_month, add_months(demo.first_month, demo.months - 1))
    first, last = months[0], last_day(months[-1])
    holidays = holidays_between(settings.country, settings.subdivision, date(first.year, 1, 1), date(last.year, 12, 31))
    bridges = {day.day: day for day in _bridges(holidays) if first <= day.day <= last}
    projects = tuple(_projects(demo, first, last))
    return Company(
        demo=demo,
        rules=Rules(Calendar(holidays, bridges), settings.non_reducing, settings.leave_types),
        seconds_per_day=settings.seconds_per_day,
        months=months,
        closed=_closed(demo, months),
        projects=projects,
        open_projects=_by_month(projects, months),
    )


def unit_id(unit: int) -> UUID:
    return named_id("seed", "unit", UNITS[unit][0])


def _bridges(holidays: dict[date, str]) -> Iterator[CalendarException]:
    """The Friday after Ascension, and the first other weekday of the year that one day off joins to a weekend."""
    for year in sorted({day.year for day in holidays}):
        seen_other = False
        for holiday, label in sorted(holidays.items()):
            if holiday.year != year or holiday.weekday() not in _SECOND_BRIDGE_WEEKDAYS:
                continue
            bridge = holiday + timedelta(days=1 if holiday.weekday() == 3 else -1)
            ascension = label == "Ascension"
            if bridge in holidays or (seen_other and not ascension):
                continue
            seen_other = seen_other or not ascension
            yield CalendarException(bridge, False, f"Pont : {label}")


def _closed(demo: Demo, months: tuple[date, ...]) -> dict[date, datetime]:
    """A month is closed on the first day of the second month after it; never later than what else is written."""
    limit = add_months(month_of(demo.as_of), -1)
    latest = demo.moment - timedelta(hours=2)
    return {
        month: min(datetime.combine(add_months(month, 2), time(8), UTC), latest) for month in months if month < limit
    }


def _projects(demo: Demo, first: date, last: date) -> Iterator[Project]:
    archived = False
    clients = 0
    for index in range(demo.projects):
        rng = dice("project", index)
        unit = rng.randrange(len(UNITS))
        if index % _INTERNAL_EVERY == _INTERNAL_EVERY - 1:
            yield _internal(index // _INTERNAL_EVERY, first, last, unit)
            continue
        status = _CLIENT_STATUSES[clients % len(_CLIENT_STATUSES)]
        archive = status is ProjectStatus.DONE and not archived
        archived = archived or archive
        yield _for_client(clients, rng, demo, (first, last), status, unit, archive)
        clients += 1


def _internal(number: int, first: date, last: date, unit: int) -> Project:
    code = f"INTERNE-{number + 1:02d}"
    name = INTERNAL[number % len(INTERNAL)]
    start = date(first.year, 1, 1)
    return Project(
        named_id("seed", "project", code),
        code,
        name,
        ProjectStatus.ACTIVE,
        start,
        None,
        unit,
        False,
        False,
        first,
        last,
    )


def _for_client(
    number: int, rng: Random, demo: Demo, horizon: tuple[date, date], status: ProjectStatus, unit: int, archived: bool
) -> Project:
    families = FAMILIES.split()
    code = f"{families[number % len(families)]}-{number // len(families) + 1:02d}"
    name = f"{WORKS[number % len(WORKS)]} — {CLIENTS[(number + number // len(WORKS)) % len(CLIENTS)]}"
    start, end = _dates(rng, demo, horizon, status)
    closes = horizon[1] if end is None else min(end, horizon[1])
    if status is ProjectStatus.ON_HOLD:
        closes = min(closes, demo.as_of - timedelta(days=_HOLD_DAYS))
    opens = max(start, horizon[0])
    return Project(
        named_id("seed", "project", code), code, name, status, start, end, unit, True, archived, opens, closes
    )


def _dates(rng: Random, demo: Demo, horizon: tuple[date, date], status: ProjectStatus) -> tuple[date, date | None]:
    """Dates that fit the status as seen from `as_of`; finished projects lie spread over the past."""
    as_of = demo.as_of
    past = max((as_of - horizon[0]).days, 120)

    def days(low: int, high: int) -> timedelta:
        return timedelta(days=rng.randint(low, high))

    if status is ProjectStatus.PLANNED:
        start = (as_of + days(20, 240)).replace(day=1)
        start = start if start > as_of else add_months(start, 1)
        return start, start + days(120, 500)
    if status in (ProjectStatus.DONE, ProjectStatus.CANCELLED):
        end = as_of - days(20, max(past - 60, 40))
        return end - days(90, 420), end
    start = as_of - days(90, past + 150)
    if status is ProjectStatus.ACTIVE and rng.random() < 0.15:
        return start, None
    return start, max(as_of + days(60, 540), start + days(120, 300))


def _by_month(projects: tuple[Project, ...], months: tuple[date, ...]) -> dict[tuple[int | None, date], list[Project]]:
    found: dict[tuple[int | None, date], list[Project]] = {}
    for month in months:
        end = last_day(month)
        for project in projects:
            if project.opens <= end <= project.closes:
                found.setdefault((project.unit, month), []).append(project)
                found.setdefault((None, month), []).append(project)
    return found
