"""Live status over real sockets, from two web workers: WebSocket, server-sent events and multipart see the same run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from server.actor import Permission, Scope
from server.sync.models import Provider
from tests.access.people import PASSWORD, give, person
from tests.running import Running, environment, serving
from tests.sync.conftest import until

DOCUMENT = "subscription Live { syncStatus(provider: PAYFIT) { state phase progress counts { kind read created } } }"
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "LOST")
ACCEPT = {
    "sse": "text/event-stream",
    "multipart": "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json",
}
Seen = list[dict[str, Any]]


@pytest.fixture(scope="module")
def server(settings, migrated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("live") / "log"
    with serving(log, environment(settings), "--workers", "2") as running:
        yield running


@pytest.fixture
async def token(server, make, database) -> str:
    ada = await person(make)
    await give(database, ada, {Permission.SYNC_READ: Scope.ALL})
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        form = {"username": "ada@example.test", "password": PASSWORD}
        return str((await client.post("/api/v1/auth/login", data=form)).json()["access_token"])


async def by_http(server: Running, token: str, accept: str) -> AsyncIterator[dict[str, Any]]:
    headers = {"authorization": f"Bearer {token}", "accept": accept}
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
        client.stream("POST", "/graphql", json={"query": DOCUMENT}, headers=headers) as response,
    ):
        assert response.status_code == 200
        async for line in response.aiter_lines():
            if "syncStatus" in line:
                message = orjson.loads(line.removeprefix("data:").strip())
                yield message.get("payload", message)["data"]["syncStatus"]


async def by_socket(server: Running, token: str) -> AsyncIterator[dict[str, Any]]:
    address = server.url.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        init = {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}
        subscribe = {"type": "subscribe", "id": "1", "payload": {"query": DOCUMENT}}
        await socket.send(orjson.dumps(init).decode())
        await socket.send(orjson.dumps(subscribe).decode())
        async for frame in socket:
            message = orjson.loads(frame)
            if message["type"] == "next":
                yield message["payload"]["data"]["syncStatus"]


async def watch(states: AsyncIterator[dict[str, Any]], seen: Seen) -> None:
    async for state in states:
        seen.append(state)
        if state["state"] in ENDED:
            return


async def test_every_watcher_sees_the_run_begin_and_end(server, token, sync) -> None:
    sources = [
        *(by_socket(server, token) for _ in range(4)),
        *(by_http(server, token, accept) for accept in ACCEPT.values() for _ in range(2)),
    ]
    seen: list[Seen] = [[] for _ in sources]
    async with asyncio.timeout(60), asyncio.TaskGroup() as watchers:
        for source, states in zip(sources, seen, strict=True):
            watchers.create_task(watch(source, states))
        await until(lambda: all(seen))  # each has the present state before the run starts
        done = await sync(Provider.PAYFIT)
    assert done.state == "SUCCEEDED"
    for states in seen:
        assert states[0]["state"] == "NEVER_RUN"
        assert states[-1]["state"] == "SUCCEEDED"
        assert states[-1]["progress"] == 100.0
        read = {count["kind"]: count["read"] for count in states[-1]["counts"]}
        assert read["PERSON"] == 40
        progress = [state["progress"] for state in states[1:]]
        assert progress == sorted(progress)


@pytest.mark.parametrize("accept", ACCEPT.values(), ids=ACCEPT.keys())
async def test_who_may_not_see_syncs_gets_the_reason(server, make, database, accept) -> None:
    bob = await person(make, email="bob@example.test")
    await give(database, bob, {Permission.PLANNING_READ: Scope.ALL})
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        form = {"username": "bob@example.test", "password": PASSWORD}
        token = (await client.post("/api/v1/auth/login", data=form)).json()["access_token"]
        headers = {"authorization": f"Bearer {token}", "accept": accept}
        answer = await client.post("/graphql", json={"query": DOCUMENT}, headers=headers)
    assert "FORBIDDEN" in answer.text
    assert "NEVER_RUN" not in answer.text
