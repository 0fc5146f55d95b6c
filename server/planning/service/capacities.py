"""Overriding computed capacities: many at once, each decided against what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

from server.actor import Permission
from server.database import Transaction
from server.errors import Problem, Refused, problem
from server.events import PlanningChanged
from server.ids import month_id
from server.planning.domain.cells import (
    NEW_CELL,
    UNSET,
    CellKey,
    CellOutcome,
    CellSource,
    CellState,
    CellWrite,
    Decision,
    Unset,
    decide,
    find_duplicates,
)
from server.planning.domain.violations import Violation
from server.planning.models import CapacityRow
from server.planning.repository import capacities as repository
from server.planning.repository import months as closing
from server.planning.repository import recomputation
from server.planning.repository import settings as company
from server.planning.repository.capacities import Override
from server.planning.service import warnings
from server.planning.service.cells import WritePolicy
from server.planning.service.people import unreachable
from server.planning.service.recompute import recompute
from server.planning.service.violations import as_problem
from server.users import repository as users

MAX_CAPACITIES = 500


@dataclass(frozen=True, slots=True)
class CapacityWrite:
    """`override` None brings the computed capacity back. `expected_version` as for cells."""

    user_id: UUID
    month: date
    override: Decimal | None
    expected_version: int | Literal[Unset.UNSET] | None = UNSET


@dataclass(slots=True)
class CapacityResult:
    """`capacity` is the row as it is now, None where there is none."""

    index: int
    outcome: CellOutcome
    capacity: CapacityRow | None = None
    problem: Problem | None = None


@dataclass(slots=True)
class Answer:
    results: list[CapacityResult] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


async def write(
    tx: Transaction,
    writes: Sequence[CapacityWrite],
    policy: WritePolicy = WritePolicy.REJECT_EVERYTHING,
    *,
    dry_run: bool = False,
) -> Answer:
    """States capacities; expected load follows. A dry run answers from inside the transaction and leaves nothing."""
    if len(writes) > MAX_CAPACITIES:
        detail = f"{len(writes)} capacities are too many for one call: send at most {MAX_CAPACITIES} at a time."
        raise Refused([problem("INVALID_INPUT", detail, "capacities", field_code="TOO_MANY_CAPACITIES")])
    # A capacity is stated as a cell is, by the same rules; its own key stands where a cell has its project.
    states = [
        CellWrite(n, CellKey(w.user_id, w.user_id, w.month), w.override, w.expected_version)
        for n, w in enumerate(writes)
    ]
    await closing.share_lock(tx.session)
    await recomputation.lock_users(tx.session, {w.user_id for w in writes})
    rows = {row.id: row for row in await repository.by_ids(tx.session, [_id(w) for w in states])}
    decisions, problems = await _decide(tx, states, rows)
    written = [w for w in states if w.index not in problems and decisions[w.index].outcome is CellOutcome.APPLIED]
    if problems and policy is WritePolicy.REJECT_EVERYTHING:
        written = []
    notes = await _store(tx, written, decisions, rows)
    rows = {row.id: row for row in await repository.by_ids(tx.session, [_id(w) for w in states])}
    nothing = bool(problems) and policy is WritePolicy.REJECT_EVERYTHING
    answer = Answer(
        results=[_result(w, decisions, problems, rows, nothing) for w in states],
        problems=[problems[index] for index in sorted(problems)],
        warnings=notes,
    )
    if dry_run:
        tx.session.expunge_all()  # rolling back would empty the rows that the answer shows
        tx.roll_back()
    return answer


async def _decide(
    tx: Transaction, writes: Sequence[CellWrite], rows: Mapping[UUID, CapacityRow]
) -> tuple[dict[int, Decision], dict[int, Problem]]:
    settings = await company.current(tx.session)
    closed = await closing.closed_among(tx.session, {w.key.month for w in writes})
    people = {row.id: row for row in await users.by_ids(tx.session, sorted({w.key.user_id for w in writes}))}
    problems = {n: _problem(violation, n) for n, violation in find_duplicates(writes).items()}
    decisions: dict[int, Decision] = {}
    for w in writes:
        if w.index in problems:
            continue
        place = ("capacities", w.index, "userId")
        found = unreachable(tx, Permission.CAPACITIES_WRITE, people.get(w.key.user_id), *place)
        if found is not None:
            problems[w.index] = found
            continue
        decisions[w.index] = decision = decide(
            w,
            _state(rows.get(_id(w))),
            source=CellSource.MANUAL,
            closed=closed,
            step=settings.step,
            project_open=True,
            horizon=(settings.horizon_start, settings.horizon_end),
        )
        if decision.violation is not None:
            problems[w.index] = _problem(decision.violation, w.index)
    return decisions, problems


async def _store(
    tx: Transaction,
    written: Sequence[CellWrite],
    decisions: Mapping[int, Decision],
    rows: Mapping[UUID, CapacityRow],
) -> list[Problem]:
    if not written:
        return []
    changes = []
    for w in written:
        state = decisions[w.index].state
        assert state is not None
        changes.append(Override(_id(w), w.key.user_id, w.key.month, state.stated, state.version))
    before = {str(change.id): rows[change.id].override if change.id in rows else None for change in changes}
    await repository.store_overrides(tx.session, changes)
    await tx.audit(
        "capacities.written",
        "capacity",
        changes[0].id if len(changes) == 1 else None,
        before=before,
        after={str(change.id): change.override for change in changes},
        capacities=[{"id": each.id, "user_id": each.user_id, "month": each.month} for each in changes],
    )
    people, months = sorted({each.user_id for each in changes}), sorted({each.month for each in changes})
    ids = tuple(each.id for each in changes)
    tx.publish(PlanningChanged(months[0], months[-1], tuple(people), month_ids=ids))
    await recompute(tx, people, months[0], months[-1])
    return await warnings.overallocations(tx, people, months, "capacities")


def _result(
    w: CellWrite,
    decisions: Mapping[int, Decision],
    problems: Mapping[int, Problem],
    rows: Mapping[UUID, CapacityRow],
    nothing: bool,
) -> CapacityResult:
    row = rows.get(_id(w))
    if w.index in problems:
        return CapacityResult(w.index, CellOutcome.REJECTED, row, problems[w.index])
    if nothing:
        detail = "Another capacity of this call was refused, and with REJECT_EVERYTHING none is written then."
        refusal = problem("NOT_APPLIED", detail, "capacities", w.index)
        return CapacityResult(w.index, CellOutcome.REJECTED, row, refusal)
    return CapacityResult(w.index, decisions[w.index].outcome, row)


def _problem(violation: Violation, index: int) -> Problem:
    """In the words of capacities rather than of cells."""
    message = violation.message.replace("The cell", "The capacity")
    name = "override" if violation.field == "days" else violation.field
    return as_problem(replace(violation, message=message, field=name), "capacities", index)


def _state(row: CapacityRow | None) -> CellState:
    if row is None:
        return NEW_CELL
    source = CellSource.ASSIGNMENT if row.override is None else CellSource.MANUAL
    return CellState(row.override, row.computed, None, source, row.version)


def _id(w: CellWrite) -> UUID:
    return month_id(w.key.user_id, w.key.month)
