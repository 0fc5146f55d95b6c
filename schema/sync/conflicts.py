"""Values that a person typed and a provider gives otherwise."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from schema.context import Info
from schema.edges import to_user
from schema.enums import described
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.pages import Page, PageNumber, PageSize, window
from schema.permissions import mutation, query
from schema.refs import UserRef
from server.actor import Permission
from server.sync.models import ConflictResource, ConflictState, Provider, SyncConflictRow
from server.sync.repository import conflicts as repository
from server.sync.service import conflicts as service
from server.sync.service.conflicts import Resolution

described(ConflictResource, "What a conflict is about.", {"USER": "A person.", "PROJECT": "A project."},
          name="SyncConflictResource")  # fmt: skip
described(
    ConflictState,
    "Where a conflict stands.",
    {
        "OPEN": "Somebody has to decide; ours stays until then.",
        "KEPT": "Ours stays until the provider gives yet another value.",
        "TAKEN": "The provider's was taken, and is followed from then on.",
        "SETTLED": "Both came to agree by themselves.",
    },
    name="SyncConflictState",
)
described(
    Resolution,
    "Whose value stays.",
    {"KEEP": "Ours.", "TAKE": "The provider's; needs the right to change the person or project."},
    name="SyncConflictResolution",
)


@strawberry.type(description="A value that was typed here and that a provider gives otherwise.")
class SyncConflict:
    id: UUID = strawberry.field(description="The conflict's id.")
    provider: Provider = strawberry.field(description="Who gives another value.")
    resource: ConflictResource = strawberry.field(description="What it is about.")
    resource_id: UUID = strawberry.field(description="The id of the person or project.")
    field: str = strawberry.field(description="Which field: first_name, last_name, email, name or status.")
    state: ConflictState = strawberry.field(description="Where it stands.")
    run_id: UUID | None = strawberry.field(description="The sync that found it.")
    created_at: datetime = strawberry.field(description="When it was first found.")
    resolved_at: datetime | None = strawberry.field(description="When it was decided.")

    resolved_by: UserRef | None = strawberry.field(resolver=to_user("resolved_by_id"), description="Who decided.")

    @strawberry.field(description="Ours; null when there is none, or for an address that the caller may not see.")
    def local_value(self, info: Info, parent: strawberry.Parent[SyncConflictRow]) -> str | None:
        return parent.local_value if _may_see(info, parent) else None

    @strawberry.field(description="The provider's; null for an address that the caller may not see.")
    def external_value(self, info: Info, parent: strawberry.Parent[SyncConflictRow]) -> str | None:
        return parent.external_value if _may_see(info, parent) else None


def _may_see(info: Info, row: SyncConflictRow) -> bool:
    return row.field != "email" or info.context.signed_in.can(Permission.USERS_READ_PERSONAL)


@strawberry.input(description="Which conflicts: all that is given must hold.")
class SyncConflictFilter:
    ids: list[UUID] | None = strawberry.field(default=None, description="These conflicts.")
    providers: list[Provider] | None = strawberry.field(default=None, description="With any of these providers.")
    resources: list[ConflictResource] | None = strawberry.field(default=None, description="About people or projects.")
    resource_ids: list[UUID] | None = strawberry.field(default=None, description="About any of these.")
    states: list[ConflictState] | None = strawberry.field(default=None, description="In any of these states.")


@strawberry.type
class Queries:
    @query(Permission.SYNC_READ, description="Conflicts, the newest first.", graphql_type=Page[SyncConflict])
    async def sync_conflicts(
        self,
        info: Info,
        filter: Annotated[SyncConflictFilter | None, strawberry.argument(description="Which conflicts.")] = None,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> Page[SyncConflictRow]:
        wanted = repository.ConflictFilter(**vars(filter or SyncConflictFilter()))
        offset, limit = window(page, size)
        async with info.context.reads.session() as session:
            items = list(await repository.page(session, wanted, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session, wanted)

        return Page(items=items, page=page, size=size, count=count)


@strawberry.input(description="Whose value stays.")
class SyncConflictResolveInput(Idempotent):
    id: UUID = strawberry.field(description="The conflict.")
    resolution: Resolution = strawberry.field(description="Whose value stays.")


@strawberry.type(description="The conflict as it is then.")
class SyncConflictResolvePayload(Payload):
    conflict: SyncConflict | None = strawberry.field(default=None, description="The conflict.")


@strawberry.type
class Mutations:
    @mutation(Permission.SYNC_WRITE, description="Decide whose value stays.")
    async def sync_conflict_resolve(self, info: Info, input: SyncConflictResolveInput) -> SyncConflictResolvePayload:
        async with info.context.transaction() as tx:
            row = await service.resolve(tx, service.Decision(input.id, input.resolution))
            return SyncConflictResolvePayload(conflict=shown(row))
