"""Rows of roles, permissions and credentials. Credentials are stored as hashes, never as they are handed out."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, DateTime, ForeignKey, Index, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from server.columns import Id, Timestamps, Versioned, eager
from server.database import Base

_NOW = func.now()


class RoleRow(Timestamps, Versioned, Base):
    """Shipped roles are written from code by `migrate` and read-only; a company adds its own."""

    __tablename__ = "roles"
    __mapper_args__ = eager()
    __table_args__ = (
        Index("uq_roles_name", text("lower(name)"), unique=True),
        CheckConstraint("btrim(name) <> ''", name="name_is_not_blank"),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, server_default=text("''"), default="")
    shipped: Mapped[bool] = mapped_column(server_default=text("false"), default=False)


class PermissionRow(Base):
    __tablename__ = "permissions"

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text, unique=True)
    description: Mapped[str] = mapped_column(Text)


class RolePermissionRow(Base):
    __tablename__ = "role_permissions"
    __table_args__ = (CheckConstraint("scope BETWEEN 1 AND 3", name="scope_is_own_unit_or_all"),)

    role_id: Mapped[UUID] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)
    permission_id: Mapped[UUID] = mapped_column(
        ForeignKey("permissions.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    scope: Mapped[int] = mapped_column(SmallInteger)
    """server.actor.Scope: 1 own, 2 business unit, 3 all"""


class UserRoleRow(Base):
    __tablename__ = "user_roles"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role_id: Mapped[UUID] = mapped_column(ForeignKey("roles.id", ondelete="RESTRICT"), primary_key=True, index=True)
    granted_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)


class RefreshTokenRow(Base):
    """One refresh token. A family is a session: each use adds a token to it, and any reuse revokes all of it."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (CheckConstraint("expires_at > created_at", name="expires_after_creation"),)

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    family_id: Mapped[UUID] = mapped_column(index=True)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    address: Mapped[Any | None] = mapped_column(INET)
    user_agent: Mapped[str | None] = mapped_column(Text)


class ApiTokenRow(Base):
    """A tool's credential: acts as its service user, limited to its scopes (permission codes)."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint("cardinality(scopes) > 0", name="has_scopes"),
        CheckConstraint("expires_at > created_at", name="expires_after_creation"),
        CheckConstraint("btrim(name) <> ''", name="name_is_not_blank"),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    hint: Mapped[str] = mapped_column(Text)
    """the first characters, so that a person can tell tokens apart"""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class InvitationRow(Base):
    """A one-time link by which an invited person sets their password."""

    __tablename__ = "invitations"

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class IdempotencyKeyRow(Base):
    """The first answer to a write that may be retried, kept 24 h in the write's own transaction."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("uq_idempotency_keys_caller", "user_id", "mutation", "key", unique=True),
        CheckConstraint("key <> '' AND length(key) <= 255", name="key_is_short"),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    mutation: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    request_hash: Mapped[str] = mapped_column(Text)
    answer: Mapped[bytes] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=_NOW, index=True)


class SignInFailureKind(IntEnum):
    ACCOUNT = 1
    ADDRESS = 2
    PAIR = 3
    """one account from one address"""


class SignInFailureRow(Base):
    """Failed sign-ins per account, address and pair of them, by which the next try is slowed down; keys are hashed."""

    __tablename__ = "sign_in_failures"

    kind: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    key_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int] = mapped_column()
    last_failure_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    refused_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """when a try was last refused for it: only the first refusal of a delay is audited, or anyone could fill the log"""
