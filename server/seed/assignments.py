"""To which projects the people of the demo company are given, at which rates, and what comes of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from server.ids import named_id
from server.planning.domain.load import AssignmentSpan
from server.planning.domain.months import add_months, last_day, month_of
from server.planning.service.figures import MonthFigures, figures
from server.planning.service.figures import Person as Plan
from server.seed.company import Company, Project
from server.seed.people import Cause, Employee

# Rates of one, two or three projects at a time. Those that share a person leave some room: each cell is rounded by
# itself, and cells of 100 % together can come to a hundredth of a day more than the capacity.
_MIXES = (
    *((100,), (100,), (90,), (80,), (60,)),
    *((50, 40), (60, 30), (70, 20), (50, 45)),
    *((40, 30, 20), (50, 25, 20)),
)
_WEIGHTS = (20, 16, 12, 12, 8, 8, 8, 6, 5, 3, 2)
_OWN_UNIT = 0.75
_STEP = Decimal(5)


def plan_of(
    rng: Random, company: Company, person: Employee, plan: Plan
) -> tuple[list[AssignmentSpan], list[MonthFigures]]:
    """The person's assignments, put into `plan`, and the months' figures with them.

    Nobody is over-allocated by them but whom `person.cause` says.
    """
    plan.assignments = _tracks(rng, company, person)
    months = list(figures(company.rules, plan, company.months))
    while any(_is_over(plan, month) for month in months):
        plan.assignments = [replace(span, rate=max(span.rate - _STEP, _STEP)) for span in plan.assignments]
        months = list(figures(company.rules, plan, company.months))
    extra = _mistake(rng, company, person, plan.assignments)
    if extra is not None:
        plan.assignments.append(extra)
        months = list(figures(company.rules, plan, company.months))
    return plan.assignments, months


def capacity_of(plan: Plan, month: MonthFigures) -> Decimal:
    return plan.overrides.get(month.month, month.capacity.computed)


def _is_over(plan: Plan, month: MonthFigures) -> bool:
    return bool(month.expected) and sum(month.expected.values()) > capacity_of(plan, month)


def _tracks(rng: Random, company: Company, person: Employee) -> list[AssignmentSpan]:
    """For each rate of the person's mix, assignments that follow each other."""
    mix = rng.choices(_MIXES, _WEIGHTS)[0]
    if person.cause in (Cause.DOUBLE_BOOKED, Cause.SAME_PROJECT_TWICE):
        mix = (100,)
    spans: list[AssignmentSpan] = []
    taken: set[Project] = set()
    for track, rate in enumerate(mix):
        day = person.start
        while day <= person.end:
            project = _choose(rng, company, person, month_of(day), taken)
            if project is None:
                day = add_months(month_of(day), 1)
                continue
            taken.add(project)
            start = max(day, project.opens)
            length = rng.randint(100, 330) if track == 0 else rng.randint(60, 200)
            end = min(start + timedelta(days=length), project.closes, person.end)
            if rng.random() < 0.7:
                end = min(last_day(month_of(end)), project.closes, person.end)
            if start <= end:
                spans.append(_span(person, len(spans), project, rate, start, end))
            day = max(end, day) + timedelta(days=1 if rng.random() < 0.6 else rng.randint(10, 70))
    return spans


def _choose(rng: Random, company: Company, person: Employee, month: date, taken: Collection[Project]) -> Project | None:
    """A project that takes load until the end of the month, which the person is not on already where that can be."""
    open_projects = company.open_projects
    own, anyone = open_projects.get((person.unit, month)), open_projects.get((None, month))
    project = None
    for _ in range(4):
        candidates = own if own and rng.random() < _OWN_UNIT else anyone
        if not candidates:
            return None
        project = rng.choice(candidates)
        if project not in taken:
            break
    return project


def _span(person: Employee, number: int, project: Project, rate: int, start: date, end: date) -> AssignmentSpan:
    row_id = named_id("seed", "assignment", str(person.index), str(number))
    return AssignmentSpan(row_id, project.id, Decimal(rate), start, end)


def _mistake(rng: Random, company: Company, person: Employee, spans: list[AssignmentSpan]) -> AssignmentSpan | None:
    """The assignment that is one too many: another project at the same time, or the same one again."""
    if person.cause not in (Cause.DOUBLE_BOOKED, Cause.SAME_PROJECT_TWICE) or not spans:
        return None
    target = company.month_near(1 + person.index // 10 % 4)
    near = min(spans, key=lambda span: (_distance(span, target), span.start))
    start = min(max(near.start, target), max(near.start, near.end - timedelta(days=40)))
    end = min(near.end, start + timedelta(days=rng.randint(35, 75)))
    if person.cause is Cause.SAME_PROJECT_TWICE:
        row_id = named_id("seed", "assignment", str(person.index), "again")
        return AssignmentSpan(row_id, near.project_id, Decimal(60), start, end)
    others = [
        project
        for project in company.open_projects.get((None, month_of(start)), [])
        if project.opens <= start and project.id != near.project_id
    ]
    if not others:
        return None
    project = rng.choice(others)
    row_id = named_id("seed", "assignment", str(person.index), "double")
    return AssignmentSpan(row_id, project.id, Decimal(50), start, min(end, project.closes))


def _distance(span: AssignmentSpan, day: date) -> int:
    if span.end < day:
        return (day - span.end).days
    return max((span.start - day).days, 0)
