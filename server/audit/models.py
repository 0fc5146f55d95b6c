"""Rows of the audit log: who did what, to which resource, from where. A trigger refuses UPDATE, DELETE and TRUNCATE."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.columns import Id
from server.database import Base


class AuditLogRow(Base):
    __tablename__ = "audit_logs"
    __table_args__ = (
        Index("ix_audit_logs_resource", "resource_type", "resource_id", "id"),
        Index("ix_audit_logs_cells", text("(metadata -> 'cells')"), postgresql_using="gin"),
    )

    id: Mapped[Id]
    """v7: the order of ids is the order of time"""
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp(), index=True)
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"), index=True)
    token_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_tokens.id", ondelete="RESTRICT"), index=True)
    action: Mapped[str] = mapped_column(Text, index=True)
    resource_type: Mapped[str] = mapped_column(Text)
    resource_id: Mapped[UUID | None] = mapped_column()
    address: Mapped[Any | None] = mapped_column(INET)
    user_agent: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=text("'{}'::jsonb"))
    """`metadata` is a name that SQLAlchemy's declarative base keeps for itself"""
