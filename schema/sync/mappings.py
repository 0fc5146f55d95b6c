"""Who of a provider is whom of ours."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
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
from server.audit import service as audit
from server.sync.models import ExternalPersonRow, PersonState, Provider, UserMappingRow
from server.sync.repository import mappings as repository
from server.sync.service import mappings as service

described(
    PersonState,
    "Whether it is known who a person of a provider is here.",
    {
        "UNMATCHED": "Nobody here resembles them.",
        "PROPOSED": "Somebody does: confirm it, or choose another.",
        "LINKED": "It is known.",
        "SET_ASIDE": "Somebody took the link away: no sync makes it again by itself.",
    },
)


@strawberry.type(description="Who a person is at the providers.")
class UserMapping:
    id: UUID = strawberry.field(description="The mapping's id.")
    gryzzly_user_id: str | None = strawberry.field(description="The person's id in Gryzzly.")
    payfit_employee_id: str | None = strawberry.field(description="The person's id in PayFit.")
    version: int = strawberry.field(description="Counts its changes; a change may say which one it expects.")
    created_at: datetime = strawberry.field(description="When the first link was made.")
    updated_at: datetime = strawberry.field(description="When it was last changed.")

    user: UserRef = strawberry.field(resolver=to_user("user_id"), description="The person here.")
    created_by: UserRef | None = strawberry.field(
        resolver=to_user("created_by_id"), description="Who made it; null when a sync did."
    )


@strawberry.type(description="A person as a provider knows them.")
class ExternalPerson:
    id: UUID = strawberry.field(description="Our id of them.")
    provider: Provider = strawberry.field(description="Who knows them.")
    external_id: str = strawberry.field(description="Their id there.")
    first_name: str = strawberry.field(description="First name; empty where the provider has one string for the name.")
    last_name: str = strawberry.field(description="Last name, or the whole name.")
    email: str | None = strawberry.field(description="Professional e-mail address, if known.")
    state: PersonState = strawberry.field(description="Whether it is known who they are here.")
    score: Decimal | None = strawberry.field(
        description="How sure the proposal or link is, from 0 to 1; from 0.90 on a sync links by itself."
    )
    updated_at: datetime = strawberry.field(description="When any of this last changed.")

    proposed_user: UserRef | None = strawberry.field(
        resolver=to_user("proposed_user_id"), description="Who they probably are here."
    )


@strawberry.input(description="Which mappings: all that is given must hold.")
class UserMappingFilter:
    user_ids: list[UUID] | None = strawberry.field(default=None, description="Of any of these people.")
    unmapped_at: Provider | None = strawberry.field(
        default=None, description="Of people who are nobody at this provider yet."
    )


@strawberry.input(description="Which people of providers: all that is given must hold.")
class ExternalPersonFilter:
    ids: list[UUID] | None = strawberry.field(default=None, description="With one of these ids.")
    providers: list[Provider] | None = strawberry.field(default=None, description="Of any of these providers.")
    states: list[PersonState] | None = strawberry.field(default=None, description="In any of these states.")
    unmapped: bool | None = strawberry.field(default=None, description="Who are nobody here yet, or (false) who are.")
    search: str | None = strawberry.field(default=None, description="Whose name or address contains this.")


@strawberry.type
class Queries:
    @query(Permission.MAPPINGS_READ, description="Who people are at the providers.", graphql_type=Page[UserMapping])
    async def user_mappings(
        self,
        info: Info,
        filter: Annotated[UserMappingFilter | None, strawberry.argument(description="Which mappings.")] = None,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> Page[UserMappingRow]:
        wanted = repository.MappingFilter(**vars(filter or UserMappingFilter()))
        offset, limit = window(page, size)
        async with info.context.reads.session() as session:
            items = list(await repository.mappings(session, wanted, offset, limit))
        await audit.record_read(info.context.database, info.context.signed_in, "mappings", entries=len(items))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count_mappings(session, wanted)

        return Page(items=items, page=page, size=size, count=count)

    @query(
        Permission.MAPPINGS_READ,
        description="People of the providers, with who they probably are here.",
        graphql_type=Page[ExternalPerson],
    )
    async def external_people(
        self,
        info: Info,
        filter: Annotated[ExternalPersonFilter | None, strawberry.argument(description="Which people.")] = None,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> Page[ExternalPersonRow]:
        wanted = repository.PersonFilter(**vars(filter or ExternalPersonFilter()))
        offset, limit = window(page, size)
        async with info.context.reads.session() as session:
            items = list(await repository.people(session, wanted, offset, limit))
        await audit.record_read(info.context.database, info.context.signed_in, "external_people", entries=len(items))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count_people(session, wanted)

        return Page(items=items, page=page, size=size, count=count)


@strawberry.input(description="Who a person is at the providers; fields left out stay as they are, null takes away.")
class UserMappingSetInput(Idempotent):
    user_id: UUID = strawberry.field(description="The person here.")
    gryzzly_user_id: str | None = strawberry.field(default=strawberry.UNSET, description="Their id in Gryzzly.")
    payfit_employee_id: str | None = strawberry.field(default=strawberry.UNSET, description="Their id in PayFit.")
    expected_version: int | None = strawberry.field(
        default=None, description="Refuse the change unless the mapping is still at this version."
    )


@strawberry.input(description="Who a person of a provider is here: the proposed user unless another or a new one is.")
class UserMappingConfirmInput(Idempotent):
    external_person_id: UUID = strawberry.field(description="The person of the provider.")
    user_id: UUID | None = strawberry.field(default=None, description="Who they are here; the proposed user if absent.")
    create_user: bool = strawberry.field(
        default=False, description="Make a new person of them; needs the permission USERS_WRITE."
    )
    first_name: str | None = strawberry.field(
        default=None, description="First name of the new person, where the provider has one string for the name."
    )
    last_name: str | None = strawberry.field(default=None, description="Last name of the new person, likewise.")


@strawberry.type(description="The mapping as it is then; null when the last link was taken away.")
class UserMappingSetPayload(Payload):
    mapping: UserMapping | None = strawberry.field(default=None, description="The mapping.")


@strawberry.type(description="The mapping that this made, or why there is none.")
class UserMappingConfirmPayload(Payload):
    mapping: UserMapping | None = strawberry.field(default=None, description="The mapping.")


@strawberry.type
class Mutations:
    @mutation(
        Permission.MAPPINGS_WRITE,
        description="Say who a person is at the providers. What they hold of the person follows with the next sync.",
    )
    async def user_mapping_set(self, info: Info, input: UserMappingSetInput) -> UserMappingSetPayload:
        given = {Provider.GRYZZLY: input.gryzzly_user_id, Provider.PAYFIT: input.payfit_employee_id}
        ids = {provider: value for provider, value in given.items() if value is not strawberry.UNSET}
        change = service.MappingChange(input.user_id, ids, input.expected_version)
        async with info.context.transaction() as tx:
            return UserMappingSetPayload(mapping=shown(await service.set_mapping(tx, change)))

    @mutation(
        Permission.MAPPINGS_WRITE, description="Confirm who a person of a provider is here, or make somebody new."
    )
    async def user_mapping_confirm(self, info: Info, input: UserMappingConfirmInput) -> UserMappingConfirmPayload:
        async with info.context.transaction() as tx:
            row = await service.confirm(tx, service.Confirmation(**vars(input)))
            return UserMappingConfirmPayload(mapping=shown(row))
