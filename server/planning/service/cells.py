"""Writing cells: many at once, each decided against its locked row, in a constant number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from server.actor import Permission
from server.database import Transaction
from server.errors import Problem, problem
from server.events import PlanningChanged
from server.ids import cell_id, month_id
from server.planning.domain import cells as domain
from server.planning.domain.cells import CellOutcome, CellState, CellWrite, Decision
from server.planning.models import CellSource
from server.planning.repository import cells as repository
from server.planning.repository import months as closing
from server.planning.repository import settings as company
from server.planning.repository.cells import CellRow, NewCell, StatedCell
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
    """What the decisions come to, before anything is written. `ids` are the cells', by the index of their write."""

    ids: dict[int, UUID]
    decisions: dict[int, Decision]
    problems: dict[int, Problem]
    locked: dict[UUID, CellRow]
    new: frozenset[UUID]


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
    # Once for each: a hash of names costs more than the rest of a decision.
    ids = {w.index: cell_id(w.key.user_id, w.key.project_id, w.key.month) for w in writes}
    plan = await _decide(tx, writes, ids, source, people, projects)
    refused = bool(plan.problems)
    if refused and policy is WritePolicy.REJECT_EVERYTHING:
        applied: list[CellWrite] = []
    else:
        applied = [w for w in writes if _outcome(plan, w) is CellOutcome.APPLIED]
    after = await _store(tx, applied, plan)
    await _tell(tx, applied, after, plan, writes)
    everything = refused and policy is WritePolicy.REJECT_EVERYTHING
    results = [_result(w, plan, after, everything) for w in writes]
    done = [] if everything else [w for w in writes if w.index not in plan.problems]
    touched = sorted({(w.key.user_id, w.key.month) for w in done}, key=lambda key: (key[1], key[0]))
    return Written(results, touched, people, projects)


async def _decide(
    tx: Transaction,
    writes: Sequence[CellWrite],
    ids: dict[int, UUID],
    source: CellSource,
    people: dict[UUID, UserRow],
    projects: dict[UUID, ProjectRow],
) -> _Plan:
    settings = await company.current(tx.session)
    closed = await closing.closed_among(tx.session, {w.key.month for w in writes})
    problems = {
        index: as_problem(violation, "cells", str(index)) for index, violation in domain.find_duplicates(writes).items()
    }
    for w in writes:
        if w.index not in problems and (found := _reach_problem(tx, w, people, projects)):
            problems[w.index] = found
    reachable = [w for w in writes if w.index not in problems]
    keys = {ids[w.index]: w.key for w in reachable}
    new = await repository.insert_missing(
        tx.session, [NewCell(key_id, key.user_id, key.project_id, key.month) for key_id, key in keys.items()]
    )
    locked = {cell.id: cell for cell in await repository.lock(tx.session, list(keys))}
    decisions: dict[int, Decision] = {}
    for w in reachable:
        decision = domain.decide(
            w,
            _state(locked[ids[w.index]]),
            source=domain.CellSource(source),
            closed=closed,
            step=settings.step,
            project_open=projects[w.key.project_id].takes_load,
            horizon=(settings.horizon_start, settings.horizon_end),
        )
        decisions[w.index] = decision
        if decision.violation is not None:
            problems[w.index] = as_problem(decision.violation, "cells", str(w.index))
    return _Plan(ids, decisions, problems, locked, new)


def _reach_problem(
    tx: Transaction, w: CellWrite, people: dict[UUID, UserRow], projects: dict[UUID, ProjectRow]
) -> Problem | None:
    """Whether both ends of the cell exist and the caller may write to it."""
    user = people.get(w.key.user_id)
    if user is None or user.is_service:
        return problem("UNKNOWN_ID", "There is nobody with this id who can be planned.", "cells", w.index, "userId")
    if w.key.project_id not in projects:
        return problem("UNKNOWN_ID", "There is no project with this id.", "cells", w.index, "projectId")
    if not tx.actor.reaches_user(Permission.PLANNING_WRITE, user.id, user.business_unit_id):
        detail = "This person's cells are not yours to change: ask a planner or the manager of the business unit."
        return problem("OUT_OF_SCOPE", detail, "cells", w.index, "userId")
    return None


async def _store(tx: Transaction, applied: Sequence[CellWrite], plan: _Plan) -> dict[int, CellRow]:
    """Writes what was decided, takes back the blank rows of what was not; the cells as they are then, by index."""
    kept = {plan.ids[w.index] for w in applied}
    if blank := plan.new - kept:
        await repository.remove_blank(tx.session, sorted(blank))
    if not applied:
        return {}
    cells: dict[int, CellRow] = {}
    for w in applied:
        state = plan.decisions[w.index].state
        assert state is not None
        stated_source = None if state.stated is None else CellSource(state.source)
        cells[w.index] = replace(
            plan.locked[plan.ids[w.index]], stated=state.stated, stated_source=stated_source, version=state.version
        )
    stated = [StatedCell(cell.id, cell.stated, cell.stated_source, cell.version) for cell in cells.values()]
    moment = await repository.state(tx.session, stated, tx.actor.user_id)
    for cell in cells.values():
        cell.updated_at = moment
    return cells


async def _tell(
    tx: Transaction, applied: Sequence[CellWrite], after: dict[int, CellRow], plan: _Plan, writes: Sequence[CellWrite]
) -> None:
    """One row in the audit log for the call, and one event."""
    forbidden = [plan.ids[w.index] for w in writes if (p := plan.problems.get(w.index)) and p.code == "OUT_OF_SCOPE"]
    if not applied:
        if forbidden:
            await tx.audit("cells.refused", "cell", cells=forbidden, code="OUT_OF_SCOPE")
        return
    ids = [cell.id for cell in after.values()]
    await tx.audit(
        "cells.written",
        "cell",
        ids[0] if len(ids) == 1 else None,
        before={str(plan.ids[w.index]): _stated(plan.locked[plan.ids[w.index]]) for w in applied},
        after={str(plan.ids[w.index]): _stated(after[w.index]) for w in applied},
        cells=ids,
        **({"refused": forbidden} if forbidden else {}),
    )
    months = [w.key.month for w in applied]
    listed = len(ids) <= MAX_LISTED
    tx.publish(
        PlanningChanged(
            first_month=min(months),
            last_month=max(months),
            user_ids=tuple(sorted({w.key.user_id for w in applied})) if listed else (),
            cell_ids=tuple(ids) if listed else (),
            month_ids=tuple(sorted({month_id(w.key.user_id, w.key.month) for w in applied})) if listed else (),
            resync=not listed,
        )
    )


def _result(w: CellWrite, plan: _Plan, after: dict[int, CellRow], everything: bool) -> CellResult:
    key_id = plan.ids[w.index]
    current = None if key_id in plan.new else plan.locked.get(key_id)
    if w.index in plan.problems:
        return CellResult(w.index, CellOutcome.REJECTED, current, plan.problems[w.index])
    if everything:
        detail = "Another cell of this call was refused, and with REJECT_EVERYTHING none is written then."
        return CellResult(w.index, CellOutcome.REJECTED, current, problem("NOT_APPLIED", detail, "cells", w.index))
    return CellResult(w.index, _outcome(plan, w), after.get(w.index, current))


def _outcome(plan: _Plan, w: CellWrite) -> CellOutcome:
    return CellOutcome.REJECTED if w.index in plan.problems else plan.decisions[w.index].outcome


def _state(cell: CellRow) -> CellState:
    return CellState(cell.stated, cell.expected, cell.actual, domain.CellSource(cell.source), cell.version)


def _stated(cell: CellRow) -> dict[str, Any]:
    return {"stated": cell.stated, "source": cell.stated_source, "version": cell.version}
