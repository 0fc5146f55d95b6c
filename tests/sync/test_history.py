"""Live status: the state first, then every change that matters, from whichever process it comes; and the past."""

from __future__ import annotations

import asyncio
import contextlib

from server.actor import Permission
from server.errors import Refused
from server.events import SyncChanged
from server.ids import new_id
from server.sync.models import Provider, SyncState
from server.sync.repository import runs as repository
from server.sync.repository import staging
from server.sync.repository.runs import RunFilter
from server.sync.service import history, runs
from tests.factories import actor
from tests.sync.conftest import until

PAYFIT, GRYZZLY = Provider.PAYFIT, Provider.GRYZZLY


@contextlib.asynccontextmanager
async def watching(sync, bus, *providers, run_id=None):
    """What a subscriber has seen so far."""
    seen = []

    async def follow():
        async for row in history.watch(sync.database, bus, providers, run_id):
            seen.append(row)  # noqa: PERF401 — read while it grows

    task = asyncio.create_task(follow())
    try:
        yield seen, task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_provider_that_never_ran_says_so_first(sync, bus):
    async with watching(sync, bus, PAYFIT, GRYZZLY) as (seen, _):
        await until(lambda: len(seen) == 2)
    assert [(row.provider, row.state) for row in seen] == [
        (PAYFIT, SyncState.NEVER_RUN),
        (GRYZZLY, SyncState.NEVER_RUN),
    ]
    assert (await history.current(sync.database, PAYFIT)).id == seen[0].id


async def test_a_subscriber_sees_every_phase_in_order_and_the_end(sync, bus):
    sync.simulated.page_size = 10
    async with watching(sync, bus, PAYFIT) as (seen, _):
        await until(lambda: len(seen) == 1)
        run = await sync.start(PAYFIT)
        await until(lambda: len(seen) == 2)  # or a busy machine has begun it before this is read
        await sync.go_on(run.id)
        await until(lambda: seen[-1].state is SyncState.SUCCEEDED)
    states = list(dict.fromkeys((row.state.value, row.phase) for row in seen))
    assert states[:2] == [("NEVER_RUN", None), ("QUEUED", None)]
    assert [phase for _, phase in states if phase] == [
        "READING_PEOPLE", "READING_CONTRACTS", "READING_ABSENCES", "APPLYING"
    ]  # fmt: skip
    progress = [row.progress for row in seen]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert seen[-1].counts["PERSON"]["created"] == 40


async def test_watching_one_run_ends_with_it(sync, bus):
    run = await sync.start(PAYFIT)
    async with watching(sync, bus, PAYFIT, run_id=run.id) as (seen, task):
        await until(lambda: len(seen) == 1)
        await sync.go_on(run.id)
        async with asyncio.timeout(10):
            await task
    assert {row.id for row in seen} == {run.id}
    assert seen[-1].state is SyncState.SUCCEEDED


async def test_a_burst_of_events_is_bounded_and_the_newest_state_still_comes(sync, bus):
    run = await sync.start(PAYFIT)
    async with watching(sync, bus, PAYFIT) as (seen, _):
        await until(lambda: len(seen) == 1)
        await bus.publish([SyncChanged(new_id(), "PAYFIT")] * 2_000)
        await sync.go_on(run.id)
        await until(lambda: seen[-1].state is SyncState.SUCCEEDED)
    assert len(seen) < 20


async def test_the_past_is_listed_newest_first_with_its_refusals(sync):
    sync.simulated.switch("malformed-absence")
    first = await sync(PAYFIT)
    sync.simulated.switch("forbidden")
    second = await sync(PAYFIT)
    async with sync.database.reads.session() as session:
        rows = await repository.page(session, RunFilter(providers=[PAYFIT]), 0, 10)
        assert [row.id for row in rows] == [second.id, first.id]
        assert await repository.count(session, RunFilter(states=[SyncState.FAILED])) == 1
        found = await staging.refusals_of(session, [first.id, second.id], 3)
    assert [row.run_id for row in found] == [first.id] * 3


async def test_starting_needs_the_permission_and_a_configured_provider(sync, settings):
    async def start(who, with_settings):
        try:
            async with sync.database.transaction(who) as tx:
                await runs.start(tx, with_settings, PAYFIT, sync.today)
        except Refused as refused:
            return refused.problems[0].code

    allowed = actor(Permission.SYNC_WRITE)
    assert await start(actor(Permission.SYNC_READ), sync.settings) == "OUT_OF_SCOPE"
    without = settings.model_copy(update={"payfit_use_mock": False})
    assert await start(allowed, without) == "NOT_CONFIGURED"
    assert await sync.one("SELECT count(*) FROM sync_runs") == 0
