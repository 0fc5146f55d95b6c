"""Rows of the plan: what people can take (contracts, absences, capacities) and what is laid on them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    exists,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, column_property, mapped_column

from server.columns import Days, Id, Timestamps, Versioned, eager, enum_column, month_check
from server.database import Base

NON_REDUCING = ("fr_teletravail", "uk_remote")

_ZERO = text("0")


class RecordSource(StrEnum):
    """Who owns a contract or an absence: a person here, or the provider that it came from."""

    MANUAL = "MANUAL"
    PAYFIT = "PAYFIT"


class CellSource(StrEnum):
    """Where a cell's effective days come from; ASSIGNMENT when nobody stated any."""

    ASSIGNMENT = "ASSIGNMENT"
    MANUAL = "MANUAL"
    API = "API"
    IMPORT = "IMPORT"
    LEGACY = "LEGACY"


class Half(StrEnum):
    MORNING = "MORNING"
    AFTERNOON = "AFTERNOON"


class AbsenceStatus(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"


class ContractRow(Timestamps, Versioned, Base):
    """What share of the working days a person works between two dates. Contracts of one person never overlap."""

    __tablename__ = "contracts"
    __mapper_args__ = eager()
    __table_args__ = (
        CheckConstraint("end_date >= start_date", name="dates_in_order"),
        CheckConstraint("fte > 0 AND fte <= 1", name="fte_is_a_share"),
        CheckConstraint(
            "weekday_pattern IS NULL OR (array_length(weekday_pattern, 1) = 5 AND array_ndims(weekday_pattern) = 1"
            " AND 0 <= ALL (weekday_pattern) AND 1 >= ALL (weekday_pattern) AND array_position(weekday_pattern, NULL)"
            " IS NULL AND fte = (weekday_pattern[1] + weekday_pattern[2] + weekday_pattern[3] + weekday_pattern[4]"
            " + weekday_pattern[5]) / 5)",
            name="pattern_adds_up_to_fte",
        ),
        ExcludeConstraint(
            ("user_id", "="),
            (literal_column("daterange(start_date, end_date, '[]')"), "&&"),
            name="ex_contracts_one_at_a_time",
            using="gist",
        ),
        Index("ix_contracts_user_id_start_date", "user_id", "start_date"),
        Index("uq_contracts_source_external_id", "source", "external_id", unique=True),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    start_date: Mapped[date] = mapped_column()
    end_date: Mapped[date | None] = mapped_column()
    fte: Mapped[Decimal] = mapped_column(Numeric(5, 4))
    weekday_pattern: Mapped[list[Decimal] | None] = mapped_column(ARRAY(Numeric(3, 2)))
    """share of Monday .. Friday; None spreads `fte` evenly"""
    source: Mapped[RecordSource] = mapped_column(enum_column(RecordSource, "source"), default=RecordSource.MANUAL)
    external_id: Mapped[str | None] = mapped_column(Text)


class AbsenceRow(Timestamps, Versioned, Base):
    __tablename__ = "absences"
    __mapper_args__ = eager()
    __table_args__ = (
        CheckConstraint(
            "end_date > start_date OR (end_date = start_date AND NOT (start_half = 'AFTERNOON' AND end_half ="
            " 'MORNING'))",
            name="begins_before_it_ends",
        ),
        CheckConstraint("end_date < start_date + 1100", name="is_not_longer_than_three_years"),
        CheckConstraint("btrim(type) <> ''", name="type_is_not_blank"),
        Index("ix_absences_user_id_start_date", "user_id", "start_date"),
        Index("ix_absences_end_date_start_date", "end_date", "start_date"),
        Index("uq_absences_source_external_id", "source", "external_id", unique=True),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    start_date: Mapped[date] = mapped_column()
    start_half: Mapped[Half] = mapped_column(enum_column(Half, "start_half"), default=Half.MORNING)
    end_date: Mapped[date] = mapped_column()
    end_half: Mapped[Half] = mapped_column(enum_column(Half, "end_half"), default=Half.AFTERNOON)
    type: Mapped[str] = mapped_column(Text)
    """may be health data: shown with the permission absences:read-type only, and never audited"""
    status: Mapped[AbsenceStatus] = mapped_column(
        enum_column(AbsenceStatus, "status"), default=AbsenceStatus.APPROVED, index=True
    )
    source: Mapped[RecordSource] = mapped_column(enum_column(RecordSource, "source"), default=RecordSource.MANUAL)
    external_id: Mapped[str | None] = mapped_column(Text)


# A table of its own rather than a column of the months and cells: a company of 20,000 people has 720,000 months, and
# marking each took a minute (measured); marking the people is one small insert, and the table is mostly empty.
class StaleUserRow(Base):
    """A person whose open months a job has still to recompute."""

    __tablename__ = "stale_users"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class CapacityRow(Versioned, Base):
    """What a person can take in a month: computed from contracts and absences, or overridden by a person."""

    __tablename__ = "capacities"
    __mapper_args__ = eager()
    __table_args__ = (
        UniqueConstraint("user_id", "month"),
        month_check(),
        CheckConstraint(
            "computed BETWEEN 0 AND 31 AND tentative BETWEEN 0 AND 31 AND leave BETWEEN 0 AND 31"
            " AND working_days BETWEEN 0 AND 31",
            name="days_fit",
        ),
        CheckConstraint("override BETWEEN 0 AND 31", name="override_fits"),
        Index("ix_capacities_month", "month"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """v5 of user|month, see server/ids.py"""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    month: Mapped[date] = mapped_column()
    computed: Mapped[Decimal] = mapped_column(Days)
    override: Mapped[Decimal | None] = mapped_column(Days)
    tentative: Mapped[Decimal] = mapped_column(Days, server_default=_ZERO, default=Decimal(0))
    """what pending absences would take in addition"""
    working_days: Mapped[Decimal] = mapped_column(Days, server_default=_ZERO, default=Decimal(0))
    """days of the contract before absences: the denominator of TACI"""
    leave: Mapped[Decimal] = mapped_column(Days, server_default=_ZERO, default=Decimal(0))
    """days that predictable leave takes of them: TACE leaves these out"""
    recomputing: Mapped[bool] = column_property(
        exists().where(StaleUserRow.user_id == user_id).correlate_except(StaleUserRow)
    )
    version: Mapped[int] = mapped_column(server_default=_ZERO, default=0)
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now(), index=True
    )

    @property
    def effective(self) -> Decimal:
        return self.computed if self.override is None else self.override


class AssignmentRow(Timestamps, Versioned, Base):
    """Gives a person to a project at a rate (% of capacity) between two dates; yields expected load."""

    __tablename__ = "assignments"
    __mapper_args__ = eager()
    __table_args__ = (
        CheckConstraint("rate > 0 AND rate <= 100", name="rate_is_a_percentage"),
        CheckConstraint("end_date >= start_date", name="dates_in_order"),
        CheckConstraint("end_date < start_date + 3700", name="is_not_longer_than_ten_years"),
        Index("ix_assignments_user_id_start_date", "user_id", "start_date"),
        Index("ix_assignments_project_id_start_date", "project_id", "start_date"),
        Index("ix_assignments_end_date_start_date", "end_date", "start_date"),
        Index("ix_assignments_start_date_id", "start_date", "id"),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="RESTRICT"))
    rate: Mapped[Decimal] = mapped_column(Numeric(5, 2))
    start_date: Mapped[date] = mapped_column()
    end_date: Mapped[date] = mapped_column()
    note: Mapped[str | None] = mapped_column(Text)
    deleted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now(), index=True
    )


class ForecastRow(Base):
    """A cell: what is stated, expected and declared for a person on a project in a month."""

    __tablename__ = "forecasts"
    __mapper_args__ = eager()
    __table_args__ = (
        UniqueConstraint("user_id", "month", "project_id"),
        month_check(),
        CheckConstraint("stated BETWEEN 0 AND 31", name="stated_fits"),
        CheckConstraint("expected >= 0", name="expected_is_not_negative"),
        CheckConstraint("actual >= 0", name="actual_is_not_negative"),
        CheckConstraint("(stated IS NULL) = (source IS NULL)", name="stated_has_a_source"),
        CheckConstraint("source <> 'ASSIGNMENT'", name="assignments_state_nothing"),
        Index("ix_forecasts_project_id_month", "project_id", "month"),
        Index("ix_forecasts_month_user_id_project_id", "month", "user_id", "project_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """v5 of user|project|month, see server/ids.py"""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="RESTRICT"))
    month: Mapped[date] = mapped_column()
    stated: Mapped[Decimal | None] = mapped_column(Days)
    stated_source: Mapped[CellSource | None] = mapped_column("source", enum_column(CellSource, "source"))
    expected: Mapped[Decimal] = mapped_column(Days, server_default=_ZERO, default=Decimal(0))
    actual: Mapped[Decimal | None] = mapped_column(Days)
    late_actual: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    """some of the actual landed after the month was closed"""
    recomputing: Mapped[bool] = column_property(
        exists().where(StaleUserRow.user_id == user_id).correlate_except(StaleUserRow)
    )
    version: Mapped[int] = mapped_column(server_default=_ZERO, default=0)
    """counts what people state: a recomputation never raises it"""
    updated_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now(), index=True
    )

    @property
    def days(self) -> Decimal:
        return self.expected if self.stated is None else self.stated

    @property
    def source(self) -> CellSource:
        return self.stated_source or CellSource.ASSIGNMENT


class TimeEntryRow(Base):
    """Time that a person declared on a project on a day; the seconds are the truth, days are derived."""

    __tablename__ = "time_entries"
    __table_args__ = (
        CheckConstraint("seconds > 0 AND seconds <= 86400", name="fits_in_a_day"),
        Index("ix_time_entries_user_id_day", "user_id", "day"),
        Index("ix_time_entries_project_id_day", "project_id", "day"),
        Index("uq_time_entries_provider_external_id", "provider", "external_id", unique=True),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id", ondelete="RESTRICT"))
    day: Mapped[date] = mapped_column()
    seconds: Mapped[int] = mapped_column(Integer)
    provider: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str] = mapped_column(Text)
    late: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    """landed after its month was closed"""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class ClosedMonthRow(Base):
    """A month closed for the whole company: its rows are frozen until it is reopened."""

    __tablename__ = "closed_months"
    __table_args__ = (month_check(),)

    month: Mapped[date] = mapped_column(Date, primary_key=True)
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    closed_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)


class CompanySettingsRow(Versioned, Base):
    """The company's rules: one row."""

    __tablename__ = "company_settings"
    __mapper_args__ = eager()
    __table_args__ = (
        CheckConstraint("id = 1", name="is_one_row"),
        CheckConstraint("step IN (0.5, 0.25, 0.1)", name="step_is_known"),
        CheckConstraint("seconds_per_day BETWEEN 3600 AND 86400", name="seconds_per_day_fit"),
        CheckConstraint("horizon_end >= horizon_start", name="horizon_in_order"),
        month_check("horizon_start"),
        month_check("horizon_end"),
    )

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, default=1)
    country: Mapped[str] = mapped_column(Text, server_default=text("'FR'"), default="FR")
    """ISO 3166 code, as the holidays library knows it"""
    subdivision: Mapped[str | None] = mapped_column(Text)
    step: Mapped[Decimal | None] = mapped_column(Numeric(3, 2))
    """stated days are multiples of it; None: free"""
    seconds_per_day: Mapped[int] = mapped_column(Integer, server_default=text("25200"), default=25200)
    non_reducing_absence_types: Mapped[list[str]] = mapped_column(ARRAY(Text), default=lambda: list(NON_REDUCING))
    predictable_leave_types: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """absence types that TACE leaves out of its denominator; None: every type that reduces capacity"""
    horizon_start: Mapped[date] = mapped_column()
    horizon_end: Mapped[date] = mapped_column()
    """first and last month that the plan covers; the worker moves the end forward as time goes by"""
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=func.now()
    )


class CalendarDayRow(Base):
    """A day on which the company differs from the public calendar: a bridge, or a holiday that is worked."""

    __tablename__ = "calendar_days"
    __table_args__ = (CheckConstraint("btrim(label) <> ''", name="label_is_not_blank"),)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    worked: Mapped[bool] = mapped_column()
    label: Mapped[str] = mapped_column(Text)


class PlanMarkRow(Base):
    """The last transaction of one connection that wrote what the plan is read from; triggers keep it.

    A row per connection (PostgreSQL's process id), since one has one transaction at a time: nobody waits for it.
    """

    __tablename__ = "plan_marks"

    backend: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    transaction: Mapped[int] = mapped_column(BigInteger)
    server_started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """tells marks that a restored dump brought from those of this server"""
