"""Sentences about the capacities of people's months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.actor import Actor, Permission
from server.columns import is_any
from server.planning.models import CapacityRow
from server.planning.repository.visibility import visible
from server.users.models import UserRow

_C = CapacityRow


class CapacityOrder(StrEnum):
    MONTH = "MONTH"
    UPDATED_AT = "UPDATED_AT"


_ORDERS: dict[CapacityOrder, tuple[Any, ...]] = {
    CapacityOrder.MONTH: (_C.month, _C.user_id),
    CapacityOrder.UPDATED_AT: (_C.updated_at, _C.id),
}


@dataclass(frozen=True, slots=True)
class CapacityFilter:
    """All that is given must hold; lists mean any of."""

    user_ids: Sequence[UUID] | None = None
    business_unit_ids: Sequence[UUID] | None = None
    first: date | None = None
    last: date | None = None
    updated_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Override:
    id: UUID
    user_id: UUID
    month: date
    override: Decimal | None
    version: int


class MonthTotals(NamedTuple):
    """A person's month with its capacity and the sum of its cells; without a capacity row it has no capacity."""

    capacity: Decimal
    override: Decimal | None
    tentative: Decimal
    version: int
    recomputing: bool
    closed: bool
    load: Decimal


# The sum of each month by itself, by the unique index of its cells: for hundreds of months PostgreSQL would otherwise
# sum all that these people have. A month that has neither a capacity nor a cell with a value is being worked in by
# nobody, as in the whole picture.
_TOTALS = text(
    "SELECT coalesce(c.override, c.computed, 0.00), c.override, coalesce(c.tentative, 0.00), coalesce(c.version, 0),"
    " (c.id IS NOT NULL OR held.cells > 0) AND EXISTS (SELECT FROM stale_users AS s WHERE s.user_id = wanted.user_id),"
    " EXISTS (SELECT FROM closed_months AS m WHERE m.month = wanted.month), coalesce(held.load, 0.00)"
    " FROM unnest(CAST(:users AS uuid[]), CAST(:months AS date[])) WITH ORDINALITY AS wanted (user_id, month, place)"
    " LEFT JOIN capacities AS c ON c.user_id = wanted.user_id AND c.month = wanted.month"
    " CROSS JOIN LATERAL (SELECT sum(coalesce(f.stated, f.expected)) AS load, count(*) AS cells FROM forecasts AS f"
    " WHERE f.user_id = wanted.user_id AND f.month = wanted.month"
    " AND (f.stated IS NOT NULL OR f.expected <> 0 OR f.actual IS NOT NULL)) AS held"
    " ORDER BY wanted.place"
)


# Capacities are written by those who hold the person's lock only, so a row that was not found is not there.
_STORE = text(
    "INSERT INTO capacities AS c (id, user_id, month, computed, override, version)"
    " SELECT id, user_id, month, 0, override, version FROM unnest(CAST(:id AS uuid[]), CAST(:user_id AS uuid[]),"
    " CAST(:month AS date[]), CAST(:override AS numeric[]), CAST(:version AS integer[]))"
    " AS new (id, user_id, month, override, version) ORDER BY id"
    " ON CONFLICT (id) DO UPDATE SET override = excluded.override, version = excluded.version, updated_at = now()"
)


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[CapacityRow]:
    statement = select(_C).where(is_any(_C.id, ids)).order_by(_C.id)
    return (await session.scalars(statement.execution_options(populate_existing=True))).all()


async def totals(session: AsyncSession, keys: Sequence[tuple[UUID, date]]) -> list[MonthTotals]:
    """Of these (person, month)s, in their order: what the whole picture of them comes to, without their cells."""
    values = {"users": [user_id for user_id, _ in keys], "months": [month for _, month in keys]}
    return [MonthTotals(*row) for row in (await session.execute(_TOTALS, values)).all()]


async def store_overrides(session: AsyncSession, changes: Sequence[Override]) -> None:
    names = ("id", "user_id", "month", "override", "version")
    await session.execute(_STORE, {name: [getattr(change, name) for change in changes] for name in names})


async def page(
    session: AsyncSession, wanted: CapacityFilter, visible_to: Actor, order: CapacityOrder, offset: int, limit: int
) -> Sequence[CapacityRow]:
    if wanted.updated_after is not None:
        order = CapacityOrder.UPDATED_AT  # an incremental read that stops half-way must be able to go on
    statement = _where(select(_C), wanted, visible_to).order_by(*_ORDERS[order]).offset(offset).limit(limit)
    return (await session.scalars(statement)).all()


async def count(session: AsyncSession, wanted: CapacityFilter, visible_to: Actor) -> int:
    statement = _where(select(func.count()).select_from(_C), wanted, visible_to)
    return int((await session.scalars(statement)).one())


def _where(statement: Select[Any], wanted: CapacityFilter, visible_to: Actor) -> Select[Any]:
    conditions = [visible(visible_to, Permission.PLANNING_READ, _C.user_id)]
    if wanted.updated_after is not None:
        conditions.append(_C.updated_at >= wanted.updated_after)
    if wanted.user_ids is not None:
        conditions.append(is_any(_C.user_id, wanted.user_ids))
    if wanted.business_unit_ids is not None:
        members = select(UserRow.id).where(is_any(UserRow.business_unit_id, wanted.business_unit_ids))
        conditions.append(_C.user_id.in_(members))
    if wanted.first is not None:
        conditions.append(_C.month >= wanted.first)
    if wanted.last is not None:
        conditions.append(_C.month <= wanted.last)
    return statement.where(*conditions)
