"""Sentences about contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.actor import Actor, Permission
from server.columns import is_any
from server.planning.models import ContractRow
from server.planning.repository.visibility import visible
from server.users.models import UserRow, UserStatus

_C = ContractRow


class ContractOrder(StrEnum):
    USER = "USER"
    START_DATE = "START_DATE"
    UPDATED_AT = "UPDATED_AT"


_ORDERS: dict[ContractOrder, tuple[Any, ...]] = {
    ContractOrder.USER: (_C.user_id, _C.start_date, _C.id),
    ContractOrder.START_DATE: (_C.start_date, _C.id),
    ContractOrder.UPDATED_AT: (_C.updated_at, _C.id),
}


@dataclass(frozen=True, slots=True)
class ContractFilter:
    """All that is given must hold; lists mean any of."""

    user_ids: Sequence[UUID] | None = None
    business_unit_ids: Sequence[UUID] | None = None
    active_on: date | None = None
    updated_after: datetime | None = None


async def locked(session: AsyncSession, contract_id: UUID) -> ContractRow | None:
    return (await session.scalars(select(_C).where(_C.id == contract_id).with_for_update())).one_or_none()


async def of_user(session: AsyncSession, user_id: UUID) -> Sequence[ContractRow]:
    statement = select(_C).where(_C.user_id == user_id).order_by(_C.start_date, _C.id)
    return (await session.scalars(statement.execution_options(populate_existing=True))).all()


async def mark_leavers(session: AsyncSession, leavers: Sequence[UUID]) -> None:
    """Signs them off."""
    statement = (
        update(UserRow)
        .where(is_any(UserRow.id, leavers))
        .values(status=UserStatus.LEFT, is_active=False, version=UserRow.version + 1, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )
    await session.execute(statement)


async def lock_leavers(session: AsyncSession, today: date) -> Sequence[UUID]:
    """Everyone whose contracts all lie in the past; people without any contract stay as they are."""
    under_contract = exists().where(_C.user_id == UserRow.id, _runs_on(today) | (_C.start_date > today))
    statement = (
        select(UserRow.id)
        .where(UserRow.is_active, UserRow.is_service.is_(False), exists().where(_C.user_id == UserRow.id))
        .where(~under_contract)
        .order_by(UserRow.id)
        .with_for_update(key_share=True)
    )
    return (await session.scalars(statement)).all()


def _runs_on(day: date) -> ColumnElement[bool]:
    return and_(_C.start_date <= day, or_(_C.end_date.is_(None), _C.end_date >= day))


async def page(
    session: AsyncSession, wanted: ContractFilter, visible_to: Actor, order: ContractOrder, offset: int, limit: int
) -> Sequence[ContractRow]:
    if wanted.updated_after is not None:
        order = ContractOrder.UPDATED_AT  # an incremental read that stops half-way must be able to go on
    statement = _where(select(_C), wanted, visible_to).order_by(*_ORDERS[order]).offset(offset).limit(limit)
    return (await session.scalars(statement)).all()


async def count(session: AsyncSession, wanted: ContractFilter, visible_to: Actor) -> int:
    statement = _where(select(func.count()).select_from(_C), wanted, visible_to)
    return int((await session.scalars(statement)).one())


def _where(statement: Select[Any], wanted: ContractFilter, visible_to: Actor) -> Select[Any]:
    conditions = [visible(visible_to, Permission.CONTRACTS_READ, _C.user_id)]
    if wanted.updated_after is not None:
        conditions.append(_C.updated_at >= wanted.updated_after)
    if wanted.user_ids is not None:
        conditions.append(is_any(_C.user_id, wanted.user_ids))
    if wanted.business_unit_ids is not None:
        members = select(UserRow.id).where(is_any(UserRow.business_unit_id, wanted.business_unit_ids))
        conditions.append(_C.user_id.in_(members))
    if wanted.active_on is not None:
        conditions.append(_runs_on(wanted.active_on))
    return statement.where(*conditions)
