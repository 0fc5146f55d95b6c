"""`forecastsWrite` sent twice under one key: written once, answered alike."""

# ruff: noqa: F811 - the fixtures come by import

from __future__ import annotations

import asyncio

import pytest

from server.actor import Permission
from tests.factories import actor
from tests.planning.test_cells import WRITE, audited, cell, company, plan, refusals, send, stored  # noqa: F401

EVERYTHING = WRITE.replace("overallocated", "overallocated closed explanation { kind days }")


async def test_a_replay_gets_the_first_answer_and_writes_nothing(graphql, database, make, plan):
    await make.contract(plan.user)
    wanted = {"cells": [cell(plan, "25.00"), cell(plan, "1.00", "2026-02")], "idempotencyKey": "k1"}
    first = await graphql(plan.caller, EVERYTHING, input=wanted)
    await send(graphql, plan.caller, cell(plan, "2.00"))
    again = await graphql(plan.caller, EVERYTHING, input=wanted)
    assert again == first
    assert first["forecastsWrite"]["warnings"][0]["code"] == "OVERALLOCATED"
    assert len(await audited(database)) == 2
    assert {stated for stated, _ in (await stored(database)).values()} == {"2.00", "1.00"}


async def test_a_replay_may_ask_for_what_the_first_call_did_not(graphql, plan):
    wanted = {"cells": [cell(plan, "25.00")], "idempotencyKey": "k1"}
    figures = "mutation ($input: ForecastsWriteInput!) { forecastsWrite(input: $input) { months { load } } }"
    assert (await graphql(plan.caller, figures, input=wanted))["forecastsWrite"] == {"months": [{"load": "25.00"}]}
    again = (await graphql(plan.caller, WRITE, input=wanted))["forecastsWrite"]
    assert again["months"][0]["cells"][0] == {
        "days": "25.00",
        "project": {"code": "BRIDGE"},
        "user": {"id": str(plan.user.id)},
    }
    assert again["warnings"][0]["code"] == "OVERALLOCATED"


async def test_a_refusal_is_replayed_too(graphql, database, plan):
    wanted = (cell(plan, "32.00"),)
    first = await send(graphql, plan.caller, *wanted, idempotencyKey="k1")
    assert await send(graphql, plan.caller, *wanted, idempotencyKey="k1") == first
    assert refusals(first) == [("INVALID_INPUT", ["cells", "0", "days"], "INVALID_DAYS")]


async def test_another_body_under_the_same_key_is_a_conflict_and_writes_nothing(graphql, database, plan):
    await send(graphql, plan.caller, cell(plan), idempotencyKey="k1")
    before = await stored(database)
    answer = await send(graphql, plan.caller, cell(plan, "6.00"), idempotencyKey="k1")
    assert refusals(answer) == [("IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"], "IDEMPOTENCY_KEY_REUSED")]
    assert await stored(database) == before


async def test_two_at_once_run_once_and_both_get_the_answer(graphql, database, plan):
    answers = await asyncio.gather(
        *(send(graphql, plan.caller, cell(plan, expectedVersion=None), idempotencyKey="k1") for _ in range(5))
    )
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["results"][0]["outcome"] == "APPLIED"
    assert len(await audited(database)) == 1


async def test_the_key_belongs_to_the_caller(graphql, database, make, plan):
    other = actor(Permission.PLANNING_WRITE, Permission.PLANNING_READ, user=await make.user())
    await send(graphql, plan.caller, cell(plan), idempotencyKey="k1")
    answer = await send(graphql, other, cell(plan, "6.00"), idempotencyKey="k1")
    assert answer["results"][0]["outcome"] == "APPLIED"


async def test_a_dry_run_does_not_use_the_key_up(graphql, database, plan):
    await send(graphql, plan.caller, cell(plan, "6.00"), idempotencyKey="k1", dryRun=True)
    answer = await send(graphql, plan.caller, cell(plan), idempotencyKey="k1")
    assert answer["results"][0]["outcome"] == "APPLIED"


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("key", ["", "   ", "x" * 256, "a\0b"])
async def test_a_key_that_is_none_is_refused(graphql, database, plan, key, dry):
    answer = await send(graphql, plan.caller, cell(plan), idempotencyKey=key, dryRun=dry)
    assert refusals(answer) == [("INVALID_INPUT", ["idempotencyKey"], "INVALID_KEY")]
    assert await stored(database) == {}
