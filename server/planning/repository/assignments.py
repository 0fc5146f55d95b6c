"""Sentences about assignments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any, is_any_of
from server.light_rows import Light, LightConnection, light
from server.planning.models import AssignmentRow, ContractRow
from server.projects.models import ProjectRow
from server.users.models import UserRow

_A = AssignmentRow


class AssignmentOrder(StrEnum):
    START_DATE = "START_DATE"
    END_DATE = "END_DATE"
    UPDATED_AT = "UPDATED_AT"


_ORDERS: dict[AssignmentOrder, tuple[Any, ...]] = {
    AssignmentOrder.START_DATE: (_A.start_date, _A.id),
    AssignmentOrder.END_DATE: (_A.end_date, _A.id),
    AssignmentOrder.UPDATED_AT: (_A.updated_at, _A.id),
}


@dataclass(frozen=True, slots=True)
class AssignmentFilter:
    """All that is given must hold; lists mean any of. Deleted ones come with `updated_after` or on request only.

    `active_from` and `active_to` find those that reach into these days.
    """

    user_ids: Sequence[UUID] | None = None
    project_ids: Sequence[UUID] | None = None
    business_unit_ids: Sequence[UUID] | None = None
    active_from: date | None = None
    active_to: date | None = None
    include_deleted: bool = False
    updated_after: datetime | None = None


@dataclass(frozen=True)
class Period:
    """What a nested list may ask for: assignments that reach into these days."""

    active_from: date | None = None
    active_to: date | None = None


async def locked(session: AsyncSession, assignment_id: UUID) -> AssignmentRow | None:
    """An assignment that is not deleted."""
    statement = select(_A).where(_A.id == assignment_id, _A.deleted_at.is_(None)).with_for_update()
    return (await session.scalars(statement)).one_or_none()


async def hold_project(session: AsyncSession, project_id: UUID) -> ProjectRow | None:
    """The project as it stays until the end of the transaction: closing or deleting it waits, or came first."""
    statement = select(ProjectRow).where(ProjectRow.id == project_id, ProjectRow.deleted_at.is_(None))
    return (await session.scalars(statement.with_for_update(read=True))).one_or_none()


async def hold_project_of(session: AsyncSession, assignment_id: UUID) -> ProjectRow | None:
    """Before the assignment itself is locked: deleting a project locks it first and its assignments then."""
    project_id = select(_A.project_id).where(_A.id == assignment_id).scalar_subquery()
    statement = select(ProjectRow).where(ProjectRow.id == project_id)
    return (await session.scalars(statement.with_for_update(read=True))).one_or_none()


async def has_contract(session: AsyncSession, user_id: UUID, first: date, last: date) -> bool:
    within = and_(ContractRow.start_date <= last, or_(ContractRow.end_date.is_(None), ContractRow.end_date >= first))
    return bool((await session.scalars(select(exists().where(ContractRow.user_id == user_id, within)))).one())


BRIEF = ("id", "user_id", "project_id", "rate", "start_date", "end_date")
"""what lists of other things say of an assignment"""
_LIGHT, _LIGHT_BRIEF = light(_A), light(_A, only=BRIEF)


@cache
def _of(column: Any, has_start: bool, has_end: bool, brief: bool) -> Light[AssignmentRow]:
    """By one of its ends; compiled once for each way to bound the period."""
    columns, row = _LIGHT_BRIEF if brief else _LIGHT
    conditions = [is_any_of(column, "ids"), _A.deleted_at.is_(None)]
    if has_start:
        conditions.append(_A.end_date >= bindparam("active_from"))
    if has_end:
        conditions.append(_A.start_date <= bindparam("active_to"))
    return Light(select(*columns).where(*conditions).order_by(_A.start_date, _A.id), row)


async def of_users(
    connection: LightConnection, ids: Sequence[UUID], *, period: Period, brief: bool = False
) -> Sequence[AssignmentRow]:
    return await _within(connection, _A.user_id, ids, period, brief)


async def of_projects(
    connection: LightConnection, ids: Sequence[UUID], *, period: Period, brief: bool = False
) -> Sequence[AssignmentRow]:
    return await _within(connection, _A.project_id, ids, period, brief)


async def _within(
    connection: LightConnection, column: Any, ids: Sequence[UUID], period: Period, brief: bool
) -> Sequence[AssignmentRow]:
    bounds = {name: day for name, day in vars(period).items() if day is not None}
    query = _of(column, "active_from" in bounds, "active_to" in bounds, brief)
    return await query.rows(connection, ids=ids, **bounds)


async def page(
    session: AsyncSession, wanted: AssignmentFilter, order: AssignmentOrder, offset: int, limit: int
) -> Sequence[AssignmentRow]:
    if wanted.updated_after is not None:
        order = AssignmentOrder.UPDATED_AT  # an incremental read that stops half-way must be able to go on
    statement = _where(select(_A), wanted).order_by(*_ORDERS[order]).offset(offset).limit(limit)
    return (await session.scalars(statement)).all()


async def count(session: AsyncSession, wanted: AssignmentFilter) -> int:
    return int((await session.scalars(_where(select(func.count()).select_from(_A), wanted))).one())


def _where(statement: Select[Any], wanted: AssignmentFilter) -> Select[Any]:
    if wanted.updated_after is not None:
        statement = statement.where(_A.updated_at >= wanted.updated_after)
    elif not wanted.include_deleted:
        statement = statement.where(_A.deleted_at.is_(None))
    if wanted.user_ids is not None:
        statement = statement.where(is_any(_A.user_id, wanted.user_ids))
    if wanted.project_ids is not None:
        statement = statement.where(is_any(_A.project_id, wanted.project_ids))
    if wanted.business_unit_ids is not None:
        members = select(UserRow.id).where(is_any(UserRow.business_unit_id, wanted.business_unit_ids))
        statement = statement.where(_A.user_id.in_(members))
    if wanted.active_from is not None:
        statement = statement.where(_A.end_date >= wanted.active_from)
    if wanted.active_to is not None:
        statement = statement.where(_A.start_date <= wanted.active_to)
    return statement
