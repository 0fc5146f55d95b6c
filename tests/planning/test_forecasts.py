"""Reading cells as a flat list, by id and incrementally."""

# ruff: noqa: F811 - the fixtures come by import

from __future__ import annotations

from datetime import date

from server.actor import Permission
from server.ids import new_id
from server.planning.models import CellSource
from tests.factories import actor
from tests.planning.test_cells import cell, company, plan, send  # noqa: F401

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)


async def test_cells_are_read_again_by_id_also_when_they_were_cleared(graphql, make, plan):
    held = await make.cell(plan.user, plan.project, JANUARY, stated="5.00")
    cleared = await make.cell(plan.user, plan.project, FEBRUARY, version=2)
    document = """query ($ids: [UUID!]!) { planningCells(ids: $ids) {
      id month days version user { id } project { code } } }"""
    caller = actor(Permission.PLANNING_READ)
    data = await graphql(caller, document, ids=[str(cleared.id), str(new_id()), str(held.id)])
    assert [(c["id"], c["month"], c["days"], c["version"]) for c in data["planningCells"]] == [
        (str(cleared.id), "2026-02", "0.00", 2),
        (str(held.id), "2026-01", "5.00", 1),
    ]


LIST = """
query ($filter: ForecastFilter, $size: Int! = 50) { forecasts(filter: $filter, size: $size) {
  total nextUpdatedAfter items { id month days source user { id } project { code } } } }
"""


async def test_forecasts_are_filtered_and_come_by_month_person_and_project(graphql, make, plan):
    other = await make.project(code="TUNNEL")
    await make.cell(plan.user, other, FEBRUARY, expected="2.00")
    await make.cell(plan.user, plan.project, JANUARY, stated="5.00")
    await make.cell(plan.planner, other, JANUARY, stated="1.00", stated_source=CellSource.LEGACY)
    await make.cell(plan.planner, plan.project, FEBRUARY, version=1)  # cleared
    caller = actor(Permission.PLANNING_READ)

    async def found(**filter):
        page = (await graphql(caller, LIST, filter=filter))["forecasts"]
        assert page["total"] == len(page["items"])
        return [(item["month"], item["project"]["code"], item["days"]) for item in page["items"]]

    january = {plan.user.id: ("2026-01", "BRIDGE", "5.00"), plan.planner.id: ("2026-01", "TUNNEL", "1.00")}
    everything = [january[user_id] for user_id in sorted(january)] + [("2026-02", "TUNNEL", "2.00")]
    assert await found() == everything
    assert await found(userIds=[str(plan.user.id)], to="2026-01") == [("2026-01", "BRIDGE", "5.00")]
    assert await found(**{"from": "2026-02"}) == [("2026-02", "TUNNEL", "2.00")]
    assert await found(projectIds=[str(plan.project.id)]) == [("2026-01", "BRIDGE", "5.00")]
    assert await found(sources=["ASSIGNMENT"]) == [("2026-02", "TUNNEL", "2.00")]
    assert await found(sources=["LEGACY", "MANUAL"]) == everything[:2]


async def test_forecasts_of_the_people_of_some_units(graphql, make, plan):
    units = [await make.unit() for _ in range(3)]
    people = [await make.user(business_unit_id=unit.id) for unit in units]
    for user in (*people, await make.user()):
        await make.cell(user, plan.project, JANUARY, stated="1.00")

    async def found(*chosen):
        wanted = {"businessUnitIds": [str(unit.id) for unit in chosen]}
        page = (await graphql(actor(Permission.PLANNING_READ), LIST, filter=wanted))["forecasts"]
        assert page["total"] == len(page["items"])
        return {item["user"]["id"] for item in page["items"]}

    assert await found(units[1]) == {str(people[1].id)}
    assert await found(*units[:2]) == {str(user.id) for user in people[:2]}
    assert await found() == set()


async def test_forecasts_come_in_the_order_that_is_asked_for(graphql, make, plan):
    old = await make.cell(plan.user, plan.project, FEBRUARY, stated="5.00")
    new = await make.cell(plan.user, plan.project, JANUARY, expected="7.00")
    caller = actor(Permission.PLANNING_READ)

    async def ids(order):
        document = f"{{ forecasts(orderBy: {order}) {{ items {{ id }} }} }}"
        return [item["id"] for item in (await graphql(caller, document))["forecasts"]["items"]]

    assert await ids("MONTH") == [str(new.id), str(old.id)]
    assert await ids("DAYS") == [str(new.id), str(old.id)]
    assert await ids("UPDATED_AT") == [str(old.id), str(new.id)]


async def test_an_incremental_read_sees_what_was_cleared_since(graphql, plan):
    caller = actor(Permission.PLANNING_READ)
    await send(graphql, plan.caller, cell(plan), cell(plan, month="2026-02"))
    mark = (await graphql(caller, LIST))["forecasts"]["nextUpdatedAfter"]
    assert (await graphql(caller, LIST, filter={"updatedAfter": mark}))["forecasts"]["items"] == []
    await send(graphql, plan.caller, cell(plan, None))
    page = (await graphql(caller, LIST, filter={"updatedAfter": mark}))["forecasts"]
    assert [(item["month"], item["days"]) for item in page["items"]] == [("2026-01", "0.00")]


async def test_forecasts_cost_the_same_number_of_statements_for_10_and_for_300_cells(graphql, make, plan, statements):
    counts = []
    for more in (10, 290):
        for _ in range(more):
            await make.cell(await make.user(), await make.project(), JANUARY, stated="1.00")
        statements.clear()
        await graphql(actor(Permission.PLANNING_READ), LIST, size=200)
        counts.append(len(statements))
    assert counts == [5, 5]  # mark, page, total, people, projects


async def test_what_cannot_be_read_is_refused(graphql, plan):
    caller = actor(Permission.PLANNING_READ)
    document = "query ($ids: [UUID!]!) { planningCells(ids: $ids) { id } }"
    [error] = await graphql(caller, document, errors=True, ids=[str(new_id())] * 501)
    assert error["extensions"]["code"] == "BAD_REQUEST"
    [error] = await graphql(caller, LIST, errors=True, filter={"from": "2026-02", "to": "2026-01"})
    assert error["message"] == "filter.from is after filter.to: exchange them."
