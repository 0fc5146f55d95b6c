"""People, business units and roles as GraphQL shows them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry

from schema.context import Info
from schema.enums import described
from schema.permissions import query, requires
from server.actor import Permission
from server.users.models import BusinessUnitRow, UserRow, UserStatus

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


@strawberry.type(description="A part of the company, to which people and projects belong.")
class BusinessUnit:
    id: UUID = strawberry.field(description="The unit's id.")
    code: str = strawberry.field(description="Its short name; unique without regard to case.")
    name: str = strawberry.field(description="Its name.")
    version: int = strawberry.field(description="Counts its changes; an update may say which one it expects.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")


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
    updated_at: datetime = strawberry.field(description="When the person's own facts last changed.")

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

    @strawberry.field(description="The business unit, if any.", graphql_type=BusinessUnit | None)
    async def business_unit(self, info: Info, parent: strawberry.Parent[UserRow]) -> BusinessUnitRow | None:
        if parent.business_unit_id is None:
            return None
        return await info.context.loaders.business_unit.load(parent.business_unit_id)


@strawberry.type
class Queries:
    @query(Permission.USERS_READ, description="One person, by id.", graphql_type=User)
    async def user(self, info: Info, id: UUID) -> UserRow:
        row = await info.context.loaders.user.load(id)
        assert row
        return row
