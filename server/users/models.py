"""Rows of people and of the business units they belong to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from server.columns import Id, Timestamps, Versioned, eager, enum_column
from server.database import Base


class UserStatus(StrEnum):
    INVITED = "INVITED"
    ACTIVE = "ACTIVE"
    LEFT = "LEFT"
    DEACTIVATED = "DEACTIVATED"


class BusinessUnitRow(Timestamps, Versioned, Base):
    __tablename__ = "business_units"
    __mapper_args__ = eager()
    __table_args__ = (
        Index("uq_business_units_code", text("lower(code)"), unique=True),
        CheckConstraint("code <> '' AND code = btrim(code)", name="code_is_trimmed"),
        CheckConstraint("btrim(name) <> ''", name="name_is_not_blank"),
    )

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)


class UserRow(Timestamps, Versioned, Base):
    """A person, or a tool's service user. People who never sign in have no password, and possibly no e-mail."""

    __tablename__ = "users"
    __mapper_args__ = eager()
    __table_args__ = (
        Index("uq_users_email", text("lower(email)"), unique=True),
        Index("ix_users_name", text("lower(last_name)"), text("lower(first_name)"), "id"),
        CheckConstraint("email IS NULL OR (email LIKE '%_@_%' AND email = btrim(email))", name="email_is_an_address"),
        CheckConstraint("password_hash IS NULL OR email IS NOT NULL", name="signs_in_by_email"),
        CheckConstraint("is_active = (status IN ('INVITED', 'ACTIVE'))", name="status_agrees_with_is_active"),
        CheckConstraint("btrim(last_name) <> ''", name="last_name_is_not_blank"),
    )

    id: Mapped[Id]
    email: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    must_change_password: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    first_name: Mapped[str] = mapped_column(Text)
    last_name: Mapped[str] = mapped_column(Text)
    status: Mapped[UserStatus] = mapped_column(enum_column(UserStatus, "status"), index=True)
    is_active: Mapped[bool] = mapped_column()
    is_superuser: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    is_service: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    """acts for a tool with an API token: never signs in, is not planned"""
    business_unit_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("business_units.id", ondelete="RESTRICT"), index=True
    )
    last_login_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now(), index=True
    )
