"""Projects as GraphQL shows them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import strawberry

from execution import Loader, loader_field
from schema.context import Context, Info
from schema.edges import BRIEF_ASSIGNMENT, BRIEF_PROJECT, to_business_unit
from schema.enums import described
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.inputs import given
from schema.pages import IncrementalPage, PageNumber, PageSize, selected, selects, window
from schema.permissions import mutation, query, requires
from schema.refs import AssignmentRef, BusinessUnitRef, ProjectMonthRef
from schema.scalars import Month
from server.actor import Permission
from server.errors import BadRequest, NotFound
from server.incremental import next_updated_after
from server.planning.repository.assignments import Period
from server.planning.service import projects as planned_projects
from server.projects import repository, service
from server.projects.models import ProjectRow, ProjectStatus
from server.projects.repository import ProjectOrder

described(
    ProjectStatus,
    "Where a project stands.",
    {
        "PLANNED": "Not started; takes load.",
        "ACTIVE": "Under way; takes load.",
        "ON_HOLD": "Interrupted; still takes load.",
        "DONE": "Finished; refuses new load.",
        "CANCELLED": "Given up; refuses new load.",
    },
)
described(
    ProjectOrder,
    "How a list of projects is ordered.",
    {
        "CODE": "By code, without regard to case.",
        "NAME": "By name, without regard to case.",
        "START_DATE": "By start, those without one last.",
        "UPDATED_AT": "By the last change, the oldest first.",
    },
)


def _months(
    info: strawberry.Info[Context, None],
    first: Annotated[Month, strawberry.argument(name="from", description="First month.")],
    last: Annotated[Month, strawberry.argument(name="to", description="Last month, included; at most 60 months.")],
) -> Loader:
    return info.context.loaders.project_months(first, last)


def _assignments(
    info: strawberry.Info[Context, None],
    active_from: Annotated[
        date | None, strawberry.argument(description="Only those that end on this day or later.")
    ] = None,
    active_to: Annotated[
        date | None, strawberry.argument(description="Only those that start on this day or earlier.")
    ] = None,
) -> Loader:
    brief = selected(info) <= BRIEF_ASSIGNMENT
    return info.context.loaders.assignments_of_project(Period(active_from, active_to), brief=brief)


@strawberry.type(description="Something that people work on.")
class Project:
    id: UUID = strawberry.field(description="The project's id.")
    code: str = strawberry.field(description="The company's own short name for it; unique without regard to case.")
    name: str = strawberry.field(description="Its name.")
    status: ProjectStatus = strawberry.field(description="Where it stands.")
    start_date: date | None = strawberry.field(description="First day, if known.")
    end_date: date | None = strawberry.field(description="Last day, if known.")
    productive: bool = strawberry.field(description="Whether its days count as productive in TACE and TACI.")
    version: int = strawberry.field(description="Counts its changes; an update may say which one it expects.")
    archived_at: datetime | None = strawberry.field(
        description="When it was archived: deleted with load on it, so it stays in the plan and takes no new load."
    )
    deleted_at: datetime | None = strawberry.field(description="When it was deleted; seen in incremental reads only.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")

    business_unit: BusinessUnitRef | None = strawberry.field(
        resolver=to_business_unit(), description="The business unit that it belongs to."
    )

    months: list[ProjectMonthRef] = strawberry.field(
        resolver=loader_field(_months, key="id"),
        description="What is laid on the project's people, month by month.",
        extensions=[requires(Permission.PLANNING_READ)],
    )

    assignments: list[AssignmentRef] = strawberry.field(
        resolver=loader_field(_assignments, key="id"),
        description="The assignments to the project, by start.",
        extensions=[requires(Permission.PLANNING_READ)],
    )


@strawberry.input(description="Which projects: all that is given must hold.")
class ProjectFilter:
    ids: list[UUID] | None = strawberry.field(default=None, description="These projects.")
    statuses: list[ProjectStatus] | None = strawberry.field(default=None, description="In any of these states.")
    business_unit_ids: list[UUID] | None = strawberry.field(
        default=None, description="Belonging to any of these business units."
    )
    search: str | None = strawberry.field(
        default=None, description="Whose code or name contains this, without regard to case."
    )
    active_on: date | None = strawberry.field(default=None, description="Not over and not yet to start on this day.")
    archived: bool | None = strawberry.field(default=None, description="Only archived ones, or only the others.")
    updated_after: datetime | None = strawberry.field(
        default=None,
        description="Changed since then, deleted ones included, the oldest change first: for incremental reads.",
    )

    def to_domain(self) -> repository.ProjectFilter:
        return repository.ProjectFilter(**vars(self))


@strawberry.type
class Queries:
    @query(Permission.PROJECTS_READ, description="One project, by its id or by its code.", graphql_type=Project)
    async def project(
        self,
        info: Info,
        id: Annotated[UUID | None, strawberry.argument(description="Its id.")] = None,
        code: Annotated[str | None, strawberry.argument(description="Its code, in any letter case.")] = None,
    ) -> ProjectRow:
        if (id is None) == (code is None):
            raise BadRequest("Give either the project's id or its code.")
        async with info.context.reads.session() as session:
            found = await (repository.by_id(session, id) if id else repository.by_code(session, code or ""))
        if found is None:
            raise NotFound(f"There is no project with the {'id' if id else 'code'} {id or code}.")
        return found

    @query(
        Permission.PROJECTS_READ,
        description="Projects, by code unless asked otherwise.",
        graphql_type=IncrementalPage[Project],
    )
    async def projects(
        self,
        info: Info,
        filter: Annotated[ProjectFilter | None, strawberry.argument(description="Which projects.")] = None,
        order_by: Annotated[ProjectOrder, strawberry.argument(description="In which order.")] = ProjectOrder.CODE,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> IncrementalPage[ProjectRow]:
        wanted = filter.to_domain() if filter else repository.ProjectFilter()
        offset, limit = window(page, size)
        mark = await next_updated_after(info.context.reads) if selects(info, "nextUpdatedAfter") else None
        async with info.context.reads.light() as connection:
            brief = selected(info, "items") <= BRIEF_PROJECT | {"assignments", "months"}
            items = list(await repository.page(connection, wanted, order_by, offset, limit, brief=brief))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session, wanted)

        return IncrementalPage(items=items, page=page, size=size, count=count, next_updated_after=mark)


@strawberry.input(description="A new project.")
class ProjectCreateInput(Idempotent):
    code: str = strawberry.field(description="The company's own short name for it; unique without regard to case.")
    name: str = strawberry.field(description="Its name.")
    status: ProjectStatus = strawberry.field(default=ProjectStatus.PLANNED, description="Where it stands.")
    start_date: date | None = strawberry.field(default=None, description="First day, if known.")
    end_date: date | None = strawberry.field(default=None, description="Last day, if known.")
    business_unit_id: UUID | None = strawberry.field(default=None, description="The business unit it belongs to.")
    productive: bool = strawberry.field(default=True, description="Whether its days count in TACE and TACI.")


@strawberry.input(description="A change of a project; fields left out stay as they are, null clears.")
class ProjectUpdateInput(Idempotent):
    id: UUID = strawberry.field(description="The project to change.")
    code: str | None = strawberry.field(default=strawberry.UNSET, description="A new code.")
    name: str | None = strawberry.field(default=strawberry.UNSET, description="A new name.")
    status: ProjectStatus | None = strawberry.field(default=strawberry.UNSET, description="A new state.")
    start_date: date | None = strawberry.field(default=strawberry.UNSET, description="A new first day.")
    end_date: date | None = strawberry.field(default=strawberry.UNSET, description="A new last day.")
    business_unit_id: UUID | None = strawberry.field(default=strawberry.UNSET, description="Another business unit.")
    productive: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether its days count in TACE and TACI."
    )
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse the change unless the project is still at this version."
    )


@strawberry.input(description="The project to delete.")
class ProjectDeleteInput(Idempotent):
    id: UUID = strawberry.field(description="The project to delete.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse to delete unless the project is still at this version."
    )


@strawberry.type(description="The new project, or why there is none.")
class ProjectCreatePayload(Payload):
    project: Project | None = strawberry.field(default=None, description="The new project.")


@strawberry.type(description="The changed project; on a version conflict the project as it stands.")
class ProjectUpdatePayload(Payload):
    project: Project | None = strawberry.field(default=None, description="The project.")


@strawberry.type(description="The deleted or archived project; on a version conflict the project as it stands.")
class ProjectDeletePayload(Payload):
    project: Project | None = strawberry.field(default=None, description="The project, with deletedAt or archivedAt.")


@strawberry.type
class Mutations:
    @mutation(Permission.PROJECTS_WRITE, description="Create a project.")
    async def project_create(self, info: Info, input: ProjectCreateInput) -> ProjectCreatePayload:
        async with info.context.transaction() as tx:
            row = await service.create(tx, service.ProjectDraft(**vars(input)))
            return ProjectCreatePayload(project=shown(row))

    @mutation(Permission.PROJECTS_WRITE, description="Change a project; fields left out stay as they are.")
    async def project_update(self, info: Info, input: ProjectUpdateInput) -> ProjectUpdatePayload:
        values = given(input, required=("code", "name", "status", "productive"), other=("id", "expected_version"))
        async with info.context.transaction() as tx:
            row = await service.update(tx, service.ProjectChange(input.id, values, input.expected_version))
            return ProjectUpdatePayload(project=shown(row))

    @mutation(
        Permission.PROJECTS_WRITE,
        description="Delete a project with its assignments. One with stated or actual load is archived instead, "
        "so that history stays whole; a warning says so.",
    )
    async def project_delete(self, info: Info, input: ProjectDeleteInput) -> ProjectDeletePayload:
        async with info.context.transaction() as tx:
            row, warnings = await planned_projects.delete(tx, input.id, input.expected_version)
            return ProjectDeletePayload(project=shown(row), warnings=shown(warnings))
