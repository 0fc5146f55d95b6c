"""Reports: how much of their capacity groups of people use, and who has days to spare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

from server.database import Reads
from server.errors import BadRequest
from server.planning.domain.reports import Formula, MonthFigures, free_in_range, group_utilisation
from server.planning.repository import reports as repository
from server.planning.repository.grid import PlanningFilter
from server.planning.repository.reports import FreeMonth, GroupBy, GroupMonth
from server.planning.service.grid import check_range


@dataclass(frozen=True, slots=True)
class Range:
    """Whose months a report is about."""

    wanted: PlanningFilter
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums of days with the ratio that was asked for; the ratio is that of the sums."""

    capacity: Decimal
    load: Decimal
    productive_days: Decimal
    working_days: Decimal
    leave: Decimal
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class MonthOfGroup(Figures):
    month: date


@dataclass(frozen=True, slots=True)
class Group(Figures):
    """`key` is the id of the person, unit (None: without one) or project, or the month."""

    by: GroupBy
    key: Any
    months: list[MonthOfGroup]


@dataclass(frozen=True, slots=True)
class FreePersonRow:
    user_id: UUID
    days: Decimal
    months: list[FreeMonth]


async def utilisation(
    reads: Reads, asked: Range, by: GroupBy, formula: Formula, offset: int, limit: int
) -> list[Group]:
    """Groups by name with their sums, in all and month by month."""
    async with reads.session() as session:
        await check_range(session, asked.first, asked.last)
        rows = await repository.group_months(session, by, asked.wanted, asked.first, asked.last, offset, limit)
    return [_group(by, formula, key, list(months)) for key, months in groupby(rows, key=lambda row: row.key)]


async def count_groups(reads: Reads, asked: Range, by: GroupBy) -> int:
    async with reads.session() as session:
        return await repository.count_groups(session, by, asked.wanted, asked.first, asked.last)


async def availability(reads: Reads, asked: Range, days: Decimal, offset: int, limit: int) -> list[FreePersonRow]:
    """People with at least so many days free, most of them first."""
    if days < 0:
        raise BadRequest(f"{days} days cannot be free: ask for 0 or more.")
    async with reads.session() as session:
        await check_range(session, asked.first, asked.last)
        rows = await repository.free_months(session, days, asked.wanted, asked.first, asked.last, offset, limit)
    people = []
    for user_id, months in groupby(rows, key=lambda row: row.user_id):
        by_month = {row.month: row for row in months}
        free = free_in_range([(row.month, row.capacity, row.load) for row in by_month.values()], days)
        if free is not None:
            people.append(FreePersonRow(user_id, free.days, [by_month[month] for month, _ in free.months]))
    return people


async def count_free(reads: Reads, asked: Range, days: Decimal) -> int:
    async with reads.session() as session:
        return await repository.count_free(session, days, asked.wanted, asked.first, asked.last)


def _group(by: GroupBy, formula: Formula, key: UUID | date | None, rows: list[GroupMonth]) -> Group:
    months = [MonthOfGroup(**_figures(formula, [row]), month=row.month) for row in rows]
    return Group(**_figures(formula, rows), by=by, key=key, months=months)


def _figures(formula: Formula, rows: list[GroupMonth]) -> dict[str, Any]:
    """The fields of `Figures`."""
    total = group_utilisation(
        MonthFigures(row.capacity, row.load, row.working_days, row.leave, row.productive_days) for row in rows
    )
    ratio = {Formula.UTILISATION: total.utilisation, Formula.TACE: total.tace, Formula.TACI: total.taci}[formula]
    return {
        "capacity": total.capacity,
        "load": total.load,
        "productive_days": total.productive_days,
        "working_days": total.working_days,
        "leave": total.leave,
        "value": ratio,
    }
