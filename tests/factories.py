"""Builds rows with believable defaults, straight into the tables; what a test is about it states itself."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from server.actor import Actor, Permission, Scope
from server.database import Base, Database
from server.ids import cell_id, month_id, new_id
from server.planning.models import (
    AbsenceRow,
    AbsenceStatus,
    AssignmentRow,
    CapacityRow,
    CellSource,
    ClosedMonthRow,
    ContractRow,
    ForecastRow,
    Half,
    RecordSource,
)
from server.projects.models import ProjectRow, ProjectStatus
from server.users.models import BusinessUnitRow, UserRow, UserStatus

R = TypeVar("R", bound=Base)

_numbers = count(1)


class Factory:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, row: R) -> R:
        async with self._database.transaction(Actor(None)) as tx:
            tx.session.add(row)
        return row

    async def unit(self, **values: Any) -> BusinessUnitRow:
        n = next(_numbers)
        return await self.add(BusinessUnitRow(**{"code": f"BU{n}", "name": f"Unit {n}", **values}))

    async def user(self, **values: Any) -> UserRow:
        n = next(_numbers)
        defaults = {
            "email": f"person{n}@example.test",
            "first_name": "Ada",
            "last_name": f"Person {n:05}",
            "status": UserStatus.ACTIVE,
            "is_active": True,
        }
        return await self.add(UserRow(**{**defaults, **values}))

    async def project(self, **values: Any) -> ProjectRow:
        n = next(_numbers)
        return await self.add(
            ProjectRow(**{"code": f"P{n:05}", "name": f"Project {n}", "status": ProjectStatus.ACTIVE, **values})
        )

    async def contract(self, user: UserRow, **values: Any) -> ContractRow:
        """Full time from 2025-01-01 on. Adds the row only: capacities are the services' business."""
        defaults = {"start_date": date(2025, 1, 1), "fte": Decimal(1), "source": RecordSource.MANUAL}
        return await self.add(ContractRow(**{"user_id": user.id, **defaults, **values}))

    async def absence(self, user: UserRow, start: date, end: date, **values: Any) -> AbsenceRow:
        defaults = {
            "start_half": Half.MORNING,
            "end_half": Half.AFTERNOON,
            "type": "fr_conges_payes",
            "status": AbsenceStatus.APPROVED,
            "source": RecordSource.MANUAL,
        }
        return await self.add(
            AbsenceRow(**{"user_id": user.id, "start_date": start, "end_date": end, **defaults, **values})
        )

    async def capacity(self, user: UserRow, month: date, computed: str = "20.00", **values: Any) -> CapacityRow:
        row = CapacityRow(
            id=month_id(user.id, month), user_id=user.id, month=month, computed=Decimal(computed), version=0, **values
        )
        return await self.add(row)

    async def assignment(self, user: UserRow, project: ProjectRow, **values: Any) -> AssignmentRow:
        defaults = {"rate": Decimal(50), "start_date": date(2026, 1, 1), "end_date": date(2026, 12, 31)}
        return await self.add(AssignmentRow(**{"user_id": user.id, "project_id": project.id, **defaults, **values}))

    async def cell(self, user: UserRow, project: ProjectRow, month: date, **values: Any) -> ForecastRow:
        """`stated="5.00"`, `expected=`, `actual=`: what is given; a stated value is MANUAL and of version 1."""
        numbers = {name: Decimal(values.pop(name)) for name in ("stated", "expected", "actual") if name in values}
        if "stated" in numbers:
            values = {"stated_source": CellSource.MANUAL, "version": 1, **values}
        row = ForecastRow(
            id=cell_id(user.id, project.id, month),
            user_id=user.id,
            project_id=project.id,
            month=month,
            **{"version": 0, "expected": Decimal(0), **numbers, **values},
        )
        return await self.add(row)

    async def closed(self, month: date) -> ClosedMonthRow:
        return await self.add(ClosedMonthRow(month=month))


def actor(
    *permissions: Permission,
    user: UserRow | None = None,
    scope: Scope = Scope.ALL,
    business_unit_id: UUID | None = None,
    **values: Any,
) -> Actor:
    """A caller with just these permissions. Without `user` it has an id that is in no table, so it cannot write."""
    return Actor(
        user_id=user.id if user else new_id(),
        grants=dict.fromkeys(permissions, scope),
        business_unit_id=business_unit_id or (user.business_unit_id if user else None),
        **values,
    )


def admin(user: UserRow | None = None) -> Actor:
    return actor(*Permission, user=user)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
