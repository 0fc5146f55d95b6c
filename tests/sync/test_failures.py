"""What goes wrong at a provider: the data is as before or as after, the run says why, and the next run succeeds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from clients.simulator import SCENARIOS
from server.errors import Refused
from server.sync.models import Provider, SyncState
from server.sync.service import runs
from server.sync.service.runs import TIMING
from tests.sync.conftest import SYSTEM, in_phase, until

PAYFIT, GRYZZLY = Provider.PAYFIT, Provider.GRYZZLY
BOTH = pytest.mark.parametrize("provider", [PAYFIT, GRYZZLY])
CHANGED = "created", "updated", "removed"


async def everything(sync):
    """What a sync may change, as one comparable value."""
    tables = ("users", "contracts", "absences", "capacities", "projects", "tasks", "time_entries", "forecasts",
              "user_mappings", "external_people", "external_projects", "sync_conflicts")  # fmt: skip
    return [await sync.rows(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {name} t") for name in tables]


async def succeeds_next(sync, provider):
    sync.simulated.switch("normal")
    run = await sync(provider)
    assert run.state is SyncState.SUCCEEDED, run.message
    assert await sync.one("SELECT count(*) FROM sync_staging") == 0


@BOTH
async def test_a_token_revoked_in_mid_run_fails_it_at_once(sync, provider):
    await sync(PAYFIT)
    before = await everything(sync)
    sync.simulated.page_size = sync.simulated.limit = 4
    sync.simulated.switch("token-revoked-midway")
    run = await sync(provider)
    assert (run.state, run.cause) == (SyncState.FAILED, "token_refused")
    assert "replace it" in run.message
    assert run.counts["PERSON"]["read"] == 12  # three pages came before
    assert await everything(sync) == before
    await succeeds_next(sync, provider)


async def test_a_missing_scope_says_which(sync):
    sync.simulated.switch("missing-scope")
    run = await sync(PAYFIT)
    assert (run.state, run.cause) == (SyncState.FAILED, "scope_missing")
    assert "time:read" in run.message
    await succeeds_next(sync, PAYFIT)


@BOTH
async def test_a_page_that_fails_three_times_is_read_in_the_end(sync, provider):
    sync.simulated.page_size = sync.simulated.limit = 4
    sync.simulated.switch("page-7-fails-three-times")
    run = await sync(provider)
    assert run.state is SyncState.SUCCEEDED
    assert run.counts["PERSON"]["read"] == 40
    assert run.attempts == 1


@BOTH
async def test_a_page_that_fails_for_ever_ends_the_run_after_its_tries_and_rereads_no_page(sync, provider):
    control = getattr(sync.simulated, provider.value.lower())
    people = "GET /companies/{companyId}/collaborators" if provider is PAYFIT else "POST /users.list"
    sync.simulated.page_size = sync.simulated.limit = 4
    before = await everything(sync)
    sync.simulated.switch("page-7-fails-forever")
    run = await sync(provider)
    assert (run.state, run.cause) == (SyncState.QUEUED, "server_error")
    assert "try again later" in run.message
    assert control.answers[people, 200] == 6
    assert await sync.one("SELECT count(*) FROM sync_staging") == 24
    states = [(await sync.go_on(run.id)).state for _ in range(2)]
    assert states == [SyncState.QUEUED, SyncState.FAILED]
    assert control.answers[people, 200] == 6
    assert await everything(sync) == before
    await succeeds_next(sync, provider)


@BOTH
async def test_a_resumed_run_goes_on_after_the_last_staged_page(sync, provider):
    control = getattr(sync.simulated, provider.value.lower())
    sync.simulated.page_size = sync.simulated.limit = 4
    sync.simulated.switch("page-7-fails-forever")
    run = await sync(provider)
    sync.simulated.switch("normal")
    run = await sync.go_on(run.id)
    assert run.state is SyncState.SUCCEEDED
    assert run.counts["PERSON"]["read"] == 40
    people = "GET /companies/{companyId}/collaborators" if provider is PAYFIT else "POST /users.list"
    assert control.answers[people, 200] == 10


async def test_an_unreadable_absence_is_refused_and_the_rest_lands(sync):
    sync.simulated.switch("malformed-absence")
    run = await sync(PAYFIT)
    assert run.state is SyncState.SUCCEEDED
    assert run.counts["ABSENCE"]["refused"] == 4  # the second of each page of 50, of 160
    reasons = {row.reason for row in await sync.refusals(run.id) if row.kind.value == "ABSENCE"}
    assert "endDate.date: Field required" in reasons
    assert run.counts["ABSENCE"]["created"] > 90


async def test_an_absence_that_became_unreadable_is_not_taken_for_a_missing_one(sync):
    await sync(PAYFIT)
    before = await sync.rows("SELECT id, start_date, end_date FROM absences ORDER BY id")
    sync.simulated.switch("malformed-absence")
    run = await sync(PAYFIT)
    assert run.counts["ABSENCE"]["removed"] == 0
    assert await sync.rows("SELECT id, start_date, end_date FROM absences ORDER BY id") == before


@pytest.mark.parametrize(
    ("scenario", "cause"),
    [
        ("token-inactive", "token_inactive"),
        ("forbidden", "forbidden"),
        ("not-found", "not_found"),
        ("not-json", "unreadable"),
        ("repeated-token", "repeated_page"),
    ],
)
async def test_what_repeating_does_not_help_fails_at_once_and_says_why(sync, scenario, cause):
    sync.simulated.page_size = 4
    sync.simulated.switch(scenario)
    run = await sync(PAYFIT)
    assert (run.state, run.cause) == (SyncState.FAILED, cause), SCENARIOS[scenario]
    assert await sync.one("SELECT count(*) FROM users") == 0
    await succeeds_next(sync, PAYFIT)


@pytest.mark.parametrize("scenario", ["cut-connection", "missing-count", "small-limit", "rate-limited"])
async def test_what_is_only_a_nuisance_changes_nothing_of_the_result(sync, scenario):
    await sync(PAYFIT)
    sync.simulated.limit = 100
    sync.simulated.switch(scenario)
    run = await sync(GRYZZLY)
    assert run.state is SyncState.SUCCEEDED, run.message
    assert run.counts["DECLARATION"]["created"] == 1200


async def test_of_two_starts_at_once_one_runs_and_the_other_hears_of_it(sync):
    results = await asyncio.gather(*(sync.start(PAYFIT) for _ in range(5)), return_exceptions=True)
    started = [one for one in results if not isinstance(one, BaseException)]
    refused = [one for one in results if isinstance(one, Refused)]
    assert (len(started), len(refused)) == (1, 4)
    assert {one.problems[0].code for one in refused} == {"SYNC_RUNNING"}
    assert {one.current.id for one in refused} == {started[0].id}
    await asyncio.gather(*(sync.go_on(started[0].id) for _ in range(3)))
    run = await sync.row(started[0].id)
    assert (run.state, run.attempts, run.counts["PERSON"]["created"]) == (SyncState.SUCCEEDED, 1, 40)


async def test_both_providers_may_run_at_once(sync):
    payfit, gryzzly = await asyncio.gather(sync(PAYFIT), sync(GRYZZLY))
    assert (payfit.state, gryzzly.state) == (SyncState.SUCCEEDED, SyncState.SUCCEEDED)


@BOTH
async def test_cancelling_acts_within_five_seconds_while_a_slow_page_is_awaited(sync, provider):
    control = getattr(sync.simulated, provider.value.lower())
    sync.simulated.page_size = sync.simulated.limit = 4
    sync.timing = replace(TIMING)
    before = await everything(sync)
    sync.simulated.switch("slow-page")
    run = await sync.start(provider)
    work = asyncio.create_task(sync.go_on(run.id))
    await until(lambda: control.waiting)
    asked = time.monotonic()
    async with sync.database.transaction(SYSTEM) as tx:
        await runs.cancel(tx, run.id)
    run = await work
    assert time.monotonic() - asked < 5
    assert (run.state, run.cause) == (SyncState.CANCELLED, "cancelled")
    assert await everything(sync) == before
    await succeeds_next(sync, provider)


async def test_a_queued_run_is_cancelled_at_once(sync):
    run = await sync.start(PAYFIT)
    async with sync.database.transaction(SYSTEM) as tx:
        await runs.cancel(tx, run.id)
    assert (await sync.go_on(run.id)).state is SyncState.CANCELLED
    await succeeds_next(sync, PAYFIT)


async def test_cancelling_while_it_is_applied_leaves_all_as_before(sync):
    before = await everything(sync)
    run = await sync.start(PAYFIT)
    async with sync.database.transaction(SYSTEM) as other:  # holds what applying needs
        await other.session.execute(text("LOCK TABLE contracts IN ACCESS EXCLUSIVE MODE"))
        work = asyncio.create_task(sync.go_on(run.id))
        await until(lambda: in_phase(sync, run.id, "APPLYING"))
        await asyncio.sleep(0.3)
        async with sync.database.transaction(SYSTEM) as tx:
            await runs.cancel(tx, run.id)
        async with asyncio.timeout(5):
            run = await work
    assert run.state is SyncState.CANCELLED
    assert await everything(sync) == before
    await succeeds_next(sync, PAYFIT)


async def test_a_bug_of_ours_fails_the_run_without_a_trace_in_the_data(sync, monkeypatch):
    async def broken(*_args, **_kwargs):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("server.sync.service.payfit.recompute", broken)
        run = await sync(PAYFIT)
    assert (run.state, run.cause) == (SyncState.FAILED, "internal")
    assert str(run.id) in run.message
    assert await sync.one("SELECT count(*) FROM users") == 0
    await succeeds_next(sync, PAYFIT)
