"""Simulated providers over real sockets, and runs of a sync against them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from clients.gryzzly import Gryzzly
from clients.http import RetryPolicy
from clients.payfit import PayFit
from clients.rate_limit import TokenBucket
from clients.simulator import Company, Control, Limit, gryzzly_app, payfit_app, running, sample_company
from server.actor import system_actor
from server.database import Database
from server.settings import Settings
from server.sync.models import Provider, SyncRefusalRow, SyncRunRow, SyncTrigger
from server.sync.service import runner, runs
from server.sync.service.runs import Timing

TODAY = date(2026, 11, 18)
SYSTEM = system_actor("test")
FAST = RetryPolicy(attempts=5, wait_initial=0.01, wait_max=0.02, wait_jitter=0.01)
QUICK = Timing(beat=0.05, lease=3.0, queue=5.0, retries=(0.0, 0.0))
PLENTY = TokenBucket(rate=100_000, burst=100_000)


@dataclass
class Simulation:
    """Both providers over one company; `company` may be replaced between two runs."""

    payfit: Control
    gryzzly: Control
    urls: dict[Provider, str] = field(default_factory=dict)
    page_size: int = 50
    limit: int = 200
    before: Callable[[str], Awaitable[None]] | None = None
    """awaited before each answer, with the address: to let something happen between two pages"""

    def hooked(self, app: Any) -> Any:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            if self.before is not None and scope["type"] == "http":
                await self.before(scope["path"])
            await app(scope, receive, send)

        return serve

    def serve(self, company: Company) -> None:
        self.payfit.company = self.gryzzly.company = company

    def switch(self, scenario: str) -> None:
        self.payfit.switch(scenario)
        self.gryzzly.switch(scenario)

    @contextlib.asynccontextmanager
    async def connect(self, provider: Provider, run_id: UUID) -> AsyncIterator[Any]:
        options: dict[str, Any] = {"api_key": "simulated-key", "rate_limit": PLENTY, "retry": FAST}
        options["request_id"] = str(run_id)
        url = self.urls[provider]
        async with httpx.AsyncClient() as http:
            if provider is Provider.PAYFIT:
                yield PayFit(http, api_url=url, oauth_url=url, page_size=self.page_size, **options)
            else:
                yield Gryzzly(http, api_url=f"{url}/v1", limit=self.limit, **options)


@pytest.fixture
def company() -> Company:
    """40 people of each provider, with 12 projects and 30 declared days each."""
    return sample_company(seed=1, people=40, projects=12, today=TODAY, declared_days=30)


@pytest.fixture
async def simulated(company: Company) -> AsyncIterator[Simulation]:
    payfit, gryzzly = (Control(company, today=lambda: TODAY) for _ in range(2))
    simulation = Simulation(payfit, gryzzly)
    unlimited = [Limit(1_000_000, 1.0) for _ in range(2)]
    async with (
        running(simulation.hooked(payfit_app(payfit, limit=unlimited[0]))) as payfit_url,
        running(simulation.hooked(gryzzly_app(gryzzly, limit=unlimited[1]))) as gryzzly_url,
    ):
        simulation.urls = {Provider.PAYFIT: payfit_url, Provider.GRYZZLY: gryzzly_url}
        yield simulation


@pytest.fixture(scope="session")
def keys(settings: Settings) -> Settings:
    """The settings of a company that has both keys."""
    return settings.model_copy(update={"payfit_use_mock": True, "gryzzly_use_mock": True})


@dataclass
class Syncing:
    database: Database
    simulated: Simulation
    settings: Settings
    timing: Timing = QUICK
    today: date = TODAY

    async def start(self, provider: Provider, trigger: SyncTrigger = SyncTrigger.PERSON) -> SyncRunRow:
        async with self.database.transaction(SYSTEM) as tx:
            return await runs.start(tx, self.settings, provider, self.today, trigger)

    async def go_on(self, run_id: UUID) -> SyncRunRow:
        """What the worker does with a queued run, once."""
        connect = self.simulated.connect
        await runner.run(self.database, SYSTEM, connect, run_id, self.today, self.timing)
        return await self.row(run_id)

    async def __call__(self, provider: Provider, trigger: SyncTrigger = SyncTrigger.PERSON) -> SyncRunRow:
        return await self.go_on((await self.start(provider, trigger)).id)

    async def row(self, run_id: UUID) -> SyncRunRow:
        async with self.database.reads.session() as session:
            return (await session.scalars(select(SyncRunRow).where(SyncRunRow.id == run_id))).one()

    async def refusals(self, run_id: UUID) -> list[SyncRefusalRow]:
        statement = select(SyncRefusalRow).where(SyncRefusalRow.run_id == run_id).order_by(SyncRefusalRow.id)
        async with self.database.reads.session() as session:
            return list(await session.scalars(statement))

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.database.reads.session() as session:
            return list((await session.execute(text(sql), values)).all())

    async def one(self, sql: str, **values: Any) -> Any:
        return (await self.rows(sql, **values))[0][0]


@pytest.fixture
def sync(database: Database, simulated: Simulation, keys: Settings) -> Callable[..., Any]:
    return Syncing(database, simulated, keys)


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.05)


async def in_phase(sync: Syncing, run_id: UUID, phase: str) -> bool:
    return (await sync.row(run_id)).phase == phase
