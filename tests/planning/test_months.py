"""Closing and reopening months: who may, when, and what is frozen."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text, update

from server.actor import Permission, Scope, system_actor
from server.audit.models import AuditLogRow
from server.events import PlanningChanged
from server.planning.models import (
    AssignmentRow,
    CapacityRow,
    ClosedMonthRow,
    CompanySettingsRow,
    ForecastRow,
    StaleUserRow,
)
from server.planning.service.recompute import recompute
from tests.factories import actor

JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)

CLOSE = """mutation ($month: Month!) { monthClose(input: {month: $month}) {
  month closed closedMonth { month closedAt closedBy { id } } problems { code errors { path code } } } }"""
REOPEN = """mutation ($month: Month!) { monthReopen(input: {month: $month}) {
  month closed problems { code errors { path code } } } }"""


@pytest.fixture(autouse=True)
async def company(database):
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text("DELETE FROM company_settings"))
        tx.session.add(CompanySettingsRow(horizon_start=date(2025, 1, 1), horizon_end=date(2035, 12, 1)))


@pytest.fixture
async def closer(make):
    return actor(Permission.MONTHS_CLOSE, Permission.PLANNING_READ, Permission.PLANNING_WRITE, user=await make.user())


async def closed(database):
    async with database.reads.session() as session:
        return list((await session.scalars(select(ClosedMonthRow.month))).all())


async def actions(database):
    async with database.reads.session() as session:
        rows = await session.execute(select(AuditLogRow.action, AuditLogRow.details).order_by(AuditLogRow.id))
        return [(action, details["month"]) for action, details in rows if action.startswith("month.")]


async def test_a_closed_month_names_who_closed_it_and_is_audited_and_told(graphql, database, bus, closer):
    async with bus.subscribe(PlanningChanged) as queue:
        answer = (await graphql(closer, CLOSE, month="2026-01"))["monthClose"]
        event = await asyncio.wait_for(queue.get(), 5)
    assert (answer["month"], answer["closed"], answer["problems"]) == ("2026-01", True, [])
    assert answer["closedMonth"]["closedBy"] == {"id": str(closer.user_id)}
    assert (event.first_month, event.last_month, event.resync) == (JANUARY, JANUARY, True)
    assert await actions(database) == [("month.closed", "2026-01")]


async def test_closed_months_are_listed_in_order(graphql, make, closer):
    for month in (MARCH, JANUARY, date(2025, 1, 1)):
        await make.closed(month)
    document = '{ closedMonths(from: "2026-01", to: "2026-12") { month closedBy { id } } }'
    found = (await graphql(closer, document))["closedMonths"]
    assert found == [{"month": "2026-01", "closedBy": None}, {"month": "2026-03", "closedBy": None}]


async def test_the_present_month_may_be_closed_and_a_future_one_may_not(graphql, database, settings, closer):
    this = datetime.now(settings.timezone).date().replace(day=1)
    following = (this + timedelta(days=31)).replace(day=1)
    refused = (await graphql(closer, CLOSE, month=f"{following:%Y-%m}"))["monthClose"]
    assert refused["problems"] == [{"code": "INVALID_INPUT", "errors": [{"path": ["month"], "code": "FUTURE_MONTH"}]}]
    assert (refused["month"], refused["closed"]) == (None, None)
    assert await closed(database) == []
    assert (await graphql(closer, CLOSE, month=f"{this:%Y-%m}"))["monthClose"]["closed"] is True


@pytest.mark.parametrize(
    ("document", "month", "code"),
    [
        (CLOSE, "2026-02", "MONTH_ALREADY_CLOSED"),
        (CLOSE, "2024-12", "OUTSIDE_HORIZON"),
        (REOPEN, "2026-01", "MONTH_NOT_CLOSED"),
    ],
)
async def test_what_cannot_be_closed_or_reopened_is_refused(graphql, database, make, closer, document, month, code):
    await make.closed(FEBRUARY)
    [answer] = (await graphql(closer, document, month=month)).values()
    assert answer["problems"] == [{"code": "INVALID_INPUT", "errors": [{"path": ["month"], "code": code}]}]
    assert await closed(database) == [FEBRUARY]
    assert await actions(database) == []


async def test_a_month_that_a_job_has_still_to_recompute_is_not_frozen_half_done(graphql, database, make, closer):
    await make.add(StaleUserRow(user_id=(await make.user()).id))
    answer = (await graphql(closer, CLOSE, month="2026-01"))["monthClose"]
    assert [p["code"] for p in answer["problems"]] == ["RECOMPUTING"]
    assert await closed(database) == []


async def test_what_changed_while_a_month_was_closed_counts_once_it_is_reopened(graphql, database, make, closer):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    assignment = await make.assignment(user, project, rate=Decimal(50))
    async with database.transaction(system_actor("test")) as tx:
        await recompute(tx, [user.id], JANUARY, FEBRUARY)
    await graphql(closer, CLOSE, month="2026-01")
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(update(AssignmentRow).where(AssignmentRow.id == assignment.id).values(rate=100))
        await recompute(tx, [user.id], JANUARY, FEBRUARY)

    async def expected():
        async with database.reads.session() as session:
            rows = await session.scalars(select(ForecastRow).where(ForecastRow.user_id == user.id))
            return {row.month: str(row.expected) for row in rows}

    assert await expected() == {JANUARY: "10.50", FEBRUARY: "20.00"}
    answer = (await graphql(closer, REOPEN, month="2026-01"))["monthReopen"]
    assert answer == {"month": "2026-01", "closed": False, "problems": []}
    assert await expected() == {JANUARY: "21.00", FEBRUARY: "20.00"}
    assert await actions(database) == [("month.closed", "2026-01"), ("month.reopened", "2026-01")]


async def test_a_closing_waits_for_the_writes_under_way(graphql, database, make, closer):
    user, project = await make.user(), await make.project()
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": 0x706C616E})
        closing = asyncio.create_task(graphql(closer, CLOSE, month="2026-01"))
        await asyncio.sleep(0.2)
        assert not closing.done()
        await make.cell(user, project, JANUARY, stated="5.00")
    assert (await closing)["monthClose"]["closed"] is True


async def test_writes_and_a_closing_at_once_leave_no_write_after_the_closing(graphql, database, make, closer):
    user, project = await make.user(), await make.project()
    write = """mutation ($cells: [CellInput!]!) { forecastsWrite(input: {cells: $cells}) {
      results { outcome problem { code } } } }"""

    def cells(days):
        return [{"userId": str(user.id), "projectId": str(project.id), "month": "2026-01", "days": str(days)}]

    first = [graphql(closer, write, cells=cells(n)) for n in range(1, 5)]
    last = [graphql(closer, write, cells=cells(n)) for n in range(5, 9)]
    answers = await asyncio.gather(*first, graphql(closer, CLOSE, month="2026-01"), *last)
    async with database.reads.session() as session:
        at = (await session.scalars(select(ClosedMonthRow.closed_at))).one()
        rows = (await session.scalars(select(ForecastRow))).all()
    outcomes = [a["forecastsWrite"]["results"][0] for a in answers if "forecastsWrite" in a]
    applied = [r for r in outcomes if r["outcome"] == "APPLIED"]
    assert {r["problem"]["code"] for r in outcomes if r not in applied} <= {"MONTH_CLOSED"}
    assert [row.version for row in rows] == ([len(applied)] if applied else [])
    late = await graphql(closer, write, cells=cells(9))
    assert late["forecastsWrite"]["results"][0]["problem"]["code"] == "MONTH_CLOSED"
    assert at is not None


@pytest.mark.parametrize("document", [CLOSE, REOPEN])
async def test_who_may_not_close_months_is_refused(graphql, database, make, document):
    await make.closed(FEBRUARY)
    reader = actor(Permission.PLANNING_READ, user=await make.user())
    month = "2026-01" if document is CLOSE else "2026-02"
    [error] = await graphql(reader, document, errors=True, month=month)
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert await closed(database) == [FEBRUARY]


async def test_a_role_that_is_limited_to_a_unit_closes_nothing(graphql, database, make):
    unit = await make.unit()
    user = await make.user(business_unit_id=unit.id)
    answer = await graphql(actor(Permission.MONTHS_CLOSE, user=user, scope=Scope.UNIT), CLOSE, month="2026-01")
    assert [p["code"] for p in answer["monthClose"]["problems"]] == ["OUT_OF_SCOPE"]
    assert await closed(database) == []


async def test_capacities_are_frozen_too(graphql, database, make, closer):
    user = await make.user()
    contract = await make.contract(user)
    async with database.transaction(system_actor("test")) as tx:
        await recompute(tx, [user.id], JANUARY, JANUARY)
    await graphql(closer, CLOSE, month="2026-01")
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text("DELETE FROM contracts WHERE id = :id"), {"id": contract.id})
        await recompute(tx, [user.id], JANUARY, JANUARY)
    async with database.reads.session() as session:
        assert str((await session.scalars(select(CapacityRow.computed))).one()) == "21.00"
