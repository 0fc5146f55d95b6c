"""Sentences about people and business units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.columns import is_any, is_any_of
from server.light_rows import Light, LightConnection, light
from server.search import contains
from server.users.models import BusinessUnitRow, UserRow, UserStatus


class UserOrder(StrEnum):
    NAME = "NAME"
    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"


@dataclass(frozen=True, slots=True)
class UserFilter:
    """All that is given must hold; lists mean any of. `search_emails` is for callers who may see e-mail addresses."""

    ids: Sequence[UUID] | None = None
    statuses: Sequence[UserStatus] | None = None
    business_unit_ids: Sequence[UUID] | None = None
    role_ids: Sequence[UUID] | None = None
    search: str | None = None
    include_service: bool = False
    updated_after: datetime | None = None
    search_emails: bool = False


class BusinessUnitOrder(StrEnum):
    CODE = "CODE"
    NAME = "NAME"


@dataclass(frozen=True, slots=True)
class BusinessUnitFilter:
    ids: Sequence[UUID] | None = None
    search: str | None = None


_ORDERS: dict[UserOrder, tuple[Any, ...]] = {
    UserOrder.NAME: (func.lower(UserRow.last_name), func.lower(UserRow.first_name), UserRow.id),
    UserOrder.CREATED_AT: (UserRow.created_at, UserRow.id),
    UserOrder.UPDATED_AT: (UserRow.updated_at, UserRow.id),
}
_UNIT_ORDERS: dict[BusinessUnitOrder, tuple[Any, ...]] = {
    BusinessUnitOrder.CODE: (func.lower(BusinessUnitRow.code), BusinessUnitRow.id),
    BusinessUnitOrder.NAME: (func.lower(BusinessUnitRow.name), BusinessUnitRow.id),
}
# Roles are the access feature's, which imports this one: the filter names the table rather than its class.
_HOLDS_ONE_OF = text("EXISTS (SELECT FROM user_roles WHERE user_id = users.id AND role_id = ANY(:role_ids))")


BRIEF = ("id", "email", "first_name", "last_name")
"""what lists of other things say of a person, read in half the time of all columns"""
LIGHT, LIGHT_BRIEF = light(UserRow, without=["password_hash"]), light(UserRow, only=BRIEF)
_BY_IDS, _BRIEF_BY_IDS = (
    Light(select(*columns).where(is_any_of(UserRow.id, "ids")), row) for columns, row in (LIGHT, LIGHT_BRIEF)
)
_UNIT_COLUMNS, UnitLight = light(BusinessUnitRow)
_UNITS_BY_IDS = Light(select(*_UNIT_COLUMNS).where(is_any_of(BusinessUnitRow.id, "ids")), UnitLight)


async def light_by_ids(connection: LightConnection, ids: Sequence[UUID]) -> Sequence[UserRow]:
    return await _BY_IDS.rows(connection, ids=ids)


async def brief_by_ids(connection: LightConnection, ids: Sequence[UUID]) -> Sequence[UserRow]:
    return await _BRIEF_BY_IDS.rows(connection, ids=ids)


async def light_units_by_ids(connection: LightConnection, ids: Sequence[UUID]) -> Sequence[BusinessUnitRow]:
    return await _UNITS_BY_IDS.rows(connection, ids=ids)


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[UserRow]:
    return (await session.scalars(select(UserRow).where(is_any(UserRow.id, ids)))).all()


async def by_id_for_update(session: AsyncSession, user_id: UUID) -> UserRow | None:
    """Leaves others free to write rows that merely refer to the user, such as the audit log's."""
    statement = select(UserRow).where(UserRow.id == user_id).with_for_update(key_share=True)
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def page(
    connection: LightConnection, wanted: UserFilter, order: UserOrder, offset: int, limit: int
) -> Sequence[UserRow]:
    if wanted.updated_after is not None:
        order = UserOrder.UPDATED_AT  # an incremental read that stops half-way must be able to go on
    columns, row = LIGHT
    statement = _where(select(*columns), wanted).order_by(*_ORDERS[order]).offset(offset).limit(limit)
    return await connection.rows(statement, row)


async def count(session: AsyncSession, wanted: UserFilter) -> int:
    return int((await session.execute(_where(select(func.count()).select_from(UserRow), wanted))).scalar_one())


def _where(statement: Select[Any], wanted: UserFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.ids is not None:
        conditions.append(is_any(UserRow.id, wanted.ids))
    if wanted.statuses is not None:
        conditions.append(is_any(UserRow.status, wanted.statuses))
    if wanted.business_unit_ids is not None:
        conditions.append(is_any(UserRow.business_unit_id, wanted.business_unit_ids))
    if wanted.role_ids is not None:
        statement = statement.where(_HOLDS_ONE_OF.bindparams(role_ids=list(wanted.role_ids)))
    if wanted.search:
        names = (UserRow.first_name + " " + UserRow.last_name, UserRow.last_name + " " + UserRow.first_name)
        emails = (func.coalesce(UserRow.email, ""),) if wanted.search_emails else ()
        conditions.append(contains(wanted.search, *names, *emails))
    if not wanted.include_service:
        conditions.append(~UserRow.is_service)
    if wanted.updated_after is not None:
        conditions.append(UserRow.updated_at >= wanted.updated_after)
    return statement.where(*conditions)


async def units_by_ids(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[BusinessUnitRow]:
    return (await session.scalars(select(BusinessUnitRow).where(is_any(BusinessUnitRow.id, ids)))).all()


async def unit_by_id(session: AsyncSession, unit_id: UUID) -> BusinessUnitRow | None:
    return await session.get(BusinessUnitRow, unit_id)


async def unit_by_id_for_update(session: AsyncSession, unit_id: UUID) -> BusinessUnitRow | None:
    statement = select(BusinessUnitRow).where(BusinessUnitRow.id == unit_id).with_for_update(key_share=True)
    return await session.scalar(statement)


async def units_page(
    session: AsyncSession, wanted: BusinessUnitFilter, order: BusinessUnitOrder, offset: int, limit: int
) -> Sequence[BusinessUnitRow]:
    statement = _where_unit(select(BusinessUnitRow), wanted).order_by(*_UNIT_ORDERS[order])
    return (await session.scalars(statement.offset(offset).limit(limit))).all()


async def units_count(session: AsyncSession, wanted: BusinessUnitFilter) -> int:
    statement = _where_unit(select(func.count()).select_from(BusinessUnitRow), wanted)
    return int((await session.execute(statement)).scalar_one())


def _where_unit(statement: Select[Any], wanted: BusinessUnitFilter) -> Select[Any]:
    if wanted.ids is not None:
        statement = statement.where(is_any(BusinessUnitRow.id, wanted.ids))
    if wanted.search:
        statement = statement.where(contains(wanted.search, BusinessUnitRow.code, BusinessUnitRow.name))
    return statement
