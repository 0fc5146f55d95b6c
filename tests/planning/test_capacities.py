"""Capacities: overriding them in bulk, what follows, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest
from sqlalchemy import text

from server.actor import Permission, Scope
from server.events import PlanningChanged
from server.ids import month_id
from tests.factories import actor
from tests.planning.stored import SYSTEM, capacities, everything, expected

PERMISSIONS = (Permission.CAPACITIES_WRITE, Permission.PLANNING_READ, Permission.USERS_READ)
PROBLEM = "code detail errors { path code message }"
FIELDS = "id month computed override effective tentative leave workingDays version recomputing user { id }"
WRITE = f"""mutation ($input: CapacitiesWriteInput!) {{ capacitiesWrite(input: $input) {{
  results {{ index outcome capacity {{ {FIELDS} }} problem {{ {PROBLEM} }} }}
  problems {{ {PROBLEM} }} warnings {{ {PROBLEM} }} }} }}"""
LIST = f"""query ($filter: CapacityFilter) {{
  capacities(filter: $filter, size: 200) {{ total nextUpdatedAfter items {{ {FIELDS} }} }} }}"""
UNKNOWN = "00000000-0000-7000-8000-000000000000"
MARCH = date(2026, 3, 1)

pytestmark = pytest.mark.usefixtures("company")


@pytest.fixture
async def hr(make):
    return actor(*PERMISSIONS, user=await make.user())


@pytest.fixture
def write(graphql, hr):
    async def run(*capacities, caller=None, **options):
        data = await graphql(caller or hr, WRITE, input={"capacities": list(capacities), **options})
        return data["capacitiesWrite"]

    return run


def of(user, override="11", month="2026-03", **values):
    return {"userId": str(user.id), "month": month, "override": override, **values}


def codes(problems):
    return [(each["code"], [(error["path"], error["code"]) for error in each["errors"]]) for each in problems]


def outcomes(payload):
    return [result["outcome"] for result in payload["results"]]


async def test_an_override_counts_and_scales_the_expected_load(write, planned, make, database):
    user, project = await planned(), await make.project()
    await make.assignment(user, project, start_date=MARCH, end_date=date(2026, 3, 31))
    payload = await write(of(user))
    [result] = payload["results"]
    assert (result["index"], result["outcome"], result["problem"]) == (0, "APPLIED", None)
    assert result["capacity"] == {
        "id": str(month_id(user.id, MARCH)),
        "month": "2026-03",
        "computed": "22.00",
        "override": "11.00",
        "effective": "11.00",
        "tentative": "0.00",
        "leave": "0.00",
        "workingDays": "22.00",
        "version": 1,
        "recomputing": False,
        "user": {"id": str(user.id)},
    }
    assert (payload["problems"], payload["warnings"]) == ([], [])
    assert await expected(database, user) == {"2026-03": "5.50"}


async def test_clearing_brings_the_computed_capacity_back_and_counts_as_a_change(write, planned, make, database):
    user, project = await planned(), await make.project()
    await make.assignment(user, project, start_date=MARCH, end_date=date(2026, 3, 31))
    await write(of(user))
    [result] = (await write(of(user, None)))["results"]
    assert (result["capacity"]["override"], result["capacity"]["effective"]) == (None, "22.00")
    assert result["capacity"]["version"] == 2
    assert await expected(database, user) == {"2026-03": "11.00"}


async def test_a_month_without_a_row_can_be_overridden(write, make, database):
    user = await make.user()
    [result] = (await write(of(user, "0")))["results"]
    assert (result["capacity"]["computed"], result["capacity"]["override"]) == ("0.00", "0.00")


async def test_the_same_value_again_is_no_change(write, planned):
    user = await planned()
    await write(of(user))
    payload = await write(of(user, "11.00"))
    assert outcomes(payload) == ["UNCHANGED"]
    assert payload["results"][0]["capacity"]["version"] == 1


@pytest.mark.parametrize(
    ("values", "name", "code", "problem"),
    [
        ({"override": "-1"}, "override", "INVALID_DAYS", "INVALID_INPUT"),
        ({"override": "31.01"}, "override", "INVALID_DAYS", "INVALID_INPUT"),
        ({"override": "10.125"}, "override", "TOO_PRECISE", "INVALID_INPUT"),
        ({"month": "2031-01"}, "month", "OUTSIDE_HORIZON", "INVALID_INPUT"),
        ({"month": "2026-05"}, "month", "MONTH_CLOSED", "MONTH_CLOSED"),
        ({"userId": UNKNOWN}, "userId", "UNKNOWN_ID", "UNKNOWN_ID"),
        ({"expectedVersion": 7}, "expectedVersion", "VERSION_CONFLICT", "VERSION_CONFLICT"),
    ],
)
async def test_one_bad_capacity_refuses_the_call(write, planned, make, database, values, name, code, problem):
    user = await planned()
    await make.closed(date(2026, 5, 1))
    before = await everything(database)
    payload = await write(of(user, month="2026-06"), of(user, **values))
    assert codes(payload["problems"]) == [(problem, [(["capacities", "1", name], code)])]
    assert outcomes(payload) == ["REJECTED", "REJECTED"]
    assert [result["problem"]["code"] for result in payload["results"]] == ["NOT_APPLIED", problem]
    assert "cell" not in payload["problems"][0]["detail"]
    assert await everything(database) == before


async def test_a_step_holds_for_overrides_too(write, planned, database):
    user = await planned()
    async with database.transaction(SYSTEM) as tx:
        await tx.session.execute(text("UPDATE company_settings SET step = 0.5"))
    payload = await write(of(user, "10.25"))
    assert codes(payload["problems"]) == [("INVALID_INPUT", [(["capacities", "0", "override"], "STEP_VIOLATION")])]


async def test_with_reject_failed_the_good_ones_are_written(write, planned, database):
    user = await planned()
    payload = await write(of(user), of(user, "99", month="2026-04"), policy="REJECT_FAILED")
    assert outcomes(payload) == ["APPLIED", "REJECTED"]
    assert (await capacities(database, user, "override"))["2026-03"] == "11.00"
    assert (await capacities(database, user, "override"))["2026-04"] == "None"


async def test_a_month_named_twice_is_refused_at_both_places(write, planned):
    user = await planned()
    payload = await write(of(user), of(user, "12"), policy="REJECT_FAILED")
    assert outcomes(payload) == ["REJECTED", "REJECTED"]
    assert [each["errors"][0]["code"] for each in payload["problems"]] == ["DUPLICATE_CELL", "DUPLICATE_CELL"]


async def test_a_conflict_answers_with_the_capacity_as_it_stands(write, planned):
    user = await planned()
    await write(of(user, expectedVersion=None))
    for expected_version in (None, 0, 2):
        [result] = (await write(of(user, "12", expectedVersion=expected_version)))["results"]
        assert result["problem"]["code"] == "VERSION_CONFLICT"
        assert (result["capacity"]["override"], result["capacity"]["version"]) == ("11.00", 1)
    assert outcomes(await write(of(user, "12", expectedVersion=1))) == ["APPLIED"]


async def test_of_two_writers_who_saw_the_same_version_one_wins(write, planned):
    user = await planned()
    payloads = await asyncio.gather(*(write(of(user, days, expectedVersion=None)) for days in ("11", "12")))
    assert sorted(outcomes(payload) for payload in payloads) == [["APPLIED"], ["REJECTED"]]


async def test_a_dry_run_answers_alike_and_changes_nothing(write, planned, make, database):
    user, project = await planned(), await make.project()
    await make.assignment(user, project, start_date=MARCH, end_date=date(2026, 3, 31))
    before = await everything(database)
    rehearsed = await write(of(user), dryRun=True)
    assert await everything(database) == before
    assert rehearsed == await write(of(user))


async def test_501_capacities_are_too_many(write, planned):
    user = await planned()
    payload = await write(*[of(user)] * 501)
    assert codes(payload["problems"]) == [("INVALID_INPUT", [(["capacities"], "TOO_MANY_CAPACITIES")])]
    assert payload["results"] == []


async def test_left_out_days_are_not_read_as_null(write, planned):
    user = await planned()
    payload = await write({"userId": str(user.id), "month": "2026-03"})
    assert codes(payload["problems"]) == [("INVALID_INPUT", [(["capacities", "0", "override"], "DAYS_MISSING")])]


async def test_whoever_may_write_in_one_unit_only_is_refused_elsewhere(write, planned, make, database):
    unit = await make.unit()
    caller = actor(*PERMISSIONS, user=await make.user(business_unit_id=unit.id), scope=Scope.UNIT)
    ours, other = await planned(business_unit_id=unit.id), await planned()
    payload = await write(of(ours), of(other), caller=caller, policy="REJECT_FAILED")
    assert outcomes(payload) == ["APPLIED", "REJECTED"]
    assert codes(payload["problems"]) == [("OUT_OF_SCOPE", [(["capacities", "1", "userId"], "OUT_OF_SCOPE")])]
    assert (await capacities(database, other, "override"))["2026-03"] == "None"


async def test_less_capacity_than_load_is_warned_about(write, planned, make):
    user, project = await planned(), await make.project(name="Bridge")
    await make.cell(user, project, MARCH, stated="12.00")
    [warning] = (await write(of(user, "10")))["warnings"]
    assert warning["errors"][0]["message"] == (
        "2026-03: 2.00 days are missing, 12.00 are asked for (Bridge 12.00) and 10.00 are there."
    )


async def test_an_override_is_published_and_audited(write, planned, bus, audited):
    user = await planned()
    async with bus.subscribe(PlanningChanged) as queue:
        await write(of(user))
        event = await asyncio.wait_for(queue.get(), 5)
        while event.first_month != MARCH:  # what the planning of the user published may come late
            event = await asyncio.wait_for(queue.get(), 5)
    row = month_id(user.id, MARCH)
    assert event == PlanningChanged(MARCH, MARCH, (user.id,), month_ids=(row,))
    [entry] = await audited("capacity")
    assert (entry.action, entry.resource_id) == ("capacities.written", row)
    assert (entry.details["before"], entry.details["after"]) == ({str(row): None}, {str(row): "11.00"})


async def test_statements_do_not_grow_with_the_capacities(write, planned, statements):
    counts = []
    for people in (2, 30):
        users = [await planned() for _ in range(people)]
        statements.clear()
        payload = await write(*[of(user) for user in users])
        assert set(outcomes(payload)) == {"APPLIED"}
        counts.append(len(statements))
    assert counts[0] == counts[1]


class TestListing:
    async def test_filters(self, graphql, hr, planned):
        ada, bob = await planned(), await planned()

        async def found(**filter):
            data = (await graphql(hr, LIST, filter=filter))["capacities"]
            assert data["total"] == len(data["items"])
            return [(item["month"], item["user"]["id"]) for item in data["items"]]

        assert len(await found()) == 72
        march = await found(**{"from": "2026-03", "to": "2026-03"})
        assert march == [("2026-03", user_id) for user_id in sorted([str(ada.id), str(bob.id)])]
        assert {user for _, user in await found(userIds=[str(bob.id)])} == {str(bob.id)}
        assert await found(updatedAfter="2090-01-01T00:00:00Z") == []
        assert len(await found(updatedAfter="2020-01-01T00:00:00Z")) == 72

    async def test_the_order_that_is_asked_for(self, graphql, hr, make):
        user = await make.user()
        april, march = [str((await make.capacity(user, date(2026, month, 1))).id) for month in (4, 3)]

        async def ids(arguments):
            data = await graphql(hr, f"{{ capacities({arguments}) {{ items {{ id }} }} }}")
            return [item["id"] for item in data["capacities"]["items"]]

        assert await ids("page: 1") == await ids("orderBy: MONTH") == [march, april]
        assert await ids("orderBy: UPDATED_AT") == [april, march]
        incremental = 'orderBy: MONTH, filter: {updatedAfter: "2020-01-01T00:00:00Z"}'
        assert await ids(incremental) == [april, march]

    async def test_of_the_people_of_some_units(self, graphql, hr, make):
        units = [await make.unit() for _ in range(3)]
        people = [await make.user(business_unit_id=unit.id) for unit in units]
        for user in (*people, await make.user()):
            await make.capacity(user, MARCH)

        async def found(*chosen):
            wanted = {"businessUnitIds": [str(unit.id) for unit in chosen]}
            data = (await graphql(hr, LIST, filter=wanted))["capacities"]
            assert data["total"] == len(data["items"])
            return {item["user"]["id"] for item in data["items"]}

        assert await found(units[1]) == {str(people[1].id)}
        assert await found(*units[:2]) == {str(user.id) for user in people[:2]}
        assert await found() == set()

    async def test_statements_do_not_grow_with_the_rows(self, graphql, hr, make, statements):
        counts = []
        for people in (10, 190):
            for _ in range(people):
                await make.capacity(await make.user(), MARCH)
            statements.clear()
            data = await graphql(hr, LIST)
            counts.append((len(statements), len(data["capacities"]["items"])))
        assert counts == [(4, 10), (4, 200)]
