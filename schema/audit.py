"""The audit log as GraphQL shows it: a Relay connection, because it only grows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from schema.context import Info
from schema.edges import to_user
from schema.pages import MAX_SIZE
from schema.permissions import query, requires
from schema.refs import UserRef
from server.actor import Permission
from server.audit import repository, service
from server.audit.models import AuditLogRow
from server.errors import BadRequest
from server.search import storable


@strawberry.type(description="What somebody did, or was refused.")
class AuditEntry:
    id: UUID = strawberry.field(description="The entry's id; later entries have greater ids.")
    at: datetime = strawberry.field(description="When.")
    action: str = strawberry.field(description="What was done: for example `project.updated`.")
    resource_type: str = strawberry.field(description="To what kind of thing: for example `project`.")
    resource_id: UUID | None = strawberry.field(description="To which one, if it was one.")
    user_agent: str | None = strawberry.field(description="The caller's program, as it calls itself.")
    request_id: str | None = strawberry.field(description="The request, as the server's logs name it.")

    @strawberry.field(description="From which network address.")
    def address(self, parent: strawberry.Parent[AuditLogRow]) -> str | None:
        return None if parent.address is None else str(parent.address)

    actor: UserRef | None = strawberry.field(
        resolver=to_user("actor_id"), description="Who; null for the server itself."
    )

    @strawberry.field(
        description="Further facts: `before` and `after` of a change, `cells` of a write; "
        "null when the caller may not see them.",
        extensions=[requires(Permission.AUDIT_READ_METADATA, or_null=True)],
    )
    def metadata(self, parent: strawberry.Parent[AuditLogRow]) -> JSON | None:
        return JSON(parent.details)


@strawberry.type(description="One entry and where it stands in the log.")
class AuditEdge:
    cursor: str = strawberry.field(description="Pass it as `after` to go on from here.")
    node: AuditEntry = strawberry.field(description="The entry.")


@strawberry.type(description="Whether there is more, and from where.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether older entries follow.")
    end_cursor: str | None = strawberry.field(description="Pass it as `after` for the older entries.")


@strawberry.type(description="A part of the audit log, the newest first.")
class AuditLogConnection:
    edges: list[AuditEdge] = strawberry.field(description="The entries.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.input(description="Which entries: all that is given must hold.")
class AuditFilter:
    actor_ids: list[UUID] | None = strawberry.field(default=None, description="Done by one of these users.")
    actions: list[str] | None = strawberry.field(default=None, description="One of these actions.")
    resource_type: str | None = strawberry.field(default=None, description="About this kind of thing.")
    resource_id: UUID | None = strawberry.field(default=None, description="About this thing.")
    cell_id: UUID | None = strawberry.field(default=None, description="About this cell: its history.")
    from_: datetime | None = strawberry.field(name="from", default=None, description="At this moment or later.")
    to: datetime | None = strawberry.field(default=None, description="Before this moment.")

    def to_domain(self) -> repository.AuditFilter:
        if not all(map(storable, [*(self.actions or ()), self.resource_type or ""])):
            raise BadRequest("actions and resourceType are plain text, without NUL or half characters.")
        if self.from_ and self.to and self.to < self.from_:
            raise BadRequest("filter.from is after filter.to: exchange them.")
        return repository.AuditFilter(**vars(self))


@strawberry.type
class Queries:
    @query(Permission.AUDIT_READ, description="The audit log, the newest entry first. Reading it is noted in it.")
    async def audit_log(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many entries, 1 to 200.")] = 50,
        after: Annotated[
            str | None, strawberry.argument(description="Only entries after this cursor, that is older ones.")
        ] = None,
        filter: Annotated[AuditFilter | None, strawberry.argument(description="Which entries.")] = None,
    ) -> AuditLogConnection:
        if not 1 <= first <= MAX_SIZE:
            raise BadRequest(f"first goes from 1 to {MAX_SIZE}; got {first}.")
        wanted = filter.to_domain() if filter else repository.AuditFilter()
        rows = await service.newest(
            info.context.database, info.context.signed_in, wanted, before=_entry_id(after), first=first
        )
        return _connection(rows, first)


def _entry_id(cursor: str | None) -> UUID | None:
    if cursor is None:
        return None
    try:
        return UUID(cursor)
    except ValueError:
        raise BadRequest("after must be a cursor that the audit log gave.") from None


def _connection(rows: Sequence[AuditLogRow], first: int) -> AuditLogConnection:
    """`rows` has one more than asked for when there are older entries."""
    edges = [AuditEdge(cursor=str(row.id), node=row) for row in rows[:first]]  # type: ignore[arg-type]
    end = edges[-1].cursor if edges else None
    return AuditLogConnection(edges=edges, page_info=PageInfo(has_next_page=len(rows) > first, end_cursor=end))
