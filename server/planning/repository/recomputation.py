"""Sentences about what capacities and expected load are computed from, and about storing them in bulk.

Plain rows rather than mapped ones: a chunk of people brings tens of thousands of them, and none is changed here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.planning.models import (
    AbsenceRow,
    AssignmentRow,
    CapacityRow,
    ClosedMonthRow,
    ContractRow,
    ForecastRow,
    StaleUserRow,
)
from server.users.models import UserRow

_A, _C, _F = AssignmentRow, CapacityRow, ForecastRow
Rows = Sequence[Any]


@dataclass(frozen=True, slots=True)
class ComputedCapacity:
    id: UUID
    user_id: UUID
    month: date
    computed: Decimal
    tentative: Decimal
    working_days: Decimal
    leave: Decimal


@dataclass(frozen=True, slots=True)
class ExpectedLoad:
    id: UUID
    user_id: UUID
    project_id: UUID
    month: date
    expected: Decimal


async def everybody(session: AsyncSession, after: UUID | None = None, limit: int | None = None) -> Sequence[UUID]:
    """Everyone who can be planned, in the order of ids."""
    statement = select(UserRow.id).where(UserRow.is_service.is_(False)).order_by(UserRow.id).limit(limit)
    if after is not None:
        statement = statement.where(UserRow.id > after)
    return (await session.scalars(statement)).all()


async def lock_users(session: AsyncSession, user_ids: Collection[UUID]) -> Sequence[UUID]:
    """Makes two changes for one person wait for each other; not FOR UPDATE, which foreign keys' checks wait for."""
    statement = select(UserRow.id).where(is_any(UserRow.id, user_ids)).order_by(UserRow.id)
    return (await session.scalars(statement.with_for_update(key_share=True))).all()


async def closed_months(session: AsyncSession, first: date, last: date) -> frozenset[date]:
    statement = select(ClosedMonthRow.month).where(ClosedMonthRow.month.between(first, last))
    return frozenset((await session.scalars(statement)).all())


async def contracts(session: AsyncSession, user_ids: Collection[UUID], first: date, last: date) -> Rows:
    row = ContractRow
    statement = select(row.user_id, row.start_date, row.end_date, row.fte, row.weekday_pattern).where(
        is_any(row.user_id, user_ids), row.start_date <= last, row.end_date.is_(None) | (row.end_date >= first)
    )
    return (await session.execute(statement)).all()


async def absences(session: AsyncSession, user_ids: Collection[UUID], first: date, last: date) -> Rows:
    row = AbsenceRow
    statement = select(
        row.id, row.user_id, row.start_date, row.start_half, row.end_date, row.end_half, row.type, row.status
    ).where(is_any(row.user_id, user_ids), row.start_date <= last, row.end_date >= first)
    return (await session.execute(statement)).all()


async def assignments(session: AsyncSession, user_ids: Collection[UUID], first: date, last: date) -> Rows:
    statement = select(_A.id, _A.user_id, _A.project_id, _A.rate, _A.start_date, _A.end_date).where(
        is_any(_A.user_id, user_ids), _A.start_date <= last, _A.end_date >= first, _A.deleted_at.is_(None)
    )
    return (await session.execute(statement)).all()


async def capacities(session: AsyncSession, user_ids: Collection[UUID], first: date, last: date) -> Rows:
    statement = select(
        _C.id, _C.user_id, _C.month, _C.computed, _C.tentative, _C.working_days, _C.leave, _C.override
    ).where(is_any(_C.user_id, user_ids), _C.month.between(first, last))
    return (await session.execute(statement)).all()


async def expected(session: AsyncSession, user_ids: Collection[UUID], first: date, last: date) -> Rows:
    """The cells on which something is expected; those on which nothing is may have no row."""
    statement = select(_F.id, _F.user_id, _F.project_id, _F.month, _F.expected).where(
        is_any(_F.user_id, user_ids), _F.month.between(first, last), _F.expected != 0
    )
    return (await session.execute(statement)).all()


# Rows are locked in the order of their ids, as every writer of them does.
_STORE_CAPACITIES = text(
    "INSERT INTO capacities AS c (id, user_id, month, computed, tentative, working_days, leave, version)"
    " SELECT id, user_id, month, computed, tentative, working_days, leave, 0 FROM unnest("
    "CAST(:id AS uuid[]), CAST(:user_id AS uuid[]), CAST(:month AS date[]), CAST(:computed AS numeric[]),"
    " CAST(:tentative AS numeric[]), CAST(:working_days AS numeric[]), CAST(:leave AS numeric[]))"
    " AS new (id, user_id, month, computed, tentative, working_days, leave) ORDER BY id"
    " ON CONFLICT (id) DO UPDATE SET computed = excluded.computed, tentative = excluded.tentative,"
    " working_days = excluded.working_days, leave = excluded.leave, updated_at = now()"
    " WHERE (c.computed, c.tentative, c.working_days, c.leave) IS DISTINCT FROM"
    " (excluded.computed, excluded.tentative, excluded.working_days, excluded.leave)"
)
_STORE_EXPECTED = text(
    "INSERT INTO forecasts AS f (id, user_id, project_id, month, expected)"
    " SELECT * FROM unnest(CAST(:id AS uuid[]), CAST(:user_id AS uuid[]), CAST(:project_id AS uuid[]),"
    " CAST(:month AS date[]), CAST(:expected AS numeric[])) AS new (id, user_id, project_id, month, expected)"
    " ORDER BY id ON CONFLICT (id) DO UPDATE SET expected = excluded.expected, updated_at = now()"
    " WHERE f.expected IS DISTINCT FROM excluded.expected"
)


async def store_capacities(session: AsyncSession, rows: Sequence[ComputedCapacity]) -> None:
    """Inserts or updates; overrides and versions stay as they are."""
    await session.execute(_STORE_CAPACITIES, _columns(ComputedCapacity, rows))


async def store_expected(session: AsyncSession, rows: Sequence[ExpectedLoad]) -> None:
    """Inserts or updates; stated and declared days and versions stay as they are."""
    await session.execute(_STORE_EXPECTED, _columns(ExpectedLoad, rows))


def _columns(kind: Any, rows: Sequence[Any]) -> dict[str, list[Any]]:
    return {column.name: [getattr(row, column.name) for row in rows] for column in fields(kind)}


_MARK = text(
    "INSERT INTO stale_users (user_id) SELECT unnest(CAST(:user_ids AS uuid[])) AS id ORDER BY id"
    " ON CONFLICT DO NOTHING"
)


async def mark(session: AsyncSession, user_ids: Sequence[UUID]) -> None:
    """Says that the open months of these people are still to be recomputed; the caller holds their locks."""
    await session.execute(_MARK, {"user_ids": list(user_ids)})


async def marked_users(session: AsyncSession, limit: int) -> Sequence[UUID]:
    return (await session.scalars(select(StaleUserRow.user_id).order_by(StaleUserRow.user_id).limit(limit))).all()


async def unmark(session: AsyncSession, user_ids: Collection[UUID]) -> None:
    await session.execute(delete(StaleUserRow).where(is_any(StaleUserRow.user_id, user_ids)))
