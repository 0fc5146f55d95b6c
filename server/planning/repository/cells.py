"""Sentences about cells: reading them, and writing many of them in a constant number of statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.planning.domain.cells import CellKey
from server.planning.models import CellSource, ForecastRow
from server.projects.models import ProjectRow
from server.users.models import UserRow


# A light row instead of ForecastRow: a grid holds thousands of them, and none is ever changed through a session.
@dataclass(slots=True)
class CellRow:
    """A cell as it was read. `user_row` and `project_row` stand where they were read in the cell's own transaction."""

    id: UUID
    user_id: UUID
    project_id: UUID
    month: date
    expected: Decimal
    stated: Decimal | None
    stated_source: CellSource | None
    actual: Decimal
    late_actual: bool
    recomputing: bool
    version: int
    updated_at: datetime
    user_row: UserRow | None = None
    project_row: ProjectRow | None = None

    @property
    def days(self) -> Decimal:
        return self.expected if self.stated is None else self.stated

    @property
    def source(self) -> CellSource:
        return self.stated_source or CellSource.ASSIGNMENT


class _CellColumns(NamedTuple):
    id: UUID
    user_id: UUID
    project_id: UUID
    month: date
    expected: Decimal
    stated: Decimal | None
    stated_source: CellSource | None
    actual: Decimal
    late_actual: bool
    recomputing: bool
    version: int
    updated_at: datetime


class LightCell(_CellColumns):
    """A CellRow for readers, who have thousands of them and put nothing into them."""

    __slots__ = ()
    user_row = None
    project_row = None
    days = CellRow.days
    source = CellRow.source


class ForecastOrder(StrEnum):
    MONTH = "MONTH"
    DAYS = "DAYS"
    UPDATED_AT = "UPDATED_AT"


@dataclass(frozen=True, slots=True)
class CellFilter:
    """All that is given must hold; lists mean any of."""

    user_ids: Sequence[UUID] | None = None
    business_unit_ids: Sequence[UUID] | None = None
    project_ids: Sequence[UUID] | None = None
    first: date | None = None
    last: date | None = None
    sources: Sequence[CellSource] | None = None
    updated_after: datetime | None = None


_F = ForecastRow
COLUMNS: tuple[Any, ...] = (
    _F.id,
    _F.user_id,
    _F.project_id,
    _F.month,
    _F.expected,
    _F.stated,
    _F.stated_source,
    func.coalesce(_F.actual, literal(Decimal("0.00"))).label("actual"),
    _F.late_actual,
    _F.recomputing,
    _F.version,
    _F.updated_at,
)
HAS_VALUE = or_(_F.stated.is_not(None), _F.expected != 0, _F.actual.is_not(None))
"""Cells without any of the three keep their row for their version, and are not listed."""


def _cell(row: Any) -> CellRow:
    return CellRow(*row)


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[CellRow]:
    """Cleared cells too: a client that holds one must see that it is empty now."""
    return [_cell(row) for row in await session.execute(select(*COLUMNS).where(is_any(_F.id, ids)).order_by(_F.id))]


async def of_projects(session: AsyncSession, keys: Sequence[tuple[UUID, date]]) -> Sequence[CellRow]:
    """The cells of these (project, month)s, by person."""
    wanted = _pairs(keys)
    statement = (
        select(*COLUMNS)
        .join(wanted, and_(wanted.c.id == _F.project_id, wanted.c.month == _F.month))
        .where(HAS_VALUE)
        .order_by(_F.project_id, _F.month, _F.user_id)
    )
    return [_cell(row) for row in await session.execute(statement)]


@dataclass(frozen=True, slots=True)
class ProjectTotals:
    """The sums of a project's cells in a month; `stated` and `actual` are None where no cell has any."""

    project_id: UUID
    month: date
    load: Decimal
    expected: Decimal
    stated: Decimal | None
    actual: Decimal | None


async def project_totals(
    session: AsyncSession, project_ids: Sequence[UUID], first: date, last: date
) -> Sequence[ProjectTotals]:
    """Of the months in which these projects have cells."""
    days = func.coalesce(_F.stated, _F.expected)
    sums = (func.sum(days), func.sum(_F.expected), func.sum(_F.stated), func.sum(_F.actual))
    statement = (
        select(_F.project_id, _F.month, *sums)
        .where(is_any(_F.project_id, project_ids), _F.month.between(first, last), HAS_VALUE)
        .group_by(_F.project_id, _F.month)
    )
    return [ProjectTotals(*row) for row in await session.execute(statement)]


_ORDERS: dict[ForecastOrder, tuple[Any, ...]] = {
    ForecastOrder.MONTH: (_F.month, _F.user_id, _F.project_id),
    ForecastOrder.DAYS: (func.coalesce(_F.stated, _F.expected).desc(), _F.id),
    ForecastOrder.UPDATED_AT: (_F.updated_at, _F.id),
}


async def page(
    session: AsyncSession, wanted: CellFilter, order: ForecastOrder, offset: int, limit: int
) -> Sequence[CellRow]:
    if wanted.updated_after is not None:
        order = ForecastOrder.UPDATED_AT  # an incremental read that stops half-way must be able to go on
    statement = select(*COLUMNS).where(*_conditions(wanted)).order_by(*_ORDERS[order]).offset(offset).limit(limit)
    return [_cell(row) for row in await session.execute(statement)]


async def count(session: AsyncSession, wanted: CellFilter) -> int:
    statement = select(func.count()).select_from(_F).where(*_conditions(wanted))
    return int((await session.scalars(statement)).one())


def _conditions(wanted: CellFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.updated_after is None:
        conditions.append(HAS_VALUE)
    else:  # emptied cells too, or an incremental reader would keep them for ever
        conditions.append(_F.updated_at >= wanted.updated_after)
    if wanted.user_ids is not None:
        conditions.append(is_any(_F.user_id, wanted.user_ids))
    if wanted.business_unit_ids is not None:
        members = select(UserRow.id).where(is_any(UserRow.business_unit_id, wanted.business_unit_ids))
        conditions.append(_F.user_id.in_(members))
    if wanted.project_ids is not None:
        conditions.append(is_any(_F.project_id, wanted.project_ids))
    if wanted.first is not None:
        conditions.append(_F.month >= wanted.first)
    if wanted.last is not None:
        conditions.append(_F.month <= wanted.last)
    if wanted.sources is not None:
        stated = [source for source in wanted.sources if source is not CellSource.ASSIGNMENT]
        by_source = is_any(_F.stated_source, stated)
        conditions.append(or_(by_source, _F.stated.is_(None)) if CellSource.ASSIGNMENT in wanted.sources else by_source)
    return conditions


# In the order of ids, as every writer of cells locks them: two first writes of one cell wait for each other here, on
# the primary key, and cannot wait in a circle.
_INSERT_MISSING = text(
    "INSERT INTO forecasts (id, user_id, project_id, month)"
    " SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:user_ids AS uuid[]), CAST(:project_ids AS uuid[]),"
    " CAST(:months AS date[])) AS new (id, user_id, project_id, month) ORDER BY id"
    " ON CONFLICT DO NOTHING RETURNING id"
)


async def insert_missing(session: AsyncSession, cells: Mapping[UUID, CellKey]) -> frozenset[UUID]:
    """A blank row for each cell, by its id, that has none, so that it can be locked; the ids of those that were new."""
    values = {
        "ids": list(cells),
        "user_ids": [key.user_id for key in cells.values()],
        "project_ids": [key.project_id for key in cells.values()],
        "months": [key.month for key in cells.values()],
    }
    return frozenset((await session.scalars(_INSERT_MISSING, values)).all())


async def lock(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[CellRow]:
    """The cells as they are, locked in the order of their ids."""
    statement = select(*COLUMNS).where(is_any(_F.id, ids)).order_by(_F.id).with_for_update()
    return [_cell(row) for row in (await session.execute(statement)).all()]


# The moment is that of the transaction, one for all rows: RETURNING it from each takes longer than the rest.
_STATE = text(
    "WITH stated AS (UPDATE forecasts AS f SET stated = new.stated, source = new.source, version = new.version,"
    " updated_by_id = :updated_by_id, updated_at = now()"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:stated AS numeric[]), CAST(:sources AS text[]),"
    " CAST(:versions AS integer[])) AS new (id, stated, source, version) WHERE f.id = new.id) SELECT now()"
)


async def state(session: AsyncSession, cells: Sequence[CellRow], updated_by_id: UUID | None) -> datetime:
    """Writes what people stated into rows that are locked; the moment that they now bear."""
    values = {
        "ids": [cell.id for cell in cells],
        "stated": [cell.stated for cell in cells],
        "sources": [cell.stated_source and cell.stated_source.value for cell in cells],
        "versions": [cell.version for cell in cells],
        "updated_by_id": updated_by_id,
    }
    moment: datetime = (await session.scalars(_STATE, values)).one()
    return moment


async def share_projects(session: AsyncSession, ids: Collection[UUID]) -> Sequence[ProjectRow]:
    """Projects that stay as they are until the transaction ends: none is closed or deleted under a cell's write."""
    statement = select(ProjectRow).where(is_any(ProjectRow.id, ids)).order_by(ProjectRow.id)
    return (await session.scalars(statement.with_for_update(read=True))).all()


async def share_users(session: AsyncSession, ids: Collection[UUID]) -> Sequence[UserRow]:
    """People whose figures are not recomputed until the transaction ends; any number of cell writes may share them.

    A recomputation locks existing and new cells in one go, cell writes in two: on the same cells they could wait for
    each other for ever, so they meet here. Projects come first, because deleting one goes on to its people.
    """
    statement = select(UserRow).where(is_any(UserRow.id, ids)).order_by(UserRow.id)
    return (await session.scalars(statement.with_for_update(read=True))).all()


async def remove_blank(session: AsyncSession, ids: Sequence[UUID]) -> None:
    """Takes back what `insert_missing` put in for cells that were not written after all."""
    await session.execute(text("DELETE FROM forecasts WHERE id = ANY(CAST(:ids AS uuid[]))"), {"ids": list(ids)})


def _pairs(keys: Sequence[tuple[UUID, date]]) -> Any:
    """(id, month) pairs as a table that can be joined: two parameters, however many pairs."""
    ids, months = [key[0] for key in keys], [key[1] for key in keys]
    return (
        text("SELECT * FROM unnest(CAST(:pair_ids AS uuid[]), CAST(:pair_months AS date[])) AS pair (id, month)")
        .bindparams(pair_ids=ids, pair_months=months)
        .columns(id=_F.project_id.type, month=_F.month.type)
        .subquery("pair")
    )
