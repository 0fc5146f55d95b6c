"""Sync runs: starting and cancelling them, their live status and their history."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from schema.context import Info
from schema.edges import to_user
from schema.enums import described
from schema.errors import Payload, shown
from schema.idempotency import Idempotent
from schema.pages import Page, PageNumber, PageSize, window
from schema.permissions import mutation, query, requires
from schema.refs import UserRef
from server.actor import Permission
from server.errors import BadRequest, NotFound
from server.sync.models import Provider, SyncKind, SyncRefusalRow, SyncRunRow, SyncState, SyncTrigger
from server.sync.repository import runs as repository
from server.sync.service import history, runs

MOST_REFUSALS = 1_000

described(
    Provider,
    "A service that data comes from.",
    {"PAYFIT": "HR and payroll: people, contracts, absences.", "GRYZZLY": "Time tracking: projects, declared time."},
)
described(
    SyncState,
    "Where a sync stands.",
    {
        "NEVER_RUN": "There was none of this provider yet.",
        "QUEUED": "Waits for a worker, or to try again; `message` says why.",
        "RUNNING": "A worker reads or applies.",
        "SUCCEEDED": "All that was read is applied.",
        "FAILED": "Nothing was applied; `message` says why and what to do.",
        "CANCELLED": "Somebody cancelled it; nothing was applied.",
        "LOST": "Its worker died, or none picked it up; nothing was applied. The next one begins anew.",
    },
)
described(
    SyncKind,
    "A kind of record that is synced.",
    {
        "PERSON": "An employee of PayFit or a user of Gryzzly.",
        "CONTRACT": "A contract of PayFit.",
        "ABSENCE": "An absence of PayFit.",
        "PROJECT": "A project of Gryzzly.",
        "TASK": "A task of Gryzzly.",
        "DECLARATION": "Time declared in Gryzzly.",
    },
)
described(
    SyncTrigger,
    "What started a sync.",
    {"PERSON": "Somebody did.", "SCHEDULE": "The schedule did.", "COMMAND": "The command line did."},
)


@strawberry.type(
    description="What became of the records of one kind. What is in none of the other numbers is as before."
)
class SyncCount:
    kind: SyncKind = strawberry.field(description="Which records.")
    read: int = strawberry.field(description="How many the provider has.")
    created: int = strawberry.field(description="Added here.")
    updated: int = strawberry.field(description="Changed here; of people also those who were linked.")
    removed: int = strawberry.field(description="Removed here, because they are gone there.")
    skipped: int = strawberry.field(
        description="Left out until somebody decides, or because the provider refuses them."
    )
    refused: int = strawberry.field(description="Unreadable or contradictory.")


@strawberry.type(description="Why records did not land.")
class SyncRefusal:
    id: UUID = strawberry.field(description="The refusal's id.")
    kind: SyncKind = strawberry.field(description="Which kind of record.")
    external_id: str | None = strawberry.field(
        description="The record's id at the provider, or that of the person, contract or task that it hangs on."
    )
    code: str = strawberry.field(description="A stable code for programs.")
    reason: str = strawberry.field(description="Why, and what to do about it.")
    records: int = strawberry.field(description="How many records this explains.")


@strawberry.type(description="One sync of one provider.")
class SyncRun:
    id: UUID = strawberry.field(description="The run's id.")
    provider: Provider = strawberry.field(description="Whose data it brings.")
    state: SyncState = strawberry.field(description="Where it stands.")
    trigger: SyncTrigger | None = strawberry.field(description="What started it; null when there was none yet.")
    phase: str | None = strawberry.field(
        description="What it is doing: READING_PEOPLE, READING_CONTRACTS ... or APPLYING; of a run that ended badly, "
        "what it was doing then."
    )
    cause: str | None = strawberry.field(description="Why it waits or ended badly: a stable code.")
    message: str | None = strawberry.field(description="The same for people, with what to do.")
    first_day: date | None = strawberry.field(description="First day of the absences or declarations that it reads.")
    last_day: date | None = strawberry.field(description="Last day of them.")
    attempts: int = strawberry.field(description="How many workers picked it up.")
    created_at: datetime | None = strawberry.field(description="When it was asked for.")
    started_at: datetime | None = strawberry.field(description="When a worker picked it up first.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    cancel_requested_at: datetime | None = strawberry.field(description="When somebody asked to cancel it.")

    started_by: UserRef | None = strawberry.field(
        resolver=to_user("started_by_id"), description="Who started it; null for schedules and commands."
    )

    @strawberry.field(description="How far it is, in percent.")
    def progress(self, parent: strawberry.Parent[SyncRunRow]) -> float:
        return float(parent.progress)

    @strawberry.field(description="What became of the records, per kind, in the order in which they are read.")
    def counts(self, parent: strawberry.Parent[SyncRunRow]) -> list[SyncCount]:
        return [
            SyncCount(kind=kind, **{name: parent.counts[kind].get(name, 0) for name in _NUMBERS})
            for kind in SyncKind
            if kind in parent.counts
        ]

    @strawberry.field(description="Why records did not land, the first ones.", graphql_type=list[SyncRefusal])
    async def refusals(
        self,
        info: Info,
        parent: strawberry.Parent[SyncRunRow],
        first: Annotated[int, strawberry.argument(description="How many, 1 to 1000.")] = 50,
    ) -> list[SyncRefusalRow]:
        if not 1 <= first <= MOST_REFUSALS:
            raise BadRequest(f"first goes from 1 to {MOST_REFUSALS}; got {first}.")
        return await info.context.loaders.sync_refusals(first).one(parent.id)


_NUMBERS = ("read", "created", "updated", "removed", "skipped", "refused")


@strawberry.input(description="Which runs: all that is given must hold.")
class SyncRunFilter:
    ids: list[UUID] | None = strawberry.field(default=None, description="These runs.")
    providers: list[Provider] | None = strawberry.field(default=None, description="Of any of these providers.")
    states: list[SyncState] | None = strawberry.field(default=None, description="In any of these states.")


@strawberry.type
class Queries:
    @query(Permission.SYNC_READ, description="Syncs, the newest first.", graphql_type=Page[SyncRun])
    async def sync_runs(
        self,
        info: Info,
        filter: Annotated[SyncRunFilter | None, strawberry.argument(description="Which runs.")] = None,
        page: PageNumber = 1,
        size: PageSize = 50,
    ) -> Page[SyncRunRow]:
        wanted = repository.RunFilter(**vars(filter or SyncRunFilter()))
        offset, limit = window(page, size)
        async with info.context.reads.session() as session:
            items = list(await repository.page(session, wanted, offset, limit))

        async def count() -> int:
            async with info.context.reads.session() as session:
                return await repository.count(session, wanted)

        return Page(items=items, page=page, size=size, count=count)

    @query(Permission.SYNC_READ, description="One sync, by id.", graphql_type=SyncRun)
    async def sync_run(
        self, info: Info, id: Annotated[UUID, strawberry.argument(description="The run's id.")]
    ) -> SyncRunRow:
        row = await history.by_id(info.context.database, id)
        if row is None:
            raise NotFound(f"There is no sync run with the id {id}.")
        return row


@strawberry.input(description="Which provider to sync.")
class SyncStartInput(Idempotent):
    provider: Provider = strawberry.field(description="Whose data to bring over.")


@strawberry.input(description="Which run to cancel.")
class SyncCancelInput(Idempotent):
    id: UUID = strawberry.field(description="The run.")


@strawberry.type(description="The queued run; while another one is under way, that one and why there is no second.")
class SyncStartPayload(Payload):
    run: SyncRun | None = strawberry.field(default=None, description="The run.")


@strawberry.type(description="The run, which ends within some seconds; nothing of it is applied.")
class SyncCancelPayload(Payload):
    run: SyncRun | None = strawberry.field(default=None, description="The run.")


@strawberry.type
class Mutations:
    @mutation(Permission.SYNC_WRITE, description="Bring over what a provider holds. Follow it with syncStatus.")
    async def sync_start(self, info: Info, input: SyncStartInput) -> SyncStartPayload:
        settings = info.context.settings
        today = datetime.now(settings.timezone).date()
        async with info.context.transaction() as tx:
            return SyncStartPayload(run=shown(await runs.start(tx, settings, input.provider, today)))

    @mutation(Permission.SYNC_WRITE, description="Cancel a sync; nothing of it is applied.")
    async def sync_cancel(self, info: Info, input: SyncCancelInput) -> SyncCancelPayload:
        async with info.context.transaction() as tx:
            return SyncCancelPayload(run=shown(await runs.cancel(tx, input.id)))


@strawberry.type
class Subscriptions:
    @strawberry.subscription(
        description="The present state of the syncs, NEVER_RUN where there was none, and then each change. With "
        "`runId` until that run has ended. Changes that follow each other closely come as one: the newest.",
        extensions=[requires(Permission.SYNC_READ)],
        graphql_type=SyncRun,
    )
    async def sync_status(
        self,
        info: Info,
        provider: Annotated[
            Provider | None, strawberry.argument(description="Of one provider; of both unless given.")
        ] = None,
        run_id: Annotated[UUID | None, strawberry.argument(description="Of one run.")] = None,
    ) -> AsyncGenerator[Any, None]:
        context = info.context
        if run_id is not None and await history.by_id(context.database, run_id) is None:
            raise NotFound(f"There is no sync run with the id {run_id}.")
        providers = [provider] if provider else list(Provider)
        async with aclosing(history.watch(context.database, context.bus, providers, run_id)) as rows:
            async for row in rows:
                if not context.signed_in.can(Permission.SYNC_READ):
                    return
                context.forget()
                yield shown(row)
