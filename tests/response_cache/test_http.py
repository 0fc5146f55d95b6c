"""Two worker processes on one database, over real HTTP: ETags, 304, borders between callers, and no stale answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest

from tests.access.people import PASSWORD, PASSWORD_HASH, run
from tests.response_cache.conftest import GRID, REPORT
from tests.running import Running, environment, serving

ROLES = ("admin", "member", "manager", "analyst")
EVERYONE = """query Everyone { planning(from: "2026-01", to: "2026-03", filter: {includeLeft: true}) { items {
  user { id email firstName isSuperuser businessUnit { code } }
  months { load capacity explanation { kind label days } cells { id days } } } } }"""
DOCUMENTS = (GRID, REPORT, EVERYONE)


@pytest.fixture(scope="module")
def servers(settings, migrated, tmp_path_factory) -> Iterator[list[Running]]:
    """Two that keep answers, and one that never does."""
    folder = tmp_path_factory.mktemp("cache")
    values = environment(settings, COST_PER_MINUTE="1000000000")
    with (
        serving(folder / "first", values) as first,
        serving(folder / "second", values) as second,
        serving(folder / "without", values | {"RESPONSE_CACHE_BYTES": "0"}) as without,
    ):
        yield [first, second, without]


def persisted(document: str) -> dict[str, str]:
    named = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(document.encode()).hexdigest()}}
    return {"extensions": orjson.dumps(named).decode()}


@dataclass
class Caller:
    token: str
    clients: list[httpx.AsyncClient]

    async def post(self, document: str, number: int = 0, **variables: Any) -> httpx.Response:
        body = {"query": document, "variables": variables}
        return await self.clients[number].post("/graphql", json=body, headers=self._headers())

    async def get(self, document: str, number: int = 0, **headers: str) -> httpx.Response:
        return await self.clients[number].get(
            "/graphql", params=persisted(document), headers={**self._headers(), **headers}
        )

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


@pytest.fixture
async def clients(servers) -> AsyncIterator[list[httpx.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(httpx.AsyncClient(base_url=s.url, timeout=30)) for s in servers]


@pytest.fixture
async def callers(plan, make, database, clients) -> dict[str, Caller]:
    """One of each shipped role, and a tool that may read the plan alone."""
    found = {}
    for role in ROLES:
        person = await make.user(email=f"{role}@example.test", password_hash=PASSWORD_HASH, first_name=role)
        await run(
            database,
            "INSERT INTO user_roles (user_id, role_id) SELECT :user_id, id FROM roles WHERE name = :role",
            user_id=person.id,
            role=role,
        )
        credentials = {"username": f"{role}@example.test", "password": PASSWORD}
        answer = await clients[0].post("/api/v1/auth/login", data=credentials)
        found[role] = Caller(answer.json()["access_token"], clients)
    made = await found["admin"].post(
        'mutation { apiTokenCreate(input: {name: "BI", scopes: [PLANNING_READ]}) { secret problems { code } } }'
    )
    found["tool"] = Caller(made.json()["data"]["apiTokenCreate"]["secret"], clients)
    for document in DOCUMENTS:
        body = {"query": document, "extensions": orjson.loads(persisted(document)["extensions"])}
        for number in (0, 1, 2):
            await clients[number].post(
                "/graphql", json=body, headers={"authorization": f"Bearer {found['admin'].token}"}
            )
    return found


def data_of(answer: httpx.Response) -> bytes:
    """The bytes of `data`, which stands first in an answer."""
    assert answer.status_code == 200
    assert "errors" not in answer.json()
    head = b'{"data":'
    assert answer.content.startswith(head)
    return answer.content[len(head) : answer.content.rindex(b',"extensions"')]


async def hits(client: httpx.AsyncClient) -> float:
    text = (await client.get("/metrics")).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(HITS))


HITS = 'plancharge_response_cache_total{outcome="hit"}'


async def test_each_caller_gets_byte_for_byte_what_a_server_without_memory_answers_them(callers, clients):
    """In turns, so that everyone's answers are in the memory while the others ask for theirs."""
    uncached = {(who, d): data_of(await callers[who].post(d, 2)) for who in callers for d in DOCUMENTS}
    before = await hits(clients[0])
    for _ in range(3):
        for (who, document), expected in uncached.items():
            assert data_of(await callers[who].post(document)) == expected, who
            assert data_of(await callers[who].get(document)) == expected, who
    assert await hits(clients[0]) - before >= len(uncached) * 5
    assert len({uncached[who, GRID] for who in callers}) >= 3  # or there would be no border to cross


async def test_the_answer_has_an_etag_and_a_client_that_holds_it_gets_304_from_any_process(callers):
    member = callers["member"]
    first = await member.get(GRID)
    assert first.headers["cache-control"] == "private, no-cache"
    assert {"authorization", "accept"} <= {each.strip().lower() for each in first.headers["vary"].split(",")}
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    for number in (0, 1):
        again = await member.get(GRID, number, **{"if-none-match": f'"other", {etag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["cache-control"] == "private, no-cache"
        assert "content-type" not in again.headers
        assert {"ratelimit", "x-request-id"} <= set(again.headers)
    other = await member.get(GRID, **{"if-none-match": 'W/"other"'})
    assert (other.status_code, other.headers["etag"]) == (200, etag)
    posted = await member.post(GRID)
    assert (posted.headers["etag"], posted.headers["cache-control"]) == (etag, "no-store")


async def test_a_server_that_keeps_nothing_sends_no_etag(callers):
    answer = await callers["member"].get(GRID, 2, **{"if-none-match": "*"})
    assert answer.status_code == 200
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("authorization", "status"), [(None, 200), ("Bearer nonsense", 401)])
async def test_nobody_s_etag_opens_anything_to_whoever_does_not_sign_in(callers, clients, authorization, status):
    etag = (await callers["member"].get(GRID)).headers["etag"]
    headers = {"if-none-match": etag} | ({"authorization": authorization} if authorization else {})
    answer = await clients[0].get("/graphql", params=persisted(GRID), headers=headers)
    assert (answer.status_code, answer.headers.get("etag")) == (status, None)
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert not answer.json().get("data")


async def test_a_right_that_is_taken_away_takes_the_answers_with_it(callers, database):
    member, admin = callers["member"], callers["admin"]
    etag = (await member.get(GRID)).headers["etag"]
    me = (await member.post("{ me { id } }")).json()["data"]["me"]["id"]
    change = "mutation($input: UserSetRolesInput!) { userSetRoles(input: $input) { problems { code } } }"
    await admin.post(change, input={"userId": me, "roleIds": []})
    for number in (0, 1):
        for _ in range(60):  # five seconds at most, as for any right
            answer = await member.get(GRID, number, **{"if-none-match": etag})
            if answer.status_code != 304:
                break
            await asyncio.sleep(0.1)
        assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert answer.json()["data"] is None
        assert "etag" not in answer.headers


ROUNDS, WRITERS = 70, 3
WRITE = """mutation Write($input: ForecastsWriteInput!) { forecastsWrite(input: $input) {
  results { outcome } problems { code detail } } }"""


async def test_no_answer_is_older_than_an_acknowledged_write(callers, plan):
    """Writers on both workers at once raise a cell each; whatever is acknowledged, any worker shows at once."""
    admin, analyst = callers["admin"], callers["analyst"]
    cells = [(plan.ada, plan.engine), (plan.bob, plan.loom), (plan.bob, plan.engine)]
    acknowledged = [Decimal(0)] * WRITERS
    checked = 0

    async def write(index: int) -> None:
        person, project = cells[index]
        for number in range(1, ROUNDS + 1):
            days = Decimal(number) / 4
            cell = {"userId": str(person.id), "projectId": str(project.id), "month": "2026-03", "days": str(days)}
            answer = await admin.post(WRITE, (index + number) % 2, input={"cells": [cell]})
            result = answer.json()["data"]["forecastsWrite"]
            assert (result["problems"], result["results"]) == ([], [{"outcome": "APPLIED"}]), answer.text
            acknowledged[index] = days
            await asyncio.gather(read(0), read(1))

    async def read(worker: int) -> None:
        nonlocal checked
        known, reader = tuple(acknowledged), (analyst, admin)[checked % 2]
        answer = await (reader.get(GRID, worker) if checked % 3 else reader.post(GRID, worker))
        shown = {
            (row["user"]["id"], cell["project"]["id"]): Decimal(cell["stated"] or 0)
            for row in answer.json()["data"]["planning"]["items"]
            for month in row["months"]
            if month["month"] == "2026-03"
            for cell in month["cells"]
        }
        for (person, project), least in zip(cells, known, strict=True):
            if least:
                assert shown[str(person.id), str(project.id)] >= least
        checked += 1

    before = [await hits(client) for client in admin.clients[:2]]
    await asyncio.gather(*(write(index) for index in range(WRITERS)))
    assert checked == ROUNDS * WRITERS * 2
    for _ in range(2):
        await asyncio.gather(read(0), read(1))
    assert [await hits(client) for client in admin.clients[:2]] > before
