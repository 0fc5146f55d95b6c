"""Contracts as GraphQL shows them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from schema.context import Info
from schema.edges import to_user
from schema.enums import described
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.pages import IncrementalPage, PageNumber, PageSize, selects, window
from schema.permissions import mutation, query
from schema.refs import UserRef
from server.actor import Permission
from server.incremental import next_updated_after
from server.planning.models import ContractRow, RecordSource
from server.planning.repository import contracts as repository
from server.planning.repository.contracts import ContractOrder
from server.planning.service import contracts as service

described(
    RecordSource,
    "Who owns a contract or an absence.",
    {"MANUAL": "It was entered here.", "PAYFIT": "It comes from PayFit and is changed there."},
)
described(
    ContractOrder,
    "How a list of contracts is ordered.",
    {
        "USER": "By person, then by the first day.",
        "START_DATE": "By the first day.",
        "UPDATED_AT": "By the last change, the oldest first.",
    },
)


@strawberry.type(description="What share of the working days a person works between two dates.")
class Contract:
    id: UUID = strawberry.field(description="The contract's id.")
    start_date: date = strawberry.field(description="First day.")
    end_date: date | None = strawberry.field(description="Last day, included; null while it is open-ended.")
    fte: Decimal = strawberry.field(description="Full-time equivalent: 0.8 for four days a week.")
    weekday_pattern: list[Decimal] | None = strawberry.field(
        description="Share of each day from Monday to Friday; null where the full-time equivalent is spread evenly."
    )
    source: RecordSource = strawberry.field(description="Who owns it.")
    version: int = strawberry.field(description="Counts its changes; an update may say which one it expects.")
    created_at: datetime = strawberry.field(description="When it was added.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")

    user: UserRef = strawberry.field(resolver=to_user("user_id"), description="The person.")


@strawberry.input(description="Which contracts: all that is given must hold.")
class ContractFilter:
    user_ids: list[UUID] | None = strawberry.field(default=None, description="Of any of these people.")
    business_unit_ids: list[UUID] | None = strawberry.field(
        default=None, description="Of people who belong to any of these business units today."
    )
    active_on: date | None = strawberry.field(default=None, description="That run on this day.")
    updated_after: datetime | None = strawberry.field(
        default=None, description="Changed since then, the oldest change first: for incremental reads."
    )

    def to_domain(self) -> repository.ContractFilter:
        return repository.ContractFilter(**vars(self))


@strawberry.type
class Queries:
    @query(
        Permission.CONTRACTS_READ,
        description="Contracts, by person and start unless asked otherwise.",
        graphql_type=IncrementalPage[Contract],
    )
    async def contracts(
        self,
        info: Info,
        filter: Annotated[ContractFilter | None, strawberry.argument(description="Which contracts.")] = None,
        order_by: Annotated[
            ContractOrder, strawberry.argument(description="In which order; an incremental read's is that of change.")
        ] = ContractOrder.USER,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> IncrementalPage[ContractRow]:
        wanted, caller = filter.to_domain() if filter else repository.ContractFilter(), info.context.signed_in
        offset, limit = window(page, size)
        mark = await next_updated_after(info.context.reads) if selects(info, "nextUpdatedAfter") else None
        async with info.context.reads.session() as session:
            items = list(await repository.page(session, wanted, caller, order_by, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session, wanted, caller)

        return IncrementalPage(items=items, page=page, size=size, count=count, next_updated_after=mark)


@strawberry.input(description="All facts of a contract: a new one, or with `id` an existing one.")
class ContractSetInput(Idempotent):
    user_id: UUID = strawberry.field(description="The person.")
    start_date: date = strawberry.field(description="First day.")
    end_date: date | None = strawberry.field(default=None, description="Last day, included; null: open-ended.")
    fte: Decimal | None = strawberry.field(
        default=None, description="Full-time equivalent, above 0 and at most 1; give it or the weekday pattern."
    )
    weekday_pattern: list[Decimal] | None = strawberry.field(
        default=None, description="Share of each day from Monday to Friday, five values from 0 to 1."
    )
    id: UUID | None = strawberry.field(default=None, description="The contract to change; null adds one.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse the change unless the contract is still at this version."
    )
    end_previous: bool = strawberry.field(
        default=False, description="End the open-ended contract before this one on the day before it starts."
    )


@strawberry.type(description="The contract; on a version conflict the contract as it stands.")
class ContractSetPayload(Payload):
    contract: Contract | None = strawberry.field(default=None, description="The contract.")


@strawberry.type
class Mutations:
    @mutation(
        Permission.CONTRACTS_WRITE,
        description="Add or change a contract. Contracts of one person never overlap. Once the last one lies in the "
        "past, the person has LEFT and may not sign in; closed months keep their figures.",
    )
    async def contract_set(self, info: Info, input: ContractSetInput) -> ContractSetPayload:
        today = datetime.now(info.context.settings.timezone).date()
        async with info.context.transaction() as tx:
            row, warnings = await service.set_contract(tx, service.ContractDraft(**vars(input)), today)
        return ContractSetPayload(contract=shown(row), warnings=shown(warnings))
