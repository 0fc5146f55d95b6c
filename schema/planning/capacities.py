"""Capacities as GraphQL shows them, and the one mutation that overrides them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from schema.context import Info
from schema.edges import to_user
from schema.enums import described
from schema.errors import Payload, Problem, shown
from schema.idempotency import Idempotent
from schema.pages import IncrementalPage, PageNumber, PageSize, selects, window
from schema.permissions import mutation, query
from schema.refs import UserRef
from schema.scalars import Month
from server.actor import Permission
from server.errors import BadRequest, FieldError, invalid
from server.incremental import next_updated_after
from server.planning.domain.cells import UNSET, CellOutcome
from server.planning.models import CapacityRow
from server.planning.repository import capacities as repository
from server.planning.repository.capacities import CapacityOrder
from server.planning.service import capacities as service
from server.planning.service.cells import WritePolicy

described(
    CapacityOrder,
    "How a list of capacities is ordered.",
    {
        "MONTH": "By month, then person.",
        "UPDATED_AT": "By the last change, the oldest first.",
    },
)


@strawberry.type(description="What a person can take in a month.")
class Capacity:
    id: UUID = strawberry.field(description="UUID v5 of `user|month`: a client can name it before it exists.")
    month: Month = strawberry.field(description="The month.")
    computed: Decimal = strawberry.field(description="Days that contracts and confirmed absences come to.")
    override: Decimal | None = strawberry.field(description="Days that a person stated instead.")
    effective: Decimal = strawberry.field(description="The days that count: the override, otherwise the computed ones.")
    tentative: Decimal = strawberry.field(description="Days that pending absences would take in addition.")
    leave: Decimal = strawberry.field(description="Days that predictable leave takes: TACE leaves these out.")
    working_days: Decimal = strawberry.field(description="Days that the contracts come to before absences.")
    recomputing: bool = strawberry.field(description="Whether a large change is still being worked in.")
    version: int = strawberry.field(description="Counts what people state; a recomputation never raises it.")
    updated_at: datetime = strawberry.field(description="When any of its values last changed.")

    user: UserRef = strawberry.field(resolver=to_user("user_id"), description="The person.")


@strawberry.input(description="Which capacities: all that is given must hold.")
class CapacityFilter:
    user_ids: list[UUID] | None = strawberry.field(default=None, description="Of any of these people.")
    business_unit_ids: list[UUID] | None = strawberry.field(
        default=None, description="Of people who belong to any of these business units today."
    )
    first: Month | None = strawberry.field(name="from", default=None, description="In this month or later.")
    last: Month | None = strawberry.field(name="to", default=None, description="In this month or earlier.")
    updated_after: datetime | None = strawberry.field(
        default=None, description="Changed since then, the oldest change first: for incremental reads."
    )

    def to_domain(self) -> repository.CapacityFilter:
        if self.first and self.last and self.last < self.first:
            raise BadRequest("filter.from is after filter.to: exchange them.")
        return repository.CapacityFilter(**vars(self))


@strawberry.type
class Queries:
    @query(
        Permission.PLANNING_READ,
        description="Capacities, by month and person unless asked otherwise.",
        graphql_type=IncrementalPage[Capacity],
    )
    async def capacities(
        self,
        info: Info,
        filter: Annotated[CapacityFilter | None, strawberry.argument(description="Which capacities.")] = None,
        order_by: Annotated[
            CapacityOrder, strawberry.argument(description="In which order; an incremental read's is that of change.")
        ] = CapacityOrder.MONTH,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> IncrementalPage[CapacityRow]:
        wanted, caller = filter.to_domain() if filter else repository.CapacityFilter(), info.context.signed_in
        offset, limit = window(page, size)
        mark = await next_updated_after(info.context.reads) if selects(info, "nextUpdatedAfter") else None
        async with info.context.reads.session() as session:
            items = list(await repository.page(session, wanted, caller, order_by, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session, wanted, caller)

        return IncrementalPage(items=items, page=page, size=size, count=count, next_updated_after=mark)


@strawberry.input(description="What to state for one person's month.")
class CapacityInput:
    user_id: UUID = strawberry.field(description="The person.")
    month: Month = strawberry.field(description="The month.")
    override: Decimal | None = strawberry.field(
        default=strawberry.UNSET,
        description="Days, 0 to 31 with two decimals at most; null clears, so that the computed capacity counts again.",
    )
    expected_version: int | None = strawberry.field(
        default=strawberry.UNSET,
        description="Left out: no check. Null: nothing may be stated yet. A number: it must be at this version.",
    )


@strawberry.input(description="Capacities to state in one call.")
class CapacitiesWriteInput(Idempotent):
    capacities: list[CapacityInput] = strawberry.field(description="Up to 500 capacities, each at most once.")
    policy: WritePolicy = strawberry.field(
        default=WritePolicy.REJECT_EVERYTHING, description="What to do with the good ones when others are refused."
    )
    dry_run: bool = strawberry.field(default=False, description="Answer what the call would do, and change nothing.")

    def to_domain(self) -> list[service.CapacityWrite]:
        missing = [index for index, each in enumerate(self.capacities) if each.override is strawberry.UNSET]
        if missing:
            message = "State the days, or null to clear the override."
            raise invalid([FieldError(("capacities", str(n), "override"), "DAYS_MISSING", message) for n in missing])
        return [
            service.CapacityWrite(
                each.user_id,
                each.month,
                each.override,
                UNSET if each.expected_version is strawberry.UNSET else each.expected_version,
            )
            for each in self.capacities
        ]


@strawberry.type(description="What became of one capacity of the call.")
class CapacityResult:
    index: int = strawberry.field(description="Its place in the input, from 0.")
    outcome: CellOutcome = strawberry.field(description="Whether it was written.")
    capacity: Capacity | None = strawberry.field(description="The capacity as it is now; null where there is none.")
    problem: Problem | None = strawberry.field(description="Why it was not written.")


@strawberry.type(description="The result of each capacity.")
class CapacitiesWritePayload(Payload):
    results: list[CapacityResult] = strawberry.field(
        default_factory=list, description="One for each, in the input's order; none where the call was refused."
    )


@strawberry.type
class Mutations:
    @mutation(
        Permission.CAPACITIES_WRITE,
        description="Override up to 500 capacities at once, or clear overrides; expected load follows in proportion.",
    )
    async def capacities_write(self, info: Info, input: CapacitiesWriteInput) -> CapacitiesWritePayload:
        writes = input.to_domain()
        async with info.context.transaction() as tx:
            answer = await service.write(tx, writes, input.policy, dry_run=input.dry_run)
        return CapacitiesWritePayload(
            results=shown(answer.results), problems=shown(answer.problems), warnings=shown(answer.warnings)
        )
