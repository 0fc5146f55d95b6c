"""The rows of the demo company, table by table, in chunks of people so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

from server.ids import cell_id, month_id, named_id
from server.planning.domain.load import AssignmentSpan
from server.planning.models import AbsenceStatus, CellSource, RecordSource
from server.planning.service.figures import MonthFigures
from server.planning.service.figures import Person as Plan
from server.seed.absences import absences_of
from server.seed.assignments import plan_of
from server.seed.cells import Cells, TimeEntry, cells_of, declared
from server.seed.company import Company, Project, unit_id
from server.seed.demo import dice
from server.seed.names import UNITS
from server.seed.people import Employee, employee, person_id
from server.users.models import UserStatus

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]

USERS_PER_CHUNK = 250

_STAMPS = ("created_at", "updated_at", "version")
COLUMNS: dict[str, tuple[str, ...]] = {
    "business_units": ("id", "code", "name", *_STAMPS),
    "calendar_days": ("day", "worked", "label"),
    "projects": (
        *("id", "code", "name", "status", "start_date", "end_date", "business_unit_id", "productive", "archived_at"),
        *_STAMPS,
    ),
    "users": (
        *("id", "email", "first_name", "last_name", "status", "is_active", "business_unit_id"),
        *_STAMPS,
    ),
    "closed_months": ("month", "closed_at", "closed_by_id"),
    "contracts": ("id", "user_id", "start_date", "end_date", "fte", "weekday_pattern", "source", *_STAMPS),
    "absences": (
        *("id", "user_id", "start_date", "start_half", "end_date", "end_half", "type", "status", "source"),
        *_STAMPS,
    ),
    "assignments": ("id", "user_id", "project_id", "rate", "start_date", "end_date", *_STAMPS),
    "capacities": (
        *("id", "user_id", "month", "computed", "override", "tentative", "working_days", "leave", "version"),
        "updated_at",
    ),
    "forecasts": (
        *("id", "user_id", "project_id", "month", "stated", "source", "expected", "actual", "late_actual", "version"),
        *("updated_by_id", "updated_at"),
    ),
    "time_entries": (
        *("id", "user_id", "project_id", "day", "seconds", "provider", "external_id", "late", "created_at"),
    ),
}
"""In the order of writing: what is referred to comes first."""


def shared_rows(company: Company) -> Rows:
    """What is there before the people."""
    moment = company.moment
    stamps = (moment, moment, 1)
    return {
        "business_units": [(unit_id(n), code, name, *stamps) for n, (code, name) in enumerate(UNITS)],
        "calendar_days": [(day.day, day.worked, day.label) for day in company.rules.calendar.exceptions.values()],
        "projects": [_project(company, project) for project in company.projects],
    }


def _project(company: Company, project: Project) -> Row:
    moment, p = company.moment, project
    archived_at = moment if p.archived else None
    fields = (p.code, p.name, p.status, p.start, p.end, unit_id(p.unit), p.productive, archived_at)
    return (p.id, *fields, moment, moment, 1)


def people_rows(company: Company) -> Iterator[Rows]:
    """Chunk by chunk; the first has the planner, whom other rows name, and the months that the planner closed."""
    for first in range(0, company.demo.users, USERS_PER_CHUNK):
        rows: Rows = {table: [] for table in COLUMNS}
        if first == 0:
            planner = _planner(company)
            rows["closed_months"] = [(month, closed_at, planner) for month, closed_at in company.closed.items()]
        for index in range(first, min(first + USERS_PER_CHUNK, company.demo.users)):
            _add_person(company, index, rows)
        yield {table: chunk for table, chunk in rows.items() if chunk}


def _planner(company: Company) -> UUID:
    return person_id(min(1, company.demo.users - 1))


def _add_person(company: Company, index: int, rows: Rows) -> None:
    person = employee(company, index)
    stamps = (company.moment, company.moment, 1)
    rows["users"].append(_user(person, stamps))
    rows["contracts"] += _contracts(person, stamps)
    rng = dice("plan", index)
    plan = Plan(contracts=list(person.contracts), absences=absences_of(rng, company, person))
    rows["absences"] += _absences(person, plan, stamps)
    if index % 50 == 20:
        _override(company, plan)
    spans, months = plan_of(rng, company, person, plan)
    cells = cells_of(rng, company, person, plan, months)
    entries = declared(rng, company, person, plan, cells)
    rows["assignments"] += _assignments(person, spans, stamps)
    rows["capacities"] += _capacities(person, plan, months, company)
    rows["forecasts"] += _forecasts(person, cells, company)
    rows["time_entries"] += _time_entries(person, entries)


def _override(company: Company, plan: Plan) -> None:
    """A planner knows better: this person gives some days of that month to the works council."""
    plan.overrides[company.month_near(1)] = Decimal("15.00")


def _user(person: Employee, stamps: Row) -> Row:
    is_active = person.status in (UserStatus.ACTIVE, UserStatus.INVITED)
    names = (person.first_name, person.last_name)
    return (person.id, person.email, *names, person.status, is_active, unit_id(person.unit), *stamps)


def _contracts(person: Employee, stamps: Row) -> Iterator[Row]:
    for number, term in enumerate(person.contracts):
        row_id = named_id("seed", "contract", str(person.index), str(number))
        yield (row_id, person.id, term.start, term.end, term.fte, term.pattern, RecordSource.MANUAL, *stamps)


def _absences(person: Employee, plan: Plan, stamps: Row) -> Iterator[Row]:
    for a in plan.absences:
        status = AbsenceStatus.PENDING if a.pending else AbsenceStatus.APPROVED
        period = (a.start, a.start_half, a.end, a.end_half)
        yield (a.id, person.id, *period, a.type, status, RecordSource.MANUAL, *stamps)


def _assignments(person: Employee, spans: list[AssignmentSpan], stamps: Row) -> Iterator[Row]:
    for span in spans:
        yield (span.id, person.id, span.project_id, span.rate, span.start, span.end, *stamps)


def _capacities(person: Employee, plan: Plan, months: list[MonthFigures], company: Company) -> Iterator[Row]:
    for figures in months:
        month, capacity = figures.month, figures.capacity
        override = plan.overrides.get(month)
        computed = (capacity.computed, override, capacity.tentative, capacity.working_days, capacity.leave)
        version = 0 if override is None else 1
        yield (month_id(person.id, month), person.id, month, *computed, version, company.moment)


def _forecasts(person: Employee, cells: Cells, company: Company) -> Iterator[Row]:
    planner = _planner(company)
    for cell in cells:
        key = (person.id, cell.project_id, cell.month)
        figures = (cell.stated, cell.source, cell.expected, cell.actual, cell.late, cell.version)
        author = planner if cell.source is CellSource.MANUAL else None
        yield (cell_id(*key), *key, *figures, author, company.moment)


def _time_entries(person: Employee, entries: list[TimeEntry]) -> Iterator[Row]:
    for e in entries:
        identity = (e.id, person.id, e.project_id, e.day, e.seconds)
        yield (*identity, "GRYZZLY", e.external_id, e.late, e.created_at)
