"""The planning grid as GraphQL shows it: people by months, with capacity, load, cells and the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

from execution import Loader, loader_field
from schema.context import Context, Info
from schema.edges import BRIEF_USER
from schema.enums import described
from schema.errors import shown
from schema.pages import Page, PageNumber, PageSize, selected, window
from schema.permissions import is_self, query
from schema.refs import CellRef, UserRef
from schema.scalars import Month
from server.actor import Permission
from server.errors import BadRequest
from server.ids import as_uuid
from server.planning.domain.explanation import CapacityLine as Line
from server.planning.domain.explanation import CapacityLineKind
from server.planning.repository import grid as repository
from server.planning.service import grid
from server.planning.service.grid import MonthRow

MAX_IDS = 500

FirstMonth = Annotated[Month, strawberry.argument(name="from", description="First month.")]
LastMonth = Annotated[Month, strawberry.argument(name="to", description="Last month, included; at most 60 months.")]

described(
    CapacityLineKind,
    "What a line of an explanation is about.",
    {
        "WEEKDAYS": "The month's Mondays to Fridays: where the sum begins.",
        "HOLIDAY": "A public holiday on one of them.",
        "CLOSED": "A day on which the company is closed, such as a bridge.",
        "WORKED_HOLIDAY": "A public holiday on which the company works.",
        "NO_CONTRACT": "Days without a contract.",
        "PART_TIME": "What part time leaves out.",
        "ABSENCE": "An absence.",
        "PENDING_ABSENCE": "An absence that awaits approval: it takes nothing yet.",
        "OVERRIDE": "The difference that a capacity set by hand makes.",
        "STALE": "What has changed since the month was closed, or is still to be worked in, and does not count.",
        "LOAD": "A project that asks for days, the largest first. The lines before it add up to the capacity.",
        "MISSING": "Days by which the load exceeds the capacity.",
    },
)


@strawberry.type(description="One step from the month's weekdays to its capacity, or one contributor to its load.")
class CapacityLine:
    kind: CapacityLineKind = strawberry.field(description="What the line is about.")
    label: str = strawberry.field(description="The same for people, in words.")
    days: Decimal = strawberry.field(description="Days that it adds, negative where it takes some.")
    reference_id: UUID | None = strawberry.field(
        description="The absence of an absence's line, the project of a load's."
    )


@strawberry.type(description="What a person can take in a month, and what is laid on them.")
class PlanningMonth:
    id: UUID = strawberry.field(description="UUID v5 of `user|month`: a client can name it before it exists.")
    month: Month = strawberry.field(description="The month.")
    capacity: Decimal = strawberry.field(description="Days the person can take: set by hand, otherwise computed.")
    load: Decimal = strawberry.field(description="Days laid on the person: the sum of the cells' days.")
    availability: Decimal = strawberry.field(description="Capacity − load; negative where over-allocated.")
    utilisation: Decimal | None = strawberry.field(description="Load / capacity; null where there is no capacity.")
    overallocated: bool = strawberry.field(description="Whether the load exceeds the capacity.")
    closed: bool = strawberry.field(description="Whether the month is closed: nothing in it changes until reopened.")
    override: Decimal | None = strawberry.field(description="The capacity set by hand, if any.")
    tentative: Decimal = strawberry.field(description="Days that absences awaiting approval would take as well.")
    capacity_version: int = strawberry.field(description="Counts the changes of the capacity that was set by hand.")
    recomputing: bool = strawberry.field(description="Whether a large change is still being worked in.")
    cells: list[CellRef] = strawberry.field(
        description="One per project with a stated, expected or actual value, in the order of the projects' ids."
    )

    @strawberry.field(
        description="Why the month is as it is: line by line from the weekdays to the capacity, "
        "then each contributor to the load, then the missing days if any. Absences and part time come as sums, "
        "without their dates and weekdays, to callers who may not see absences or contracts.",
        graphql_type=list[CapacityLine],
    )
    async def explanation(self, info: Info, parent: strawberry.Parent[MonthRow]) -> Sequence[Line]:
        shown_lines = parent.lines
        if shown_lines is None:
            loaders = info.context.loaders
            lines = await loaders.capacity_lines.one((parent.user_id, parent.month, parent.override))
            projects: list[Any] = await loaders.brief_project.load_all([cell.project_id for cell in parent.cells])
            names = {as_uuid(row.id): row.name for row in projects if row is not None}
            shown_lines = grid.explanation(parent, lines, names)
        actor = info.context.signed_in
        if is_self(actor, parent):
            return shown_lines
        return grid.without_particulars(
            shown_lines, absences=actor.can(Permission.ABSENCES_READ), contracts=actor.can(Permission.CONTRACTS_READ)
        )


def _project_cells(info: strawberry.Info[Context, None]) -> Loader:
    return info.context.loaders.project_cells


@strawberry.type(description="What is laid on a project's people in a month.")
class ProjectMonth:
    month: Month = strawberry.field(description="The month.")
    load: Decimal = strawberry.field(description="The days that count: the sum of the cells' days.")
    expected: Decimal = strawberry.field(description="The sum of the expected days.")
    stated: Decimal | None = strawberry.field(description="The sum of the stated days; null where none are stated.")
    actual: Decimal | None = strawberry.field(description="The sum of the declared days; null where none are.")

    cells: list[CellRef] = strawberry.field(
        resolver=loader_field(_project_cells, key=lambda totals: (totals.project_id, totals.month)),
        description="One per person with a stated, expected or actual value, in the order of the people's ids.",
    )


@strawberry.type(description="One person's part of the plan.")
class PlanningRow:
    user: UserRef = strawberry.field(description="The person.")
    months: list[PlanningMonth] = strawberry.field(description="Every month of the range, in order.")


@strawberry.type(description="A page of the plan, by last name, first name and id.")
class PlanningPage(Page[PlanningRow]):
    pass


@strawberry.input(description="Whose plan: all that is given must hold. Service users have none.")
class PlanningFilter:
    user_ids: list[UUID] | None = strawberry.field(default=None, description="These people.")
    business_unit_ids: list[UUID] | None = strawberry.field(
        default=None, description="People of any of these business units."
    )
    project_ids: list[UUID] | None = strawberry.field(
        default=None, description="People with load on any of these projects in the range."
    )
    search: str | None = strawberry.field(
        default=None, description="People whose name contains this, without regard to case."
    )
    overallocated: bool | None = strawberry.field(
        default=None, description="People with, or without, an over-allocated month in the range."
    )
    has_conflict: bool | None = strawberry.field(
        default=None,
        description="People with, or without, a cell in the range whose stated days differ from the expected ones.",
    )
    include_left: bool = strawberry.field(
        default=False,
        description="Also people who left and have no contract in the range, or were deactivated and have no load.",
    )

    def to_domain(self) -> repository.PlanningFilter:
        return repository.PlanningFilter(**vars(self))


def as_filter(filter: PlanningFilter | None) -> repository.PlanningFilter:
    return filter.to_domain() if filter else repository.PlanningFilter()


AT_A_GLANCE = frozenset(
    "__typename id month capacity load availability utilisation overallocated cells".split()  # noqa: SIM905
)
CELLS_AT_A_GLANCE = frozenset({"__typename", "id", "days", "user", "project"})
"""what is answered without the columns of everything else; tests/planning/test_grid.py compares the answers"""


@strawberry.type
class Queries:
    @query(
        Permission.PLANNING_READ,
        description="The planning grid: people with their months and cells, as they stand at one moment.",
    )
    async def planning(
        self,
        info: Info,
        first: FirstMonth,
        last: LastMonth,
        filter: Annotated[PlanningFilter | None, strawberry.argument(description="Whose plan.")] = None,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> PlanningPage:
        wanted = as_filter(filter)
        offset, limit = window(page, size)
        reads = info.context.reads
        is_glance = (
            selected(info, "items", "months") <= AT_A_GLANCE
            and selected(info, "items", "months", "cells") <= CELLS_AT_A_GLANCE
        )
        brief = selected(info, "items", "user") <= BRIEF_USER
        items = await (grid.glance if is_glance else grid.page)(reads, wanted, first, last, offset, limit, brief=brief)
        return PlanningPage(
            items=shown(items), page=page, size=size, count=lambda: grid.count(reads, wanted, first, last)
        )

    @query(
        Permission.PLANNING_READ,
        description="People's months by id, to read again what a subscription named. Unknown ids are left out.",
        graphql_type=list[PlanningMonth],
    )
    async def planning_months(
        self, info: Info, ids: Annotated[list[UUID], strawberry.argument(description="Up to 500 ids of months.")]
    ) -> list[MonthRow]:
        async with info.context.reads.session() as session:
            return await grid.months_by_ids(session, at_most(ids))


def at_most(ids: list[UUID]) -> list[UUID]:
    """The ids. Raises BadRequest when they are more than one call may ask for."""
    if len(ids) > MAX_IDS:
        raise BadRequest(f"{len(ids)} ids are too many: ask for at most {MAX_IDS} at once.")
    return ids
