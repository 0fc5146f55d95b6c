"""Rows of the syncs: runs and what they stage and refuse, and who and what is whom and what at a provider."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.columns import Id, Timestamps, Versioned, eager, enum_column
from server.database import Base

_EMPTY = text("'{}'::jsonb")
_TIME = DateTime(timezone=True)


class Provider(StrEnum):
    PAYFIT = "PAYFIT"
    GRYZZLY = "GRYZZLY"


class SyncState(StrEnum):
    """NEVER_RUN is shown for a provider without a run, and never stored."""

    NEVER_RUN = "NEVER_RUN"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"


ACTIVE = (SyncState.QUEUED, SyncState.RUNNING)


class SyncTrigger(StrEnum):
    PERSON = "PERSON"
    SCHEDULE = "SCHEDULE"
    COMMAND = "COMMAND"


class SyncKind(StrEnum):
    PERSON = "PERSON"
    CONTRACT = "CONTRACT"
    ABSENCE = "ABSENCE"
    PROJECT = "PROJECT"
    TASK = "TASK"
    DECLARATION = "DECLARATION"


class PersonState(StrEnum):
    """SET_ASIDE: a person took the link away, so that no sync links them by itself again."""

    UNMATCHED = "UNMATCHED"
    PROPOSED = "PROPOSED"
    LINKED = "LINKED"
    SET_ASIDE = "SET_ASIDE"


class ConflictState(StrEnum):
    """SETTLED: both sides came to agree by themselves."""

    OPEN = "OPEN"
    KEPT = "KEPT"
    TAKEN = "TAKEN"
    SETTLED = "SETTLED"


class ConflictResource(StrEnum):
    USER = "USER"
    PROJECT = "PROJECT"


class SyncRunRow(Base):
    """One sync of one provider. Active runs hold a lease: `heartbeat_at` is renewed by whoever works on it."""

    __tablename__ = "sync_runs"
    __mapper_args__ = eager()
    __table_args__ = (
        Index("uq_sync_runs_active", "provider", unique=True, postgresql_where=text("state IN ('QUEUED', 'RUNNING')")),
        Index("ix_sync_runs_provider_id", "provider", "id"),
        CheckConstraint("state <> 'NEVER_RUN'", name="has_run"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress_is_a_percentage"),
        CheckConstraint("(state = 'RUNNING') = (lease IS NOT NULL)", name="runs_under_a_lease"),
    )

    id: Mapped[Id]
    """v7: the order of ids is the order of time"""
    provider: Mapped[Provider] = mapped_column(enum_column(Provider, "provider"))
    state: Mapped[SyncState] = mapped_column(enum_column(SyncState, "state"), default=SyncState.QUEUED)
    trigger: Mapped[SyncTrigger] = mapped_column(enum_column(SyncTrigger, "trigger"))
    started_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    phase: Mapped[str | None] = mapped_column(Text)
    progress: Mapped[Decimal] = mapped_column(Numeric(5, 2), server_default=text("0"), default=Decimal(0))
    counts: Mapped[dict[str, dict[str, int]]] = mapped_column(JSONB, server_default=_EMPTY, default=dict)
    """per SyncKind: read, created, updated, removed, skipped, refused"""
    position: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=_EMPTY, default=dict)
    """where reading stands, so that a resumed run goes on after the last staged page"""
    first_day: Mapped[date] = mapped_column()
    last_day: Mapped[date] = mapped_column()
    """the window that absences or declarations are read in"""
    cause: Mapped[str | None] = mapped_column(Text)
    """why it waits or ended badly: stable, fit for grouping incidents"""
    message: Mapped[str | None] = mapped_column(Text)
    """the same for people, with what to do; no personal data"""
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)
    lease: Mapped[UUID | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=func.now())
    due_at: Mapped[datetime] = mapped_column(_TIME, server_default=func.now())
    """when a queued run may be picked up: later than now while it waits to try again"""
    started_at: Mapped[datetime | None] = mapped_column(_TIME)
    heartbeat_at: Mapped[datetime | None] = mapped_column(_TIME)
    finished_at: Mapped[datetime | None] = mapped_column(_TIME)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(_TIME)
    notified_at: Mapped[datetime | None] = mapped_column(_TIME)
    """when the admins were told of the incident that this run opened"""


class SyncStagingRow(Base):
    """A record as it was read, waiting for the rest of its run. Only what the plan needs is kept of it."""

    __tablename__ = "sync_staging"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("sync_runs.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[SyncKind] = mapped_column(enum_column(SyncKind, "kind"), primary_key=True)
    external_id: Mapped[str] = mapped_column(Text, primary_key=True)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


class SyncRefusalRow(Base):
    """Why records did not land: one record, or `records` of them for one reason."""

    __tablename__ = "sync_refusals"
    __table_args__ = (Index("ix_sync_refusals_run_id_kind_code", "run_id", "kind", "code"),)

    id: Mapped[Id]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("sync_runs.id", ondelete="CASCADE"))
    kind: Mapped[SyncKind] = mapped_column(enum_column(SyncKind, "kind"))
    external_id: Mapped[str | None] = mapped_column(Text)
    """the record's own, or of the person or task that its records hang on"""
    code: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    records: Mapped[int] = mapped_column(Integer, server_default=text("1"), default=1)


class UserMappingRow(Timestamps, Versioned, Base):
    """Who a person is at the providers. A person is one of each at most, and one of each is one person."""

    __tablename__ = "user_mappings"
    __mapper_args__ = eager()
    __table_args__ = (CheckConstraint("num_nonnulls(gryzzly_user_id, payfit_employee_id) > 0", name="maps_something"),)

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    gryzzly_user_id: Mapped[str | None] = mapped_column(Text, unique=True)
    payfit_employee_id: Mapped[str | None] = mapped_column(Text, unique=True)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, server_default=_EMPTY, default=dict)
    """how each link came about: {"PAYFIT": {"by": "EMAIL", "score": "1.00"}}"""
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)


class ExternalPersonRow(Timestamps, Base):
    """A person as a provider last knew them, linked or not."""

    __tablename__ = "external_people"
    __mapper_args__ = eager()
    __table_args__ = (
        UniqueConstraint("provider", "external_id"),
        CheckConstraint("(state = 'PROPOSED') = (proposed_user_id IS NOT NULL)", name="proposes_someone"),
        CheckConstraint("score BETWEEN 0 AND 1", name="score_is_a_share"),
    )

    id: Mapped[Id]
    provider: Mapped[Provider] = mapped_column(enum_column(Provider, "provider"))
    external_id: Mapped[str] = mapped_column(Text)
    first_name: Mapped[str] = mapped_column(Text)
    last_name: Mapped[str] = mapped_column(Text)
    """the whole name where the provider does not tell first from last"""
    email: Mapped[str | None] = mapped_column(Text)
    state: Mapped[PersonState] = mapped_column(enum_column(PersonState, "state"), index=True)
    proposed_user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    score: Mapped[Decimal | None] = mapped_column(Numeric(3, 2))
    given: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """what the provider gave when it was last compared with the linked user: what differs from it was typed here"""


class ExternalProjectRow(Timestamps, Base):
    """A project as a provider last knew it, and which of ours it is."""

    __tablename__ = "external_projects"
    __mapper_args__ = eager()
    __table_args__ = (UniqueConstraint("provider", "external_id"), UniqueConstraint("provider", "project_id"))

    id: Mapped[Id]
    provider: Mapped[Provider] = mapped_column(enum_column(Provider, "provider"))
    external_id: Mapped[str] = mapped_column(Text)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    given: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """as for people: what the provider gave when it was last compared"""


class TaskRow(Timestamps, Base):
    """A task of a project in Gryzzly; declarations name tasks, not projects."""

    __tablename__ = "tasks"
    __mapper_args__ = eager()
    __table_args__ = (UniqueConstraint("provider", "external_id"),)

    id: Mapped[Id]
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"), index=True)
    provider: Mapped[Provider] = mapped_column(enum_column(Provider, "provider"))
    external_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    completed_at: Mapped[datetime | None] = mapped_column(_TIME)


class SyncConflictRow(Timestamps, Base):
    """A value that a person typed and a provider gives otherwise: a person decides which one stays."""

    __tablename__ = "sync_conflicts"
    __mapper_args__ = eager()
    __table_args__ = (
        UniqueConstraint("provider", "resource", "resource_id", "field"),
        Index("ix_sync_conflicts_state_id", "state", "id"),
    )

    id: Mapped[Id]
    provider: Mapped[Provider] = mapped_column(enum_column(Provider, "provider"))
    resource: Mapped[ConflictResource] = mapped_column(enum_column(ConflictResource, "resource"))
    resource_id: Mapped[UUID] = mapped_column()
    field: Mapped[str] = mapped_column(Text)
    local_value: Mapped[str | None] = mapped_column(Text)
    external_value: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("sync_runs.id", ondelete="SET NULL"), index=True)
    state: Mapped[ConflictState] = mapped_column(enum_column(ConflictState, "state"), default=ConflictState.OPEN)
    resolved_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    resolved_at: Mapped[datetime | None] = mapped_column(_TIME)


class SimulatedCompanyRow(Base):
    """What the built-in simulators serve: taken from our own data once, so that a second sync changes nothing."""

    __tablename__ = "simulated_companies"
    __table_args__ = (CheckConstraint("id = 1", name="is_one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    company: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=func.now())
