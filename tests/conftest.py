"""Real servers for every test: PostgreSQL and Valkey from their wheels, one of each per worker, wiped before each test.

Writes commit for real, so triggers, locks and a second connection behave as in production; a wipe costs milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from execution import CompiledExecutor
from schema import build_schema
from schema.context import Context
from server.actor import Actor
from server.database import Database, create_engine
from server.embedded import EmbeddedPostgres, EmbeddedValkey
from server.events import Bus
from server.light_rows import statement_listeners
from server.migrate import migrate
from server.queue import Queue
from server.settings import Settings, read_settings
from tests.factories import Factory

KEPT_TABLES = {"alembic_version", "permissions", "roles", "role_permissions", "company_settings"}


@pytest.fixture(scope="session")
def worker_id() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data", fast=True) as server:
        yield server


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey") / "data", fast=True) as server:
        yield server


@pytest.fixture(scope="session")
def settings(postgres: EmbeddedPostgres, valkey: EmbeddedValkey, pytestconfig: pytest.Config) -> Settings:
    return read_settings(
        graphql_executor=pytestconfig.getoption("--executor"),
        PLANCHARGE_ENV="test",
        database_url=postgres.url(),
        redis_url=valkey.url(),
        jwt_keys="test:" + "0123456789abcdef" * 4,
        log_level="WARNING",
        payfit_use_mock=True,
    )


@pytest.fixture(scope="session")
async def migrated(settings: Settings) -> None:
    await migrate(settings)


@pytest.fixture(scope="session")
async def engine(settings: Settings, migrated: None) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def wipe(settings: Settings, migrated: None) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Empties every table but those that `migrate` fills; restores the settings row and the shipped roles."""
    # As PostgreSQL's superuser, who may pass by the trigger that keeps the audit log append-only.
    url = settings.database_url.replace("+asyncpg", "").replace("//plancharge:", "//postgres:")
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    names = sorted(row["tablename"] for row in rows if row["tablename"] not in KEPT_TABLES)
    await connection.execute("CREATE SCHEMA IF NOT EXISTS kept")
    await connection.execute("DROP TABLE IF EXISTS kept.company_settings")
    await connection.execute("CREATE TABLE kept.company_settings AS TABLE company_settings")
    statements = [
        "SET session_replication_role = replica",
        *(f'DELETE FROM "{name}"' for name in names),
        "DELETE FROM role_permissions WHERE role_id IN (SELECT id FROM roles WHERE NOT shipped)",
        "DELETE FROM roles WHERE NOT shipped",
        "DELETE FROM company_settings",
        "INSERT INTO company_settings TABLE kept.company_settings",
        "SET session_replication_role = origin",
    ]
    script = "; ".join(statements)

    async def run() -> None:
        await connection.execute(script)

    yield run
    await connection.close()


@pytest.fixture(scope="session")
async def redis(valkey: EmbeddedValkey) -> AsyncIterator[Redis]:
    client = Redis.from_url(valkey.url())
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
async def bus(redis: Redis) -> AsyncIterator[Bus]:
    bus = Bus(redis)
    await bus.start()
    yield bus
    await bus.stop()


@pytest.fixture
async def database(
    engine: AsyncEngine, settings: Settings, bus: Bus, redis: Redis, wipe: Callable[[], Awaitable[None]]
) -> AsyncIterator[Database]:
    await wipe()
    await redis.flushdb()
    queue = Queue(settings.redis_url)
    yield Database(engine, bus, queue)
    await queue.close()


@pytest.fixture
def make(database: Database) -> Factory:
    """Builds rows with believable defaults: `user = await make.user(last_name="Martin")`."""
    return Factory(database)


OF_THE_API = {"schema", "server", "servers"}
"""the fixtures of tests that run operations"""
OF_PROCESSES = {"test_serving", "test_stopping"}
"""modules that have a server for how it starts and stops"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--executor",
        choices=("compiled", "graphql-core"),
        default="compiled",
        help="what executes GraphQL; graphql-core: only the tests that ask the schema or a server of it are run",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--executor") == "graphql-core":
        of_the_api = [
            item
            for item in items
            if item.path.stem not in OF_PROCESSES and not OF_THE_API.isdisjoint(getattr(item, "fixturenames", ()))
        ]
        config.hook.pytest_deselected(items=[item for item in items if item not in of_the_api])
        items[:] = of_the_api


@pytest.fixture(scope="session")
def schema(settings: Settings) -> Any:
    return build_schema(settings.graphql_executor)


@pytest.fixture(autouse=True)
def no_fallbacks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every document that a test of the API runs is compiled: none is left to graphql-core unnoticed."""
    before = CompiledExecutor.fallbacks.copy()
    yield
    if "schema" in request.fixturenames:
        assert CompiledExecutor.fallbacks - before == {}


Execute = Callable[..., Awaitable[Any]]


@pytest.fixture
def graphql(schema: Any, database: Database, settings: Settings, bus: Bus) -> Execute:
    """`data = await graphql(actor, document, **variables)`: fails on errors; `errors=True` returns the errors."""

    async def execute(actor: Actor | None, document: str, *, errors: bool = False, **variables: Any) -> Any:
        context = Context(database=database, settings=settings, bus=bus, caller=actor, request_id="test")
        result = await schema.execute(document, variable_values=variables, context_value=context)
        if errors:
            assert result.errors, f"expected errors, got {result.data}"
            return [error.formatted for error in result.errors]
        assert not result.errors, [error.formatted for error in result.errors]
        return result.data

    return execute


class Statements:
    """The SQL that the engine ran: `len(statements)` is what a query-count test compares."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __len__(self) -> int:
        return len(self.texts)

    def clear(self) -> None:
        self.texts.clear()


@pytest.fixture
def statements(engine: AsyncEngine) -> Iterator[Statements]:
    seen = Statements()

    def record(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.texts.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", record)
    statement_listeners.append(seen.texts.append)
    yield seen
    statement_listeners.remove(seen.texts.append)
    event.remove(engine.sync_engine, "before_cursor_execute", record)


PROJECT_ROOT = Path(__file__).resolve().parent.parent
