"""Sentences about roles: what they grant, who holds them, and who could still administer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.access.models import PermissionRow, RolePermissionRow, RoleRow, UserRoleRow
from server.access.repository import ADMIN_ROLE
from server.actor import Permission, Scope
from server.columns import is_any
from server.ids import named_id
from server.users.models import UserRow, UserStatus


class RoleOrder(StrEnum):
    NAME = "NAME"
    SHIPPED = "SHIPPED"


_BY_NAME = (func.lower(RoleRow.name), RoleRow.id)
_ORDERS: dict[RoleOrder, tuple[Any, ...]] = {
    RoleOrder.NAME: _BY_NAME,
    RoleOrder.SHIPPED: (RoleRow.shipped.desc(), *_BY_NAME),
}
_CODES = [permission.value for permission in Permission]


def permission_id(permission: Permission) -> UUID:
    return named_id("permission", permission.value)


def shipped_role_id(name: str) -> UUID:
    return named_id("role", name)


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> Sequence[RoleRow]:
    return (await session.scalars(select(RoleRow).where(is_any(RoleRow.id, ids)).order_by(RoleRow.id))).all()


async def by_id_for_update(session: AsyncSession, role_id: UUID) -> RoleRow | None:
    return await session.scalar(select(RoleRow).where(RoleRow.id == role_id).with_for_update(key_share=True))


async def page(session: AsyncSession, order: RoleOrder, offset: int, limit: int) -> Sequence[RoleRow]:
    statement = select(RoleRow).order_by(*_ORDERS[order]).offset(offset).limit(limit)
    return (await session.scalars(statement)).all()


async def count(session: AsyncSession) -> int:
    return (await session.execute(select(func.count()).select_from(RoleRow))).scalar_one()


async def grants(session: AsyncSession, role_ids: Sequence[UUID]) -> Sequence[Row[UUID, str, int]]:
    """(role_id, code, scope) of the permissions that this version knows, by code."""
    statement = (
        select(RolePermissionRow.role_id, PermissionRow.code, RolePermissionRow.scope)
        .join(PermissionRow, PermissionRow.id == RolePermissionRow.permission_id)
        .where(is_any(RolePermissionRow.role_id, role_ids), is_any(PermissionRow.code, _CODES))
        .order_by(RolePermissionRow.role_id, PermissionRow.code)
    )
    return (await session.execute(statement)).all()


async def of_users(session: AsyncSession, user_ids: Sequence[UUID]) -> Sequence[Row[UUID, RoleRow]]:
    """(user_id, RoleRow), by name."""
    statement = (
        select(UserRoleRow.user_id, RoleRow)
        .join(RoleRow, RoleRow.id == UserRoleRow.role_id)
        .where(is_any(UserRoleRow.user_id, user_ids))
        .order_by(func.lower(RoleRow.name), RoleRow.id)
    )
    return (await session.execute(statement)).all()


async def set_grants(session: AsyncSession, role_id: UUID, wanted: Mapping[Permission, Scope]) -> None:
    """Makes these the role's grants, and no others."""
    kept = [permission_id(permission) for permission in wanted]
    await session.execute(
        delete(RolePermissionRow).where(
            RolePermissionRow.role_id == role_id, RolePermissionRow.permission_id.not_in(kept)
        ),
        execution_options={"synchronize_session": False},
    )
    if not wanted:
        return
    rows = [
        {"role_id": role_id, "permission_id": permission_id(permission), "scope": int(scope)}
        for permission, scope in sorted(wanted.items())
    ]
    statement = insert(RolePermissionRow)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["role_id", "permission_id"], set_={"scope": statement.excluded.scope}
        ),
        rows,
    )


async def set_user_roles(
    session: AsyncSession, user_id: UUID, *, add: Collection[UUID], remove: Collection[UUID], by: UUID | None
) -> None:
    await session.execute(
        delete(UserRoleRow).where(UserRoleRow.user_id == user_id, is_any(UserRoleRow.role_id, remove)),
        execution_options={"synchronize_session": False},
    )
    session.add_all([UserRoleRow(user_id=user_id, role_id=role_id, granted_by_id=by) for role_id in sorted(add)])
    await session.flush()


# --- administrators ---


async def lock_administrators(session: AsyncSession) -> None:
    """One at a time for whoever might remove the last administrator: the admin role's row is the lock."""
    await session.execute(
        select(RoleRow.id).where(RoleRow.id == shipped_role_id(ADMIN_ROLE)).with_for_update(key_share=True)
    )


def _administrators() -> Any:
    """Whoever holds every right and can sign in to use it."""
    holds_role = (
        select(UserRoleRow.user_id)
        .where(UserRoleRow.user_id == UserRow.id, UserRoleRow.role_id == shipped_role_id(ADMIN_ROLE))
        .exists()
    )
    return select(UserRow.id).where(
        UserRow.status == UserStatus.ACTIVE,
        ~UserRow.is_service,
        UserRow.password_hash.is_not(None),
        or_(UserRow.is_superuser, holds_role),
    )


async def is_administrator(session: AsyncSession, user_id: UUID) -> bool:
    return await session.scalar(_administrators().where(UserRow.id == user_id)) is not None


async def administrators(session: AsyncSession) -> frozenset[UUID]:
    return frozenset((await session.scalars(_administrators())).all())


async def has_administrator(session: AsyncSession) -> bool:
    return await session.scalar(_administrators().limit(1)) is not None


# --- what code decides, written by `migrate` ---


async def write_permissions(session: AsyncSession, texts: Mapping[Permission, str]) -> None:
    """Makes the table hold exactly these; what code no longer has goes, and with it what roles granted of it."""
    ids = [permission_id(permission) for permission in texts]
    await session.execute(
        delete(PermissionRow).where(PermissionRow.id.not_in(ids)), execution_options={"synchronize_session": False}
    )
    statement = insert(PermissionRow)
    rows = [
        {"id": permission_id(permission), "code": permission.value, "description": text}
        for permission, text in texts.items()
    ]
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={"code": statement.excluded.code, "description": statement.excluded.description},
        ),
        rows,
    )


async def write_role(session: AsyncSession, name: str, description: str) -> UUID:
    """A shipped role's own facts; its version and times move only when they change."""
    role_id = shipped_role_id(name)
    statement = insert(RoleRow).values(id=role_id, name=name, description=description, shipped=True)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={"name": name, "description": description, "shipped": True, "updated_at": func.now()},
            where=or_(RoleRow.name != name, RoleRow.description != description, ~RoleRow.shipped),
        )
    )
    return role_id
