"""Sentences about projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any, is_any_of
from server.light_rows import Light, LightConnection, light
from server.projects.models import ProjectRow, ProjectStatus
from server.search import contains, storable


class ProjectOrder(StrEnum):
    CODE = "CODE"
    NAME = "NAME"
    START_DATE = "START_DATE"
    UPDATED_AT = "UPDATED_AT"


@dataclass(frozen=True, slots=True)
class ProjectFilter:
    """All that is given must hold; lists mean any of. Deleted projects come with `updated_after` only."""

    ids: Sequence[UUID] | None = None
    statuses: Sequence[ProjectStatus] | None = None
    business_unit_ids: Sequence[UUID] | None = None
    search: str | None = None
    active_on: date | None = None
    archived: bool | None = None
    updated_after: datetime | None = None


EVERY = ProjectFilter()

_ORDERS: dict[ProjectOrder, tuple[Any, ...]] = {
    ProjectOrder.CODE: (func.lower(ProjectRow.code), ProjectRow.id),
    ProjectOrder.NAME: (func.lower(ProjectRow.name), ProjectRow.id),
    ProjectOrder.START_DATE: (ProjectRow.start_date.asc().nulls_last(), ProjectRow.id),
    ProjectOrder.UPDATED_AT: (ProjectRow.updated_at, ProjectRow.id),
}


BRIEF = ("id", "code", "name", "status", "start_date", "end_date")
"""what most lists say of a project, read in half the time of all columns"""
_LIGHT, _LIGHT_BRIEF = light(ProjectRow), light(ProjectRow, only=BRIEF)
_BY_IDS, _BRIEF_BY_IDS = (
    Light(select(*columns).where(is_any_of(ProjectRow.id, "ids")), row) for columns, row in (_LIGHT, _LIGHT_BRIEF)
)


async def light_by_ids(connection: LightConnection, ids: Sequence[UUID]) -> Sequence[ProjectRow]:
    """As `by_ids`."""
    return await _BY_IDS.rows(connection, ids=ids)


async def brief_by_ids(connection: LightConnection, ids: Sequence[UUID]) -> Sequence[ProjectRow]:
    return await _BRIEF_BY_IDS.rows(connection, ids=ids)


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[ProjectRow]:
    """Deleted ones too: what once pointed to a project still does."""
    return (await session.scalars(select(ProjectRow).where(is_any(ProjectRow.id, ids)))).all()


async def by_id(session: AsyncSession, project_id: UUID, *, for_update: bool = False) -> ProjectRow | None:
    """A project that is not deleted."""
    statement = select(ProjectRow).where(ProjectRow.id == project_id, ProjectRow.deleted_at.is_(None))
    # NO KEY: cells of the project may be inserted meanwhile; their foreign key would wait for a full lock.
    locked = statement.with_for_update(key_share=True) if for_update else statement
    return (await session.scalars(locked)).one_or_none()


async def by_code(session: AsyncSession, code: str) -> ProjectRow | None:
    """By code without regard to case, as the unique index has it: PostgreSQL's lower(), which is not Python's."""
    if not storable(code):
        return None
    same = func.lower(ProjectRow.code) == func.lower(code.strip())
    statement = select(ProjectRow).where(same, ProjectRow.deleted_at.is_(None))
    return (await session.scalars(statement)).one_or_none()


async def page(
    connection: LightConnection,
    wanted: ProjectFilter,
    order: ProjectOrder,
    offset: int,
    limit: int,
    *,
    brief: bool = False,
) -> Sequence[ProjectRow]:
    if wanted == EVERY:
        return await _every(order, brief).rows(connection, offset=offset, limit=limit)
    if wanted.updated_after is not None:
        order = ProjectOrder.UPDATED_AT  # an incremental read that stops half-way must be able to go on
    columns, row = _LIGHT_BRIEF if brief else _LIGHT
    statement = _where(select(*columns), wanted).order_by(*_ORDERS[order]).offset(offset).limit(limit)
    return await connection.rows(statement, row)


@cache
def _every(order: ProjectOrder, brief: bool) -> Light[ProjectRow]:
    """The page that is asked for most, compiled once: to put a statement together takes as long as to run it."""
    columns, row = _LIGHT_BRIEF if brief else _LIGHT
    statement = _where(select(*columns), EVERY).order_by(*_ORDERS[order])
    return Light(statement.offset(bindparam("offset")).limit(bindparam("limit")), row)


async def count(session: AsyncSession, wanted: ProjectFilter) -> int:
    return int((await session.scalars(_where(select(func.count()).select_from(ProjectRow), wanted))).one())


def _where(statement: Select[Any], wanted: ProjectFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.updated_after is None:
        conditions.append(ProjectRow.deleted_at.is_(None))
    else:
        conditions.append(ProjectRow.updated_at >= wanted.updated_after)
    if wanted.ids is not None:
        conditions.append(is_any(ProjectRow.id, wanted.ids))
    if wanted.statuses is not None:
        conditions.append(is_any(ProjectRow.status, wanted.statuses))
    if wanted.business_unit_ids is not None:
        conditions.append(is_any(ProjectRow.business_unit_id, wanted.business_unit_ids))
    if wanted.search:
        conditions.append(contains(wanted.search, ProjectRow.code, ProjectRow.name))
    if wanted.active_on is not None:
        conditions.append(or_(ProjectRow.start_date.is_(None), ProjectRow.start_date <= wanted.active_on))
        conditions.append(or_(ProjectRow.end_date.is_(None), ProjectRow.end_date >= wanted.active_on))
    if wanted.archived is not None:
        conditions.append(ProjectRow.archived_at.is_not(None) if wanted.archived else ProjectRow.archived_at.is_(None))
    return statement.where(*conditions)
