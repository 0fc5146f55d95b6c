"""What a change did all the same and is worth knowing: months with too much load, closed months left as they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from uuid import UUID

from server.database import Transaction
from server.errors import TITLES, FieldError, Problem, problem
from server.planning.domain.load import ProjectLoad, contributors
from server.planning.domain.months import format_month, month_of
from server.planning.repository import grid
from server.planning.repository import recomputation as repository
from server.planning.repository import settings as company
from server.planning.service.grid import MonthRow, month_row
from server.planning.service.people import names
from server.projects import repository as projects


async def overallocations(
    tx: Transaction, user_ids: Collection[UUID], months: Sequence[date], *path: str | int
) -> list[Problem]:
    """One OVERALLOCATED for each person, with a line for each month that says what is missing and who asks for it."""
    if not user_ids or not months:
        return []
    picture = await grid.picture(tx.session, list(user_ids), months[0], months[-1])
    rows = [month_row(picture, (user_id, month)) for user_id in user_ids for month in months]
    over = [row for row in rows if row.overallocated]
    if not over:
        return []
    titles = {cell.project_id for row in over for cell in row.cells}
    project_names = {row.id: row.name for row in await projects.by_ids(tx.session, list(titles))}
    people = await names(tx, {row.user_id for row in over})
    place = tuple(map(str, path))
    return [
        _overallocation(people[user_id], [row for row in over if row.user_id == user_id], project_names, place)
        for user_id in sorted(people, key=lambda user_id: (people[user_id], user_id))
    ]


def _overallocation(
    person: str, months: Sequence[MonthRow], project_names: dict[UUID, str], path: tuple[str, ...]
) -> Problem:
    title, status = TITLES["OVERALLOCATED"]
    lines = []
    for row in months:
        loads = [ProjectLoad(cell.project_id, project_names[cell.project_id], cell.days) for cell in row.cells]
        asked = ", ".join(f"{line.label} {line.days}" for line in contributors(loads, row.load))
        lines.append(
            f"{format_month(row.month)}: {-row.availability} days are missing, "
            f"{row.load} are asked for ({asked}) and {row.capacity} are there."
        )
    detail = f"{person} has more load than capacity in {len(months)} month{'s' * (len(months) > 1)}. {' '.join(lines)}"
    errors = tuple(FieldError(path, "OVERALLOCATED", line) for line in lines)
    return Problem("OVERALLOCATED", title, status, detail, errors)


async def closed_months(tx: Transaction, start: date, end: date | None, *path: str | int) -> list[Problem]:
    """CLOSED_MONTHS with those of the period that keep their figures; nothing where all are open."""
    settings = await company.current(tx.session)
    last = settings.horizon_end if end is None else end
    closed = sorted(await repository.closed_months(tx.session, month_of(start), last))
    if not closed:
        return []
    listed = ", ".join(map(format_month, closed))
    detail = f"Closed months keep their figures: {listed}. Reopen them to apply the change there too."
    return [problem("CLOSED_MONTHS", detail, *path)]
