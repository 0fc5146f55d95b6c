"""`plancharge serve` as a process: two workers and one scrape, logs, servers that go away, an orderly stop."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

from server.database import Database
from server.embedded import EmbeddedPostgres, EmbeddedValkey
from server.migrate import migrate
from server.settings import Settings, read_settings
from tests.access.people import PASSWORD, person
from tests.factories import Factory
from tests.running import Running, environment, free_port, serving, wait_until

NAMED = {"query": "query Kinds { __typename }", "operationName": "Kinds"}


def samples(text: str, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    found = 0.0
    for line in text.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match and match[1] == name:
            has = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            if all(has.get(label) == value for label, value in labels.items()):
                found += float(match[3])
    return found


async def login(client: httpx.AsyncClient) -> dict[str, str]:
    form = {"username": "ada@example.test", "password": PASSWORD}
    answer = await client.post("/api/v1/auth/login", data=form)
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def workers(settings: Settings, migrated: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("workers") / "log"
    with serving(log, environment(settings), "--workers", "2") as running:
        wait_until(lambda: running.text().count('"event":"started"') == 2)
        yield running


async def test_one_scrape_counts_what_all_workers_did(workers: Running, make: Factory, database: Database) -> None:
    ada = await person(make)
    async with httpx.AsyncClient(base_url=workers.url, timeout=30) as client:
        headers = await login(client)
        before = (await client.get("/metrics")).text
        for number in range(20):  # a connection each, so that both workers get some
            async with httpx.AsyncClient(base_url=workers.url, timeout=30) as once:
                assert (await once.post("/graphql", json=NAMED, headers=headers)).status_code == 200
                other = {"query": f"query Stranger{number} {{ __typename }}"}
                assert (await once.post("/graphql", json=other)).status_code == 200
        document = "query One($id: UUID!) { user(id: $id) { id businessUnit { id } } me { id } }"
        body = {"query": document, "variables": {"id": str(ada.id)}}
        assert (await client.post("/graphql", json=body, headers=headers)).status_code == 200
        after = (await client.get("/metrics")).text

    def grew(name: str, **labels: str) -> float:
        return samples(after, name, **labels) - samples(before, name, **labels)

    assert grew("plancharge_graphql_operations_total", operation="Kinds", kind="query", outcome="ok") == 20
    assert grew("plancharge_graphql_operations_total", operation="other", kind="query", outcome="ok") == 20
    assert "Stranger" not in after  # a caller who is not signed in adds no label
    assert grew("plancharge_graphql_operation_seconds_count", operation="Kinds") == 20
    assert grew("plancharge_http_requests_total", method="POST", route="/graphql", status="200") == 41
    assert grew("plancharge_http_request_seconds_count", route="/graphql") == 41
    assert grew("plancharge_sql_statements_total", kind="SELECT") >= 1
    assert grew("plancharge_sql_statement_seconds_count", kind="SELECT") >= 1
    known, new = (grew("plancharge_graphql_documents_total", outcome=outcome) for outcome in ("known", "new"))
    assert (known + new, new) == (41, pytest.approx(22, abs=1))  # NAMED is new to each worker, if both got one
    assert grew("plancharge_graphql_documents_kept") == new
    assert grew("plancharge_graphql_tokens_kept") > new
    assert samples(after, "plancharge_websockets") == 0
    # pids are no label: each counter is one line, whatever the number of workers
    lines = [line for line in after.splitlines() if line.startswith("plancharge_graphql_operations_total{")]
    assert len([line for line in lines if 'operation="Kinds"' in line]) == 1


async def test_logs_are_json_with_the_ids_of_the_request_and_no_personal_data(
    workers: Running, make: Factory, database: Database
) -> None:
    await person(make)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with httpx.AsyncClient(base_url=workers.url, timeout=30) as client:
        headers = await login(client)
        headers |= {"x-request-id": "logs-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        query = {"query": '{ users(filter: {search: "ada@example.test"}) { items { email } } }'}
        await client.post("/graphql?email=ada@example.test", json=query, headers=headers)
        await client.get("/nowhere/ada@example.test", headers={"x-request-id": "logs-2"})
    wait_until(lambda: "logs-2" in workers.text())
    lines = {line.get("request_id"): line for line in workers.logged() if line["event"] == "request"}
    first = lines["logs-1"]
    assert (first["method"], first["route"], first["status"], first["trace_id"]) == ("POST", "/graphql", 200, trace)
    assert (first["level"], lines["logs-2"]["route"], lines["logs-2"]["status"]) == ("info", "other", 404)
    assert first["timestamp"].endswith("Z")
    assert first["milliseconds"] > 0
    assert "example.test" not in workers.text()
    assert PASSWORD not in workers.text()


async def test_sigterm_lets_the_request_at_hand_be_answered(
    workers: Running, settings: Settings, make: Factory, database: Database
) -> None:
    await person(make)
    async with httpx.AsyncClient(base_url=workers.url, timeout=30) as client:
        headers = await login(client)
        connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
                query = {"query": "{ me { email } }"}
                asked = asyncio.create_task(client.post("/graphql", json=query, headers=headers))
                await _until_waiting(connection)
                workers.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.5)
                assert workers.process.poll() is None
        finally:
            await connection.close()
        assert (await asked).json()["data"] == {"me": {"email": "ada@example.test"}}
    await asyncio.to_thread(workers.process.wait, 20)
    assert workers.text().count('"event":"stopped"') == 2
    assert "Traceback" not in workers.text()


async def _until_waiting(connection: asyncpg.Connection) -> None:
    """Until someone waits for the lock."""
    for _ in range(200):
        if await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody waits for the lock")


async def test_servers_may_go_away_and_come_back(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres", fast=True, port=free_port())
    valkey = EmbeddedValkey(tmp_path / "valkey", fast=True, port=free_port())
    with postgres, valkey:
        own = read_settings(
            environment="test", database_url=postgres.url(), redis_url=valkey.url(), jwt_keys="a:" + "0123456789" * 4
        )
        await migrate(own)
        with serving(tmp_path / "log", environment(own, JWT_KEYS="a:" + "0123456789abcdef" * 4)) as server:
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
                assert await readiness(client) == (200, "ok", "ok", "ok")
                valkey.stop()
                assert await readiness(client) == (200, "degraded", "ok", "unavailable")
                postgres.stop()
                assert await readiness(client) == (503, "unavailable", "unavailable", "unavailable")
                await _says_unavailable(client)
                postgres.start()
                valkey.start()
                for _ in range(100):
                    if await readiness(client) == (200, "ok", "ok", "ok"):
                        break
                    await asyncio.sleep(0.1)
                assert await readiness(client) == (200, "ok", "ok", "ok")
            assert not [line for line in server.logged() if line["level"] == "error"]


async def readiness(client: httpx.AsyncClient) -> tuple[int, str, str, str]:
    answer = await client.get("/readiness")
    body = answer.json()
    return answer.status_code, body["status"], body["dependencies"]["database"], body["dependencies"]["redis"]


async def _says_unavailable(client: httpx.AsyncClient) -> None:
    tool = {"authorization": "Bearer pdc_" + "x" * 43}
    assert (await client.get("/health")).status_code == 200
    by_graphql = await client.post("/graphql", json={"query": "{ me { id } }"}, headers=tool)
    by_rest = await client.post("/api/v1/auth/login", data={"username": "a", "password": "b"})
    assert (by_rest.status_code, by_rest.json()["code"]) == (503, "UNAVAILABLE")
    assert (by_graphql.status_code, by_graphql.headers["retry-after"]) == (503, "2")
    assert "UNAVAILABLE" in by_graphql.text
