"""When the people of the demo company are away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from server.ids import named_id
from server.planning.domain.capacity import AbsencePeriod, Half
from server.planning.domain.months import add_months
from server.seed.company import Company
from server.seed.people import Employee

LEAVE, RTT, SICK, TELEWORK = "fr_conges_payes", "fr_rtt", "fr_maladie_ordinaire", "fr_teletravail"

_KNOWN_DAYS = 60
"""what is nearer is approved; what is further off may still be pending"""
_ASKED_DAYS = 300
"""nobody asks for leave longer before"""

Period = tuple[date, Half, date, Half, str]


def absences_of(rng: Random, company: Company, person: Employee) -> list[AbsencePeriod]:
    as_of = company.demo.as_of
    found: list[AbsencePeriod] = []
    for year in range(person.start.year, person.end.year + 1):
        for start, start_half, end, end_half, kind in _of_year(rng, person.index, year):
            ahead = (start - as_of).days
            if start < person.start or end > person.end or ahead > _ASKED_DAYS or (kind == SICK and ahead >= 0):
                continue
            pending = ahead > _KNOWN_DAYS and rng.random() < 0.5
            row_id = named_id("seed", "absence", str(person.index), str(len(found)))
            found.append(AbsencePeriod(row_id, start, start_half, end, end_half, kind, pending))
    return found


def _of_year(rng: Random, index: int, year: int) -> Iterator[Period]:
    yield from _summer(rng, year)
    if rng.random() < 0.75:
        start = date(year, 12, rng.randint(20, 26))
        half = rng.choice((Half.MORNING, Half.MORNING, Half.AFTERNOON))
        yield start, half, start + timedelta(days=rng.randint(5, 11)), Half.AFTERNOON, LEAVE
    if rng.random() < 0.5:
        monday = _monday(date(year, rng.choice((2, 4, 5, 10)), rng.randint(5, 24)))
        yield monday, Half.MORNING, monday + timedelta(days=4), Half.AFTERNOON, LEAVE
    for _ in range(rng.randint(2, 4)):
        day = _weekday(rng, year)
        yield day, Half.MORNING, day, Half.AFTERNOON, RTT
    for _ in range(rng.randint(1, 2)):
        day, half = _weekday(rng, year), rng.choice((Half.MORNING, Half.AFTERNOON))
        yield day, half, day, half, rng.choice((LEAVE, RTT))
    if rng.random() < 0.3:  # from one midday to another: the afternoon of the first day, the morning of the last
        day = _weekday(rng, year)
        yield day, Half.AFTERNOON, day + timedelta(days=rng.randint(1, 4)), Half.MORNING, LEAVE
    if rng.random() < 0.4:
        day = _weekday(rng, year)
        yield day, Half.MORNING, day + timedelta(days=rng.randint(0, 4)), Half.AFTERNOON, SICK
    if index % 5 < 2:
        for _ in range(3):
            day = _weekday(rng, year)
            yield day, Half.MORNING, day + timedelta(days=rng.randint(0, 1)), Half.AFTERNOON, TELEWORK


def _summer(rng: Random, year: int) -> Iterator[Period]:
    start = _monday(date(year, 7, 8)) + timedelta(weeks=rng.randint(0, 6))
    end = start + timedelta(weeks=rng.choice((2, 2, 3)), days=-3)
    yield start, Half.MORNING, end, Half.AFTERNOON, LEAVE
    if rng.random() < 0.08:  # ill while on leave: both are recorded, and the days count once
        day = start + timedelta(days=rng.randint(1, 3))
        yield day, Half.MORNING, day + timedelta(days=rng.randint(0, 3)), Half.AFTERNOON, SICK


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _weekday(rng: Random, year: int) -> date:
    """A Monday to Friday that is not near the year's end, where people are on leave already."""
    day = add_months(date(year, 1, 1), rng.randint(0, 10)) + timedelta(days=rng.randint(5, 26))
    return day if day.weekday() < 5 else day - timedelta(days=2)
