"""Two workers with memories of their own, and a small plan: Ada on Engine from January to March 2026."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import orjson
import pytest
from starlette.datastructures import MutableHeaders

from schema.context import Context
from schema.kept_responses import KeptResponses
from server.actor import Actor
from tests.planning.conftest import company, planned

__all__ = ["company", "planned"]

GRID = """query Grid($userIds: [UUID!]) { planning(from: "2026-01", to: "2026-03", filter: {userIds: $userIds}) {
  total items { user { id email firstName lastName status businessUnit { name } }
    months { month capacity load availability utilisation overallocated closed recomputing
      explanation { kind label days }
      cells { id days stated expected actual version updatedAt project { id code name status } } } } } }"""
REPORT = """query Report { utilisation(from: "2026-01", to: "2026-03", groupBy: PROJECT, formula: TACE) {
  definition items { capacity load productiveDays workingDays leave value project { code name }
    months { month load } } } }"""


@dataclass
class Worker:
    """What one process is: a memory of its own. `answer` gives the bytes of the data, and whether they were kept."""

    schema: Any
    database: Any
    settings: Any
    bus: Any
    memory: KeptResponses | None
    rate_limit: Any = None

    async def answer(self, caller: Actor | None, document: str = GRID, **variables: Any) -> tuple[bytes, str | None]:
        headers = MutableHeaders()
        context = Context(
            self.database,
            self.settings,
            self.bus,
            caller,
            headers=headers,
            kept_responses=self.memory,
            rate_limit=self.rate_limit,
        )
        held = dict(self.memory._kept) if self.memory else {}
        result = await self.schema.execute(document, variable_values=variables, context_value=context)
        if result.errors:
            return orjson.dumps([error.formatted for error in result.errors]), "error"
        etag = headers.get("etag")
        if self.memory is None:
            outcome = None
        elif etag is None:
            outcome = "refused"
        else:
            outcome = "hit" if self.memory._kept == held else "miss"
        return orjson.dumps(result.data), outcome


@pytest.fixture
def worker(schema, database, settings, bus):
    return Worker(schema, database, settings, bus, KeptResponses(10_000_000))


@pytest.fixture
def other(schema, database, settings, bus):
    return Worker(schema, database, settings, bus, KeptResponses(10_000_000))


@pytest.fixture
def forgetful(schema, database, settings, bus):
    """A process that keeps nothing: what the others must answer."""
    return Worker(schema, database, settings, bus, None)


@dataclass
class Plan:
    ada: Any
    bob: Any
    engine: Any
    loom: Any
    unit: Any


@pytest.fixture
async def plan(planned, make):
    unit = await make.unit(code="RD", name="Research")
    ada = await planned(first_name="Ada", last_name="Lovelace", email="ada@example.test", business_unit_id=unit.id)
    bob = await planned(first_name="Bob", last_name="Noyce", email="bob@example.test")
    engine, loom = await make.project(code="ENG", name="Engine"), await make.project(code="LOOM", name="Loom")
    await make.assignment(ada, engine, rate=Decimal(50), end_date=date(2026, 2, 28))
    for number in (1, 2, 3):
        await make.cell(ada, engine, date(2026, number, 1), stated="5.00", expected="10.00", actual="4.00")
    await make.cell(bob, loom, date(2026, 1, 1), stated="3.00")
    await make.absence(ada, date(2026, 1, 5), date(2026, 1, 6))
    return Plan(ada, bob, engine, loom, unit)
