"""Rows of projects."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from server.columns import Id, Timestamps, Versioned, eager, enum_column
from server.database import Base


class ProjectStatus(StrEnum):
    PLANNED = "PLANNED"
    ACTIVE = "ACTIVE"
    ON_HOLD = "ON_HOLD"
    DONE = "DONE"
    CANCELLED = "CANCELLED"


class ProjectRow(Timestamps, Versioned, Base):
    """Deleted projects keep their row (`deleted_at`); one with stated or actual load is archived instead."""

    __tablename__ = "projects"
    __mapper_args__ = eager()
    __table_args__ = (
        Index("uq_projects_code", text("lower(code)"), unique=True, postgresql_where=text("deleted_at IS NULL")),
        CheckConstraint("code <> '' AND code = btrim(code)", name="code_is_trimmed"),
        CheckConstraint("btrim(name) <> ''", name="name_is_not_blank"),
        CheckConstraint("end_date >= start_date", name="dates_in_order"),
    )

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[ProjectStatus] = mapped_column(enum_column(ProjectStatus, "status"), index=True)
    start_date: Mapped[date | None] = mapped_column()
    end_date: Mapped[date | None] = mapped_column()
    business_unit_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("business_units.id", ondelete="RESTRICT"), index=True
    )
    productive: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    """whether its days count as productive in TACE and TACI"""
    archived_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now(), index=True
    )

    @property
    def takes_load(self) -> bool:
        """DONE, CANCELLED, archived and deleted projects refuse new load."""
        closed = self.status in (ProjectStatus.DONE, ProjectStatus.CANCELLED)
        return not closed and self.archived_at is None and self.deleted_at is None
