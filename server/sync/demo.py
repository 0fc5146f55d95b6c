"""The company that the built-in simulators serve: ours as it was first asked for, with the documented differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from clients.simulator import Company, company_from_json, company_to_json, with_differences
from clients.simulator.company import Absence, Collaborator, Contract, Declaration, Project, Task, User
from server.actor import system_actor
from server.database import Database
from server.ids import named_id
from server.planning.domain.months import add_months, month_of
from server.planning.models import AbsenceRow, AbsenceStatus, ContractRow, ForecastRow, Half, TimeEntryRow
from server.planning.repository import settings as company_settings
from server.projects.models import ProjectRow, ProjectStatus
from server.sync.models import SimulatedCompanyRow
from server.users.models import UserRow

_MONTHS_BACK = 3
_LEAST_PEOPLE, _LEAST_PROJECTS, _LEAST_ABSENCES = 16, 4, 3


async def demo_company(database: Database, today: date) -> Company:
    """Taken from our own data once and kept: taken anew, it would follow every sync, and differ anew each time."""
    async with database.reads.session() as session:
        kept = await session.get(SimulatedCompanyRow, 1)
    if kept is None:
        async with database.transaction(system_actor("simulator")) as tx:
            await tx.session.connection()
            kept = await tx.session.get(SimulatedCompanyRow, 1)
            if kept is None:
                company = _with_differences(await _export(tx.session, today), today)
                kept = SimulatedCompanyRow(id=1, company=company_to_json(company))
                tx.session.add(kept)
    return company_from_json(kept.company)


def _with_differences(company: Company, today: date) -> Company:
    """A company that is too small for them is served as it is."""
    approved = sum(absence.status == "approved" for absence in company.absences)
    people, projects = len(company.collaborators), len(company.projects)
    if people < _LEAST_PEOPLE or projects < _LEAST_PROJECTS or approved < _LEAST_ABSENCES:
        return company
    return with_differences(company, today)


async def _export(session: AsyncSession, today: date) -> Company:
    people = (await session.scalars(select(UserRow).where(UserRow.is_service.is_(False)).order_by(UserRow.id))).all()
    projects = (
        await session.scalars(select(ProjectRow).where(ProjectRow.deleted_at.is_(None)).order_by(ProjectRow.code))
    ).all()
    contracts = (await session.scalars(select(ContractRow).order_by(ContractRow.user_id, ContractRow.start_date))).all()
    # Of people without any contract PayFit knows nothing, and whose differences a demonstration looks for have one.
    employed = {contract.user_id for contract in contracts}
    staff = [person for person in people if person.id in employed]
    last = {contract.user_id: contract for contract in contracts}
    seconds = (await company_settings.current(session)).seconds_per_day
    return Company(
        id=str(named_id("simulator", "company")),
        name="Plan de Charge Démo",
        collaborators=[_collaborator(person, last[person.id]) for person in staff],
        contracts=[_contract(contract) for contract in contracts],
        absences=[one async for one in _absences(session, contracts)],
        users=[_user(person) for person in staff],
        projects=[_project(project) for project in projects],
        tasks=[task for project in projects for task in _tasks(project)],
        declarations=await _declarations(session, today, seconds),
    )


def _collaborator(person: UserRow, last: ContractRow) -> Collaborator:
    return Collaborator(
        id=f"pf-{person.id}",
        first_name=person.first_name,
        last_name=person.last_name,
        email=person.email,
        termination_date=last.end_date,
    )


def _contract(contract: ContractRow) -> Contract:
    return Contract(
        id=f"pf-{contract.id}",
        collaborator_id=f"pf-{contract.user_id}",
        start_date=contract.start_date,
        end_date=contract.end_date,
        full_time_equivalent=contract.fte,
        standard_weekly_hours=round(contract.fte * 35, 2),
    )


async def _absences(session: AsyncSession, contracts: Sequence[ContractRow]) -> Any:
    by_user: dict[UUID, list[ContractRow]] = defaultdict(list)
    for contract in contracts:
        by_user[contract.user_id].append(contract)
    for one in await session.scalars(select(AbsenceRow).order_by(AbsenceRow.start_date, AbsenceRow.id)):
        mine = by_user.get(one.user_id, [])
        under = next((c for c in mine if c.end_date is None or c.end_date >= one.start_date), None)
        if under is None:
            continue
        yield Absence(
            id=f"pf-{one.id}",
            contract_id=f"pf-{under.id}",
            type=one.type,
            start_date=one.start_date,
            end_date=one.end_date,
            start_moment="beginning-of-day" if one.start_half is Half.MORNING else "middle-of-day",
            end_moment="middle-of-day" if one.end_half is Half.MORNING else "end-of-day",
            status="approved" if one.status is AbsenceStatus.APPROVED else "pending_approval",
        )


def _user(person: UserRow) -> User:
    return User(f"gz-{person.id}", f"{person.first_name} {person.last_name}", person.email)


def _project(project: ProjectRow) -> Project:
    over = project.status in (ProjectStatus.DONE, ProjectStatus.CANCELLED)
    return Project(f"gz-{project.id}", project.name, project.code, status="done" if over else "active")


def _tasks(project: ProjectRow) -> Iterator[Task]:
    root = f"gz-{project.id}-0"
    yield Task(root, f"gz-{project.id}", project.name)
    yield Task(f"gz-{project.id}-1", f"gz-{project.id}", "Réalisation", root)


async def _declarations(session: AsyncSession, today: date, seconds: int) -> dict[str, list[Declaration]]:
    """The declared time that we have; where there is none, the plan of the last months as if it had been worked."""
    first = add_months(month_of(today), -_MONTHS_BACK)
    declared: dict[str, list[Declaration]] = defaultdict(list)
    entries = select(TimeEntryRow).where(TimeEntryRow.day >= first).order_by(TimeEntryRow.user_id, TimeEntryRow.day)
    for entry in await session.scalars(entries.order_by(TimeEntryRow.external_id)):
        user, task = f"gz-{entry.user_id}", f"gz-{entry.project_id}-1"
        declared[user].append(Declaration(entry.external_id, user, task, entry.day, entry.seconds))
    if declared:
        return declared
    cells = (
        select(ForecastRow)
        .where(ForecastRow.month >= first, ForecastRow.month <= today)
        .order_by(ForecastRow.user_id, ForecastRow.month, ForecastRow.id)
    )
    months: dict[tuple[UUID, date], list[ForecastRow]] = defaultdict(list)
    for row in await session.scalars(cells):
        if row.days > 0:
            months[row.user_id, row.month].append(row)
    for (user_id, month), planned in months.items():
        declared[f"gz-{user_id}"] += _worked(planned, month, today, seconds)
    return declared


def _worked(cells: Sequence[ForecastRow], month: date, today: date, seconds: int) -> Iterator[Declaration]:
    left = [(cell, int(cell.days * seconds)) for cell in cells]
    day = month
    while day < today and day.month == month.month and left:
        room = seconds if day.weekday() < 5 else 0
        while room and left:
            cell, wanted = left[0]
            spent = min(room, wanted)
            name = str(named_id("simulator", str(cell.id), day.isoformat()))
            yield Declaration(name, f"gz-{cell.user_id}", f"gz-{cell.project_id}-1", day, spent)
            room -= spent
            left = [(cell, wanted - spent), *left[1:]] if wanted > spent else left[1:]
        day += timedelta(days=1)
