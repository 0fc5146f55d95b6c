"""Strawberry as its documentation teaches it: one class per type, async resolvers, DataLoader, ORM rows behind."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, NewType
from uuid import UUID

import strawberry

from benchmarks.peers.strawberry_loaders import Info
from server.planning.models import AssignmentRow, ForecastRow
from server.projects.models import ProjectRow
from server.users.models import UserRow

Month = NewType("Month", str)
MONTH = strawberry.scalar(name="Month", serialize=str, parse_value=str)


def first_day(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


@strawberry.type
class User:
    id: UUID
    email: str | None
    first_name: str
    last_name: str

    @classmethod
    def of(cls, row: UserRow) -> User:
        return cls(id=row.id, email=row.email, first_name=row.first_name, last_name=row.last_name)


@strawberry.type
class Assignment:
    id: UUID
    rate: Decimal
    start_date: date
    end_date: date
    user_id: strawberry.Private[UUID]

    @classmethod
    def of(cls, row: AssignmentRow) -> Assignment:
        return cls(id=row.id, rate=row.rate, start_date=row.start_date, end_date=row.end_date, user_id=row.user_id)

    @strawberry.field
    async def user(self, info: Info) -> User:
        return User.of(await info.context.users.load(self.user_id))


@strawberry.type
class Project:
    id: UUID
    code: str
    name: str
    status: str
    start_date: date | None
    end_date: date | None

    @classmethod
    def of(cls, row: ProjectRow) -> Project:
        return cls(
            id=row.id,
            code=row.code,
            name=row.name,
            status=row.status.value,
            start_date=row.start_date,
            end_date=row.end_date,
        )

    @strawberry.field
    async def assignments(self, info: Info) -> list[Assignment]:
        return [Assignment.of(row) for row in await info.context.assignments.load(self.id)]


@strawberry.type
class Cell:
    id: UUID
    days: Decimal
    version: int
    project_id: strawberry.Private[UUID]

    @classmethod
    def of(cls, row: ForecastRow) -> Cell:
        return cls(id=row.id, days=row.days, version=row.version, project_id=row.project_id)

    @strawberry.field
    async def project(self, info: Info) -> Project:
        return Project.of(await info.context.projects.load(self.project_id))


@strawberry.type
class PlanningMonth:
    month: Month
    capacity: Decimal
    user_id: strawberry.Private[UUID]

    @strawberry.field
    async def load(self, info: Info) -> Decimal:
        rows = await info.context.cells.load((self.user_id, first_day(self.month)))
        return sum((row.days for row in rows), Decimal("0.00"))

    @strawberry.field
    async def cells(self, info: Info) -> list[Cell]:
        return [Cell.of(row) for row in await info.context.cells.load((self.user_id, first_day(self.month)))]


@strawberry.type
class PlanningRow:
    user: User
    range: strawberry.Private[list[date]]

    @strawberry.field
    async def months(self, info: Info) -> list[PlanningMonth]:
        keys = [(self.user.id, month) for month in self.range]
        return [
            PlanningMonth(month=Month(f"{key[1]:%Y-%m}"), capacity=capacity, user_id=key[0])
            for key, capacity in zip(keys, await info.context.capacities.load_many(keys), strict=True)
        ]


@strawberry.type
class ProjectPage:
    items: list[Project]


@strawberry.type
class PlanningPage:
    items: list[PlanningRow]


@strawberry.input
class CellInput:
    user_id: UUID
    project_id: UUID
    month: Month
    days: Decimal | None = None


@strawberry.input
class ForecastsWriteInput:
    cells: list[CellInput]


@strawberry.type
class CellResult:
    index: int
    outcome: str
    cell: Cell | None


@strawberry.type
class Problem:
    code: str


@strawberry.type
class ForecastsWritePayload:
    results: list[CellResult]
    months: list[PlanningMonth]
    problems: list[Problem]


@strawberry.type
class PlanningChange:
    kind: str
    cell_ids: list[UUID]
    month_ids: list[UUID]


FromMonth = Annotated[Month, strawberry.argument(name="from")]
ToMonth = Annotated[Month, strawberry.argument(name="to")]
