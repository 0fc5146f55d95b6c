"""Sentences about people and business units."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any
from server.users.models import BusinessUnitRow, UserRow


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[UserRow]:
    return (await session.scalars(select(UserRow).where(is_any(UserRow.id, ids)))).all()


async def units_by_ids(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[BusinessUnitRow]:
    return (await session.scalars(select(BusinessUnitRow).where(is_any(BusinessUnitRow.id, ids)))).all()


async def unit_by_id(session: AsyncSession, unit_id: UUID) -> BusinessUnitRow | None:
    return await session.get(BusinessUnitRow, unit_id)
