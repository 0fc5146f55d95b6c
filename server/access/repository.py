"""Sentences about credentials: sessions, API tokens, invitations, failed sign-ins and what a user may do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    ScalarSelect,
    Select,
    and_,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import INET, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.access.models import (
    ApiTokenRow,
    InvitationRow,
    PermissionRow,
    RefreshTokenRow,
    RolePermissionRow,
    RoleRow,
    SignInFailureKind,
    SignInFailureRow,
    UserRoleRow,
)
from server.columns import is_any
from server.users.models import UserRow

INTEGRATION_ROLE = "integration"
ADMIN_ROLE = "admin"


# --- users ---


async def user_by_email(session: AsyncSession, email: str) -> UserRow | None:
    return await session.scalar(select(UserRow).where(func.lower(UserRow.email) == func.lower(email)))


async def lock_user(session: AsyncSession, user_id: UUID) -> UserRow | None:
    """The user's row is the lock of all the user's credentials: whoever issues, uses or revokes one takes it first."""
    statement = select(UserRow).where(UserRow.id == user_id).with_for_update(key_share=True)
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def shipped_role(session: AsyncSession, name: str) -> RoleRow | None:
    return await session.scalar(select(RoleRow).where(RoleRow.shipped, func.lower(RoleRow.name) == name))


async def role_names(session: AsyncSession, user_id: UUID) -> Sequence[str]:
    statement = (
        select(RoleRow.name)
        .join(UserRoleRow, UserRoleRow.role_id == RoleRow.id)
        .where(UserRoleRow.user_id == user_id)
        .order_by(func.lower(RoleRow.name))
    )
    return (await session.scalars(statement)).all()


def _grants() -> ScalarSelect[Any]:
    """{permission code: widest scope} over the user's roles, as one JSON value."""
    widest = (
        select(PermissionRow.code, func.max(RolePermissionRow.scope).label("scope"))
        .join(RolePermissionRow, RolePermissionRow.permission_id == PermissionRow.id)
        .join(UserRoleRow, UserRoleRow.role_id == RolePermissionRow.role_id)
        .where(UserRoleRow.user_id == UserRow.id)
        .group_by(PermissionRow.code)
        .correlate(UserRow)
        .subquery()
    )
    grants = func.jsonb_object_agg(widest.c.code, widest.c.scope, type_=JSONB)
    return select(func.coalesce(grants, text("'{}'::jsonb"), type_=JSONB)).scalar_subquery()


async def grants_of(session: AsyncSession, user_id: UUID) -> dict[str, int]:
    found: dict[str, int] | None = await session.scalar(select(_grants()).where(UserRow.id == user_id))
    return found or {}


# --- what authentication reads: one statement each ---


def _access() -> Select[*tuple[Any, ...]]:
    return select(
        UserRow.id.label("user_id"),
        UserRow.is_active,
        UserRow.is_service,
        UserRow.is_superuser,
        UserRow.must_change_password,
        UserRow.business_unit_id,
        _grants().label("grants"),
    )


async def session_access(session: AsyncSession, user_id: UUID, family_id: UUID) -> Row[Any] | None:
    """A session lives while one of its refresh tokens can still be used."""
    alive = (
        select(literal(1))
        .where(
            RefreshTokenRow.family_id == family_id,
            RefreshTokenRow.user_id == UserRow.id,
            RefreshTokenRow.revoked_at.is_(None),
            RefreshTokenRow.used_at.is_(None),
            RefreshTokenRow.expires_at > func.now(),
        )
        .exists()
    )
    result = await session.execute(_access().add_columns(alive.label("alive")).where(UserRow.id == user_id))
    return result.one_or_none()


async def token_access(session: AsyncSession, token_hash: str) -> Row[Any] | None:
    integration = (
        select(literal(1))
        .join_from(UserRoleRow, RoleRow, RoleRow.id == UserRoleRow.role_id)
        .where(UserRoleRow.user_id == UserRow.id, RoleRow.shipped, func.lower(RoleRow.name) == INTEGRATION_ROLE)
        .exists()
    )
    statement = (
        _access()
        .add_columns(
            integration.label("is_integration"),
            ApiTokenRow.id.label("token_id"),
            ApiTokenRow.scopes,
            ApiTokenRow.expires_at,
            ApiTokenRow.revoked_at,
            ApiTokenRow.last_used_at,
        )
        .join(ApiTokenRow, ApiTokenRow.user_id == UserRow.id)
        .where(ApiTokenRow.token_hash == token_hash)
    )
    return (await session.execute(statement)).one_or_none()


# --- sessions ---


async def refresh_token(session: AsyncSession, token_hash: str) -> RefreshTokenRow | None:
    statement = select(RefreshTokenRow).where(RefreshTokenRow.token_hash == token_hash)
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def revoke_sessions(
    session: AsyncSession, user_id: UUID, *, only: UUID | None = None, keep: UUID | None = None
) -> int:
    """How many usable refresh tokens it ended. The caller holds the user's lock: a rotation cannot slip in between."""
    conditions = [RefreshTokenRow.user_id == user_id, RefreshTokenRow.revoked_at.is_(None)]
    if only is not None:
        conditions.append(RefreshTokenRow.family_id == only)
    if keep is not None:
        conditions.append(RefreshTokenRow.family_id != keep)
    statement = update(RefreshTokenRow).where(*conditions).values(revoked_at=func.now())
    ended = await session.scalars(
        statement.returning(RefreshTokenRow.used_at), execution_options={"synchronize_session": False}
    )
    return sum(used_at is None for used_at in ended)


async def has_signed_in_from(session: AsyncSession, email: str, address: str, since: datetime) -> bool:
    statement = (
        select(literal(1))
        .join_from(RefreshTokenRow, UserRow, UserRow.id == RefreshTokenRow.user_id)
        .where(
            func.lower(UserRow.email) == func.lower(email),
            RefreshTokenRow.address == cast(literal(address), INET),
            RefreshTokenRow.created_at > since,
        )
        .limit(1)
    )
    return await session.scalar(statement) is not None


# --- failed sign-ins ---

FailureKey = tuple[SignInFailureKind, str]


async def lock_key(session: AsyncSession, key_hash: str) -> None:
    """One at a time per key, whether or not it has a row yet. Held until the transaction ends."""
    number = int.from_bytes(bytes.fromhex(key_hash[:16]), "big", signed=True)
    await session.execute(select(func.pg_advisory_xact_lock(number)))


async def failures(session: AsyncSession, keys: Sequence[FailureKey]) -> Sequence[SignInFailureRow]:
    matches = or_(*(and_(SignInFailureRow.kind == kind, SignInFailureRow.key_hash == key) for kind, key in keys))
    return (await session.scalars(select(SignInFailureRow).where(matches))).all()


async def count_failure(session: AsyncSession, key: FailureKey, now: datetime, forget_seconds: int) -> int:
    """Adds one to what is still remembered (server.access.domain.Pace), and answers how many there are now."""
    elapsed = func.greatest(func.extract("epoch", literal(now) - SignInFailureRow.last_failure_at), 0)
    remembered = SignInFailureRow.failures - func.floor(elapsed / forget_seconds)
    statement = (
        insert(SignInFailureRow)
        .values(kind=int(key[0]), key_hash=key[1], failures=1, last_failure_at=now)
        .on_conflict_do_update(
            index_elements=["kind", "key_hash"],
            set_={"failures": func.greatest(remembered, 0) + 1, "last_failure_at": now},
        )
        .returning(SignInFailureRow.failures)
    )
    return (await session.execute(statement)).scalar_one()


async def mark_refused(session: AsyncSession, row: SignInFailureRow, now: datetime) -> bool:
    """Whether this is the first refusal since the row's last failure."""
    statement = (
        update(SignInFailureRow)
        .where(
            SignInFailureRow.kind == row.kind,
            SignInFailureRow.key_hash == row.key_hash,
            or_(SignInFailureRow.refused_at.is_(None), SignInFailureRow.refused_at < SignInFailureRow.last_failure_at),
        )
        .values(refused_at=now)
        .returning(SignInFailureRow.kind)
    )
    marked = await session.execute(statement, execution_options={"synchronize_session": False})
    return marked.one_or_none() is not None


async def forget_failures(session: AsyncSession, keys: Sequence[FailureKey]) -> None:
    for kind, key in sorted(keys):
        await session.execute(
            delete(SignInFailureRow).where(SignInFailureRow.kind == int(kind), SignInFailureRow.key_hash == key),
            execution_options={"synchronize_session": False},
        )


# --- API tokens ---


class ApiTokenOrder(StrEnum):
    CREATED_AT = "CREATED_AT"
    NAME = "NAME"
    EXPIRES_AT = "EXPIRES_AT"


_TOKEN_ORDERS: dict[ApiTokenOrder, tuple[Any, ...]] = {
    ApiTokenOrder.CREATED_AT: (ApiTokenRow.created_at.desc(), ApiTokenRow.id.desc()),
    ApiTokenOrder.NAME: (func.lower(ApiTokenRow.name), ApiTokenRow.id),
    ApiTokenOrder.EXPIRES_AT: (ApiTokenRow.expires_at, ApiTokenRow.id),
}


async def api_token(session: AsyncSession, token_id: UUID) -> ApiTokenRow | None:
    return await session.scalar(select(ApiTokenRow).where(ApiTokenRow.id == token_id).with_for_update())


def _tokens(user_ids: Sequence[UUID] | None, usable: bool | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if user_ids is not None:
        conditions.append(is_any(ApiTokenRow.user_id, user_ids))
    if usable is not None:
        works = and_(ApiTokenRow.revoked_at.is_(None), ApiTokenRow.expires_at > func.now())
        conditions.append(works if usable else ~works)
    return conditions


async def api_tokens(
    session: AsyncSession,
    *,
    user_ids: Sequence[UUID] | None,
    usable: bool | None,
    order: ApiTokenOrder,
    offset: int,
    limit: int,
) -> Sequence[ApiTokenRow]:
    statement = select(ApiTokenRow).where(*_tokens(user_ids, usable)).order_by(*_TOKEN_ORDERS[order])
    return (await session.scalars(statement.offset(offset).limit(limit))).all()


async def count_api_tokens(session: AsyncSession, *, user_ids: Sequence[UUID] | None, usable: bool | None) -> int:
    statement = select(func.count()).select_from(ApiTokenRow).where(*_tokens(user_ids, usable))
    return (await session.execute(statement)).scalar_one()


async def note_use(session: AsyncSession, token_id: UUID) -> None:
    """At most once a minute, whoever else is doing the same."""
    minute_ago = func.now() - text("interval '1 minute'")
    stale = or_(ApiTokenRow.last_used_at.is_(None), ApiTokenRow.last_used_at < minute_ago)
    await session.execute(
        update(ApiTokenRow).where(ApiTokenRow.id == token_id, stale).values(last_used_at=func.now()),
        execution_options={"synchronize_session": False},
    )


# --- invitations ---


async def invitation(session: AsyncSession, token_hash: str) -> InvitationRow | None:
    return await session.scalar(
        select(InvitationRow).where(InvitationRow.token_hash == token_hash).with_for_update(),
        execution_options={"populate_existing": True},
    )


async def withdraw_invitations(session: AsyncSession, user_id: UUID) -> None:
    await session.execute(
        delete(InvitationRow).where(InvitationRow.user_id == user_id, InvitationRow.used_at.is_(None)),
        execution_options={"synchronize_session": False},
    )


# --- what nobody needs any more ---


async def delete_expired(session: AsyncSession, before: datetime) -> int:
    """Credentials that ended before then; API tokens stay, because the audit log names them."""
    deleted = 0
    for statement in (
        delete(RefreshTokenRow).where(RefreshTokenRow.expires_at < before),
        delete(InvitationRow).where(InvitationRow.expires_at < before),
        delete(SignInFailureRow).where(SignInFailureRow.last_failure_at < before),
    ):
        result = await session.execute(statement, execution_options={"synchronize_session": False})
        deleted += result.rowcount  # type: ignore[attr-defined]
    return deleted
