"""Work that ends when nobody waits for it any more, or for too long: over real sockets, watched in PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import httpx
import orjson
import pytest

from server.actor import Permission, Scope
from server.database import Database
from server.settings import Settings
from tests.access.people import PASSWORD, give, person
from tests.factories import Factory
from tests.running import Running, environment, serving
from tests.test_subscriptions import init, opened, receive, send

JSON, GRAPHQL_RESPONSE = "application/json", "application/graphql-response+json"
MULTIPART = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"
CONNECTIONS, SECONDS = 2, 4
PROJECTS = "{ projects { items { id } } }"
PLANNING = '{ planning(from: "2026-01", to: "2026-02") { items { user { id } months { load } } } }'
SYNC = "subscription { syncStatus { state } }"
CREATE = 'mutation { projectCreate(input: {code: "KEPT", name: "Kept"}) { project { id } problems { code } } }'
Locked = Callable[[str], AbstractAsyncContextManager[asyncpg.Connection]]


@pytest.fixture(scope="module")
def server(settings: Settings, migrated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With hardly a connection to lose, and little patience."""
    values = environment(
        settings, DATABASE_POOL_SIZE=str(CONNECTIONS), DATABASE_POOL_OVERFLOW="0", REQUEST_SECONDS=str(SECONDS)
    )
    with serving(tmp_path_factory.mktemp("stopping") / "log", values) as running:
        yield running


async def signed_in(server: Running, make: Factory, database: Database) -> dict[str, str]:
    ada = await person(make)
    everything = dict.fromkeys(
        [Permission.PLANNING_READ, Permission.PROJECTS_READ, Permission.PROJECTS_WRITE, Permission.SYNC_READ],
        Scope.ALL,
    )
    await give(database, ada, everything)
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        form = {"username": "ada@example.test", "password": PASSWORD}
        token = (await client.post("/api/v1/auth/login", data=form)).json()["access_token"]
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def headers(server: Running, make: Factory, database: Database) -> dict[str, str]:
    return await signed_in(server, make, database)


@pytest.fixture
def locked(settings: Settings) -> Locked:
    @asynccontextmanager
    async def locking(table: str) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
        try:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                yield connection
        finally:
            await connection.close()

    return locking


async def waiting(connection: asyncpg.Connection) -> int:
    """Statements of the server that wait for the lock, as pg_stat_activity shows them."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")  # which a transaction keeps
    counted = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'plancharge'"
    return int(await connection.fetchval(counted))


async def becomes(connection: asyncpg.Connection, number: int, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while await waiting(connection) != number:  # noqa: ASYNC110 — PostgreSQL has no event for it
            await asyncio.sleep(0.02)


@asynccontextmanager
async def asked(server: Running, headers: dict[str, str], document: str, accept: str = JSON) -> AsyncIterator[None]:
    """A request whose client leaves at the end of the block, without waiting for the answer."""
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = orjson.dumps({"query": document})
    lines = [
        "POST /graphql HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Accept: {accept}",
        f"Authorization: {headers['authorization']}",
        f"Content-Length: {len(body)}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    try:
        yield
    finally:
        writer.close()
        await writer.wait_closed()


async def answered(server: Running, headers: dict[str, str], document: str = PROJECTS) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        return await client.post("/graphql", json={"query": document}, headers=headers)


@pytest.mark.parametrize(
    ("table", "document", "accept"),
    [
        ("projects", PROJECTS, JSON),
        ("forecasts", PLANNING, JSON),
        ("projects", PROJECTS, "text/event-stream"),
        ("sync_runs", SYNC, "text/event-stream"),
        ("sync_runs", SYNC, MULTIPART),
    ],
    ids=["query", "query without the ORM", "query by SSE", "subscription by SSE", "subscription by multipart"],
)
async def test_a_query_stops_in_postgresql_when_its_client_leaves(server, headers, locked, table, document, accept):
    async with locked(table) as connection:
        for _ in range(2 * CONNECTIONS):  # more than there are: each comes back to the pool
            async with asked(server, headers, document, accept):
                await becomes(connection, 1)
            await becomes(connection, 0, seconds=2)
    answer = await answered(server, headers, PROJECTS)
    assert (answer.status_code, answer.json()["data"]) == (200, {"projects": {"items": []}})
    assert "Traceback" not in server.text()


@pytest.mark.parametrize("leaving", ["complete", "close"])
async def test_a_query_over_a_socket_stops_by_complete_and_by_the_socket_s_end(server, headers, locked, leaving):
    async with locked("projects") as connection, opened(server) as socket:
        await init(socket, headers["authorization"].removeprefix("Bearer "))
        await send(socket, "subscribe", id="1", payload={"query": PROJECTS})
        await becomes(connection, 1)
        await (send(socket, "complete", id="1") if leaving == "complete" else socket.close())
        await becomes(connection, 0, seconds=2)
        if leaving == "complete":
            await send(socket, "subscribe", id="1", payload={"query": "{ __typename }"})
            assert (await receive(socket))["payload"]["data"] == {"__typename": "Query"}
    assert (await answered(server, headers)).status_code == 200


@pytest.mark.parametrize("over", ["http", "sse", "socket"])
async def test_a_mutation_goes_on_when_its_client_leaves(server, headers, locked, over):
    async with locked("projects") as connection:
        if over == "socket":
            async with opened(server) as socket:
                await init(socket, headers["authorization"].removeprefix("Bearer "))
                await send(socket, "subscribe", id="1", payload={"query": CREATE})
                await becomes(connection, 1)
        else:
            async with asked(server, headers, CREATE, JSON if over == "http" else "text/event-stream"):
                await becomes(connection, 1)
        await asyncio.sleep(0.5)
        assert await waiting(connection) == 1
    for _ in range(100):
        answer = await answered(server, headers, "{ projects { items { code } } }")
        if answer.json()["data"]["projects"]["items"]:
            break
        await asyncio.sleep(0.05)
    assert answer.json()["data"] == {"projects": {"items": [{"code": "KEPT"}]}}


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_RESPONSE])
@pytest.mark.parametrize("document", [PROJECTS, CREATE], ids=["query", "mutation"])
async def test_what_takes_longer_than_the_deadline_is_stopped_and_undone(server, headers, locked, document, accept):
    async with locked("projects") as connection:
        answer = await answered(server, {**headers, "accept": accept}, document)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["extensions"]["code"]) == (504, "TIMED_OUT")
        assert error["message"].startswith("This took longer than 4 s and was stopped: ask for less at a time.")
        assert error["extensions"]["instance"] == f"urn:request:{answer.headers['x-request-id']}"
        await becomes(connection, 0, seconds=2)
    assert (await answered(server, headers)).json()["data"] == {"projects": {"items": []}}


async def test_the_deadline_holds_over_a_socket_and_leaves_it_open(server, headers, locked):
    async with locked("projects"), opened(server) as socket:
        await init(socket, headers["authorization"].removeprefix("Bearer "))
        await send(socket, "subscribe", id="1", payload={"query": PROJECTS})
        answer = await receive(socket)
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "TIMED_OUT")
        await send(socket, "subscribe", id="2", payload={"query": "{ __typename }"})
        assert (await receive(socket))["payload"]["data"] == {"__typename": "Query"}


async def test_the_deadline_holds_for_the_sign_in_and_for_a_body_that_arrives_slowly(server, headers, locked):
    async def slow() -> AsyncIterator[bytes]:
        for byte in b'{"query": "{ __typename }"}':
            yield bytes([byte])
            await asyncio.sleep(1)

    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        with contextlib.suppress(httpx.WriteError):
            answer = await client.post("/graphql", content=slow(), headers={"content-type": JSON})
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (504, "TIMED_OUT")
    async with locked("users"):
        await asyncio.sleep(5)  # the server remembers for so long who is calling
        answer = await answered(server, headers, "{ __typename }")
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (504, "TIMED_OUT")


async def test_a_statement_that_runs_too_long_says_so(settings, migrated, tmp_path, make, database, locked):
    with serving(tmp_path / "log", environment(settings, STATEMENT_TIMEOUT_MS="500")) as server:
        headers = await signed_in(server, make, database)
        async with locked("projects"):
            for document in (PROJECTS, CREATE):
                answer = await answered(server, headers, document)
                (error,) = answer.json()["errors"]
                assert (answer.status_code, error["extensions"]["code"]) == (504, "TIMED_OUT")
                assert error["message"].startswith("The database took too long over a part of this")
        async with locked("refresh_tokens"):
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
                form = {"username": "ada@example.test", "password": PASSWORD}
                refused = await client.post("/api/v1/auth/login", data=form)
            assert (refused.status_code, refused.json()["code"]) == (504, "TIMED_OUT")
        assert '"level":"error"' not in server.text()


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
async def test_a_stop_while_the_processor_is_busy_answers_what_was_accepted(settings, migrated, tmp_path, how, code):
    """Documents that are new and as large as may be: to parse and validate them is work that nothing interrupts."""
    with serving(tmp_path / "log", environment(settings)) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            fields = "id code name status " * 240
            documents = [f"query Q{n} {{ projects {{ items {{ {fields} }} }} }}" for n in range(20)]
            asked = [asyncio.create_task(client.post("/graphql", json={"query": each})) for each in documents]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            server.process.send_signal(how)
            answers = await asyncio.gather(*asked)
        assert [answer.status_code for answer in answers] == [200] * 20
        assert all(answer.json()["errors"] for answer in answers)
        assert await asyncio.to_thread(server.process.wait, 20) == code
        assert "Traceback" not in server.text()
