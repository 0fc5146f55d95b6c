"""All of it behind PgBouncer in transaction mode, where every transaction may land on another server connection."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from server.database import create_engine
from server.embedded import EmbeddedPostgres
from server.settings import DEMO_PASSWORD, Settings, read_settings
from tests.pgbouncer import CONNECTIONS, MISSING, PROGRAM, pgbouncer, through
from tests.running import Running, command, environment, inherited, run, serving
from tests.test_subscriptions import init, opened, receive, subscribe

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)

CLIENTS, ROUNDS = 8, 5
GRID = """{ planning(from: "2026-01", to: "2026-12", size: 20) { total items {
  user { id lastName businessUnit { code } } months { month load cells { id days project { code } } } } } }"""
LISTS = """{ projects(size: 20) { items { id assignments { user { lastName } } } } forecasts(size: 20) { items { id } }
  users(size: 20) { nextUpdatedAfter items { id } } utilisation(from: "2026-01", to: "2026-06", groupBy: USER) {
  items { value } } auditLog { edges { node { action } } } }"""
WRITE = """mutation ($input: ForecastsWriteInput!) { forecastsWrite(input: $input) {
  results { outcome cell { id days version } } months { load } problems { code detail } } }"""
CELL = '{ forecasts(size: 1, filter: {from: "2026-12"}) { items { id user { id } project { id } } } }'
CHANGES = 'subscription { planningChanged(from: "2026-01", to: "2026-12") { kind cellIds } }'


@dataclass(frozen=True)
class Pooled:
    direct: str
    values: dict[str, str]
    server: Running


async def ask(url: str, statement: str, *values: Any) -> Any:
    """Of PostgreSQL itself, past PgBouncer."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def pooled(
    postgres: EmbeddedPostgres, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pooled]:
    """A server whose database was made, migrated and filled through PgBouncer as well."""
    with pgbouncer(postgres) as port:
        asyncio.run(ask(postgres.url(), "CREATE DATABASE pooled"))
        # What docs/scale.md tells to do, as ours cannot set it for a connection that it shares.
        asyncio.run(
            ask(postgres.url("pooled"), "ALTER ROLE plancharge IN DATABASE pooled SET statement_timeout = 7000")
        )
        url = through(postgres.url("pooled"), port).replace("+asyncpg", "")
        values = environment(settings, DATABASE_URL=url, DATABASE_POOLER="transaction", PLANCHARGE_ENV="development")
        values["PAYFIT_USE_MOCK"] = "true"
        both = [
            subprocess.Popen(command("migrate"), env=inherited() | values, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for process in both:
            _, stderr = process.communicate(timeout=120)
            assert process.returncode == 0, stderr
        seed = ["--users", "40", "--projects", "30", "--from", "2026-01", "--months", "12", "--as-of", "2026-06-15"]
        done = run("seed", *seed, "--demo", **values)
        assert done.returncode == 0, done.stderr
        with serving(tmp_path_factory.mktemp("pooled") / "log", values) as server:
            yield Pooled(postgres.url("pooled"), values, server)
        asyncio.run(ask(postgres.url(), "DROP DATABASE pooled WITH (FORCE)"))


async def sign_in(client: httpx.AsyncClient) -> str:
    form = {"username": "admin@demo.test", "password": DEMO_PASSWORD}
    token: str = (await client.post("/api/v1/auth/login", data=form)).json()["access_token"]
    client.headers["authorization"] = f"Bearer {token}"
    return token


async def graphql(client: httpx.AsyncClient, document: str, **variables: Any) -> Any:
    answer = (await client.post("/graphql", json={"query": document, "variables": variables})).json()
    assert "errors" not in answer, answer
    for payload in answer["data"].values():
        assert not (payload.get("problems") if isinstance(payload, dict) else None), answer
    return answer["data"]


async def test_many_callers_at_once_read_and_write_over_a_few_server_connections(pooled: Pooled) -> None:
    wrote: Counter[str] = Counter()

    async def work(number: int) -> None:
        async with httpx.AsyncClient(base_url=pooled.server.url, timeout=60) as client:
            await sign_in(client)
            grid = (await graphql(client, GRID))["planning"]["items"]
            project = (await graphql(client, LISTS))["projects"]["items"][0]["id"]
            months = [f"2026-{month:02}" for month in range(7, 13)]
            for turn in range(ROUNDS):
                cells = [
                    {"userId": grid[number]["user"]["id"], "projectId": project, "month": month, "days": f"{turn + 1}"}
                    for month in months
                ]
                wanted = {"cells": cells, "idempotencyKey": f"{number}-{turn}"}
                first, again = await asyncio.gather(*(graphql(client, WRITE, input=wanted) for _ in range(2)))
                assert first == again
                wrote.update(result["outcome"] for result in first["forecastsWrite"]["results"])
                await asyncio.gather(graphql(client, GRID), graphql(client, LISTS))

    await asyncio.gather(*(work(number) for number in range(CLIENTS)))
    assert wrote == {"APPLIED": CLIENTS * ROUNDS * 6}
    assert "prepared statement" not in pooled.server.text()
    used = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'pooled' AND application_name = 'plancharge'"
    assert await ask(pooled.direct, used) == CONNECTIONS


async def test_a_change_reaches_a_socket(pooled: Pooled) -> None:
    async with httpx.AsyncClient(base_url=pooled.server.url, timeout=60) as client, opened(pooled.server) as socket:
        await init(socket, await sign_in(client))
        assert (await subscribe(socket, CHANGES))["payload"]["data"]["planningChanged"]["kind"] == "RESYNC"
        item = (await graphql(client, CELL))["forecasts"]["items"][0]
        wanted = {"userId": item["user"]["id"], "projectId": item["project"]["id"], "month": "2026-12", "days": "0.5"}
        await graphql(client, WRITE, input={"cells": [wanted]})
        assert (await receive(socket))["payload"]["data"]["planningChanged"]["cellIds"] == [item["id"]]


def test_a_sync_runs_to_its_end(pooled: Pooled) -> None:
    """With its lease, its heartbeat and the temporary tables of its transactions."""
    done = run("sync", "payfit", **pooled.values)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_role_s_timeouts_hold_and_time_is_utc(pooled: Pooled) -> None:
    settings = read_settings(**{**pooled.values, "database_url": pooled.values["DATABASE_URL"]})
    engine = create_engine(settings)
    try:
        async with engine.connect() as connection:
            names = ("statement_timeout", "timezone", "application_name")
            found = [await connection.scalar(text("SELECT current_setting(:name)"), {"name": each}) for each in names]
    finally:
        await engine.dispose()
    assert found == ["7s", "UTC", "plancharge"]


def test_without_the_setting_it_does_not_start_and_says_why(pooled: Pooled) -> None:
    done = run("serve", **{**pooled.values, "DATABASE_POOLER": "none"})
    assert done.returncode == 1
    assert "behind PgBouncer set DATABASE_POOLER=transaction" in done.stderr
