"""Limits and budgets as clients meet them: over HTTP and WebSocket, in two processes, and without Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from server.database import Database
from server.settings import Settings
from tests.access.people import PASSWORD, give, person
from tests.factories import Factory
from tests.running import Running, environment, serving
from tests.test_subscriptions import init, opened, receive, subscribe

CHEAP, DEAR, REFUSED = (f"{{ users(size: {size}) {{ items {{ id }} }} }}" for size in (999, 1999, 5000))
SUBSCRIPTION = 'subscription { planningChanged(from: "2026-01", to: "2026-02") { kind } }'
BUDGET = {"MAX_COST": "5000", "COST_PER_MINUTE": "6000"}


@pytest.fixture(scope="module")
def servers(settings: Settings, migrated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Two with one Valkey, and one whose Redis is away."""
    folder = tmp_path_factory.mktemp("limits")
    away = environment(settings, **BUDGET) | {"REDIS_URL": "redis://127.0.0.1:1"}
    with (
        serving(folder / "first", environment(settings, **BUDGET)) as first,
        serving(folder / "second", environment(settings, **BUDGET)) as second,
        serving(folder / "away", away) as third,
    ):
        yield [first, second, third]


@pytest.fixture
async def token(servers: list[Running], make: Factory, database: Database) -> str:
    await give(database, await person(make), {})
    async with httpx.AsyncClient(base_url=servers[0].url, timeout=30) as client:
        form = {"username": "ada@example.test", "password": PASSWORD}
        return str((await client.post("/api/v1/auth/login", data=form)).json()["access_token"])


async def ask(server: Running, token: str, document: str = CHEAP) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        headers = {"authorization": f"Bearer {token}"}
        return await client.post("/graphql", json={"query": document}, headers=headers)


async def test_an_answer_reports_what_it_cost_and_what_is_left(servers, token):
    answer = await ask(servers[0], token)
    cost = answer.json()["extensions"]["cost"]
    assert {name: cost[name] for name in ("requested", "maximum", "perMinute")} == {
        "requested": 1000,
        "maximum": 5000,
        "perMinute": 6000,
    }
    assert 4800 <= cost["remaining"] <= 5010
    assert answer.headers["ratelimit-policy"] == '"cost";q=6000;w=60'
    assert answer.headers["ratelimit"] == f'"cost";r={cost["remaining"]};t={cost["fullInSeconds"]}'


async def test_what_is_too_costly_has_status_400_in_every_media_type(servers, token):
    answer = await ask(servers[0], token, REFUSED)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (400, "TOO_COSTLY")
    assert "costs 5001 and the maximum is 5000" in error["message"]
    assert "data" not in answer.json()


@pytest.mark.parametrize("which", [0, 2], ids=["with Valkey", "without"])
async def test_who_used_up_the_budget_is_told_when_to_come_back(servers, token, which):
    answers = [await ask(servers[which], token, DEAR) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200, 429}
    last = next(answer for answer in answers if answer.status_code == 429)
    (error,) = last.json()["errors"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 1 <= int(last.headers["retry-after"]) <= 20
    assert str(error["extensions"]["retryAfter"]) == last.headers["retry-after"]
    assert last.headers["ratelimit"].startswith('"cost";r=')


async def test_two_processes_share_a_caller_s_budget(servers, token):
    started = time.monotonic()
    answers = [await ask(server, token) for _ in range(8) for server in servers[:2]]
    drained = (time.monotonic() - started) * 100 / 1000
    granted = sum(answer.status_code == 200 for answer in answers)
    assert 5 <= granted <= 6 + drained + 1
    assert granted < 16 or drained > 8


async def test_limits_and_budgets_hold_over_a_socket_and_leave_it_open(servers, token):
    async with opened(servers[0]) as socket:
        await init(socket, token)
        refused = await subscribe(socket, REFUSED)
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "TOO_COSTLY")
        syntax = await subscribe(socket, "{ me {")
        assert (syntax["type"], syntax["payload"][0]["extensions"]["code"]) == ("error", "GRAPHQL_PARSE_FAILED")
        seen = []
        for _ in range(8):
            answer = await subscribe(socket, DEAR)
            seen.append(answer["type"])
            if answer["type"] == "next":
                assert answer["payload"]["extensions"]["cost"]["requested"] == 2000
                await receive(socket)
        assert seen[:2] == ["next", "next"]
        assert "error" in seen
        throttled = await subscribe(socket, DEAR.replace("size", "page: 2, size"))
        assert throttled["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert throttled["payload"][0]["extensions"]["retryAfter"] >= 1


async def test_the_rate_limit_of_people_who_are_not_signed_in_is_their_address_s(servers, token):
    async with opened(servers[1]) as socket:
        await init(socket)
        while (await subscribe(socket, DEAR))["type"] == "next":
            await receive(socket)
    assert (await ask(servers[1], token)).status_code == 200


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"])
async def test_a_stream_over_the_budget_is_refused_by_its_status(servers, token, accept):
    for _ in range(8):
        await ask(servers[2], token, DEAR)
    async with httpx.AsyncClient(base_url=servers[2].url, timeout=30) as client:
        headers = {"authorization": f"Bearer {token}", "accept": accept}
        for _ in range(12):  # a stream's start is cheap: until it is one too many
            subscription = f"subscription S{'x' * 200} {SUBSCRIPTION.removeprefix('subscription')}"
            async with client.stream("POST", "/graphql", json={"query": subscription}, headers=headers) as answer:
                if answer.status_code == 429:
                    await answer.aread()
                    break
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (429, "RATE_LIMITED")
    assert int(answer.headers["retry-after"]) >= 1


async def test_nothing_more_is_parsed_for_who_was_told_to_wait(servers, token):
    """A document that is not even GraphQL is refused for the budget, not for its syntax; a known one is looked at."""
    assert "GRAPHQL_PARSE_FAILED" in (await ask(servers[2], token, "{ me {")).text
    for _ in range(8):
        last = await ask(servers[2], token, DEAR)
    assert last.status_code == 429
    answer = await ask(servers[2], token, "{ me { ")
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (429, "RATE_LIMITED")
    assert 1 <= int(answer.headers["retry-after"]) <= int(last.headers["retry-after"])
    assert (await ask(servers[2], token, "{ __typename }")).status_code == 429
