"""Closing and reopening months, as GraphQL shows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import strawberry

from schema.context import Info
from schema.edges import to_user
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.permissions import mutation, query
from schema.refs import UserRef
from schema.scalars import Month
from server.actor import Permission
from server.planning.models import ClosedMonthRow
from server.planning.service import months


@strawberry.type(description="A month closed for the whole company: nothing in it changes until it is reopened.")
class ClosedMonth:
    month: Month = strawberry.field(description="The month.")
    closed_at: datetime = strawberry.field(description="When it was closed.")

    closed_by: UserRef | None = strawberry.field(
        resolver=to_user("closed_by_id"), description="Who closed it, where that is known."
    )


@strawberry.type
class Queries:
    @query(
        Permission.PLANNING_READ,
        description="The closed months of a range, in order.",
        graphql_type=list[ClosedMonth],
    )
    async def closed_months(
        self,
        info: Info,
        first: Annotated[Month, strawberry.argument(name="from", description="First month.")],
        last: Annotated[Month, strawberry.argument(name="to", description="Last month, included.")],
    ) -> Sequence[ClosedMonthRow]:
        return await months.closed_between(info.context.reads, first, last)


@strawberry.input(description="The month to close.")
class MonthCloseInput(Idempotent):
    month: Month = strawberry.field(description="The month; not one that has yet to begin.")


@strawberry.input(description="The month to reopen.")
class MonthReopenInput(Idempotent):
    month: Month = strawberry.field(description="The month.")


@strawberry.type(description="The closed month, or why it was not closed.")
class MonthClosePayload(Payload):
    month: Month | None = strawberry.field(default=None, description="The month.")
    closed: bool | None = strawberry.field(default=None, description="Whether it is closed now.")
    closed_month: ClosedMonth | None = strawberry.field(default=None, description="Who closed it, and when.")


@strawberry.type(description="The reopened month, or why it was not reopened.")
class MonthReopenPayload(Payload):
    month: Month | None = strawberry.field(default=None, description="The month.")
    closed: bool | None = strawberry.field(default=None, description="Whether it is closed now.")


@strawberry.type
class Mutations:
    @mutation(
        Permission.MONTHS_CLOSE,
        description="Close a month for the whole company: its cells, capacities and expected days are frozen.",
    )
    async def month_close(self, info: Info, input: MonthCloseInput) -> MonthClosePayload:
        today = datetime.now(info.context.settings.timezone).date()
        async with info.context.transaction() as tx:
            row = await months.close(tx, input.month, today)
        return MonthClosePayload(month=input.month, closed=True, closed_month=shown(row))

    @mutation(
        Permission.MONTHS_CLOSE,
        description="Reopen a month, and bring it up to date with what changed while it was closed.",
    )
    async def month_reopen(self, info: Info, input: MonthReopenInput) -> MonthReopenPayload:
        async with info.context.transaction() as tx:
            await months.reopen(tx, input.month)
        return MonthReopenPayload(month=input.month, closed=False)
