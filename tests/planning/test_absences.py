"""Absences: entering and deleting them, who sees their type, and what is refused or warned about."""

from __future__ import annotations

from datetime import date

import pytest

from server.actor import Permission, Scope
from server.planning.models import AbsenceStatus, RecordSource
from tests.factories import actor
from tests.planning.stored import capacities, everything, expected

PERMISSIONS = (
    Permission.ABSENCES_WRITE,
    Permission.ABSENCES_READ,
    Permission.ABSENCES_READ_TYPE,
    Permission.USERS_READ,
)
PROBLEM = "code detail errors { path code message }"
FIELDS = "id startDate startHalf endDate endHalf type status source version user { id }"
CREATE = f"""mutation ($input: AbsenceCreateInput!) {{ absenceCreate(input: $input) {{
  absence {{ {FIELDS} }} problems {{ {PROBLEM} }} warnings {{ {PROBLEM} }} }} }}"""
DELETE = f"""mutation ($input: AbsenceDeleteInput!) {{ absenceDelete(input: $input) {{
  absence {{ {FIELDS} }} problems {{ {PROBLEM} }} warnings {{ {PROBLEM} }} }} }}"""
LIST = f"""query ($filter: AbsenceFilter) {{
  absences(filter: $filter, size: 200) {{ total items {{ {FIELDS} }} }} }}"""
UNKNOWN = "00000000-0000-7000-8000-000000000000"

pytestmark = pytest.mark.usefixtures("company")


@pytest.fixture
async def hr(make):
    return actor(*PERMISSIONS, user=await make.user())


@pytest.fixture
def create(graphql, hr):
    async def run(user, start="2026-03-02", end="2026-03-06", caller=None, **values):
        given = {"userId": str(user.id), "startDate": start, "endDate": end, "type": "fr_conges_payes", **values}
        return (await graphql(caller or hr, CREATE, input=given))["absenceCreate"]

    return run


@pytest.fixture
def delete(graphql, hr):
    async def run(id, caller=None, **values):
        return (await graphql(caller or hr, DELETE, input={"id": str(id), **values}))["absenceDelete"]

    return run


def codes(payload, part="problems"):
    return [(each["code"], [(error["path"], error["code"]) for error in each["errors"]]) for each in payload[part]]


async def test_an_absence_takes_capacity_and_expected_load(create, planned, make, database):
    user, project = await planned(), await make.project()
    await make.assignment(user, project, start_date=date(2026, 3, 1), end_date=date(2026, 3, 31))
    payload = await create(user, startHalf="AFTERNOON", type=" fr_conges_payes ")
    assert payload["absence"] | {"id": None} == {
        "id": None,
        "startDate": "2026-03-02",
        "startHalf": "AFTERNOON",
        "endDate": "2026-03-06",
        "endHalf": "AFTERNOON",
        "type": "fr_conges_payes",
        "status": "APPROVED",
        "source": "MANUAL",
        "version": 1,
        "user": {"id": str(user.id)},
    }
    assert (payload["problems"], payload["warnings"]) == ([], [])
    assert (await capacities(database, user))["2026-03"] == "17.50"
    assert await expected(database, user) == {"2026-03": "8.75"}


async def test_overlapping_absences_are_allowed_and_count_once(create, planned, database):
    user = await planned()
    await create(user)
    payload = await create(user, start="2026-03-05", end="2026-03-09", type="rtt")
    assert codes(payload) == []
    assert (await capacities(database, user))["2026-03"] == "16.00"


async def test_a_pending_absence_is_tentative(create, planned, database):
    user = await planned()
    await create(user, status="PENDING")
    assert (await capacities(database, user))["2026-03"] == "22.00"
    assert (await capacities(database, user, "tentative"))["2026-03"] == "5.00"


async def test_a_deleted_absence_gives_its_days_back(create, delete, planned, database):
    user = await planned()
    made = (await create(user))["absence"]
    payload = await delete(made["id"], expectedVersion=1)
    assert payload["absence"] == made
    assert (await capacities(database, user))["2026-03"] == "22.00"
    assert codes(await delete(made["id"])) == [("UNKNOWN_ID", [(["id"], "UNKNOWN_ID")])]


async def test_a_stale_version_deletes_nothing(delete, planned, make, database):
    row = await make.absence(await planned(), date(2026, 3, 2), date(2026, 3, 6), version=2)
    before = await everything(database)
    payload = await delete(row.id, expectedVersion=1)
    assert codes(payload) == [("VERSION_CONFLICT", [(["expectedVersion"], "VERSION_CONFLICT")])]
    assert (payload["absence"]["id"], payload["absence"]["version"]) == (str(row.id), 2)
    assert await everything(database) == before


async def test_an_absence_of_payfit_is_deleted_there(delete, planned, make, database):
    user = await planned()
    row = await make.absence(user, date(2026, 3, 2), date(2026, 3, 6), source=RecordSource.PAYFIT, external_id="a1")
    before = await everything(database)
    assert codes(await delete(row.id)) == [("MANAGED_ELSEWHERE", [(["id"], "MANAGED_ELSEWHERE")])]
    assert await everything(database) == before


@pytest.mark.parametrize(
    ("values", "path", "code"),
    [
        ({"end": "2026-03-01"}, "endDate", "DATES_REVERSED"),
        ({"end": "2026-03-02", "startHalf": "AFTERNOON", "endHalf": "MORNING"}, "endHalf", "HALVES_REVERSED"),
        ({"end": "2029-03-06"}, "endDate", "TOO_LONG"),
        ({"type": "  "}, "type", "INVALID_TYPE"),
        ({"type": "x" * 101}, "type", "INVALID_TYPE"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(create, planned, database, values, path, code):
    user = await planned()
    before = await everything(database)
    payload = await create(user, **values)
    assert payload["absence"] is None
    assert codes(payload) == [("INVALID_INPUT", [([path], code)])]
    assert await everything(database) == before


async def test_unknown_people_are_refused(create, make):
    tool = await make.user(is_service=True)
    assert codes(await create(tool)) == [("UNKNOWN_ID", [(["userId"], "UNKNOWN_ID")])]


async def test_a_manager_enters_absences_of_the_own_unit_only(create, delete, planned, make, database):
    unit = await make.unit()
    manager = actor(*PERMISSIONS, user=await make.user(business_unit_id=unit.id), scope=Scope.UNIT)
    assert codes(await create(await planned(business_unit_id=unit.id), caller=manager)) == []
    stranger = await planned()
    row = await make.absence(stranger, date(2026, 3, 2), date(2026, 3, 6))
    before = await everything(database)
    assert codes(await create(stranger, caller=manager)) == [("OUT_OF_SCOPE", [(["userId"], "OUT_OF_SCOPE")])]
    assert codes(await delete(row.id, caller=manager)) == [("OUT_OF_SCOPE", [(["id"], "OUT_OF_SCOPE")])]
    assert await everything(database) == before


async def test_closed_months_stay_and_over_allocated_ones_are_explained(create, planned, make, database):
    user, project = await planned(), await make.project(name="Bridge")
    await make.closed(date(2026, 3, 1))
    await make.cell(user, project, date(2026, 4, 1), stated="20.00")
    payload = await create(user, start="2026-03-30", end="2026-04-03")
    assert [warning["code"] for warning in payload["warnings"]] == ["CLOSED_MONTHS", "OVERALLOCATED"]
    line = "2026-04: 2.00 days are missing, 20.00 are asked for (Bridge 20.00) and 18.00 are there."
    assert payload["warnings"][1]["errors"] == [{"path": ["userId"], "code": "OVERALLOCATED", "message": line}]
    assert (await capacities(database, user))["2026-03"] == "22.00"


async def test_the_type_is_shown_to_holders_of_the_permission_and_to_the_person(graphql, make):
    user, colleague = await make.user(), await make.user()
    await make.absence(user, date(2026, 3, 2), date(2026, 3, 6), type="sick")
    seers = (Permission.ABSENCES_READ, Permission.USERS_READ)
    for caller, shown in (
        (actor(*seers, user=colleague), None),
        (actor(*seers, user=user), "sick"),
        (actor(*PERMISSIONS, user=colleague), "sick"),
    ):
        [item] = (await graphql(caller, LIST))["absences"]["items"]
        assert item["type"] == shown


async def test_the_type_is_never_audited(create, delete, planned, audited):
    made = (await create(await planned(), type="sick"))["absence"]
    await delete(made["id"])
    rows = await audited("absence")
    assert [row.action for row in rows] == ["absence.created", "absence.deleted"]
    assert all("sick" not in str(row.details) for row in rows)
    assert rows[0].details["after"]["start_date"] == "2026-03-02"


class TestListing:
    async def test_filters(self, graphql, hr, make):
        ada, bob = await make.user(), await make.user()
        first = await make.absence(ada, date(2026, 3, 2), date(2026, 3, 6))
        second = await make.absence(bob, date(2026, 4, 1), date(2026, 4, 1), status=AbsenceStatus.PENDING)

        async def found(**filter):
            data = (await graphql(hr, LIST, filter=filter))["absences"]
            assert data["total"] == len(data["items"])
            return [item["id"] for item in data["items"]]

        first, second = str(first.id), str(second.id)
        assert await found() == [first, second]
        assert await found(userIds=[str(bob.id)]) == [second]
        assert await found(**{"from": "2026-03-06"}) == [first, second]
        assert await found(**{"from": "2026-03-07"}) == [second]
        assert await found(to="2026-03-31") == [first]
        assert await found(status="PENDING") == [second]
        [error] = await graphql(hr, LIST, errors=True, filter={"from": "2026-03-07", "to": "2026-03-06"})
        assert error["extensions"]["code"] == "BAD_REQUEST"

    async def test_the_order_that_is_asked_for(self, graphql, hr, make):
        user = await make.user()
        late, early = [
            str((await make.absence(user, date(2026, month, 2), date(2026, month, 6))).id) for month in (4, 3)
        ]

        async def ids(arguments):
            data = await graphql(hr, f"{{ absences({arguments}) {{ items {{ id }} }} }}")
            return [item["id"] for item in data["absences"]["items"]]

        assert await ids("page: 1") == await ids("orderBy: START_DATE") == [early, late]
        assert await ids("orderBy: UPDATED_AT") == [late, early]

    async def test_a_narrow_permission_shows_no_more_than_it_covers(self, graphql, make):
        ada, bob = await make.user(), await make.user()
        await make.absence(ada, date(2026, 3, 2), date(2026, 3, 6))
        bobs = await make.absence(bob, date(2026, 3, 2), date(2026, 3, 6))
        data = (await graphql(actor(*PERMISSIONS, user=bob, scope=Scope.OWN), LIST))["absences"]
        assert ([item["id"] for item in data["items"]], data["total"]) == ([str(bobs.id)], 1)

    async def test_statements_do_not_grow_with_the_rows(self, graphql, hr, make, statements):
        counts = []
        for people in (10, 190):
            for _ in range(people):
                await make.absence(await make.user(), date(2026, 3, 2), date(2026, 3, 6))
            statements.clear()
            data = await graphql(hr, LIST)
            counts.append((len(statements), len(data["absences"]["items"])))
        assert counts == [(3, 10), (3, 200)]
