"""The subscription to changes: a RESYNC first, then what changed, narrowed, taken together, and its ends."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import text

from schema.context import Context
from server.actor import Permission, system_actor
from server.events import QUEUE_SIZE, PlanningChanged
from server.ids import cell_id, month_id
from server.planning.models import CompanySettingsRow
from tests.factories import actor

JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)

DOCUMENT = """subscription ($from: Month!, $to: Month!, $filter: PlanningFilter) {
  planningChanged(from: $from, to: $to, filter: $filter) { kind cellIds monthIds } }"""
WRITE = "mutation ($cells: [CellInput!]!) { forecastsWrite(input: {cells: $cells}) { problems { code } } }"
RESYNC = {"kind": "RESYNC", "cellIds": [], "monthIds": []}


@pytest.fixture(autouse=True)
async def company(database):
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text("DELETE FROM company_settings"))
        tx.session.add(CompanySettingsRow(horizon_start=date(2025, 1, 1), horizon_end=date(2027, 12, 1)))


class Subscriber:
    """A running subscription: `await next()` gives its next change, None once it has ended."""

    def __init__(self, stream, context):
        self.stream, self.context = stream, context

    async def next(self, seconds=5):
        try:
            result = await asyncio.wait_for(anext(self.stream), seconds)
        except StopAsyncIteration:
            return None
        assert not result.errors, result.errors
        return result.data["planningChanged"]

    async def silent(self):
        """Whether nothing comes for a while. The subscription cannot be read any more afterwards."""
        try:
            await self.next(seconds=0.4)
        except TimeoutError:
            return True
        return False


@pytest.fixture
async def subscribe(schema, database, settings, bus):
    streams = []

    async def start(caller=None, first="2026-01", last="2026-12", **filter):
        caller = caller or actor(Permission.PLANNING_READ)
        context = Context(database=database, settings=settings, bus=bus, caller=caller)
        variables = {"from": first, "to": last, "filter": filter or None}
        stream = await schema.subscribe(DOCUMENT, variable_values=variables, context_value=context)
        streams.append(stream)
        return Subscriber(stream, context)

    yield start
    for stream in streams:
        if hasattr(stream, "aclose"):
            await stream.aclose()


@pytest.fixture
async def writer(graphql, make):
    caller = actor(Permission.PLANNING_WRITE, user=await make.user())

    async def write(*cells):
        inputs = [
            {"userId": str(user.id), "projectId": str(project.id), "month": f"{month:%Y-%m}", "days": "1.00"}
            for user, project, month in cells
        ]
        assert (await graphql(caller, WRITE, cells=inputs))["forecastsWrite"]["problems"] == []

    return write


def changed(*cells):
    return {
        "kind": "CHANGED",
        "cellIds": sorted(str(cell_id(user.id, project.id, month)) for user, project, month in cells),
        "monthIds": sorted({str(month_id(user.id, month)) for user, _, month in cells}),
    }


async def test_it_begins_with_a_resync_and_then_names_what_changes(subscribe, writer, make):
    user, project = await make.user(), await make.project()
    subscriber = await subscribe()
    assert await subscriber.next() == RESYNC
    await writer((user, project, JANUARY), (user, project, MARCH))
    assert await subscriber.next() == changed((user, project, JANUARY), (user, project, MARCH))


async def test_a_burst_comes_as_one_change(subscribe, writer, make):
    user, projects = await make.user(), [await make.project() for _ in range(5)]
    subscriber = await subscribe()
    await subscriber.next()
    await asyncio.gather(*(writer((user, project, JANUARY)) for project in projects))
    assert await subscriber.next() == changed(*((user, project, JANUARY) for project in projects))
    assert await subscriber.silent()


async def test_what_lies_outside_the_range_is_left_out(subscribe, writer, make):
    user, project = await make.user(), await make.project()
    subscriber = await subscribe(first="2026-02", last="2026-02")
    await subscriber.next()
    await writer((user, project, JANUARY), (user, project, FEBRUARY), (user, project, MARCH))
    assert await subscriber.next() == changed((user, project, FEBRUARY))
    await writer((user, project, date(2026, 6, 1)))
    assert await subscriber.silent()


async def test_a_filter_leaves_other_people_out(subscribe, writer, make):
    unit, project = await make.unit(), await make.project()
    inside, outside = await make.user(business_unit_id=unit.id), await make.user()
    subscriber = await subscribe(businessUnitIds=[str(unit.id)])
    await subscriber.next()
    await writer((inside, project, JANUARY), (outside, project, JANUARY))
    assert await subscriber.next() == changed((inside, project, JANUARY))
    await writer((outside, project, FEBRUARY))
    assert await subscriber.silent()


async def test_conditions_on_the_plan_itself_leave_nothing_out(subscribe, writer, make):
    """Whoever is over-allocated no more must be told to those who show the over-allocated."""
    user, project = await make.user(), await make.project()
    subscriber = await subscribe(overallocated=True)
    await subscriber.next()
    await writer((user, project, JANUARY))
    assert await subscriber.next() == changed((user, project, JANUARY))


async def test_a_change_too_large_to_list_asks_to_read_again(subscribe, bus, database):
    subscriber = await subscribe()
    await subscriber.next()
    await bus.publish([PlanningChanged(JANUARY, MARCH, resync=True)])
    assert await subscriber.next() == RESYNC


async def test_after_an_overflow_it_asks_to_read_again(subscribe, bus, database, make):
    user = await make.user()
    subscriber = await subscribe()
    await subscriber.next()
    waiting = asyncio.create_task(subscriber.next())
    await asyncio.sleep(0.05)
    [queue] = bus._queues["planning"]
    for _ in range(QUEUE_SIZE + 2):
        bus._put(queue, PlanningChanged(JANUARY, JANUARY, (user.id,), month_ids=(month_id(user.id, JANUARY),)))
    assert await waiting == RESYNC


async def test_after_a_lost_connection_to_the_bus_it_asks_to_read_again(subscribe, bus, database):
    subscriber = await subscribe()
    await subscriber.next()
    bus._lost()
    assert await subscriber.next() == RESYNC


async def test_it_ends_when_the_token_does(subscribe, database):
    caller = actor(Permission.PLANNING_READ, expires_at=time.time() + 0.3)
    subscriber = await subscribe(caller)
    assert await subscriber.next() == RESYNC
    assert await subscriber.next() is None


async def test_it_ends_when_the_permission_is_taken_away(subscribe, writer, make):
    user, project = await make.user(), await make.project()
    subscriber = await subscribe()
    await subscriber.next()
    subscriber.context.caller = replace(subscriber.context.caller, grants={})
    await writer((user, project, JANUARY))
    assert await subscriber.next() is None


async def test_it_holds_no_connection_between_changes_and_no_queue_after_it_was_closed(
    subscribe, bus, engine, database
):
    subscriber = await subscribe()
    await subscriber.next()
    assert engine.pool.checkedout() == 0
    await subscriber.stream.aclose()
    assert bus._queues["planning"] == set()


async def refusal(subscriber):
    [error] = (await anext(subscriber.stream)).errors
    return error.extensions["code"], error.message


async def test_a_range_that_cannot_be_shown_is_refused(subscribe, database):
    code, message = await refusal(await subscribe(first="2026-02", last="2026-01"))
    assert (code, message) == ("BAD_REQUEST", "`from` (2026-02) is after `to` (2026-01): exchange them.")


async def test_without_the_permission_there_is_nothing_to_subscribe_to(subscribe, make):
    code, _ = await refusal(await subscribe(actor(Permission.PROJECTS_READ, user=await make.user())))
    assert code == "FORBIDDEN"
