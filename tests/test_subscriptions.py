"""Subscriptions over real sockets: graphql-transport-ws, text/event-stream and multipart."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from schema.http import MOST_OPERATIONS
from server.access.service import access_tokens
from server.actor import Actor, Permission, Scope
from server.database import Database
from server.events import AccessChanged, PlanningChanged
from server.settings import Settings
from tests.access.people import PASSWORD, give, person, run
from tests.factories import Factory
from tests.running import Running, environment, serving

DOCUMENT = 'subscription Watch { planningChanged(from: "2026-01", to: "2026-12") { kind cellIds monthIds } }'
MONTH = date(2026, 3, 1)
CHANGED = UUID("0190b3f0-5d1c-7cc3-8c2b-5f0a3c1e9d10")
FRIEND = "https://plan.example.test"
RESYNC = {"data": {"planningChanged": {"kind": "RESYNC", "cellIds": [], "monthIds": []}}}


@pytest.fixture(scope="module")
def server(settings: Settings, migrated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("subscriptions") / "log"
    with serving(log, environment(settings, CORS_ORIGINS=FRIEND)) as running:
        yield running


@pytest.fixture
async def token(server: Running, make: Factory, database: Database) -> str:
    ada = await person(make)
    await give(database, ada, {Permission.PLANNING_READ: Scope.ALL})
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        form = {"username": "ada@example.test", "password": PASSWORD}
        return str((await client.post("/api/v1/auth/login", data=form)).json()["access_token"])


@pytest.fixture(scope="module", autouse=True)
async def silent(server: Running) -> AsyncIterator[asyncio.Task[tuple[int | None, float]]]:
    """A socket that says nothing while the other tests run: the code with which it is closed, and after how long."""

    async def wait() -> tuple[int | None, float]:
        started = time.monotonic()
        async with opened(server) as socket:
            await socket.wait_closed()
            return socket.close_code, time.monotonic() - started

    task = asyncio.create_task(wait())
    yield task
    task.cancel()


@contextlib.asynccontextmanager
async def opened(server: Running, protocol: str = "graphql-transport-ws", **options: Any) -> AsyncIterator[Any]:
    address = server.url.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=[Subprotocol(protocol)], **options) as socket:
        yield socket


async def send(socket: ClientConnection, kind: str, **members: Any) -> None:
    await socket.send(orjson.dumps({"type": kind, **members}).decode())


async def receive(socket: ClientConnection) -> dict[str, Any]:
    frame = await asyncio.wait_for(socket.recv(), 20)
    assert isinstance(frame, str), "graphql-transport-ws has text frames only"
    return orjson.loads(frame)


async def init(socket: ClientConnection, token: str | None = None, key: str = "authorization") -> dict[str, Any]:
    await send(socket, "connection_init", payload={key: f"Bearer {token}"} if token else {})
    return await receive(socket)


async def subscribe(socket: ClientConnection, document: str = DOCUMENT, name: str = "1") -> dict[str, Any]:
    await send(socket, "subscribe", id=name, payload={"query": document})
    return await receive(socket)


async def closed(socket: ClientConnection) -> int | None:
    """The code with which the server closes, whatever it still sends before."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(20):
            while True:
                await socket.recv()
    return socket.close_code


async def publish(database: Database, event: PlanningChanged | AccessChanged) -> None:
    async with database.transaction(Actor(None)) as tx:
        tx.publish(event)


async def change(database: Database) -> None:
    await publish(database, PlanningChanged(MONTH, MONTH, (CHANGED,), (CHANGED,), (CHANGED,)))


@pytest.mark.parametrize("key", ["authorization", "Authorization", "AUTHORIZATION"])
async def test_connection_init_signs_in_with_the_key_in_any_letter_case(server: Running, token: str, key: str) -> None:
    async with opened(server) as socket:
        assert await init(socket, token, key) == {"type": "connection_ack"}
        answer = await subscribe(socket, "{ me { email } }")
        assert answer["payload"]["data"] == {"me": {"email": "ada@example.test"}}
        assert await receive(socket) == {"id": "1", "type": "complete"}


async def test_a_subscription_begins_with_a_resync_and_then_names_what_changes(
    server: Running, token: str, database: Database
) -> None:
    async with opened(server) as socket:
        await init(socket, token)
        assert (await subscribe(socket))["payload"] == RESYNC
        await change(database)
        found = (await receive(socket))["payload"]["data"]["planningChanged"]
        assert found == {"kind": "CHANGED", "cellIds": [str(CHANGED)], "monthIds": [str(CHANGED)]}
        await send(socket, "complete", id="1")
        assert (await subscribe(socket, "{ __typename }", "2"))["payload"]["data"] == {"__typename": "Query"}


async def test_without_a_token_public_fields_answer_and_guarded_ones_say_so(server: Running, migrated: None) -> None:
    async with opened(server) as socket:
        assert await init(socket) == {"type": "connection_ack"}
        errors = (await subscribe(socket))["payload"]
        assert "UNAUTHENTICATED" in orjson.dumps(errors).decode()


async def test_a_token_that_does_not_work_closes_the_socket(server: Running, migrated: None) -> None:
    for payload in ({"authorization": "Bearer nonsense"}, {"authorization": 1}, {"authorization": None, "x": 1}):
        async with opened(server) as socket:
            await send(socket, "connection_init", payload=payload)
            if payload["authorization"] is None:
                assert await receive(socket) == {"type": "connection_ack"}
            else:
                assert await closed(socket) == 4403


async def test_the_socket_closes_when_the_session_is_revoked(
    server: Running, token: str, database: Database, settings: Settings
) -> None:
    claims = access_tokens.read(settings, token)
    async with opened(server) as socket:
        await init(socket, token)
        assert (await subscribe(socket))["payload"] == RESYNC
        await run(database, "UPDATE refresh_tokens SET revoked_at = now()")
        await publish(database, AccessChanged(CHANGED))  # somebody else's
        await change(database)
        assert (await receive(socket))["type"] == "next"
        await publish(database, AccessChanged(claims.user_id))
        assert await closed(socket) == 4403


async def test_the_socket_closes_when_the_token_expires(server: Running, token: str, settings: Settings) -> None:
    claims = access_tokens.read(settings, token)
    nearly_over = time.time() - settings.access_token_minutes * 60 + 3
    ends_soon, _ = access_tokens.issue(settings, claims.user_id, claims.session_id, nearly_over)
    async with opened(server) as socket:
        assert await init(socket, ends_soon) == {"type": "connection_ack"}
        assert (await subscribe(socket))["payload"] == RESYNC
        assert await closed(socket) == 4403


async def test_only_graphql_transport_ws_is_spoken(server: Running, migrated: None) -> None:
    async with opened(server, "graphql-ws") as socket:
        assert await closed(socket) == 4406


async def test_a_page_of_another_site_gets_no_socket(server: Running, migrated: None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(server, origin="https://evil.example.test"):
            pass
    assert refused.value.response.status_code == 403
    async with opened(server, origin=FRIEND) as socket:
        assert await init(socket) == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "message",
    [
        *("", "{", "null", "[]", "1", '"subscribe"', "{}", '{"type": 1}', '{"type": "nope"}'),
        *('{"type": "subscribe"}', '{"type": "subscribe", "id": []}', '{"type": "complete", "id": {}}'),
        '{"type": "subscribe", "id": "1", "payload": null}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ me { id } }", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ me { id } }", "operationName": 1}}',
        b"\x00\xff",
        '{"type": "%s"}' % ("x" * 4_000),
        '{"type": "%s"}' % ("é" * 4_000),
        '{"type": "subscribe", "id": "1", "payload": {"query": ["{ me { id } }"]}}',
        '{"type": "ping", "payload": ' + "[" * 100_000,
    ],
)
async def test_a_malformed_message_closes_the_socket_cleanly(
    server: Running, migrated: None, message: str | bytes
) -> None:
    async with opened(server) as socket:
        await init(socket)
        await socket.send(message)
        assert await closed(socket) == 4400
    assert "Traceback" not in server.text()


async def test_an_operation_before_connection_init_closes_the_socket(server: Running, migrated: None) -> None:
    async with opened(server) as socket:
        await send(socket, "subscribe", id="1", payload={"query": DOCUMENT})
        assert await closed(socket) == 4401


async def test_a_second_connection_init_closes_the_socket(server: Running, migrated: None) -> None:
    async with opened(server) as socket:
        await init(socket)
        await send(socket, "connection_init")
        assert await closed(socket) == 4429


@pytest.mark.parametrize("name", ["1", "long" * 1_000])
async def test_an_id_that_is_in_use_closes_the_socket(server: Running, token: str, name: str) -> None:
    async with opened(server) as socket:
        await init(socket, token)
        assert (await subscribe(socket, name=name))["payload"] == RESYNC
        await send(socket, "subscribe", id=name, payload={"query": "{ __typename }"})
        assert await closed(socket) == 4409


async def test_a_connection_init_that_is_no_object_closes_the_socket(server: Running, migrated: None) -> None:
    async with opened(server) as socket:
        await send(socket, "connection_init", payload=[1])
        assert await closed(socket) == 4400


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{ me {", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "BAD_REQUEST"),
        ("fragment F on Query { __typename }", "BAD_REQUEST"),
        ("query ($id: UUID!) { user(id: $id) { id } }", "INVALID_INPUT"),
        ("{ __schema { queryType { name } } }", "UNAUTHENTICATED"),
    ],
)
async def test_a_document_that_is_wrong_ends_its_operation_and_not_the_socket(
    server: Running, migrated: None, document: str, code: str
) -> None:
    async with opened(server) as socket:
        await init(socket)
        refused = await subscribe(socket, document)
        assert (refused["type"], refused["id"]) == ("error", "1")
        assert refused["payload"][0]["extensions"]["code"] == code
        assert (await subscribe(socket, "{ __typename }"))["payload"]["data"] == {"__typename": "Query"}


async def test_a_message_over_a_million_bytes_closes_the_socket(server: Running, migrated: None) -> None:
    async with opened(server) as socket:
        await init(socket)
        await send(socket, "ping", payload={"x": "x" * 1_000_000})
        assert await closed(socket) == 1009


async def test_operations_of_one_socket_are_bounded_and_it_stays_open(server: Running, token: str) -> None:
    async with opened(server) as socket:
        await init(socket, token)
        for number in range(MOST_OPERATIONS):
            assert (await subscribe(socket, name=str(number)))["payload"] == RESYNC
        refused = await subscribe(socket, name="more")
        assert (refused["type"], refused["id"]) == ("error", "more")
        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        await send(socket, "complete", id="0")
        assert (await subscribe(socket, name="more"))["payload"] == RESYNC


async def test_each_query_of_a_socket_reads_anew(server: Running, database: Database, make: Factory) -> None:
    ada = await person(make)
    await give(database, ada, {Permission.USERS_READ: Scope.ALL})
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        form = {"username": "ada@example.test", "password": PASSWORD}
        token = (await client.post("/api/v1/auth/login", data=form)).json()["access_token"]
    names = []
    async with opened(server) as socket:
        await init(socket, token)
        for name in ("Augusta", "Byron"):
            await run(database, f"UPDATE users SET first_name = '{name}'")
            answer = await subscribe(socket, f'{{ user(id: "{ada.id}") {{ firstName }} }}', name)
            names.append(answer["payload"]["data"]["user"]["firstName"])
            assert (await receive(socket))["type"] == "complete"
    assert names == ["Augusta", "Byron"]


async def test_an_opaque_origin_gets_no_socket(server: Running, migrated: None) -> None:
    with pytest.raises(InvalidStatus):
        async with opened(server, origin="null"):
            pass


async def test_sockets_are_told_to_connect_again_when_the_server_stops(
    settings: Settings, token: str, tmp_path: Path
) -> None:
    with serving(tmp_path / "log", environment(settings)) as leaving:
        async with opened(leaving) as socket:
            await init(socket, token)
            assert (await subscribe(socket))["payload"] == RESYNC
            stopping = asyncio.create_task(asyncio.to_thread(leaving.stop))
            assert await closed(socket) == 1012
            await stopping
        assert "Traceback" not in leaving.text()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/event-stream", "text/event-stream"),
        (
            "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json",
            "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json",
        ),
    ],
)
async def test_a_subscription_streams_over_http(
    server: Running, token: str, database: Database, accept: str, media_type: str
) -> None:
    headers = {"authorization": f"Bearer {token}", "accept": accept}
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=20) as client,
        client.stream("POST", "/graphql", json={"query": DOCUMENT}, headers=headers) as answer,
    ):
        assert (answer.status_code, answer.headers.get_list("content-type")) == (200, [media_type])
        lines = (line async for line in answer.aiter_lines())
        assert await _next(lines) == RESYNC
        await change(database)
        assert (await _next(lines))["data"]["planningChanged"]["kind"] == "CHANGED"


async def test_a_socket_that_never_sends_connection_init_is_closed_after_ten_seconds(
    silent: asyncio.Task[tuple[int | None, float]],
) -> None:
    code, seconds = await silent
    assert code == 4408
    assert seconds > 9.5


async def _next(lines: AsyncIterator[str]) -> Any:
    """The next result of either transport; heartbeats are passed over."""
    async with asyncio.timeout(20):
        async for line in lines:
            text = line.removeprefix("data: ")
            if text.startswith("{") and text != "{}":
                found = orjson.loads(text)
                return found.get("payload", found)
    raise AssertionError("the stream ended")
