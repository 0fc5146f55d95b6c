"""Sentences about the capacities of people's months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
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
