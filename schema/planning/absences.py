"""Absences as GraphQL shows them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import strawberry

from schema.context import Info
from schema.edges import to_user
from schema.enums import described
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.pages import Page, PageNumber, PageSize, window
from schema.permissions import mutation, query, requires
from schema.refs import UserRef
from server.actor import Permission
from server.errors import BadRequest
from server.planning.models import AbsenceRow, AbsenceStatus, Half, RecordSource
from server.planning.repository import absences as repository
from server.planning.repository.absences import AbsenceOrder
from server.planning.service import absences as service

described(Half, "One half of a day.", {"MORNING": "The first half.", "AFTERNOON": "The second half."})
described(
    AbsenceStatus,
    "Whether an absence counts.",
    {
        "PENDING": "Awaits approval: shown apart, and takes no capacity yet.",
        "APPROVED": "Takes capacity.",
    },
)
described(
    AbsenceOrder,
    "How a list of absences is ordered.",
    {
        "START_DATE": "By the first day.",
        "UPDATED_AT": "By the last change, the oldest first.",
    },
)


@strawberry.type(description="Days on which a person does not work.")
class Absence:
    id: UUID = strawberry.field(description="The absence's id.")
    start_date: date = strawberry.field(description="First day.")
    start_half: Half = strawberry.field(description="First half that is taken: AFTERNOON leaves the first morning.")
    end_date: date = strawberry.field(description="Last day, included.")
    end_half: Half = strawberry.field(description="Last half that is taken: MORNING leaves the last afternoon.")
    status: AbsenceStatus = strawberry.field(description="Whether it counts.")
    source: RecordSource = strawberry.field(description="Who owns it.")
    version: int = strawberry.field(description="Counts its changes.")
    created_at: datetime = strawberry.field(description="When it was added.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")

    @strawberry.field(
        description="Its type, which may be health data: null to whoever may not see it; people see their own.",
        extensions=[requires(Permission.ABSENCES_READ_TYPE, or_self=True, or_null=True)],
    )
    def type(self, parent: strawberry.Parent[AbsenceRow]) -> str | None:
        return parent.type

    user: UserRef = strawberry.field(resolver=to_user("user_id"), description="The person.")


@strawberry.input(description="Which absences: all that is given must hold.")
class AbsenceFilter:
    user_ids: list[UUID] | None = strawberry.field(default=None, description="Of any of these people.")
    first: date | None = strawberry.field(name="from", default=None, description="That end on this day or later.")
    last: date | None = strawberry.field(name="to", default=None, description="That start on this day or earlier.")
    status: AbsenceStatus | None = strawberry.field(default=None, description="In this state.")

    def to_domain(self) -> repository.AbsenceFilter:
        if self.first and self.last and self.last < self.first:
            raise BadRequest("filter.from is after filter.to: exchange them.")
        return repository.AbsenceFilter(**vars(self))


@strawberry.type
class Queries:
    @query(
        Permission.ABSENCES_READ, description="Absences, by start unless asked otherwise.", graphql_type=Page[Absence]
    )
    async def absences(
        self,
        info: Info,
        filter: Annotated[AbsenceFilter | None, strawberry.argument(description="Which absences.")] = None,
        order_by: Annotated[AbsenceOrder, strawberry.argument(description="In which order.")] = AbsenceOrder.START_DATE,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> Page[AbsenceRow]:
        wanted, caller = filter.to_domain() if filter else repository.AbsenceFilter(), info.context.signed_in
        offset, limit = window(page, size)
        async with info.context.reads.session() as session:
            items = list(await repository.page(session, wanted, caller, order_by, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session, wanted, caller)

        return Page(items=items, page=page, size=size, count=count)


@strawberry.input(description="A new absence. It may overlap others of the same person: days off count once.")
class AbsenceCreateInput(Idempotent):
    user_id: UUID = strawberry.field(description="The person.")
    start_date: date = strawberry.field(description="First day.")
    end_date: date = strawberry.field(description="Last day, included.")
    type: str = strawberry.field(description="Its type, such as fr_conges_payes.")
    start_half: Half = strawberry.field(
        default=Half.MORNING, description="First half that is taken: AFTERNOON leaves the first morning."
    )
    end_half: Half = strawberry.field(
        default=Half.AFTERNOON, description="Last half that is taken: MORNING leaves the last afternoon."
    )
    status: AbsenceStatus = strawberry.field(default=AbsenceStatus.APPROVED, description="Whether it counts already.")


@strawberry.input(description="The absence to delete.")
class AbsenceDeleteInput(Idempotent):
    id: UUID = strawberry.field(description="The absence to delete.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse to delete unless the absence is still at this version."
    )


@strawberry.type(description="The new absence, or why there is none.")
class AbsenceCreatePayload(Payload):
    absence: Absence | None = strawberry.field(default=None, description="The new absence.")


@strawberry.type(description="The absence that was deleted; on a version conflict the absence as it stands.")
class AbsenceDeletePayload(Payload):
    absence: Absence | None = strawberry.field(default=None, description="The absence.")


@strawberry.type
class Mutations:
    @mutation(
        Permission.ABSENCES_WRITE,
        description="Enter an absence. Months that it makes over-allocated come as a warning; closed ones stay.",
    )
    async def absence_create(self, info: Info, input: AbsenceCreateInput) -> AbsenceCreatePayload:
        async with info.context.transaction() as tx:
            row, warnings = await service.create(tx, service.AbsenceDraft(**vars(input)))
        return AbsenceCreatePayload(absence=shown(row), warnings=shown(warnings))

    @mutation(Permission.ABSENCES_WRITE, description="Delete an absence that was entered here.")
    async def absence_delete(self, info: Info, input: AbsenceDeleteInput) -> AbsenceDeletePayload:
        async with info.context.transaction() as tx:
            row, warnings = await service.delete(tx, input.id, input.expected_version)
        return AbsenceDeletePayload(absence=shown(row), warnings=shown(warnings))
