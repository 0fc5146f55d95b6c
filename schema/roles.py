"""Roles, what they grant and who holds them, as GraphQL shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import strawberry

from schema.context import Info
from schema.enums import described
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.inputs import given
from schema.pages import Page, PageNumber, PageSize, window
from schema.permissions import mutation, query
from schema.refs import UserRef
from server.access import role_repository as repository
from server.access.models import RoleRow
from server.access.permissions import NARROWABLE, PERMISSION_TEXTS
from server.access.role_repository import RoleOrder
from server.access.service import roles as service
from server.actor import Permission, Scope

described(
    Scope,
    "On whose rows a permission acts; a wider scope contains the narrower ones.",
    {
        "OWN": "The holder's own row: for example their own cells.",
        "UNIT": "People and projects of the holder's business unit.",
        "ALL": "The whole company.",
    },
)
described(
    RoleOrder,
    "How a list of roles is ordered.",
    {
        "NAME": "By name, without regard to case.",
        "SHIPPED": "Those that came with the software first, then by name.",
    },
)


@strawberry.type(description="One permission that a role grants.")
class Grant:
    permission: Permission = strawberry.field(description="What is allowed.")
    scope: Scope = strawberry.field(description="On whose rows.")


@strawberry.type(description="A set of permissions that people can hold.")
class Role:
    id: UUID = strawberry.field(description="The role's id; the same in every installation for shipped roles.")
    name: str = strawberry.field(description="Its name; unique without regard to case.")
    description: str = strawberry.field(description="What it is for.")
    shipped: bool = strawberry.field(description="Whether it came with the software: such roles cannot be changed.")
    version: int = strawberry.field(description="Counts its changes; an update may say which one it expects.")

    @strawberry.field(description="What it grants, by the permission's code.", graphql_type=list[Grant])
    async def permissions(self, info: Info, parent: strawberry.Parent[RoleRow]) -> list[Grant]:
        rows = await info.context.loaders.role_grants.one(parent.id)
        return [Grant(permission=Permission(row.code), scope=Scope(row.scope)) for row in rows]


@dataclass(frozen=True, slots=True)
class PermissionFacts:
    code: str
    permission: Permission
    description: str
    narrowable: bool


@strawberry.type(description="What a permission allows.")
class PermissionInfo:
    permission: Permission = strawberry.field(description="The permission as other fields name it.")
    code: str = strawberry.field(description="Its code, `resource:action`, as tokens and logs have it.")
    description: str = strawberry.field(description="What it allows.")
    narrowable: bool = strawberry.field(description="Whether it can be granted at the scopes OWN and UNIT too.")


@strawberry.type
class Queries:
    @query(Permission.ROLES_READ, description="Roles, by name unless asked otherwise.", graphql_type=Page[Role])
    async def roles(
        self,
        info: Info,
        order_by: Annotated[RoleOrder, strawberry.argument(description="In which order.")] = RoleOrder.NAME,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> Page[RoleRow]:
        offset, limit = window(page, size)
        async with info.context.reads.session() as session:
            items = list(await repository.page(session, order_by, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session)

        return Page(items=items, page=page, size=size, count=count)

    @query(
        Permission.ROLES_READ,
        description="Every permission that there is, by code.",
        graphql_type=list[PermissionInfo],
    )
    async def permissions(self) -> Sequence[PermissionFacts]:
        return [
            PermissionFacts(permission.value, permission, PERMISSION_TEXTS[permission], permission in NARROWABLE)
            for permission in sorted(Permission)
        ]


@strawberry.input(description="One permission to grant.")
class GrantInput:
    permission: Permission = strawberry.field(description="What to allow.")
    scope: Scope = strawberry.field(default=Scope.ALL, description="On whose rows.")


def _grants(inputs: Sequence[GrantInput]) -> service.Grants:
    return [(grant.permission, grant.scope) for grant in inputs]


@strawberry.input(description="A new role. Its permissions are at most those that the caller holds.")
class RoleCreateInput(Idempotent):
    name: str = strawberry.field(description="Its name; unique without regard to case.")
    description: str = strawberry.field(default="", description="What it is for.")
    permissions: list[GrantInput] = strawberry.field(default_factory=list, description="What it grants.")


@strawberry.input(description="A change of a company's own role; fields left out stay as they are.")
class RoleUpdateInput(Idempotent):
    id: UUID = strawberry.field(description="The role to change.")
    name: str | None = strawberry.field(default=strawberry.UNSET, description="A new name.")
    description: str | None = strawberry.field(default=strawberry.UNSET, description="A new description.")
    permissions: list[GrantInput] | None = strawberry.field(
        default=strawberry.UNSET, description="All that it grants from now on, in place of what it granted."
    )
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse the change unless the role is still at this version."
    )


@strawberry.input(description="A user's roles.")
class UserSetRolesInput(Idempotent):
    user_id: UUID = strawberry.field(description="Whose roles.")
    role_ids: list[UUID] = strawberry.field(description="All roles from now on, in place of those held.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse the change unless the user is still at this version."
    )


@strawberry.type(description="The new role, or why there is none.")
class RoleCreatePayload(Payload):
    role: Role | None = strawberry.field(default=None, description="The new role.")


@strawberry.type(description="The changed role; on a version conflict the role as it stands.")
class RoleUpdatePayload(Payload):
    role: Role | None = strawberry.field(default=None, description="The role.")


@strawberry.type(description="The user with the new roles; on a version conflict the user as they stand.")
class UserSetRolesPayload(Payload):
    user: UserRef | None = strawberry.field(default=None, description="The user.")


@strawberry.type
class Mutations:
    @mutation(Permission.ROLES_WRITE, description="Create a role that grants some of what the caller holds.")
    async def role_create(self, info: Info, input: RoleCreateInput) -> RoleCreatePayload:
        async with info.context.transaction() as tx:
            row = await service.create(tx, input.name, input.description, _grants(input.permissions))
            return RoleCreatePayload(role=shown(row))

    @mutation(
        Permission.ROLES_WRITE,
        description="Change one of the company's own roles; who holds it notices within 5 seconds.",
    )
    async def role_update(self, info: Info, input: RoleUpdateInput) -> RoleUpdatePayload:
        values = given(input, required=("name", "description", "permissions"))
        wanted = values.pop("permissions", None)
        grants = None if wanted is None else _grants(wanted)
        async with info.context.transaction() as tx:
            row = await service.update(tx, service.RoleChange(input.id, values, grants, input.expected_version))
            return RoleUpdatePayload(role=shown(row))

    @mutation(
        Permission.ROLES_WRITE,
        description="Set which roles a user holds. Nobody gives or takes a role that may do more than themselves, "
        "and the last admin stays one.",
    )
    async def user_set_roles(self, info: Info, input: UserSetRolesInput) -> UserSetRolesPayload:
        async with info.context.transaction() as tx:
            row = await service.set_user_roles(tx, input.user_id, input.role_ids, input.expected_version)
            return UserSetRolesPayload(user=shown(row))
