"""One call of `forecastsWrite`: its limit, its rehearsal, its replay, and the answer with the touched months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from pydantic import ConfigDict, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from server.database import Transaction
from server.errors import Problem, Refused, problem
from server.idempotency import attempt, check_key
from server.planning.domain.cells import UNSET, CellWrite
from server.planning.domain.load import ProjectLoad, contributors
from server.planning.domain.months import format_month
from server.planning.repository import capacities
from server.planning.service import cells, grid
from server.planning.service.cells import CellResult, WritePolicy, Written
from server.planning.service.grid import MonthRow
from server.projects import repository as projects
from server.projects.models import ProjectRow
from server.users.models import UserRow

MAX_CELLS = 500
MUTATION = "forecastsWrite"


@dataclass(slots=True)
class Answer:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    results: list[CellResult] = field(default_factory=list)
    months: list[MonthRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Call:
    """`explained`: the answer's months come with their explanation, read in the transaction like all the rest.

    Not `whole`: of the months nothing but figures is wanted, no people, no projects and no warnings. Under a key the
    answer is kept for callers who may ask for more, so it is whole all the same.
    """

    writes: Sequence[CellWrite]
    policy: WritePolicy
    dry_run: bool = False
    key: str | None = None
    explained: bool = False
    whole: bool = True


async def write(tx: Transaction, call: Call) -> Answer:
    """Writes and answers. A dry run leaves nothing behind, its key included."""
    if len(call.writes) > MAX_CELLS:
        detail = f"{len(call.writes)} cells are too many for one call: send at most {MAX_CELLS} at a time."
        raise Refused([problem("INVALID_INPUT", detail, "cells", field_code="TOO_MANY_CELLS")])
    if call.key is not None:
        check_key(call.key)  # in a dry run too, which says what the call would do
    if call.dry_run or call.key is None:
        answer = await _write(tx, call)
        if call.dry_run:
            tx.session.expunge_all()  # rolling back would empty the rows that the answer shows
            tx.roll_back()
        return answer
    tried = await attempt(tx, MUTATION, call.key, _canonical(call))
    if tried.answer is not None:
        return _adapter().validate_json(tried.answer)
    answer = await _write(tx, call)
    await tried.store(_dumped(answer))
    return answer


async def _write(tx: Transaction, call: Call) -> Answer:
    written = await cells.write(tx, call.writes, call.policy)
    problems = [r.problem for r in written.results if r.problem is not None and r.problem.code != "NOT_APPLIED"]
    if not call.whole and call.key is None:
        return Answer(written.results, await _totals(tx.session, written.touched), problems)
    months = await grid.months(tx.session, written.touched)
    known = await _attach(tx, written, months)
    if call.explained:
        await grid.explain(tx.session, months, {row.id: row.name for row in known.values()})
    return Answer(
        results=written.results,
        months=months,
        problems=problems,
        warnings=_warnings(call.writes, months, written.users),
    )


async def _totals(session: AsyncSession, keys: Sequence[grid.Key]) -> list[MonthRow]:
    """`grid.months` without the cells, which are most of its rows: PostgreSQL makes their sums."""
    found = await capacities.totals(session, keys)
    return [
        MonthRow(user_id, month, *of[:6], cells=[], load=of.load)
        for (user_id, month), of in zip(keys, found, strict=True)
    ]


async def _attach(tx: Transaction, written: Written, months: Sequence[MonthRow]) -> dict[UUID, ProjectRow]:
    """Gives each cell its person and project as the transaction sees them, so that the answer needs no loader."""
    shown = [r.cell for r in written.results if r.cell is not None] + [cell for m in months for cell in m.cells]
    missing = {cell.project_id for cell in shown} - written.projects.keys()
    known = dict(written.projects)
    known.update({row.id: row for row in await projects.by_ids(tx.session, sorted(missing))})
    for cell in shown:
        cell.user_row, cell.project_row = written.users[cell.user_id], known[cell.project_id]
    return known


def _warnings(writes: Sequence[CellWrite], months: Sequence[MonthRow], people: dict[UUID, UserRow]) -> list[Problem]:
    """One for each touched month that holds more load than capacity: what is missing, and who asks for it."""
    places: dict[tuple[UUID, date], int] = {}
    for each in writes:
        places.setdefault((each.key.user_id, each.key.month), each.index)
    return [
        problem("OVERALLOCATED", _overallocation(m, people[m.user_id]), "cells", places[m.user_id, m.month])
        for m in months
        if m.overallocated
    ]


def _overallocation(row: MonthRow, user: UserRow) -> str:
    loads = [ProjectLoad(c.project_id, c.project_row.name, c.days) for c in row.cells if c.project_row is not None]
    asked = ", ".join(f"{line.label} {line.days}" for line in contributors(loads, row.load))
    return (
        f"{user.first_name} {user.last_name} has more load than capacity in {format_month(row.month)}: "
        f"{-row.availability} days are missing, {row.load} are asked for ({asked}) and {row.capacity} are there."
    )


def _canonical(call: Call) -> Any:
    """All that decides what the call does; the selection of the answer does not."""
    wanted = [[w.key.user_id, w.key.project_id, w.key.month, _text(w.days), _expected(w)] for w in call.writes]
    return {"policy": call.policy, "cells": wanted}


def _text(days: Decimal | None) -> str | None:
    return None if days is None else str(days)


def _expected(w: CellWrite) -> int | str | None:
    return "unset" if w.expected_version is UNSET else w.expected_version


@cache
def _adapter() -> TypeAdapter[Answer]:
    return TypeAdapter(Answer)


def _dumped(answer: Answer) -> bytes:
    rows: Any = {"user_row", "project_row"}
    return _adapter().dump_json(
        answer,
        exclude={
            "results": {"__all__": {"cell": rows}},
            "months": {"__all__": {"cells": {"__all__": rows}}},
        },
    )
