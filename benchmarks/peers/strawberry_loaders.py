"""The database of the Strawberry peer: a pool, a session per loader batch, and the loaders of one request."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from strawberry.dataloader import DataLoader

from server.planning.models import AssignmentRow, CapacityRow, ForecastRow
from server.projects.models import ProjectRow
from server.users.models import UserRow

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=10, max_overflow=10
)
Session = async_sessionmaker(engine, expire_on_commit=False)
HAS_VALUE = or_(ForecastRow.stated.is_not(None), ForecastRow.expected != 0, ForecastRow.actual.is_not(None))
Key = tuple[UUID, date]


async def load_users(ids: list[UUID]) -> list[UserRow]:
    return await _by_ids(UserRow, ids)


async def load_projects(ids: list[UUID]) -> list[ProjectRow]:
    return await _by_ids(ProjectRow, ids)


async def _by_ids(kind: Any, ids: Sequence[UUID]) -> list[Any]:
    async with Session() as session:
        rows = {row.id: row for row in await session.scalars(select(kind).where(kind.id.in_(ids)))}
    return [rows[wanted] for wanted in ids]


async def load_assignments(ids: list[UUID]) -> list[list[AssignmentRow]]:
    statement = (
        select(AssignmentRow)
        .where(AssignmentRow.project_id.in_(ids), AssignmentRow.deleted_at.is_(None))
        .order_by(AssignmentRow.start_date, AssignmentRow.id)
    )
    groups: dict[UUID, list[AssignmentRow]] = defaultdict(list)
    async with Session() as session:
        for row in await session.scalars(statement):
            groups[row.project_id].append(row)
    return [groups[wanted] for wanted in ids]


async def load_cells(keys: list[Key]) -> list[list[ForecastRow]]:
    users, months = {key[0] for key in keys}, {key[1] for key in keys}
    statement = (
        select(ForecastRow)
        .where(ForecastRow.user_id.in_(users), ForecastRow.month.in_(months), HAS_VALUE)
        .order_by(ForecastRow.project_id)
    )
    groups: dict[Key, list[ForecastRow]] = defaultdict(list)
    async with Session() as session:
        for row in await session.scalars(statement):
            groups[row.user_id, row.month].append(row)
    return [groups[key] for key in keys]


async def load_capacities(keys: list[Key]) -> list[Decimal]:
    users, months = {key[0] for key in keys}, {key[1] for key in keys}
    statement = select(CapacityRow).where(CapacityRow.user_id.in_(users), CapacityRow.month.in_(months))
    async with Session() as session:
        found = {(row.user_id, row.month): row.effective for row in await session.scalars(statement)}
    return [found.get(key, Decimal("0.00")) for key in keys]


class Context:
    """One per request, with fresh loaders; one per socket for subscriptions."""

    connection_params: dict[str, Any] | None = None

    def __init__(self, user_id: UUID | None) -> None:
        self.user_id = user_id
        self.users = DataLoader(load_fn=load_users)
        self.projects = DataLoader(load_fn=load_projects)
        self.assignments = DataLoader(load_fn=load_assignments)
        self.cells = DataLoader(load_fn=load_cells)
        self.capacities = DataLoader(load_fn=load_capacities)


Info = strawberry.Info[Context, None]
