"""What Gryzzly's staged projects, tasks and declarations make of ours. It writes actual days, never forecasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from server.events import PlanningChanged
from server.ids import cell_id, month_id
from server.planning.repository import months as closing
from server.planning.repository import recomputation
from server.planning.repository import settings as company
from server.planning.service.recompute import MAX_LISTED
from server.sync.models import SyncKind
from server.sync.repository import declarations, projects
from server.sync.repository.staging import Refused
from server.sync.service import people
from server.sync.service.apply import Application
from server.sync.service.projects import follow_projects

NOT_MAPPED = "PERSON_NOT_MAPPED"
UNKNOWN_TASK = "UNKNOWN_TASK"
UNKNOWN_PROJECT = "UNKNOWN_PROJECT"
PEOPLE_PER_CHUNK = 500

Cells = set[tuple[UUID, UUID, date]]


async def apply(application: Application) -> None:
    await people.link(application)
    await follow_projects(application)
    await _tasks(application)
    await _declarations(application)


async def _tasks(application: Application) -> None:
    session, run_id = application.tx.session, application.run.id
    counts = await projects.put_tasks(session, run_id)
    application.count(SyncKind.TASK, created=counts.created, updated=counts.updated)
    reason = "Its project is not among those that were read, or was refused."
    waiting = await projects.tasks_waiting(session, run_id)
    await application.refuse(
        [Refused(SyncKind.TASK, row.project, UNKNOWN_PROJECT, reason, row.records) for row in waiting], skipped=True
    )


async def _declarations(application: Application) -> None:
    session, run = application.tx.session, application.run
    await declarations.collect(session, run.id)
    whole = await application.read_whole(SyncKind.DECLARATION)
    await _explain(application)
    settings = await company.current(session)
    closed = [row.month for row in await closing.closed_between(session, date.min, date.max)]
    users = await declarations.users(session)
    await recomputation.lock_users(session, users)
    touched: Cells = set()
    for start in range(0, len(users), PEOPLE_PER_CHUNK):
        rows = await declarations.put(session, users[start : start + PEOPLE_PER_CHUNK], closed)
        application.count(
            SyncKind.DECLARATION,
            created=sum(row.created for row in rows),
            updated=sum(row.updated for row in rows),
        )
        touched.update((row.user_id, row.project_id, row.month) for row in rows)
    if whole:
        removed = await declarations.remove(session, run.id, run.first_day, run.last_day)
        application.count(SyncKind.DECLARATION, removed=len(removed))
        touched.update((row.user_id, row.project_id, row.month) for row in removed)
    await _store(application, touched, settings.seconds_per_day, closed)


async def _explain(application: Application) -> None:
    """One line per person or task that is unknown here, however much was declared."""
    session = application.tx.session
    who = "Nobody here is surely this person: the time lands once somebody says who that is."
    what = "Its task is not among those that were read."
    refused = [
        *_lines(await declarations.waiting(session, "person"), NOT_MAPPED, who),
        *_lines(await declarations.waiting(session, "task"), UNKNOWN_TASK, what),
    ]
    await application.refuse(refused, skipped=True)


def _lines(rows: Iterable[Any], code: str, reason: str) -> list[Refused]:
    return [Refused(SyncKind.DECLARATION, row.id, code, reason, row.records) for row in rows]


async def _store(application: Application, touched: Cells, seconds_per_day: int, closed: Sequence[date]) -> None:
    """The actual days of the touched cells, in the order of their ids, as every writer of cells locks them."""
    cells = sorted((cell_id(*key), *key) for key in touched)
    for start in range(0, len(cells), 5_000):
        await declarations.store_actuals(application.tx.session, cells[start : start + 5_000], seconds_per_day, closed)
    if cells:
        months = [month for *_, month in cells]
        few = len(cells) <= MAX_LISTED
        event = PlanningChanged(
            min(months),
            max(months),
            tuple(sorted({user_id for _, user_id, _, _ in cells})) if few else (),
            tuple(row_id for row_id, *_ in cells) if few else (),
            tuple({month_id(user_id, month) for _, user_id, _, month in cells}) if few else (),
            resync=not few,
        )
        application.tx.publish(event)
