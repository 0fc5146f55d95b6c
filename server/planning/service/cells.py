"""Writing cells: many at once, each decided against its locked row, in a constant number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from server.actor import Permission
from server.database import Transaction
from server.errors import Problem, problem
from server.events import PlanningChanged
from server.ids import ids_of
from server.planning.domain import cells as domain
from server.planning.domain.cells import CellOutcome, CellState, CellWrite, Decision
from server.planning.models import CellSource
from server.planning.repository import cells as repository
from server.planning.repository import months as closing
from server.planning.repository import settings as company
from server.planning.repository.cells import CellRow
from server.planning.service.violations import as_problem
from server.projects.models import ProjectRow
from server.users.models import UserRow

MAX_LISTED = 2_000
"""an event that would name more cells says "read again" instead"""


class WritePolicy(StrEnum):
    REJECT_EVERYTHING = "REJECT_EVERYTHING"
    REJECT_FAILED = "REJECT_FAILED"


@dataclass(slots=True)
class CellResult:
    """What became of the write at `index`. `cell` is the cell as it is now, None where it has no row."""

    index: int
    outcome: CellOutcome
    cell: CellRow | None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The result of each write, in the order given; `touched` are the (person, month)s that were written to."""

    results: list[CellResult]
    touched: list[tuple[UUID, date]]
    users: dict[UUID, UserRow]
    projects: dict[UUID, ProjectRow]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the decisions come to, before anything is written; all by the index of the write.

    `rows` are the locked cells of the writes that reach theirs, `new` the ids of those that are blank rows of ours.
    """

    ids: list[UUID]
    decisions: dict[int, Decision]
    problems: dict[int, Problem]
    rows: dict[int, CellRow]
    new: frozenset[UUID]


Stated = dict[str, dict[str, Any]]
"""by a cell's id, as the audit log has it"""

_STATED_BY = {source: domain.CellSource(source) for source in CellSource}


async def write(
    tx: Transaction,
    writes: Sequence[CellWrite],
    policy: WritePolicy = WritePolicy.REJECT_EVERYTHING,
    *,
    source: CellSource | None = None,
) -> Written:
    """States days in cells; however many, and with no limit: the limit of one call belongs to the API.

    `writes[n].index` is n. `source` None: API for an API token, MANUAL for a person.
    """
    source = source or (CellSource.API if tx.actor.token_id else CellSource.MANUAL)
    await closing.share_lock(tx.session)
    projects = {row.id: row for row in await repository.share_projects(tx.session, {w.key.project_id for w in writes})}
    people = {row.id: row for row in await repository.share_users(tx.session, {w.key.user_id for w in writes})}
    plan = await _decide(tx, writes, source, people, projects)
    everything = bool(plan.problems) and policy is WritePolicy.REJECT_EVERYTHING
    applied = [] if everything else [n for n, each in plan.decisions.items() if each.outcome is CellOutcome.APPLIED]
    before = await _store(tx, applied, plan, source)
    await _tell(tx, [plan.rows[index] for index in applied], before, plan)
    results = [_result(w.index, plan, everything) for w in writes]
    done = [] if everything else [row for index, row in plan.rows.items() if index not in plan.problems]
    touched = sorted({(row.month, row.user_id) for row in done})
    return Written(results, [(user_id, month) for month, user_id in touched], people, projects)


async def _decide(
    tx: Transaction,
    writes: Sequence[CellWrite],
    source: CellSource,
    people: dict[UUID, UserRow],
    projects: dict[UUID, ProjectRow],
) -> _Plan:
    settings = await company.current(tx.session)
    closed = await closing.closed_among(tx.session, {w.key.month for w in writes})
    problems = {
        index: as_problem(violation, "cells", str(index)) for index, violation in domain.find_duplicates(writes).items()
    }
    reached = {user.id for user in people.values() if _reaches(tx, user)}
    for w in writes:
        if w.index not in problems and not (w.key.user_id in reached and w.key.project_id in projects):
            problems[w.index] = _reach_problem(w, people, projects)
    reachable = [w for w in writes if w.index not in problems]
    ids = ids_of(w.key for w in writes)
    new = await repository.insert_missing(tx.session, {ids[w.index]: w.key for w in reachable})
    locked = {cell.id: cell for cell in await repository.lock(tx.session, [ids[w.index] for w in reachable])}
    rows = {w.index: locked[ids[w.index]] for w in reachable}
    stated_by, step, horizon = _STATED_BY[source], settings.step, (settings.horizon_start, settings.horizon_end)
    is_open = {project.id: project.takes_load for project in projects.values()}
    decisions: dict[int, Decision] = {}
    for w in reachable:
        decision = domain.decide(
            w,
            _state(rows[w.index]),
            source=stated_by,
            closed=closed,
            step=step,
            project_open=is_open[w.key.project_id],
            horizon=horizon,
        )
        decisions[w.index] = decision
        if decision.violation is not None:
            problems[w.index] = as_problem(decision.violation, "cells", str(w.index))
    return _Plan(ids, decisions, problems, rows, new)


def _reaches(tx: Transaction, user: UserRow) -> bool:
    return not user.is_service and tx.actor.reaches_user(Permission.PLANNING_WRITE, user.id, user.business_unit_id)


def _reach_problem(w: CellWrite, people: dict[UUID, UserRow], projects: dict[UUID, ProjectRow]) -> Problem:
    """Which end of the cell does not exist, or is not the caller's to write to."""
    user = people.get(w.key.user_id)
    if user is None or user.is_service:
        return problem("UNKNOWN_ID", "There is nobody with this id who can be planned.", "cells", w.index, "userId")
    if w.key.project_id not in projects:
        return problem("UNKNOWN_ID", "There is no project with this id.", "cells", w.index, "projectId")
    detail = "This person's cells are not yours to change: ask a planner or the manager of the business unit."
    return problem("OUT_OF_SCOPE", detail, "cells", w.index, "userId")


async def _store(tx: Transaction, applied: Sequence[int], plan: _Plan, source: CellSource) -> Stated:
    """Writes what was decided, to `plan.rows` too, and takes back the blank rows of what was not; what stood before."""
    cells = [plan.rows[index] for index in applied]
    if blank := plan.new - {cell.id for cell in cells}:
        await repository.remove_blank(tx.session, sorted(blank))
    if not applied:
        return {}
    before = {str(cell.id): _stated(cell) for cell in cells}
    for index, cell in zip(applied, cells, strict=True):
        state = plan.decisions[index].state
        assert state is not None
        cell.stated, cell.version = state.stated, state.version
        cell.stated_source = None if state.stated is None else source
    moment = await repository.state(tx.session, cells, tx.actor.user_id)
    for cell in cells:
        cell.updated_at = moment
    return before


async def _tell(tx: Transaction, cells: Sequence[CellRow], before: Stated, plan: _Plan) -> None:
    """One row in the audit log for the call, and one event."""
    forbidden = [plan.ids[index] for index, found in plan.problems.items() if found.code == "OUT_OF_SCOPE"]
    if not cells:
        if forbidden:
            await tx.audit("cells.refused", "cell", cells=forbidden, code="OUT_OF_SCOPE")
        return
    await tx.audit(
        "cells.written",
        "cell",
        cells[0].id if len(cells) == 1 else None,
        before=before,
        after=dict(zip(before, map(_stated, cells), strict=True)),
        cells=list(before),
        **({"refused": forbidden} if forbidden else {}),
    )
    months = {(cell.user_id, cell.month) for cell in cells}
    listed = len(cells) <= MAX_LISTED
    tx.publish(
        PlanningChanged(
            first_month=min(month for _, month in months),
            last_month=max(month for _, month in months),
            user_ids=tuple(sorted({user_id for user_id, _ in months})) if listed else (),
            cell_ids=tuple(cell.id for cell in cells) if listed else (),
            month_ids=tuple(sorted(ids_of(months))) if listed else (),
            resync=not listed,
        )
    )


def _result(index: int, plan: _Plan, everything: bool) -> CellResult:
    found = plan.problems.get(index)
    if found is None and everything:
        detail = "Another cell of this call was refused, and with REJECT_EVERYTHING none is written then."
        found = problem("NOT_APPLIED", detail, "cells", index)
    outcome = plan.decisions[index].outcome if found is None else CellOutcome.REJECTED
    cell = plan.rows.get(index)
    if cell is not None and outcome is not CellOutcome.APPLIED and cell.id in plan.new:
        cell = None  # its blank row was taken back
    return CellResult(index, outcome, cell, found)


def _state(cell: CellRow) -> CellState:
    return CellState(cell.stated, cell.expected, cell.actual, _STATED_BY[cell.source], cell.version)


def _stated(cell: CellRow) -> dict[str, Any]:
    return {"stated": cell.stated, "source": cell.stated_source, "version": cell.version}
