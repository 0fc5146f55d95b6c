"""How PostgreSQL runs the statements of the API when the plan is large: by an index, never by reading all cells.

The company here has 2,000 people with 36 months of three cells each, a tenth of the largest that we plan for, since
216,000 cells are filled in seconds. That is the harder case: what a request reads (a page, a few ids) stays the same,
so it is a larger share of a smaller table, and where an index is worth it here it is all the more worth it there.
Statistics of a larger company in an empty one were refused: the planner asks the file how many pages there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import asyncpg
import orjson
import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine

from schema.context import Context
from server.actor import Permission, Scope, system_actor
from server.database import Database, create_engine
from server.embedded import EmbeddedPostgres
from server.events import Bus
from server.migrate import migrate
from server.planning.service.recompute import recompute
from server.queue import Queue
from server.settings import Settings
from server.users.models import UserRow
from tests.factories import admin
from tests.filling import fill

LARGE = {"forecasts", "capacities", "assignments", "absences", "contracts", "time_entries", "audit_logs"}
"""people and projects are not among them: 20,000 of each are read in milliseconds, as a search by name does"""
PLANNED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")

PLANNING = """query ($filter: PlanningFilter) { planning(from: "2026-01", to: "2026-12", size: 100, filter: $filter) {
  items { user { id lastName businessUnit { code } } months { capacity load cells { days project { code } } } } } }"""
FORECASTS = """query ($filter: ForecastFilter) { forecasts(size: 100, filter: $filter) {
  nextUpdatedAfter items { id days user { lastName } project { code } } } }"""
USERS = """query ($filter: UserFilter) { users(size: 50, filter: $filter) { items {
  id months(from: "2026-01", to: "2026-06") { load cells { days } } assignments { rate } } } }"""
PROJECTS = """query ($filter: ProjectFilter) { projects(size: 50, filter: $filter) { items {
  id months(from: "2026-01", to: "2026-06") { load } assignments { user { lastName } } } } }"""
UTILISATION = """query ($by: GroupBy!, $filter: PlanningFilter) {
  utilisation(from: "2026-01", to: "2026-06", groupBy: $by, filter: $filter) { items { value months { load } } } }"""
AVAILABILITY = """query ($filter: PlanningFilter) {
  availability(from: "2026-01", to: "2026-03", days: "1", filter: $filter) { items { days user { lastName } } } }"""
CELLS = "query ($ids: [UUID!]!) { planningCells(ids: $ids) { days user { lastName } project { code } } }"
MONTHS = "query ($ids: [UUID!]!) { planningMonths(ids: $ids) { capacity load cells { days project { code } } } }"
AUDIT = """query ($filter: AuditFilter, $after: String) { auditLog(first: 50, filter: $filter, after: $after) {
  edges { node { action } } pageInfo { endCursor } } }"""
WRITE = """mutation ($input: ForecastsWriteInput!) { forecastsWrite(input: $input) {
  results { outcome } months { load } problems { detail } } }"""


def listing(field: str) -> str:
    kind = field.capitalize()[:-1] if field != "capacities" else "Capacity"
    return f"query ($filter: {kind}Filter) {{ {field}(size: 50, filter: $filter) {{ items {{ id }} }} }}"


# What is asked, with the variables that hold ids of the company: {people: 20 of them} and so on.
READS: dict[str, tuple[str, dict[str, Any]]] = {
    "a page of the grid": (PLANNING, {}),
    "the grid of people": (PLANNING, {"filter": {"userIds": "people"}}),
    "the grid of a unit": (PLANNING, {"filter": {"businessUnitIds": "units"}}),
    "the grid by name": (PLANNING, {"filter": {"search": "a"}}),
    "the grid of projects": (PLANNING, {"filter": {"projectIds": "projects"}}),
    "the grid with those who left": (PLANNING, {"filter": {"includeLeft": True}}),
    "cells by id": (CELLS, {"ids": "cells"}),
    "months by id": (MONTHS, {"ids": "months"}),
    "a page of cells": (FORECASTS, {}),
    "cells of people": (FORECASTS, {"filter": {"userIds": "people"}}),
    "cells of projects": (FORECASTS, {"filter": {"projectIds": "projects"}}),
    "cells of projects in months": (
        FORECASTS,
        {"filter": {"projectIds": "projects", "from": "2026-01", "to": "2026-03"}},
    ),
    "cells of a unit": (FORECASTS, {"filter": {"businessUnitIds": "units", "from": "2026-01", "to": "2026-03"}}),
    "cells of months": (FORECASTS, {"filter": {"from": "2026-01", "to": "2026-03"}}),
    "cells by source": (FORECASTS, {"filter": {"sources": ["MANUAL"]}}),
    "cells that changed": (FORECASTS, {"filter": {"updatedAfter": "changed"}}),
    "a page of people": (USERS, {}),
    "people by name": (USERS, {"filter": {"search": "a"}}),
    "a page of projects": (PROJECTS, {}),
    "projects of a unit": (PROJECTS, {"filter": {"businessUnitIds": "units"}}),
    "a page of everybody's utilisation": (UTILISATION, {"by": "USER"}),
    "utilisation of all by unit": (UTILISATION, {"by": "BUSINESS_UNIT"}),
    "utilisation of all by month": (UTILISATION, {"by": "MONTH"}),
    "availability of all": (AVAILABILITY, {}),
    "the grid of those in conflict": (PLANNING, {"filter": {"hasConflict": True}}),
    "utilisation of people": (UTILISATION, {"by": "USER", "filter": {"userIds": "people"}}),
    "utilisation of some projects' people": (UTILISATION, {"by": "PROJECT", "filter": {"projectIds": "projects"}}),
    "availability among people": (AVAILABILITY, {"filter": {"userIds": "people"}}),
    "assignments": (listing("assignments"), {}),
    "assignments that changed": (listing("assignments"), {"filter": {"updatedAfter": "changed"}}),
    "assignments of people": (listing("assignments"), {"filter": {"userIds": "people"}}),
    "capacities": (listing("capacities"), {}),
    "capacities that changed": (listing("capacities"), {"filter": {"updatedAfter": "changed"}}),
    "capacities of people": (listing("capacities"), {"filter": {"userIds": "people"}}),
    "absences of people": (listing("absences"), {"filter": {"userIds": "people"}}),
    "contracts of people": (listing("contracts"), {"filter": {"userIds": "people"}}),
    "a page of the audit log": (AUDIT, {}),
    "the history of a cell": (AUDIT, {"filter": {"cellId": "cell"}}),
    "what somebody did": (AUDIT, {"filter": {"actorIds": "people"}}),
}
# These are about everybody's cells and capacities, whoever is shown: to know who is overallocated, or what a project's
# people can take, all are added up. Read in the order of their pages, that is as it should be.
WHOLE: dict[str, tuple[str, dict[str, Any]]] = {
    "utilisation of all by project": (UTILISATION, {"by": "PROJECT"}),
    "the grid of the overallocated": (PLANNING, {"filter": {"overallocated": True}}),
}


@dataclass
class Company:
    schema: Any
    context: Context
    connection: asyncpg.Connection
    ids: dict[str, Any]
    ran: dict[str, Any]
    """the statements, as the driver was given them, with the values of the first time"""

    async def ask(self, document: str, variables: dict[str, Any]) -> Any:
        self.context.forget()
        self.ran.clear()
        given = {name: self._filled(value) for name, value in variables.items()}
        result = await self.schema.execute(document, variable_values=given, context_value=self.context)
        assert not result.errors, result.errors
        await asyncio.sleep(0)  # the driver tells of its statements a moment later
        return result.data

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(inner) for name, inner in value.items()}
        return self.ids.get(value, value) if isinstance(value, str) else value

    async def whole_reads(self) -> list[str]:
        """The large tables that are read from end to end, with the statement that does."""
        found = []
        for query, values in self.ran.items():
            if not query.lstrip().upper().startswith(PLANNED):
                continue
            plans = [await self._plan(query, *values)]
            async with self.connection.transaction():
                await self.connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                await self.connection.execute(f"PREPARE asked AS {query}")
                generic = await self._plan(f"EXECUTE asked({', '.join(['NULL'] * len(values))})".replace("()", ""))
                await self.connection.execute("DEALLOCATE asked")
            # After five runs PostgreSQL keeps the generic plan, unless planning anew each time promises to be cheaper.
            if generic["Total Cost"] <= plans[0]["Total Cost"]:
                plans.append(generic)
            found += [f"{table}: {query}" for plan in plans for table in sequential(plan) & LARGE]
        return found

    async def _plan(self, query: str, *values: Any) -> dict[str, Any]:
        found: str = await self.connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *values)
        plan: dict[str, Any] = orjson.loads(found)[0]["Plan"]
        return plan


def sequential(plan: dict[str, Any]) -> set[str]:
    """The tables that a plan, or a part of it, reads in the order of their pages."""
    found = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return found.union(*(sequential(part) for part in plan.get("Plans", ())))


@pytest.fixture(scope="module")
def filled(postgres: EmbeddedPostgres, settings: Settings) -> Iterator[Settings]:
    asyncio.run(as_superuser(postgres.url(), "CREATE DATABASE plans OWNER plancharge"))
    own = settings.model_copy(update={"database_url": postgres.url("plans")})
    asyncio.run(migrate(own))
    asyncio.run(as_superuser(postgres.url("plans")))
    yield own
    asyncio.run(as_superuser(postgres.url(), "DROP DATABASE plans WITH (FORCE)"))


async def as_superuser(url: str, statement: str | None = None) -> None:
    """Runs the statement; without one, fills the database."""
    connection = await asyncpg.connect(url.replace("+asyncpg", "").replace("//plancharge:", "//postgres:"))
    try:
        await (fill(connection) if statement is None else connection.execute(statement))
    finally:
        await connection.close()


@pytest.fixture
async def company(filled: Settings, schema: Any, bus: Bus) -> AsyncIterator[Company]:
    engine, queue, ran = create_engine(filled), Queue(filled.redis_url), dict[str, Any]()
    _listen(engine, ran)
    database = Database(engine, bus, queue)
    async with database.reads.session() as session:
        caller = admin((await session.scalars(select(UserRow).limit(1))).one())
    context = Context(database, filled, bus, caller, request_id="test")
    connection = await asyncpg.connect(filled.database_url.replace("+asyncpg", ""))
    try:
        yield Company(schema, context, connection, await some_ids(connection), ran)
    finally:
        await connection.close()
        await queue.close()
        await engine.dispose()


def _listen(engine: AsyncEngine, ran: dict[str, Any]) -> None:
    """To what goes through SQLAlchemy, and at the driver to what goes past it."""

    def executed(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        ran.setdefault(statement, values[0] if many else values)

    def connected(connection: Any, _record: Any) -> None:
        connection.driver_connection.add_query_logger(lambda query: ran.setdefault(query.query, query.args))

    event.listen(engine.sync_engine, "before_cursor_execute", executed)
    event.listen(engine.sync_engine, "connect", connected)


async def some_ids(connection: asyncpg.Connection) -> dict[str, Any]:
    async def ids(table: str, limit: int) -> list[str]:
        # Not the first ones: they lie side by side, and those whom one asks about do not.
        rows = await connection.fetch(f"SELECT id::text FROM {table} ORDER BY md5(id::text) LIMIT {limit}")
        return [row[0] for row in rows]

    some = {"people": "users", "projects": "projects", "cells": "forecasts", "months": "capacities"}
    found: dict[str, Any] = {name: await ids(table, 2 if name == "projects" else 20) for name, table in some.items()}
    changed = await connection.fetchval("SELECT max(updated_at) - interval '1 day' FROM forecasts")
    return {**found, "units": await ids("business_units", 1), "cell": found["cells"][0], "changed": changed.isoformat()}


@pytest.mark.parametrize("name", READS)
async def test_no_read_goes_through_all_cells(company: Company, name: str) -> None:
    await company.ask(*READS[name])
    assert company.ran
    assert await company.whole_reads() == []


@pytest.mark.parametrize("name", WHOLE)
async def test_what_is_about_everybody_reads_everybody_s_rows(company: Company, name: str) -> None:
    """So that none of them stays on the list when it no longer belongs there."""
    await company.ask(*WHOLE[name])
    assert await company.whole_reads() != []


async def test_a_page_for_a_caller_of_one_unit(company: Company) -> None:
    assert company.context.caller is not None
    assert company.context.caller.business_unit_id is not None
    company.context.caller = replace(company.context.caller, grants=dict.fromkeys(Permission, Scope.UNIT))
    await company.ask(PLANNING, {})
    assert await company.whole_reads() == []


async def test_a_write_of_cells_reads_no_table_whole(company: Company) -> None:
    project = await company.connection.fetchval("SELECT id::text FROM projects WHERE status = 'ACTIVE' LIMIT 1")
    months = [f"2027-{month:02}" for month in range(1, 13)]
    cells = [
        {"userId": person, "projectId": project, "month": month, "days": "1.00"}
        for person in company.ids["people"]
        for month in months
    ]
    answer = await company.ask(WRITE, {"input": {"cells": cells, "idempotencyKey": "plans"}})
    assert answer["forecastsWrite"]["problems"] == []
    assert await company.whole_reads() == []


async def test_recomputing_people_reads_no_table_whole(company: Company) -> None:
    people = [row[0] for row in await company.connection.fetch("SELECT id FROM users ORDER BY md5(id::text) LIMIT 20")]
    company.ran.clear()
    async with company.context.database.transaction(system_actor("test")) as tx:
        done = await recompute(tx, people, date(2026, 1, 1), date(2026, 12, 1))
    assert done.month_ids
    assert await company.whole_reads() == []
