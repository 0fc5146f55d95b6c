"""Sentences about absences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.actor import Actor, Permission
from server.columns import is_any
from server.planning.models import AbsenceRow, AbsenceStatus
from server.planning.repository.visibility import visible

_A = AbsenceRow


class AbsenceOrder(StrEnum):
    START_DATE = "START_DATE"
    UPDATED_AT = "UPDATED_AT"


_ORDERS: dict[AbsenceOrder, tuple[Any, ...]] = {
    AbsenceOrder.START_DATE: (_A.start_date, _A.id),
    AbsenceOrder.UPDATED_AT: (_A.updated_at, _A.id),
}


@dataclass(frozen=True, slots=True)
class AbsenceFilter:
    """All that is given must hold; `first` and `last` find absences that reach into those days."""

    user_ids: Sequence[UUID] | None = None
    first: date | None = None
    last: date | None = None
    status: AbsenceStatus | None = None


async def locked(session: AsyncSession, absence_id: UUID) -> AbsenceRow | None:
    return (await session.scalars(select(_A).where(_A.id == absence_id).with_for_update())).one_or_none()


async def page(
    session: AsyncSession, wanted: AbsenceFilter, visible_to: Actor, order: AbsenceOrder, offset: int, limit: int
) -> Sequence[AbsenceRow]:
    statement = _where(select(_A), wanted, visible_to).order_by(*_ORDERS[order]).offset(offset).limit(limit)
    return (await session.scalars(statement)).all()


async def count(session: AsyncSession, wanted: AbsenceFilter, visible_to: Actor) -> int:
    statement = _where(select(func.count()).select_from(_A), wanted, visible_to)
    return int((await session.scalars(statement)).one())


def _where(statement: Select[Any], wanted: AbsenceFilter, visible_to: Actor) -> Select[Any]:
    conditions = [visible(visible_to, Permission.ABSENCES_READ, _A.user_id)]
    if wanted.user_ids is not None:
        conditions.append(is_any(_A.user_id, wanted.user_ids))
    if wanted.first is not None:
        conditions.append(_A.end_date >= wanted.first)
    if wanted.last is not None:
        conditions.append(_A.start_date <= wanted.last)
    if wanted.status is not None:
        conditions.append(_A.status == wanted.status)
    return statement.where(*conditions)
