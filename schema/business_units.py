"""Business units as GraphQL shows them."""

from __future__ import annotations

from datetime import datetime
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
from server.actor import Permission
from server.users import repository, units
from server.users.models import BusinessUnitRow
from server.users.repository import BusinessUnitOrder

described(
    BusinessUnitOrder,
    "How a list of business units is ordered.",
    {"CODE": "By code, without regard to case.", "NAME": "By name, without regard to case."},
)


@strawberry.type(description="A part of the company, to which people and projects belong.")
class BusinessUnit:
    id: UUID = strawberry.field(description="The unit's id.")
    code: str = strawberry.field(description="Its short name; unique without regard to case.")
    name: str = strawberry.field(description="Its name.")
    version: int = strawberry.field(description="Counts its changes; an update may say which one it expects.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")


@strawberry.input(description="Which business units: all that is given must hold.")
class BusinessUnitFilter:
    ids: list[UUID] | None = strawberry.field(default=None, description="With one of these ids.")
    search: str | None = strawberry.field(
        default=None, description="Whose code or name contains this, without regard to case."
    )


@strawberry.type
class Queries:
    @query(
        Permission.USERS_READ,
        description="Business units, by code unless asked otherwise.",
        graphql_type=Page[BusinessUnit],
    )
    async def business_units(
        self,
        info: Info,
        filter: Annotated[BusinessUnitFilter | None, strawberry.argument(description="Which business units.")] = None,
        order_by: Annotated[
            BusinessUnitOrder, strawberry.argument(description="In which order.")
        ] = BusinessUnitOrder.CODE,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> Page[BusinessUnitRow]:
        wanted = repository.BusinessUnitFilter(**vars(filter)) if filter else repository.BusinessUnitFilter()
        offset, limit = window(page, size)
        async with info.context.reads.session() as session:
            items = list(await repository.units_page(session, wanted, order_by, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.units_count(session, wanted)

        return Page(items=items, page=page, size=size, count=count)


@strawberry.input(description="A new business unit.")
class BusinessUnitCreateInput(Idempotent):
    code: str = strawberry.field(description="Its short name; unique without regard to case.")
    name: str = strawberry.field(description="Its name.")


@strawberry.input(description="A change of a business unit; fields left out stay as they are.")
class BusinessUnitUpdateInput(Idempotent):
    id: UUID = strawberry.field(description="The business unit to change.")
    code: str | None = strawberry.field(default=strawberry.UNSET, description="A new code.")
    name: str | None = strawberry.field(default=strawberry.UNSET, description="A new name.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse the change unless the unit is still at this version."
    )


@strawberry.type(description="The new business unit, or why there is none.")
class BusinessUnitCreatePayload(Payload):
    business_unit: BusinessUnit | None = strawberry.field(default=None, description="The new business unit.")


@strawberry.type(description="The changed business unit; on a version conflict the unit as it stands.")
class BusinessUnitUpdatePayload(Payload):
    business_unit: BusinessUnit | None = strawberry.field(default=None, description="The business unit.")


@strawberry.type
class Mutations:
    @mutation(Permission.BUSINESS_UNITS_WRITE, description="Create a business unit.")
    async def business_unit_create(self, info: Info, input: BusinessUnitCreateInput) -> BusinessUnitCreatePayload:
        async with info.context.transaction() as tx:
            row = await units.create(tx, input.code, input.name)
            return BusinessUnitCreatePayload(business_unit=shown(row))

    @mutation(Permission.BUSINESS_UNITS_WRITE, description="Change a business unit; fields left out stay as they are.")
    async def business_unit_update(self, info: Info, input: BusinessUnitUpdateInput) -> BusinessUnitUpdatePayload:
        values = given(input, required=("code", "name"))
        async with info.context.transaction() as tx:
            row = await units.update(tx, input.id, values, input.expected_version)
            return BusinessUnitUpdatePayload(business_unit=shown(row))
