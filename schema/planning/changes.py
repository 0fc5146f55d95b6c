"""The subscription to changes of the plan."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

import strawberry

from schema.context import Info
from schema.enums import described
from schema.errors import shown
from schema.permissions import requires
from schema.planning.grid import FirstMonth, LastMonth, PlanningFilter
from server.actor import Permission
from server.planning.service import changes
from server.planning.service.changes import ChangeKind, Watch

described(
    ChangeKind,
    "What to do about a change.",
    {
        "CHANGED": "Read the named cells and months again (planningCells, planningMonths).",
        "RESYNC": "Read everything that is shown again: at the start, after a large change, and whenever changes may "
        "have been missed.",
    },
    name="PlanningChangeKind",
)


@strawberry.type(description="Which cells and months changed. Changes that follow each other closely come as one.")
class PlanningChange:
    kind: ChangeKind = strawberry.field(description="What to do about it.")
    cell_ids: list[UUID] = strawberry.field(description="Cells that changed, cleared ones included.")
    month_ids: list[UUID] = strawberry.field(description="People's months whose capacity or load changed.")


@strawberry.type
class Subscriptions:
    @strawberry.subscription(
        description="What changes in the plan from now on, beginning with a RESYNC. Ends when the access token does.",
        extensions=[requires(Permission.PLANNING_READ)],
    )
    async def planning_changed(
        self,
        info: Info,
        first: FirstMonth,
        last: LastMonth,
        filter: Annotated[
            PlanningFilter | None,
            strawberry.argument(
                description="Whose changes: by userIds, businessUnitIds and search. The other conditions change with "
                "the plan itself, so they leave nothing out."
            ),
        ] = None,
    ) -> AsyncGenerator[PlanningChange, None]:
        context = info.context
        watch = Watch(first, last, filter.to_domain() if filter else None)
        # Closed by name: left to the garbage collector, the queue would fill up behind a client who has gone.
        async with aclosing(changes.changes(context.bus, context.reads, watch, lambda: context.signed_in)) as found:
            async for change in found:
                context.forget()
                yield shown(change)
