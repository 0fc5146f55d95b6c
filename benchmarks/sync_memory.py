"""Memory and time of a sync of a large company: `python -m benchmarks.sync_memory --people 20000`.

The simulated providers run in a process of their own, so that the peak is the worker's side alone; the clients' own
rate limit is lifted, since what is measured is ours and not the provider's patience.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from clients.gryzzly import Gryzzly
from clients.payfit import PayFit
from clients.rate_limit import TokenBucket
from clients.simulator import Control, gryzzly_app, payfit_app, running, sample_company
from clients.simulator.provider import Limit
from server.actor import system_actor
from server.connections import connected
from server.embedded import EmbeddedPostgres, EmbeddedValkey
from server.migrate import migrate
from server.settings import read_settings
from server.sync.models import Provider, SyncRunRow
from server.sync.service import runner, runs

TODAY = date(2026, 11, 18)
SYSTEM = system_actor("benchmark")
UNLIMITED = 1_000_000
KEY = "simulated-key"


def simulate(people: int, days: int, urls: Connection) -> None:
    """Serves both providers until it is ended; sends their addresses first."""

    async def serve() -> None:
        company = sample_company(seed=1, people=people, projects=max(12, people // 20), today=TODAY, declared_days=days)
        control, limit = Control(company, today=lambda: TODAY), Limit(UNLIMITED, 1.0)
        async with (
            running(payfit_app(control, limit=limit)) as payfit,
            running(gryzzly_app(control, limit=limit)) as gryzzly,
        ):
            urls.send((payfit, gryzzly))
            await asyncio.Event().wait()

    asyncio.run(serve())


@contextlib.asynccontextmanager
async def connect(urls: tuple[str, str], provider: Provider, _run_id: UUID) -> AsyncIterator[Any]:
    free = TokenBucket(UNLIMITED, UNLIMITED)
    async with httpx.AsyncClient() as http:
        if provider is Provider.PAYFIT:
            yield PayFit(http, api_key=KEY, api_url=urls[0], oauth_url=urls[0], rate_limit=free)
        else:
            yield Gryzzly(http, api_key=KEY, api_url=urls[1] + "/v1", limit=200, rate_limit=free)


def peak() -> int:
    """This process's largest resident size so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def measure(folder: Path, urls: tuple[str, str]) -> None:
    with EmbeddedPostgres(folder / "postgres", fast=True) as postgres, EmbeddedValkey(folder / "valkey") as valkey:
        settings = read_settings(
            PLANCHARGE_ENV="test",
            database_url=postgres.url(),
            redis_url=valkey.url(),
            jwt_keys="test:" + "0123456789abcdef" * 4,
            payfit_use_mock=True,
            gryzzly_use_mock=True,
        )
        await migrate(settings)
        print(f"{peak()} MB before the first run", flush=True)
        async with connected(settings) as connections:
            database = connections.database
            for provider in (Provider.PAYFIT, Provider.GRYZZLY) * 2:
                async with database.transaction(SYSTEM) as tx:
                    run = await runs.start(tx, settings, provider, TODAY)
                started = time.monotonic()
                await runner.run(database, SYSTEM, partial(connect, urls), run.id, TODAY)
                async with database.reads.session() as session:
                    row = await session.get_one(SyncRunRow, run.id)
                seconds = time.monotonic() - started
                print(f"{provider.value:8} {row.state} {seconds:6.1f} s  peak {peak()} MB  {row.counts}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=20_000, help="employees (20,000 unless given)")
    parser.add_argument("--days", type=int, default=25, help="declared days of each (25 unless given)")
    arguments = parser.parse_args()
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    providers = context.Process(target=simulate, args=(arguments.people, arguments.days, there), daemon=True)
    providers.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measure(Path(folder), here.recv()))
    finally:
        providers.terminate()
        providers.join()


if __name__ == "__main__":
    main()
