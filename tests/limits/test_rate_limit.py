"""The leaky bucket in a real Valkey, shared by processes, and in each process while Valkey is away."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from server.embedded import EmbeddedValkey
from server.rate_limit import CALLERS, RateLimit


@pytest.fixture
async def shared(redis: Redis) -> Redis:
    await redis.flushdb()
    return redis


async def test_what_does_not_fit_is_refused_and_says_when_it_will(shared):
    limit = RateLimit(shared, 6000)
    budget = await limit.take("ada", 5000)
    assert (budget.limit, budget.remaining, budget.full_in, budget.retry_after) == (6000, 1000, 50, None)
    refused = await limit.take("ada", 2000)
    assert refused.retry_after in (9, 10)  # 1,000 too much, 100 drain away a second
    assert refused.headers()["ratelimit-policy"] == '"cost";q=6000;w=60'
    assert refused.headers()["retry-after"] == str(refused.retry_after)


async def test_a_refusal_uses_nothing_up(shared):
    limit = RateLimit(shared, 6000)
    await limit.take("ada", 5000)
    for _ in range(5):
        assert (await limit.take("ada", 2000)).retry_after is not None
    assert (await limit.take("ada", 900)).retry_after is None


async def test_callers_have_budgets_of_their_own(shared):
    limit = RateLimit(shared, 100)
    assert (await limit.take("ada", 100)).retry_after is None
    assert (await limit.take("ada", 100)).retry_after is not None
    assert (await limit.take("grace", 100)).retry_after is None


async def test_it_drains_evenly(shared):
    limit = RateLimit(shared, 6000)
    await limit.take("ada", 6000)
    bucket = b"plancharge:budget:ada"
    ten_seconds_ago = float(await shared.hget(bucket, "at")) - 10
    await shared.hset(bucket, "at", ten_seconds_ago)
    assert (await limit.take("ada", 1000)).retry_after is None
    assert (await limit.take("ada", 1000)).retry_after is not None


async def test_processes_share_a_caller_s_budget(valkey, shared):
    other = Redis.from_url(valkey.url())
    here, there = RateLimit(shared, 100), RateLimit(other, 100)
    granted = [await each.take("ada", 10) for _ in range(10) for each in (here, there)]
    await other.aclose()
    assert sum(each.retry_after is None for each in granted) == 10


async def test_callers_at_once_never_get_more_than_there_is(shared):
    limit = RateLimit(shared, 100)
    granted = await asyncio.gather(*(limit.take("ada", 10) for _ in range(30)))
    assert sum(each.retry_after is None for each in granted) == 10


async def test_valkey_is_asked_once_for_many_small_requests(shared):
    limit = RateLimit(shared, 1_000_000)
    before = (await shared.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]
    budgets = [await limit.take("ada", 5) for _ in range(1000)]
    assert (await shared.info("commandstats"))["cmdstat_evalsha"]["calls"] - before <= 2
    assert budgets[-1].remaining >= 995_000  # more where the machine is slow: the bucket drains meanwhile


async def test_without_valkey_each_process_counts_for_itself_and_shares_again_when_it_is_back(tmp_path):
    with EmbeddedValkey(tmp_path / "valkey", fast=True) as server:
        redis = Redis.from_url(server.url())
        limit = RateLimit(redis, 100)
        assert (await limit.take("ada", 60)).retry_after is None
    granted = [(await limit.take("ada", 20)).retry_after is None for _ in range(4)]
    assert granted == [True, True, False, False]  # it knows what was used before
    await redis.aclose()


async def test_callers_are_forgotten_rather_than_fill_the_memory():
    redis = Redis.from_url("redis://127.0.0.1:1")  # nothing listens there
    limit = RateLimit(redis, 100)
    for number in range(CALLERS + 50):
        await limit.take(f"address:{number}", 1)
    assert len(limit._callers) == CALLERS
    await redis.aclose()
