"""Sentences of the reports: sums by group, and who has days to spare. PostgreSQL adds up, however many cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Select, and_, case, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from server.planning.models import CapacityRow, ForecastRow
from server.planning.repository.grid import BY_NAME, EFFECTIVE_CAPACITY, EFFECTIVE_DAYS, PlanningFilter, whom
from server.projects.models import ProjectRow
from server.users.models import BusinessUnitRow, UserRow, UserStatus

_C, _F, _U, _P, _B = CapacityRow, ForecastRow, UserRow, ProjectRow, BusinessUnitRow
_PRODUCTIVE_DAYS = case((_P.productive, EFFECTIVE_DAYS), else_=0)


class GroupBy(StrEnum):
    USER = "USER"
    BUSINESS_UNIT = "BUSINESS_UNIT"
    PROJECT = "PROJECT"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True)
class GroupMonth:
    """A group's sums in a month. `key` is the id of the person, unit (None: without one) or project, or the month."""

    key: UUID | date | None
    month: date
    capacity: Decimal
    working_days: Decimal
    leave: Decimal
    load: Decimal
    productive_days: Decimal


@dataclass(frozen=True, slots=True)
class FreeMonth:
    user_id: UUID
    month: date
    capacity: Decimal
    load: Decimal

    @property
    def availability(self) -> Decimal:
        return self.capacity - self.load


async def group_months(
    session: AsyncSession, by: GroupBy, wanted: PlanningFilter, first: date, last: date, offset: int, limit: int
) -> Sequence[GroupMonth]:
    """The months of a page of groups, by the groups' names (months: by date), then by month."""
    if by is GroupBy.USER:
        statement = _months_of_people(wanted, first, last, offset, limit)
        return [GroupMonth(*row) for row in await session.execute(statement)]
    sums = _sums(by, _people(wanted, first, last), wanted, first, last)
    position = func.row_number().over(order_by=_order(by, sums)).label("position")
    ranked = _named(by, sums, select(sums.c.key, position)).group_by(sums.c.key, *_order(by, sums))
    page = ranked.order_by("position").offset(offset).limit(limit).cte("page")
    statement = (
        select(*sums.c).join(page, sums.c.key.is_not_distinct_from(page.c.key)).order_by(page.c.position, sums.c.month)
    )
    return [GroupMonth(*row) for row in await session.execute(statement)]


async def count_groups(session: AsyncSession, by: GroupBy, wanted: PlanningFilter, first: date, last: date) -> int:
    if by is GroupBy.USER:
        statement = select(func.count()).select_from(_U).where(*_counted(wanted, first, last))
        return int((await session.scalars(statement)).one())
    sums = _sums(by, _people(wanted, first, last), wanted, first, last)
    keys = select(sums.c.key).group_by(sums.c.key).subquery("keys")
    return int((await session.scalars(select(func.count()).select_from(keys))).one())


def _people(wanted: PlanningFilter, first: date, last: date) -> CTE:
    return select(_U.id, _U.business_unit_id).where(*whom(wanted, first, last)).cte("people")


# People are the one kind of group whose page is known before anything is added up: they are in the order of an index.
def _months_of_people(
    wanted: PlanningFilter, first: date, last: date, offset: int, limit: int
) -> Select[tuple[Any, ...]]:
    position = func.row_number().over(order_by=BY_NAME).label("position")
    page = select(_U.id, _U.business_unit_id, position).where(*_counted(wanted, first, last))
    # By the names and not by the position, which PostgreSQL would number everybody to sort by.
    people = page.order_by(*BY_NAME).offset(offset).limit(limit).cte("people")
    sums = _sums(GroupBy.USER, people, wanted, first, last)
    return select(*sums.c).join(people, people.c.id == sums.c.key).order_by(people.c.position, sums.c.month)


def _counted(wanted: PlanningFilter, first: date, last: date) -> list[ColumnElement[bool]]:
    """Conditions on `users`: those who have a capacity or a cell in the range."""

    def has(row: Any) -> ColumnElement[bool]:
        # As in server/planning/repository/grid.py: never from a hash of everybody's.
        mine = and_(row.user_id == _U.id, row.month.between(first, last))
        return select(literal(True)).where(mine).limit(1).scalar_subquery()

    return [*whom(wanted, first, last), or_(has(_C), has(_F))]


def _sums(by: GroupBy, people: CTE, wanted: PlanningFilter, first: date, last: date) -> CTE:
    if by is GroupBy.PROJECT:
        return _project_sums(people, wanted, first, last)
    names = ("capacity", "working_days", "leave", "load", "productive_days")

    def facts_of(row: Any, *values: Any) -> Select[Any]:
        # Labelled one by one: a literal that stands in several columns would otherwise become one of them.
        labelled = (value.label(name) for name, value in zip(names, values, strict=True))
        return select(row.user_id.label("user_id"), row.month.label("month"), *labelled).where(
            row.user_id.in_(select(people.c.id)), row.month.between(first, last)
        )

    capacities = facts_of(_C, EFFECTIVE_CAPACITY, _C.working_days, _C.leave, literal(0), literal(0))
    loads = facts_of(_F, literal(0), literal(0), literal(0), EFFECTIVE_DAYS, _PRODUCTIVE_DAYS)
    facts = union_all(capacities, loads.join(_P, _P.id == _F.project_id)).cte("facts")
    key: Any = {
        GroupBy.USER: facts.c.user_id,
        GroupBy.BUSINESS_UNIT: people.c.business_unit_id,
        GroupBy.MONTH: facts.c.month,
    }[by]
    return (
        select(key.label("key"), facts.c.month.label("month"), *(func.sum(facts.c[n]).label(n) for n in names))
        .join(people, people.c.id == facts.c.user_id)
        .group_by(key, facts.c.month)
        .cte("sums")
    )


def _project_sums(people: CTE, wanted: PlanningFilter, first: date, last: date) -> CTE:
    """A project's capacity is that of the people who have load on it, in the months in which they do."""
    statement = (
        select(
            _F.project_id.label("key"),
            _F.month.label("month"),
            func.sum(func.coalesce(EFFECTIVE_CAPACITY, 0)).label("capacity"),
            func.sum(func.coalesce(_C.working_days, 0)).label("working_days"),
            func.sum(func.coalesce(_C.leave, 0)).label("leave"),
            func.sum(EFFECTIVE_DAYS).label("load"),
            func.sum(_PRODUCTIVE_DAYS).label("productive_days"),
        )
        .join(_P, _P.id == _F.project_id)
        .outerjoin(_C, and_(_C.user_id == _F.user_id, _C.month == _F.month))
        .where(_F.user_id.in_(select(people.c.id)), _F.month.between(first, last), EFFECTIVE_DAYS != 0)
        .group_by(_F.project_id, _F.month)
    )
    if wanted.project_ids is not None:
        statement = statement.where(_F.project_id.in_(wanted.project_ids))
    return statement.cte("sums")


def _named(by: GroupBy, sums: CTE, statement: Select[Any]) -> Select[Any]:
    """Joins what the groups are called."""
    match by:
        case GroupBy.USER:
            return statement.join(_U, _U.id == sums.c.key)
        case GroupBy.BUSINESS_UNIT:
            return statement.outerjoin(_B, _B.id == sums.c.key)
        case GroupBy.PROJECT:
            return statement.join(_P, _P.id == sums.c.key)
        case GroupBy.MONTH:
            return statement


def _order(by: GroupBy, sums: CTE) -> list[Any]:
    match by:
        case GroupBy.USER:
            return list(BY_NAME)
        case GroupBy.BUSINESS_UNIT:
            return [func.lower(_B.name), _B.id]  # people without a unit come last
        case GroupBy.PROJECT:
            return [func.lower(_P.code), _P.id]
        case GroupBy.MONTH:
            return [sums.c.key]


async def free_months(
    session: AsyncSession, days: Decimal, wanted: PlanningFilter, first: date, last: date, offset: int, limit: int
) -> Sequence[FreeMonth]:
    """The months of a page of people who have at least `days` free, most of them first, then by name."""
    months, ranked = _free(days, wanted, first, last)
    page = ranked.order_by("position").offset(offset).limit(limit).cte("page")
    statement = (
        select(months.c.user_id, months.c.month, months.c.capacity, months.c.load)
        .join(page, page.c.user_id == months.c.user_id)
        .order_by(page.c.position, months.c.month)
    )
    return [FreeMonth(*row) for row in await session.execute(statement)]


async def count_free(session: AsyncSession, days: Decimal, wanted: PlanningFilter, first: date, last: date) -> int:
    _, ranked = _free(days, wanted, first, last)
    return int((await session.scalars(select(func.count()).select_from(ranked.subquery("ranked")))).one())


def _free(days: Decimal, wanted: PlanningFilter, first: date, last: date) -> tuple[CTE, Select[Any]]:
    able = _U.status != UserStatus.DEACTIVATED  # shut out: no longer to be asked, whatever is free on paper
    people = select(_U.id).where(*whom(wanted, first, last), able)
    loads = (
        select(_F.user_id, _F.month, func.sum(EFFECTIVE_DAYS).label("load"))
        .where(_F.user_id.in_(people), _F.month.between(first, last))
        .group_by(_F.user_id, _F.month)
        .subquery("loads")
    )
    load = func.coalesce(loads.c.load, literal(Decimal("0.00")))
    months = (
        select(_C.user_id, _C.month, EFFECTIVE_CAPACITY.label("capacity"), load.label("load"))
        .outerjoin(loads, and_(loads.c.user_id == _C.user_id, loads.c.month == _C.month))
        .where(_C.user_id.in_(people), _C.month.between(first, last))
        .cte("months")
    )
    # As in server/planning/domain/reports.py: an over-allocated month takes nothing from the others.
    free = func.sum(func.greatest(months.c.capacity - months.c.load, 0))
    position = func.row_number().over(order_by=[free.desc(), *BY_NAME]).label("position")
    ranked = (
        select(months.c.user_id, position)
        .join(_U, _U.id == months.c.user_id)
        .group_by(months.c.user_id, *BY_NAME)
        .having(free >= days)
    )
    return months, ranked
