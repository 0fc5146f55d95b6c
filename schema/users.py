"""People as GraphQL shows them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import strawberry

from execution import Loader, loader_field
from schema.context import Context, Info
from schema.edges import BRIEF_ASSIGNMENT, to_business_unit
from schema.enums import described
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.inputs import given
from schema.pages import IncrementalPage, PageNumber, PageSize, selected, selects, window
from schema.permissions import mutation, query, requires
from schema.refs import AssignmentRef, BusinessUnitRef, PlanningMonthRef, RoleRef
from schema.scalars import Month
from server.access.models import RoleRow
from server.access.service import accounts
from server.actor import Actor, Permission
from server.errors import Forbidden, NotFound
from server.incremental import next_updated_after
from server.planning.repository.assignments import Period
from server.users import repository, service
from server.users.models import UserRow, UserStatus
from server.users.repository import UserOrder

described(
    UserStatus,
    "Where a person stands with the company.",
    {
        "INVITED": "Has a link to set a password and has not used it.",
        "ACTIVE": "Works here.",
        "LEFT": "The last contract is over: no sign-in, history kept.",
        "DEACTIVATED": "Shut out by an administrator: no sign-in, history kept.",
    },
)


described(
    UserOrder,
    "How a list of people is ordered.",
    {
        "NAME": "By last name, then first name, without regard to case.",
        "CREATED_AT": "By when they were added, the first one first.",
        "UPDATED_AT": "By the last change, the oldest first.",
    },
)


def _months(
    info: strawberry.Info[Context, None],
    first: Annotated[Month, strawberry.argument(name="from", description="First month.")],
    last: Annotated[Month, strawberry.argument(name="to", description="Last month, included; at most 60 months.")],
) -> Loader:
    return info.context.loaders.user_months(first, last)


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
    return info.context.loaders.assignments_of_user(Period(active_from, active_to), brief=brief)


@strawberry.type(description="A person who can be planned, or a tool's service user.")
class User:
    id: UUID = strawberry.field(description="The person's id.")
    first_name: str = strawberry.field(description="First name.")
    last_name: str = strawberry.field(description="Last name.")
    status: UserStatus = strawberry.field(description="Where the person stands with the company.")
    is_active: bool = strawberry.field(description="Whether the person may sign in, given a password.")
    is_superuser: bool = strawberry.field(description="Whether every permission is granted.")
    is_service: bool = strawberry.field(description="Whether this is a tool's account, which is not planned.")
    version: int = strawberry.field(description="Counts its changes; an update may say which one it expects.")
    created_at: datetime = strawberry.field(description="When the person was added.")
    updated_at: datetime = strawberry.field(description="When the person was last changed, roles included.")

    @strawberry.field(
        description="E-mail address; null when there is none or the caller may not see it.",
        extensions=[requires(Permission.USERS_READ_PERSONAL, or_self=True, or_null=True)],
    )
    def email(self, parent: strawberry.Parent[UserRow]) -> str | None:
        return parent.email

    @strawberry.field(
        description="Last sign-in; null when there was none or the caller may not see it.",
        extensions=[requires(Permission.USERS_READ_PERSONAL, or_self=True, or_null=True)],
    )
    def last_login_at(self, parent: strawberry.Parent[UserRow]) -> datetime | None:
        return parent.last_login_at

    business_unit: BusinessUnitRef | None = strawberry.field(
        resolver=to_business_unit(), description="The business unit, if any."
    )

    @strawberry.field(
        description="The roles that the person holds, by name.",
        graphql_type=list[RoleRef],
        extensions=[requires(Permission.ROLES_READ, or_self=True)],
    )
    async def roles(self, info: Info, parent: strawberry.Parent[UserRow]) -> list[RoleRow]:
        return [pair.RoleRow for pair in await info.context.loaders.user_roles.one(parent.id)]

    months: list[PlanningMonthRef] = strawberry.field(
        resolver=loader_field(_months, key="id"),
        description="What the person can take and what is laid on them, month by month.",
        extensions=[requires(Permission.PLANNING_READ, or_self=True)],
    )

    assignments: list[AssignmentRef] = strawberry.field(
        resolver=loader_field(_assignments, key="id"),
        description="The person's assignments, by start.",
        extensions=[requires(Permission.PLANNING_READ, or_self=True)],
    )


@strawberry.input(description="Which people: all that is given must hold.")
class UserFilter:
    ids: list[UUID] | None = strawberry.field(default=None, description="With one of these ids.")
    statuses: list[UserStatus] | None = strawberry.field(default=None, description="With one of these statuses.")
    business_unit_ids: list[UUID] | None = strawberry.field(
        default=None, description="Belonging to any of these business units."
    )
    role_ids: list[UUID] | None = strawberry.field(
        default=None, description="Holding any of these roles; needs the permission ROLES_READ."
    )
    search: str | None = strawberry.field(
        default=None,
        description="Whose name contains this, without regard to case; also whose e-mail address does, "
        "for callers who may see those.",
    )
    include_service: bool = strawberry.field(default=False, description="Whether tools' accounts come too.")
    updated_after: datetime | None = strawberry.field(
        default=None, description="Changed since then, the oldest change first: for incremental reads."
    )

    def to_domain(self, actor: Actor) -> repository.UserFilter:
        if self.role_ids is not None and not actor.can(Permission.ROLES_READ):
            raise Forbidden("Filtering by role needs the permission ROLES_READ: it tells who holds it.")
        return repository.UserFilter(**vars(self), search_emails=actor.can(Permission.USERS_READ_PERSONAL))


@strawberry.type
class Queries:
    @query(Permission.USERS_READ, description="One person, by id.", graphql_type=User)
    async def user(
        self, info: Info, id: Annotated[UUID, strawberry.argument(description="The person's id.")]
    ) -> UserRow:
        row = await info.context.loaders.user.one(id)
        if row is None:
            raise NotFound(f"There is no user with the id {id}.")
        return row

    @query(
        Permission.USERS_READ, description="People, by name unless asked otherwise.", graphql_type=IncrementalPage[User]
    )
    async def users(
        self,
        info: Info,
        filter: Annotated[UserFilter | None, strawberry.argument(description="Which people.")] = None,
        order_by: Annotated[UserOrder, strawberry.argument(description="In which order.")] = UserOrder.NAME,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> IncrementalPage[UserRow]:
        wanted = (filter or UserFilter()).to_domain(info.context.signed_in)
        offset, limit = window(page, size)
        mark = await next_updated_after(info.context.reads) if selects(info, "nextUpdatedAfter") else None
        async with info.context.reads.light() as connection:
            items = list(await repository.page(connection, wanted, order_by, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session, wanted)

        return IncrementalPage(items=items, page=page, size=size, count=count, next_updated_after=mark)


@strawberry.input(description="A new person. They may do nothing yet: userSetRoles and userInvite let them in.")
class UserCreateInput(Idempotent):
    first_name: str = strawberry.field(description="First name; empty for people with one name.")
    last_name: str = strawberry.field(description="Last name.")
    email: str | None = strawberry.field(
        default=None, description="E-mail address, unique without regard to case; people without one cannot sign in."
    )
    business_unit_id: UUID | None = strawberry.field(default=None, description="The business unit they belong to.")


@strawberry.input(description="A change of a person's facts; fields left out stay as they are, null clears.")
class UserUpdateInput(Idempotent):
    id: UUID = strawberry.field(description="The person to change.")
    first_name: str | None = strawberry.field(default=strawberry.UNSET, description="A new first name.")
    last_name: str | None = strawberry.field(default=strawberry.UNSET, description="A new last name.")
    email: str | None = strawberry.field(default=strawberry.UNSET, description="A new e-mail address.")
    business_unit_id: UUID | None = strawberry.field(default=strawberry.UNSET, description="Another business unit.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse the change unless the person is still at this version."
    )


@strawberry.input(description="Whom to shut out.")
class UserDeactivateInput(Idempotent):
    id: UUID = strawberry.field(description="The person or service user.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse unless the person is still at this version."
    )


@strawberry.input(description="Whom to let in again.")
class UserReactivateInput(Idempotent):
    id: UUID = strawberry.field(description="The person or service user.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse unless the person is still at this version."
    )


@strawberry.type(description="The new person, or why there is none.")
class UserCreatePayload(Payload):
    user: User | None = strawberry.field(default=None, description="The new person.")


@strawberry.type(description="The changed person; on a version conflict the person as they stand.")
class UserUpdatePayload(Payload):
    user: User | None = strawberry.field(default=None, description="The person.")


@strawberry.type(description="The person who was shut out; on a version conflict the person as they stand.")
class UserDeactivatePayload(Payload):
    user: User | None = strawberry.field(default=None, description="The person.")


@strawberry.type(description="The person who was let in again; on a version conflict the person as they stand.")
class UserReactivatePayload(Payload):
    user: User | None = strawberry.field(default=None, description="The person.")


@strawberry.type
class Mutations:
    @mutation(Permission.USERS_WRITE, description="Add a person.")
    async def user_create(self, info: Info, input: UserCreateInput) -> UserCreatePayload:
        async with info.context.transaction() as tx:
            return UserCreatePayload(user=shown(await service.create(tx, service.UserDraft(**vars(input)))))

    @mutation(Permission.USERS_WRITE, description="Change a person's facts; fields left out stay as they are.")
    async def user_update(self, info: Info, input: UserUpdateInput) -> UserUpdatePayload:
        values = given(input, required=("first_name", "last_name"))
        async with info.context.transaction() as tx:
            row = await accounts.update(tx, service.UserChange(input.id, values, input.expected_version))
            return UserUpdatePayload(user=shown(row))

    @mutation(
        Permission.USERS_WRITE,
        description="Shut a person or a tool out: sessions end, sign-in and API tokens are refused, history stays. "
        "The last admin cannot be shut out.",
    )
    async def user_deactivate(self, info: Info, input: UserDeactivateInput) -> UserDeactivatePayload:
        async with info.context.transaction() as tx:
            return UserDeactivatePayload(user=shown(await accounts.deactivate(tx, input.id, input.expected_version)))

    @mutation(Permission.USERS_WRITE, description="Let a person or a tool in again, with the roles that they had.")
    async def user_reactivate(self, info: Info, input: UserReactivateInput) -> UserReactivatePayload:
        async with info.context.transaction() as tx:
            return UserReactivatePayload(user=shown(await accounts.reactivate(tx, input.id, input.expected_version)))
