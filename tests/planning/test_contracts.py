"""Contracts: setting them, what their ends make of people, and what is refused or warned about."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from decimal import Decimal

import pytest

from server.actor import Permission, Scope
from server.errors import Refused
from server.planning.models import RecordSource
from server.planning.service.contracts import ContractDraft, mark_leavers, set_contract
from server.users.models import UserRow, UserStatus
from tests.factories import actor
from tests.planning.stored import SYSTEM, capacities, everything

PERMISSIONS = (Permission.CONTRACTS_WRITE, Permission.CONTRACTS_READ, Permission.USERS_READ)
PROBLEM = "code detail errors { path code message }"
FIELDS = "id startDate endDate fte weekdayPattern source version user { id }"
SET = f"""mutation ($input: ContractSetInput!) {{ contractSet(input: $input) {{
  contract {{ {FIELDS} }} problems {{ {PROBLEM} }} warnings {{ {PROBLEM} }} }} }}"""
LIST = f"""query ($filter: ContractFilter) {{
  contracts(filter: $filter, size: 200) {{ total nextUpdatedAfter items {{ {FIELDS} }} }} }}"""
UNKNOWN = "00000000-0000-7000-8000-000000000000"
FULL = ["1", "1", "1", "1", "1"]

pytestmark = pytest.mark.usefixtures("company")


@pytest.fixture
async def hr(make):
    return actor(*PERMISSIONS, user=await make.user())


@pytest.fixture
def call(graphql, hr):
    async def run(user, caller=None, **values):
        given = {"userId": str(user.id), "startDate": "2026-03-16", **values}
        if "weekdayPattern" not in given:
            given = {"fte": "1", **given}
        return (await graphql(caller or hr, SET, input=given))["contractSet"]

    return run


def codes(payload, part="problems"):
    return [(each["code"], [(error["path"], error["code"]) for error in each["errors"]]) for each in payload[part]]


async def reread(database, user):
    async with database.reads.session() as session:
        return await session.get_one(UserRow, user.id)


async def test_a_new_contract_gives_capacity_from_its_first_day_on(call, make, database):
    user = await make.user()
    payload = await call(user)
    assert payload["contract"] | {"id": None} == {
        "id": None,
        "startDate": "2026-03-16",
        "endDate": None,
        "fte": "1.0000",
        "weekdayPattern": None,
        "source": "MANUAL",
        "version": 1,
        "user": {"id": str(user.id)},
    }
    assert (payload["problems"], payload["warnings"]) == ([], [])
    found = await capacities(database, user)
    assert (found["2026-03"], found["2026-04"], found["2026-12"]) == ("12.00", "21.00", "22.00")
    assert (await capacities(database, user, year=2027))["2027-12"] == "23.00"


async def test_a_weekday_pattern_says_the_full_time_equivalent(call, make, database):
    user = await make.user()
    payload = await call(user, weekdayPattern=["1", "1", "0.5", "1", "0.75"], startDate="2026-01-01")
    assert payload["contract"]["fte"] == "0.8500"
    assert payload["contract"]["weekdayPattern"] == ["1.00", "1.00", "0.50", "1.00", "0.75"]
    assert (await capacities(database, user))["2026-03"] == "19.00"  # 5+5 Mondays, Tuesdays, 4×.5, 4, 4×.75


async def test_a_change_in_mid_month_counts_day_by_day(call, planned, database):
    user = await planned()
    payload = await call(user, fte="0.5", endPrevious=True)
    assert codes(payload) == []
    found = await capacities(database, user)
    assert (found["2026-02"], found["2026-03"], found["2026-04"]) == ("20.00", "16.00", "10.50")  # 10 + 12/2


async def test_an_overlap_is_refused_and_names_the_other_contract(call, make, database):
    user = await make.user()
    other = await make.contract(user, end_date=date(2026, 3, 31))
    before = await everything(database)
    for values in ({}, {"endPrevious": True}, {"startDate": "2024-01-01"}, {"startDate": "2026-03-31"}):
        payload = await call(user, **values)
        assert codes(payload) == [("CONTRACT_OVERLAP", [(["startDate"], "CONTRACT_OVERLAP")])]
        assert str(other.id) in payload["problems"][0]["detail"]
    assert await everything(database) == before
    assert codes(await call(user, startDate="2026-04-01")) == []


async def test_the_previous_contract_is_ended_only_when_that_is_asked_for(call, make, database, graphql, hr):
    user = await make.user()
    first = await make.contract(user)
    assert codes(await call(user)) == [("CONTRACT_OVERLAP", [(["startDate"], "CONTRACT_OVERLAP")])]
    assert codes(await call(user, endPrevious=True)) == []
    rows = (await graphql(hr, LIST))["contracts"]["items"]
    assert [(row["startDate"], row["endDate"], row["version"]) for row in rows] == [
        ("2025-01-01", "2026-03-15", 2),
        ("2026-03-16", None, 1),
    ]
    assert rows[0]["id"] == str(first.id)


async def test_two_contracts_at_once_for_the_same_days_leave_one(call, make):
    user = await make.user()
    payloads = await asyncio.gather(call(user), call(user))
    assert sorted(codes(payload) for payload in payloads) == [
        [],
        [("CONTRACT_OVERLAP", [(["startDate"], "CONTRACT_OVERLAP")])],
    ]


async def test_a_change_of_an_existing_contract_moves_what_it_covered_before_too(call, planned, database, graphql, hr):
    user = await planned()
    [row] = (await graphql(hr, LIST))["contracts"]["items"]
    payload = await call(user, id=row["id"], startDate="2026-03-16", endDate="2026-12-31", expectedVersion=1)
    assert payload["contract"]["version"] == 2
    found = await capacities(database, user)
    assert (found["2026-01"], found["2026-03"], found["2026-12"]) == ("0.00", "12.00", "22.00")
    assert (await capacities(database, user, year=2027))["2027-01"] == "0.00"


async def test_a_stale_version_is_refused_with_the_contract_as_it_stands(call, make, database):
    user = await make.user()
    made = (await call(user))["contract"]
    changed = (await call(user, id=made["id"], fte="0.5"))["contract"]
    before = await everything(database)
    payload = await call(user, id=made["id"], fte="0.6", expectedVersion=1)
    assert codes(payload) == [("VERSION_CONFLICT", [(["expectedVersion"], "VERSION_CONFLICT")])]
    assert payload["contract"] == changed
    assert await everything(database) == before


@pytest.mark.parametrize(
    ("values", "path", "code"),
    [
        ({"endDate": "2026-03-15"}, "endDate", "DATES_REVERSED"),
        ({"fte": "0"}, "fte", "INVALID_FTE"),
        ({"fte": "1.01"}, "fte", "INVALID_FTE"),
        ({"fte": "0.33333"}, "fte", "INVALID_FTE"),
        ({"fte": None}, "fte", "FTE_OR_PATTERN"),
        ({"fte": "1", "weekdayPattern": FULL}, "fte", "FTE_OR_PATTERN"),
        ({"weekdayPattern": FULL[:4]}, "weekdayPattern", "INVALID_PATTERN"),
        ({"weekdayPattern": ["0"] * 5}, "weekdayPattern", "INVALID_PATTERN"),
        ({"weekdayPattern": ["1.5", *FULL[1:]]}, "weekdayPattern", "INVALID_PATTERN"),
        ({"weekdayPattern": ["-0.5", *FULL[1:]]}, "weekdayPattern", "INVALID_PATTERN"),
        ({"weekdayPattern": ["0.333", *FULL[1:]]}, "weekdayPattern", "INVALID_PATTERN"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(call, make, database, values, path, code):
    user = await make.user()
    before = await everything(database)
    payload = await call(user, **values)
    assert payload["contract"] is None
    assert codes(payload) == [("INVALID_INPUT", [([path], code)])]
    assert await everything(database) == before


async def test_unknown_people_and_contracts_are_refused(call, make):
    user, other = await make.user(), await make.user()
    theirs = await make.contract(other)
    assert codes(await call(await make.user(is_service=True))) == [("UNKNOWN_ID", [(["userId"], "UNKNOWN_ID")])]
    for contract_id in (UNKNOWN, str(theirs.id)):
        assert codes(await call(user, id=contract_id)) == [("UNKNOWN_ID", [(["id"], "UNKNOWN_ID")])]


async def test_a_contract_of_payfit_is_changed_there(call, make, database):
    user = await make.user()
    row = await make.contract(user, source=RecordSource.PAYFIT, external_id="c1")
    before = await everything(database)
    assert codes(await call(user, id=str(row.id))) == [("MANAGED_ELSEWHERE", [(["id"], "MANAGED_ELSEWHERE")])]
    assert codes(await call(user, endPrevious=True)) == [("CONTRACT_OVERLAP", [(["startDate"], "CONTRACT_OVERLAP")])]
    assert await everything(database) == before


async def test_whoever_may_write_in_one_unit_only_is_refused_elsewhere(call, make, database):
    ours = await make.unit()
    caller = actor(*PERMISSIONS, user=await make.user(business_unit_id=ours.id), scope=Scope.UNIT)
    user = await make.user()
    before = await everything(database)
    assert codes(await call(user, caller)) == [("OUT_OF_SCOPE", [(["userId"], "OUT_OF_SCOPE")])]
    assert await everything(database) == before
    assert codes(await call(await make.user(business_unit_id=ours.id), caller)) == []


async def test_closed_months_keep_their_figures_and_a_warning_names_them(call, planned, make, database):
    user = await planned()
    for month in (1, 3):
        await make.closed(date(2026, month, 1))
    payload = await call(user, fte="0.5", endPrevious=True)
    [warning] = payload["warnings"]
    assert warning["code"] == "CLOSED_MONTHS"
    assert warning["detail"].startswith("Closed months keep their figures: 2026-03. ")
    found = await capacities(database, user)
    assert (found["2026-03"], found["2026-04"]) == ("22.00", "10.50")


async def test_less_capacity_than_load_is_warned_about(call, planned, make):
    user, project = await planned(), await make.project(name="Bridge")
    await make.cell(user, project, date(2026, 4, 1), stated="12.00")
    payload = await call(user, fte="0.5", endPrevious=True)
    line = "2026-04: 1.50 days are missing, 12.00 are asked for (Bridge 12.00) and 10.50 are there."
    assert [error["message"] for error in payload["warnings"][0]["errors"]] == [line]


class TestLeaving:
    async def test_a_contract_that_ended_makes_its_person_leave(self, call, planned, database, graphql, hr, audited):
        user = await planned()
        [row] = (await graphql(hr, LIST))["contracts"]["items"]
        yesterday = date.today() - timedelta(days=1)  # noqa: DTZ011
        await call(user, id=row["id"], startDate="2025-01-01", endDate=str(yesterday - timedelta(days=1)))
        left = await reread(database, user)
        assert (left.status, left.is_active, left.version) == (UserStatus.LEFT, False, 2)
        assert [each.action for each in await audited("user")] == ["user.left"]

    async def test_a_mistyped_end_can_be_corrected(self, call, planned, database, graphql, hr):
        user = await planned()
        [row] = (await graphql(hr, LIST))["contracts"]["items"]
        await call(user, id=row["id"], startDate="2025-01-01", endDate="2025-12-31")
        await call(user, id=row["id"], startDate="2025-01-01", endDate=None)
        back = await reread(database, user)
        assert (back.status, back.is_active) == (UserStatus.ACTIVE, True)

    async def test_whoever_was_deactivated_stays_so(self, call, make, database):
        user = await make.user(status=UserStatus.DEACTIVATED, is_active=False)
        await call(user)
        assert (await reread(database, user)).status is UserStatus.DEACTIVATED

    async def test_the_daily_job_signs_off_those_whose_last_contract_ended(self, make, database):
        today = date(2026, 4, 1)
        gone, last_day, comes_back, never, tool, deactivated = [
            await make.user(),
            await make.user(),
            await make.user(),
            await make.user(),
            await make.user(is_service=True),
            await make.user(status=UserStatus.DEACTIVATED, is_active=False),
        ]
        for user in (gone, comes_back, tool, deactivated):
            await make.contract(user, end_date=date(2026, 3, 31))
        await make.contract(last_day, end_date=today)
        await make.contract(comes_back, start_date=date(2026, 9, 1))
        async with database.transaction(SYSTEM) as tx:
            assert await mark_leavers(tx, today) == [gone.id]
        async with database.transaction(SYSTEM) as tx:
            assert await mark_leavers(tx, today) == []
        row = await reread(database, gone)
        assert (row.status, row.is_active, row.version) == (UserStatus.LEFT, False, 2)
        for user in (last_day, comes_back, never, tool):
            assert (await reread(database, user)).status is UserStatus.ACTIVE
        assert (await reread(database, deactivated)).status is UserStatus.DEACTIVATED


class TestListing:
    async def test_filters(self, graphql, hr, make):
        unit = await make.unit()
        ada, bob = await make.user(business_unit_id=unit.id), await make.user()
        old = await make.contract(ada, end_date=date(2025, 12, 31))
        new = await make.contract(ada, start_date=date(2026, 1, 1), fte=Decimal("0.5"))
        bobs = await make.contract(bob)

        async def found(**filter):
            data = (await graphql(hr, LIST, filter=filter))["contracts"]
            assert data["total"] == len(data["items"])
            return [item["id"] for item in data["items"]]

        old, new, bobs = str(old.id), str(new.id), str(bobs.id)
        assert await found() == [old, new, bobs]
        assert await found(userIds=[str(bob.id)]) == [bobs]
        assert await found(businessUnitIds=[str(unit.id)]) == [old, new]
        assert await found(activeOn="2025-12-31") == [old, bobs]
        assert await found(activeOn="2026-01-01") == [new, bobs]
        assert await found(updatedAfter="2090-01-01T00:00:00Z") == []
        assert sorted(await found(updatedAfter="2020-01-01T00:00:00Z")) == sorted([old, new, bobs])

    async def test_the_order_that_is_asked_for(self, graphql, hr, make):
        people = sorted([await make.user(), await make.user()], key=lambda user: user.id)
        starts = {1: people[1], 3: people[0], 2: people[0]}
        days = {day: date(2026, 1, day) for day in starts}
        made = {n: await make.contract(user, start_date=days[n], end_date=days[n]) for n, user in starts.items()}
        first, second, third = [str(made[day].id) for day in (1, 2, 3)]

        async def ids(arguments):
            data = await graphql(hr, f"{{ contracts({arguments}) {{ items {{ id }} }} }}")
            return [item["id"] for item in data["contracts"]["items"]]

        assert await ids("page: 1") == await ids("orderBy: USER") == [second, third, first]
        assert await ids("orderBy: START_DATE") == [first, second, third]
        assert await ids("orderBy: UPDATED_AT") == [first, third, second]
        incremental = 'orderBy: START_DATE, filter: {updatedAfter: "2020-01-01T00:00:00Z"}'
        assert await ids(incremental) == [first, third, second]

    async def test_a_narrow_permission_shows_no_more_than_it_covers(self, graphql, make):
        unit = await make.unit()
        ada, bob = await make.user(business_unit_id=unit.id), await make.user()
        adas, bobs = await make.contract(ada), await make.contract(bob)
        for caller, scope, ids in (
            (ada, Scope.UNIT, [adas.id]),
            (bob, Scope.UNIT, []),
            (bob, Scope.OWN, [bobs.id]),
        ):
            reader = actor(*PERMISSIONS, user=caller, scope=scope)
            data = (await graphql(reader, LIST))["contracts"]
            assert ([item["id"] for item in data["items"]], data["total"]) == (list(map(str, ids)), len(ids))

    async def test_statements_do_not_grow_with_the_rows(self, graphql, hr, make, statements):
        counts = []
        for people in (10, 190):
            for _ in range(people):
                await make.contract(await make.user())
            statements.clear()
            data = await graphql(hr, LIST)
            counts.append((len(statements), len(data["contracts"]["items"])))
        assert counts == [(4, 10), (4, 200)]


class TestTheLastAdministrator:
    async def test_is_not_signed_off_by_the_daily_job(self, make, database):
        boss, other = await make.user(is_superuser=True, password_hash="x"), await make.user()
        for user in (boss, other):
            await make.contract(user, end_date=date(2026, 3, 31))
        async with database.transaction(SYSTEM) as tx:
            assert await mark_leavers(tx, date(2026, 4, 1)) == [other.id]
        assert (await reread(database, boss)).status is UserStatus.ACTIVE

    async def test_cannot_be_made_a_leaver_by_a_contract_that_ended(self, make, database):
        boss = await make.user(is_superuser=True, password_hash="x")
        draft = ContractDraft(boss.id, date(2025, 1, 1), date(2025, 6, 30), Decimal(1))
        with pytest.raises(Refused) as refusal:
            async with database.transaction(SYSTEM) as tx:
                await set_contract(tx, draft, date(2026, 4, 1))
        assert [problem.code for problem in refusal.value.problems] == ["LAST_ADMIN"]
        assert (await reread(database, boss)).status is UserStatus.ACTIVE
