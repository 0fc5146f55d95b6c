"""Sentences about the planning grid: whom a filter means, and what their months hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Date,
    Select,
    Uuid,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.light_rows import Light, LightConnection, Source, read
from server.planning.models import CapacityRow, ClosedMonthRow, ContractRow, ForecastRow
from server.planning.repository.cells import COLUMNS, HAS_VALUE, CellRow, LightCell
from server.search import contains
from server.users.models import UserRow, UserStatus
from server.users.repository import LIGHT, LIGHT_BRIEF

_C, _F, _U = CapacityRow, ForecastRow, UserRow

EFFECTIVE_DAYS = func.coalesce(_F.stated, _F.expected)
EFFECTIVE_CAPACITY = func.coalesce(_C.override, _C.computed)


Day = date | ColumnElement[date]
"""a day, or the parameter that stands for one"""


@dataclass(frozen=True, slots=True)
class PlanningFilter:
    """Whose plan: all that is given must hold; lists mean any of."""

    user_ids: Sequence[UUID] | None = None
    business_unit_ids: Sequence[UUID] | None = None
    project_ids: Sequence[UUID] | None = None
    search: str | None = None
    overallocated: bool | None = None
    has_conflict: bool | None = None
    include_left: bool = False


class CapacityFacts(NamedTuple):
    """A row of `capacities` as it was read."""

    computed: Decimal
    override: Decimal | None
    tentative: Decimal
    recomputing: bool
    version: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Capacities, cells and closed months as they stood at one moment."""

    capacities: dict[tuple[UUID, date], CapacityFacts]
    cells: dict[tuple[UUID, date], list[CellRow]]
    closed: frozenset[date]


EVERYBODY = PlanningFilter()

BY_NAME: tuple[Any, ...] = (func.lower(_U.last_name), func.lower(_U.first_name), _U.id)


async def people(
    connection: LightConnection,
    wanted: PlanningFilter,
    first: date,
    last: date,
    offset: int,
    limit: int,
    *,
    brief: bool = False,
) -> Sequence[UserRow]:
    if wanted == EVERYBODY:
        return await _everybody(brief).rows(connection, first=first, last=last, offset=offset, limit=limit)
    columns, row = LIGHT_BRIEF if brief else LIGHT
    statement = select(*columns).where(*whom(wanted, first, last)).order_by(*BY_NAME).offset(offset).limit(limit)
    return await connection.rows(statement, row)


@cache
def _everybody(brief: bool) -> Light[UserRow]:
    """Compiled once: to put the statement together takes as long as to run it."""
    columns, row = LIGHT_BRIEF if brief else LIGHT
    first, last = bindparam("first", type_=Date), bindparam("last", type_=Date)
    statement = select(*columns).where(*whom(EVERYBODY, first, last)).order_by(*BY_NAME)
    return Light(statement.offset(bindparam("offset")).limit(bindparam("limit")), row)


async def count_people(session: AsyncSession, wanted: PlanningFilter, first: date, last: date) -> int:
    statement = select(func.count()).select_from(_U).where(*whom(wanted, first, last))
    return int((await session.scalars(statement)).one())


async def people_among(
    session: AsyncSession, ids: Sequence[UUID], wanted: PlanningFilter, first: date, last: date
) -> frozenset[UUID]:
    """Which of these people the filter means."""
    statement = select(_U.id).where(is_any(_U.id, ids), *whom(wanted, first, last))
    return frozenset((await session.scalars(statement)).all())


def whom(wanted: PlanningFilter, first: Day, last: Day) -> list[ColumnElement[bool]]:
    """Conditions on `users`. Service users are never planned; people who left are, in months of their contracts.

    People who were shut out are where they have load, so that what a past month came to does not change with them.
    """
    conditions: list[ColumnElement[bool]] = [_U.is_service.is_(False)]
    if not wanted.include_left:
        left = and_(_U.status == UserStatus.LEFT, _under_contract(first, last))
        shut_out = and_(_U.status == UserStatus.DEACTIVATED, _loaded(first, last))
        conditions.append(or_(_U.is_active, left, shut_out))
    if wanted.user_ids is not None:
        conditions.append(is_any(_U.id, wanted.user_ids))
    if wanted.business_unit_ids is not None:
        conditions.append(is_any(_U.business_unit_id, wanted.business_unit_ids))
    if wanted.search and wanted.search.strip():
        name = func.concat(_U.first_name, " ", _U.last_name, " ", _U.first_name)  # either may come first
        conditions.append(contains(" ".join(wanted.search.split()), name))
    in_range = _F.month.between(first, last)
    if wanted.project_ids is not None:
        loaded = select(_F.user_id).where(in_range, is_any(_F.project_id, wanted.project_ids), EFFECTIVE_DAYS != 0)
        conditions.append(_U.id.in_(loaded))
    if wanted.has_conflict is not None:
        conflicting = select(_F.user_id).where(in_range, _F.stated != _F.expected)
        conditions.append(_U.id.in_(conflicting) if wanted.has_conflict else _U.id.not_in(conflicting))
    if wanted.overallocated is not None:
        overloaded = _overallocated(first, last)
        conditions.append(_U.id.in_(overloaded) if wanted.overallocated else _U.id.not_in(overloaded))
    return conditions


# Scalar subqueries with a limit, not EXISTS, which PostgreSQL may answer from a hash of all cells and contracts of the
# range, and does when it expects many to be asked about: here these few who left or were shut out are.
def _loaded(first: Day, last: Day) -> ColumnElement[bool]:
    mine = and_(_F.user_id == _U.id, _F.month.between(first, last), EFFECTIVE_DAYS != 0)
    return select(literal(True)).where(mine).limit(1).scalar_subquery()


def _under_contract(first: Day, last: Day) -> ColumnElement[bool]:
    after_last = cast(last, Date) + text("INTERVAL '1 month'")
    mine = and_(
        ContractRow.user_id == _U.id,
        ContractRow.start_date < after_last,
        or_(ContractRow.end_date.is_(None), ContractRow.end_date >= first),
    )
    return select(literal(True)).where(mine).limit(1).scalar_subquery()


def _overallocated(first: Day, last: Day) -> Select[tuple[UUID]]:
    """Whoever has a month with more load than capacity; a month without a capacity row has none."""
    loads = (
        select(_F.user_id, _F.month, func.sum(EFFECTIVE_DAYS).label("load"))
        .where(_F.month.between(first, last))
        .group_by(_F.user_id, _F.month)
        .subquery("loads")
    )
    return (
        select(loads.c.user_id)
        .outerjoin(_C, and_(_C.user_id == loads.c.user_id, _C.month == loads.c.month))
        .where(loads.c.load > func.coalesce(EFFECTIVE_CAPACITY, 0))
    )


# Capacities, cells and closed months come from one statement, hence from one snapshot: with two of them, a write
# between the two would show a load that its capacity never stood beside. A REPEATABLE READ transaction would do the
# same for two more round trips (BEGIN, COMMIT) and a connection that is not in AUTOCOMMIT. The three kinds of rows
# share their columns as far as they can, and are told apart by the ids that are null.
async def picture(source: Source, user_ids: Sequence[UUID], first: date, last: date) -> Picture:
    """What the months of these people hold, of every month of the range."""

    def of_them(row: Any) -> ColumnElement[bool]:
        return and_(is_any(row.user_id, user_ids), row.month.between(first, last))

    return await _read(source, of_them, ClosedMonthRow.month.between(first, last))


async def picture_of(session: AsyncSession, keys: Sequence[tuple[UUID, date]]) -> Picture:
    """What these (person, month)s hold."""
    users, months = [key[0] for key in keys], [key[1] for key in keys]
    pairs = text(
        "SELECT * FROM unnest(CAST(:pair_users AS uuid[]), CAST(:pair_months AS date[])) AS pair (user_id, month)"
    ).bindparams(pair_users=users, pair_months=months)
    wanted = pairs.columns(user_id=Uuid(), month=Date()).cte("wanted")

    def of_them(row: Any) -> ColumnElement[bool]:
        return exists().where(wanted.c.user_id == row.user_id, wanted.c.month == row.month)

    return await _read(session, of_them, is_any(ClosedMonthRow.month, sorted(set(months))))


async def _read(source: Source, of_them: Any, closed_months: ColumnElement[bool]) -> Picture:
    nothing = null()
    capacities = select(
        _C.id,
        _C.user_id,
        cast(nothing, _F.project_id.type),
        _C.month,
        _C.computed,
        _C.override,
        cast(nothing, _F.stated_source.type),
        _C.tentative,
        literal(False),
        _C.recomputing,
        _C.version,
        _C.updated_at,
    ).where(of_them(_C))
    cells = select(*COLUMNS).where(of_them(_F), HAS_VALUE)
    closed = select(
        cast(nothing, _F.id.type),
        cast(nothing, _F.user_id.type),
        cast(nothing, _F.project_id.type),
        ClosedMonthRow.month,
        *(cast(nothing, column.type) for column in COLUMNS[4:]),
    ).where(closed_months)
    everything = union_all(cells, capacities, closed).order_by("user_id", "month", "project_id")
    # A writer puts people and projects into its cells; readers have thousands, in which nothing is put.
    is_reading = isinstance(source, LightConnection)
    found = Picture({}, {}, frozenset())
    closed_among: set[date] = set()
    row: Any
    for row in await read(source, everything, LightCell):
        _, user_id, project_id, month, computed, override, _, tentative, _, recomputing, version, _ = row
        if project_id is not None:
            key = (user_id, month)
            cell: Any = row if is_reading else CellRow(*row)
            if key in found.cells:
                found.cells[key].append(cell)
            else:
                found.cells[key] = [cell]
        elif user_id is not None:
            found.capacities[user_id, month] = CapacityFacts(computed, override, tentative, recomputing, version)
        else:
            closed_among.add(month)
    return Picture(found.capacities, found.cells, frozenset(closed_among))


async def keys_of_months(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[tuple[UUID, date]]:
    """The (person, month) of each of these month ids that has a row."""
    statement = select(_C.user_id, _C.month).where(is_any(_C.id, ids))
    return [(row[0], row[1]) for row in await session.execute(statement)]
