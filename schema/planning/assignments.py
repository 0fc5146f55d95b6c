"""Assignments as GraphQL shows them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from schema.context import Info
from schema.edges import to_project, to_user
from schema.enums import described
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.inputs import given
from schema.pages import IncrementalPage, PageNumber, PageSize, selects, window
from schema.permissions import mutation, query
from schema.refs import ProjectRef, UserRef
from server.actor import Permission
from server.incremental import next_updated_after
from server.planning.domain.splitting import Part
from server.planning.models import AssignmentRow
from server.planning.repository import assignments as repository
from server.planning.repository.assignments import AssignmentOrder
from server.planning.service import assignments as service
from server.planning.service import splitting

described(
    AssignmentOrder,
    "How a list of assignments is ordered.",
    {
        "START_DATE": "By the first day.",
        "END_DATE": "By the last day.",
        "UPDATED_AT": "By the last change, the oldest first.",
    },
)


@strawberry.type(description="Gives a person to a project between two dates, and so leads to expect load.")
class Assignment:
    id: UUID = strawberry.field(description="The assignment's id.")
    rate: Decimal = strawberry.field(description="Percentage of the person's capacity, above 0 and at most 100.")
    start_date: date = strawberry.field(description="First day.")
    end_date: date = strawberry.field(description="Last day, included.")
    note: str | None = strawberry.field(description="What whoever made it wrote about it.")
    version: int = strawberry.field(description="Counts its changes; an update may say which one it expects.")
    deleted_at: datetime | None = strawberry.field(description="When it was deleted.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")

    user: UserRef = strawberry.field(resolver=to_user("user_id"), description="The person.")

    project: ProjectRef = strawberry.field(resolver=to_project("project_id"), description="The project.")


@strawberry.input(description="Which assignments: all that is given must hold.")
class AssignmentFilter:
    user_ids: list[UUID] | None = strawberry.field(default=None, description="Of any of these people.")
    project_ids: list[UUID] | None = strawberry.field(default=None, description="To any of these projects.")
    business_unit_ids: list[UUID] | None = strawberry.field(
        default=None, description="Of people who belong to any of these business units today."
    )
    active_from: date | None = strawberry.field(default=None, description="That end on this day or later.")
    active_to: date | None = strawberry.field(default=None, description="That start on this day or earlier.")
    include_deleted: bool = strawberry.field(default=False, description="Whether deleted ones come too.")
    updated_after: datetime | None = strawberry.field(
        default=None,
        description="Changed since then, deleted ones included, the oldest change first: for incremental reads.",
    )

    def to_domain(self) -> repository.AssignmentFilter:
        return repository.AssignmentFilter(**vars(self))


@strawberry.type
class Queries:
    @query(
        Permission.PLANNING_READ,
        description="Assignments, by start unless asked otherwise.",
        graphql_type=IncrementalPage[Assignment],
    )
    async def assignments(
        self,
        info: Info,
        filter: Annotated[AssignmentFilter | None, strawberry.argument(description="Which assignments.")] = None,
        order_by: Annotated[
            AssignmentOrder, strawberry.argument(description="In which order; an incremental read's is that of change.")
        ] = AssignmentOrder.START_DATE,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> IncrementalPage[AssignmentRow]:
        wanted = filter.to_domain() if filter else repository.AssignmentFilter()
        offset, limit = window(page, size)
        mark = await next_updated_after(info.context.reads) if selects(info, "nextUpdatedAfter") else None
        async with info.context.reads.session() as session:
            items = list(await repository.page(session, wanted, order_by, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session, wanted)

        return IncrementalPage(items=items, page=page, size=size, count=count, next_updated_after=mark)


@strawberry.input(description="A new assignment.")
class AssignmentCreateInput(Idempotent):
    user_id: UUID = strawberry.field(description="The person.")
    project_id: UUID = strawberry.field(description="The project, which must take load.")
    rate: Decimal = strawberry.field(description="Percentage of the person's capacity: above 0, at most 100.")
    start_date: date = strawberry.field(description="First day.")
    end_date: date = strawberry.field(description="Last day, included.")
    note: str | None = strawberry.field(default=None, description="Anything worth knowing about it.")


@strawberry.input(description="A change of an assignment; fields left out stay as they are.")
class AssignmentUpdateInput(Idempotent):
    id: UUID = strawberry.field(description="The assignment to change.")
    rate: Decimal | None = strawberry.field(default=strawberry.UNSET, description="A new rate.")
    start_date: date | None = strawberry.field(default=strawberry.UNSET, description="A new first day.")
    end_date: date | None = strawberry.field(default=strawberry.UNSET, description="A new last day.")
    note: str | None = strawberry.field(default=strawberry.UNSET, description="A new note; null clears it.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse the change unless the assignment is still at this version."
    )


@strawberry.input(description="The assignment to delete.")
class AssignmentDeleteInput(Idempotent):
    id: UUID = strawberry.field(description="The assignment to delete.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse to delete unless the assignment is still at this version."
    )


@strawberry.input(description="One of the parts that an assignment is split into.")
class AssignmentPartInput:
    user_id: UUID = strawberry.field(description="The person who takes the part.")
    rate: Decimal = strawberry.field(description="Percentage of that person's capacity.")
    start_date: date = strawberry.field(description="First day.")
    end_date: date = strawberry.field(description="Last day, included.")

    def to_domain(self) -> Part:
        return Part(self.user_id, self.rate, self.start_date, self.end_date)


@strawberry.input(
    description="How to split an assignment: at a day, or into parts whose rates add up to its own on each of its days."
)
class AssignmentSplitInput(Idempotent):
    id: UUID = strawberry.field(description="The assignment to split.")
    at: date | None = strawberry.field(default=None, description="First day of the second part.")
    parts: list[AssignmentPartInput] | None = strawberry.field(default=None, description="The parts, up to 100.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse to split unless the assignment is still at this version."
    )

    def to_domain(self) -> splitting.Split:
        parts = None if self.parts is None else [part.to_domain() for part in self.parts]
        return splitting.Split(self.id, self.at, parts, self.expected_version)


@strawberry.type(description="The new assignment, or why there is none.")
class AssignmentCreatePayload(Payload):
    assignment: Assignment | None = strawberry.field(default=None, description="The new assignment.")


@strawberry.type(description="The changed assignment; on a version conflict the assignment as it stands.")
class AssignmentUpdatePayload(Payload):
    assignment: Assignment | None = strawberry.field(default=None, description="The assignment.")


@strawberry.type(description="The deleted assignment; on a version conflict the assignment as it stands.")
class AssignmentDeletePayload(Payload):
    assignment: Assignment | None = strawberry.field(default=None, description="The assignment, with deletedAt.")


@strawberry.type(description="The parts; on a version conflict the assignment as it stands.")
class AssignmentSplitPayload(Payload):
    assignment: Assignment | None = strawberry.field(
        default=None,
        description="The assignment that was split. It is the first part of its person, or deleted when none is left.",
    )
    assignments: list[Assignment] = strawberry.field(
        default_factory=list, description="All the parts, in the order asked for."
    )


@strawberry.type
class Mutations:
    @mutation(
        Permission.ASSIGNMENTS_WRITE,
        description="Give a person to a project. More than 100 % in all is allowed; a warning tells the months.",
    )
    async def assignment_create(self, info: Info, input: AssignmentCreateInput) -> AssignmentCreatePayload:
        async with info.context.transaction() as tx:
            row, warnings = await service.create(tx, service.AssignmentDraft(**vars(input)))
        return AssignmentCreatePayload(assignment=shown(row), warnings=shown(warnings))

    @mutation(Permission.ASSIGNMENTS_WRITE, description="Change an assignment; fields left out stay as they are.")
    async def assignment_update(self, info: Info, input: AssignmentUpdateInput) -> AssignmentUpdatePayload:
        values = given(input, required=("rate", "start_date", "end_date"))
        async with info.context.transaction() as tx:
            change = service.AssignmentChange(input.id, values, input.expected_version)
            row, warnings = await service.update(tx, change)
        return AssignmentUpdatePayload(assignment=shown(row), warnings=shown(warnings))

    @mutation(
        Permission.ASSIGNMENTS_WRITE,
        description="Delete an assignment. What people stated on the project stays; incremental reads still show it.",
    )
    async def assignment_delete(self, info: Info, input: AssignmentDeleteInput) -> AssignmentDeletePayload:
        async with info.context.transaction() as tx:
            row, warnings = await service.delete(tx, input.id, input.expected_version)
        return AssignmentDeletePayload(assignment=shown(row), warnings=shown(warnings))

    @mutation(
        Permission.ASSIGNMENTS_WRITE,
        description="Split an assignment at a day, or among periods and people; its rate is the same on every day.",
    )
    async def assignment_split(self, info: Info, input: AssignmentSplitInput) -> AssignmentSplitPayload:
        async with info.context.transaction() as tx:
            done = await splitting.split(tx, input.to_domain())
        return AssignmentSplitPayload(
            assignment=shown(done.original), assignments=shown(done.parts), warnings=shown(done.warnings)
        )
