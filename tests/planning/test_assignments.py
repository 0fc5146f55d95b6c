"""Assignments: creating, changing, deleting, splitting and listing them, and what is refused or warned about."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import pytest

from schema.loaders import Loaders
from server.actor import Permission, Scope
from server.planning.repository.assignments import Period
from server.projects.models import ProjectStatus
from server.users.models import UserStatus
from tests.factories import actor, moment
from tests.planning.stored import everything, expected

PERMISSIONS = (Permission.ASSIGNMENTS_WRITE, Permission.PLANNING_READ, Permission.USERS_READ, Permission.PROJECTS_READ)
PROBLEM = "code detail errors { path code message }"
NOTES = f"problems {{ {PROBLEM} }} warnings {{ {PROBLEM} }}"
FIELDS = "id rate startDate endDate note version deletedAt user { id } project { id }"
CREATE = f"""mutation ($input: AssignmentCreateInput!) {{
  assignmentCreate(input: $input) {{ assignment {{ {FIELDS} }} {NOTES} }} }}"""
UPDATE = f"""mutation ($input: AssignmentUpdateInput!) {{
  assignmentUpdate(input: $input) {{ assignment {{ {FIELDS} }} {NOTES} }} }}"""
DELETE = f"""mutation ($input: AssignmentDeleteInput!) {{
  assignmentDelete(input: $input) {{ assignment {{ {FIELDS} }} {NOTES} }} }}"""
SPLIT = f"""mutation ($input: AssignmentSplitInput!) {{
  assignmentSplit(input: $input) {{
    assignment {{ {FIELDS} }} assignments {{ {FIELDS} }} {NOTES} }} }}"""
LIST = f"""query ($filter: AssignmentFilter, $page: Int! = 1, $size: Int! = 200) {{
  assignments(filter: $filter, page: $page, size: $size) {{ total nextUpdatedAfter items {{ {FIELDS} }} }} }}"""
UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def planner(make):
    return actor(*PERMISSIONS, user=await make.user())


@pytest.fixture
def call(graphql, planner):
    async def run(document, caller=None, **input):
        data = await graphql(caller or planner, document, input=input)
        return next(iter(data.values()))

    return run


def given(user, project, **values):
    defaults = {"rate": "50", "startDate": "2026-03-01", "endDate": "2026-04-30"}
    return {"userId": str(user.id), "projectId": str(project.id), **defaults, **values}


def codes(payload, part="problems"):
    return [(each["code"], [(error["path"], error["code"]) for error in each["errors"]]) for each in payload[part]]


async def test_a_new_assignment_leads_to_expect_load_at_once(call, planned, make, database):
    user, project = await planned(), await make.project()
    payload = await call(CREATE, **given(user, project, note=" pilot "))
    assert payload["assignment"] | {"id": None} == {
        "id": None,
        "rate": "50.00",
        "startDate": "2026-03-01",
        "endDate": "2026-04-30",
        "note": "pilot",
        "version": 1,
        "deletedAt": None,
        "user": {"id": str(user.id)},
        "project": {"id": str(project.id)},
    }
    assert (payload["problems"], payload["warnings"]) == ([], [])
    assert await expected(database, user) == {"2026-03": "11.00", "2026-04": "10.50"}


async def test_two_assignments_to_one_project_add_their_rates(call, planned, make, database):
    user, project = await planned(), await make.project()
    await call(CREATE, **given(user, project))
    await call(CREATE, **given(user, project, rate="12.50", endDate="2026-03-31"))
    assert await expected(database, user) == {"2026-03": "13.75", "2026-04": "10.50"}


async def test_over_allocation_is_allowed_and_explained(call, planned, make):
    user = await planned(first_name="Ada", last_name="Martin")
    bridge, tunnel = await make.project(name="Bridge"), await make.project(name="Tunnel")
    await call(CREATE, **given(user, bridge, rate="80", endDate="2026-03-31"))
    payload = await call(CREATE, **given(user, tunnel, rate="30"))
    line = "2026-03: 2.20 days are missing, 24.20 are asked for (Bridge 17.60, Tunnel 6.60) and 22.00 are there."
    [warning] = payload["warnings"]
    assert warning["code"] == "OVERALLOCATED"
    assert warning["detail"] == f"Ada Martin has more load than capacity in 1 month. {line}"
    assert warning["errors"] == [{"path": ["userId"], "code": "OVERALLOCATED", "message": line}]


async def test_closed_months_stay_and_a_warning_names_them(call, planned, make, database):
    user, project = await planned(), await make.project()
    await make.closed(date(2026, 3, 1))
    payload = await call(CREATE, **given(user, project))
    assert codes(payload, "warnings") == [("CLOSED_MONTHS", [(["startDate"], "CLOSED_MONTHS")])]
    assert "2026-03" in payload["warnings"][0]["detail"]
    assert "2026-04" not in payload["warnings"][0]["detail"]
    assert await expected(database, user) == {"2026-04": "10.50"}


async def test_someone_who_has_left_by_then_is_warned_about(call, planned, make, database):
    gone = {"end_date": date(2026, 2, 28)}
    user = await planned(contract=gone, status=UserStatus.LEFT, is_active=False)
    payload = await call(CREATE, **given(user, await make.project()))
    assert codes(payload, "warnings") == [("NO_CONTRACT", [(["userId"], "NO_CONTRACT")])]
    assert await expected(database, user) == {}


@pytest.mark.parametrize(
    ("values", "path", "code"),
    [
        ({"rate": "0"}, "rate", "INVALID_RATE"),
        ({"rate": "-5"}, "rate", "INVALID_RATE"),
        ({"rate": "101"}, "rate", "INVALID_RATE"),
        ({"rate": "100.01"}, "rate", "INVALID_RATE"),
        ({"rate": "33.333"}, "rate", "TOO_PRECISE"),
        ({"startDate": "2026-05-01"}, "endDate", "DATES_REVERSED"),
        ({"endDate": "2036-12-31"}, "endDate", "TOO_LONG"),
        ({"note": "x" * 2001}, "note", "TOO_LONG"),
        ({"note": "a\0b"}, "note", "INVALID_NOTE"),
        ({"note": "\ud800"}, "note", "INVALID_NOTE"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(call, planned, make, database, values, path, code):
    user, project = await planned(), await make.project()
    before = await everything(database)
    payload = await call(CREATE, **given(user, project, **values))
    assert payload["assignment"] is None
    assert codes(payload) == [("INVALID_INPUT", [([path], code)])]
    assert await everything(database) == before


async def test_all_faults_of_an_input_come_at_once(call, planned, make):
    payload = await call(CREATE, **given(await planned(), await make.project(), rate="0", endDate="2026-01-01"))
    assert codes(payload) == [("INVALID_INPUT", [(["rate"], "INVALID_RATE"), (["endDate"], "DATES_REVERSED")])]


async def test_unknown_people_and_projects_are_refused_together(call, company):
    payload = await call(
        CREATE, userId=UNKNOWN, projectId=UNKNOWN, rate="50", startDate="2026-03-01", endDate="2026-03-31"
    )
    assert codes(payload) == [
        ("UNKNOWN_ID", [(["userId"], "UNKNOWN_ID")]),
        ("UNKNOWN_ID", [(["projectId"], "UNKNOWN_ID")]),
    ]


async def test_a_tools_account_is_nobody_who_can_be_planned(call, planned, make):
    payload = await call(CREATE, **given(await make.user(is_service=True), await make.project()))
    assert codes(payload) == [("UNKNOWN_ID", [(["userId"], "UNKNOWN_ID")])]


@pytest.mark.parametrize(
    "values",
    [{"status": ProjectStatus.DONE}, {"status": ProjectStatus.CANCELLED}, {"archived_at": moment("2026-01-01")}],
)
async def test_a_project_that_takes_no_load_is_refused(call, planned, make, database, values):
    user, project = await planned(), await make.project(**values)
    before = await everything(database)
    assert codes(await call(CREATE, **given(user, project))) == [
        ("PROJECT_CLOSED", [(["projectId"], "PROJECT_CLOSED")])
    ]
    assert await everything(database) == before


async def test_a_manager_plans_the_own_unit_on_any_project(call, planned, make, database):
    ours, theirs = await make.unit(), await make.unit()
    manager = actor(*PERMISSIONS, user=await make.user(business_unit_id=ours.id), scope=Scope.UNIT)
    mine, other, nobodys = (
        await planned(business_unit_id=ours.id),
        await planned(business_unit_id=theirs.id),
        await planned(),
    )
    project = await make.project(business_unit_id=theirs.id)
    assert codes(await call(CREATE, manager, **given(mine, project))) == []
    before = await everything(database)
    for user in (other, nobodys):
        payload = await call(CREATE, manager, **given(user, project))
        assert codes(payload) == [("OUT_OF_SCOPE", [(["userId"], "OUT_OF_SCOPE")])]
    foreign = await make.assignment(other, project)
    before = await everything(database)
    for document, values in (
        (UPDATE, {"rate": "60"}),
        (DELETE, {}),
        (SPLIT, {"at": "2026-06-01"}),
    ):
        assert codes(await call(document, manager, id=str(foreign.id), **values)) == [
            ("OUT_OF_SCOPE", [(["id"], "OUT_OF_SCOPE")])
        ]
    assert await everything(database) == before


async def test_a_change_moves_the_load(call, planned, make, database):
    user, project = await planned(), await make.project()
    made = (await call(CREATE, **given(user, project)))["assignment"]
    payload = await call(UPDATE, id=made["id"], rate="25", startDate="2026-04-01", endDate="2026-05-31")
    assert (payload["assignment"]["rate"], payload["assignment"]["version"]) == ("25.00", 2)
    assert await expected(database, user) == {"2026-03": "0.00", "2026-04": "5.25", "2026-05": "4.25"}


async def test_a_change_to_the_same_values_is_none(call, planned, make, database):
    made = (await call(CREATE, **given(await planned(), await make.project())))["assignment"]
    before = await everything(database)
    payload = await call(UPDATE, id=made["id"], rate="50.0", startDate="2026-03-01")
    assert payload["assignment"] == made
    assert await everything(database) == before


async def test_a_stale_version_is_refused_with_the_assignment_as_it_stands(call, planned, make, database):
    made = (await call(CREATE, **given(await planned(), await make.project())))["assignment"]
    changed = (await call(UPDATE, id=made["id"], rate="60", expectedVersion=1))["assignment"]
    before = await everything(database)
    for document, values in ((UPDATE, {"rate": "70"}), (DELETE, {}), (SPLIT, {"at": "2026-04-01"})):
        payload = await call(document, id=made["id"], expectedVersion=1, **values)
        assert codes(payload) == [("VERSION_CONFLICT", [(["expectedVersion"], "VERSION_CONFLICT")])]
        assert payload["assignment"] == changed
    assert await everything(database) == before


async def test_what_cannot_be_cleared_is_refused(call, planned, make):
    made = (await call(CREATE, **given(await planned(), await make.project())))["assignment"]
    payload = await call(UPDATE, id=made["id"], rate=None, endDate=None)
    assert codes(payload) == [("INVALID_INPUT", [(["rate"], "NULL_NOT_ALLOWED"), (["endDate"], "NULL_NOT_ALLOWED")])]


@pytest.mark.parametrize("note", ["a\0b", "\ud800"])
async def test_a_note_that_cannot_be_stored_is_refused_in_a_change_too(call, planned, make, note):
    row = await make.assignment(await planned(), await make.project(), note="as it was")
    assert codes(await call(UPDATE, id=str(row.id), note=note)) == [("INVALID_INPUT", [(["note"], "INVALID_NOTE")])]
    assert (await call(UPDATE, id=str(row.id), rate="40"))["assignment"]["note"] == "as it was"


async def test_on_a_closed_project_an_assignment_may_shrink_but_not_grow(call, planned, make, database):
    user, done = await planned(), await make.project(status=ProjectStatus.DONE)
    row = await make.assignment(user, done, start_date=date(2026, 3, 1), end_date=date(2026, 4, 30))
    for values in ({"rate": "60"}, {"startDate": "2026-02-01"}, {"endDate": "2026-05-01"}):
        assert codes(await call(UPDATE, id=str(row.id), **values)) == [("PROJECT_CLOSED", [(["id"], "PROJECT_CLOSED")])]
    assert codes(await call(UPDATE, id=str(row.id), endDate="2026-03-31", rate="40")) == []
    assert (await expected(database, user)) == {"2026-03": "8.80"}


async def test_a_deleted_assignment_leaves_no_load_and_is_gone_for_other_changes(call, planned, make, database):
    user = await planned()
    made = (await call(CREATE, **given(user, await make.project())))["assignment"]
    payload = await call(DELETE, id=made["id"])
    assert payload["assignment"]["deletedAt"] is not None
    assert payload["assignment"]["version"] == 2
    assert await expected(database, user) == {"2026-03": "0.00", "2026-04": "0.00"}
    for document, values in ((UPDATE, {"rate": "1"}), (DELETE, {}), (SPLIT, {"at": "2026-04-01"})):
        assert codes(await call(document, id=made["id"], **values)) == [("UNKNOWN_ID", [(["id"], "UNKNOWN_ID")])]


async def test_a_split_at_a_day_keeps_the_sum(call, planned, make, database):
    user, project = await planned(), await make.project()
    made = (await call(CREATE, **given(user, project, note="kept")))["assignment"]
    before = await expected(database, user)
    payload = await call(SPLIT, id=made["id"], at="2026-03-16")
    spans = [(part["startDate"], part["endDate"], part["rate"], part["note"]) for part in payload["assignments"]]
    assert spans == [("2026-03-01", "2026-03-15", "50.00", "kept"), ("2026-03-16", "2026-04-30", "50.00", "kept")]
    assert payload["assignment"] == payload["assignments"][0]
    assert (payload["assignment"]["id"], payload["assignment"]["version"]) == (made["id"], 2)
    assert await expected(database, user) == before


async def test_a_split_among_people_moves_their_parts(call, planned, make, database):
    user, other, project = await planned(), await planned(), await make.project()
    made = (await call(CREATE, **given(user, project)))["assignment"]
    parts = [
        {"userId": str(other.id), "rate": "20", "startDate": "2026-03-01", "endDate": "2026-04-30"},
        {"userId": str(user.id), "rate": "30", "startDate": "2026-03-01", "endDate": "2026-04-30"},
    ]
    payload = await call(SPLIT, id=made["id"], parts=parts)
    assert [part["user"]["id"] for part in payload["assignments"]] == [str(other.id), str(user.id)]
    assert payload["assignments"][1]["id"] == made["id"]
    assert await expected(database, user) == {"2026-03": "6.60", "2026-04": "6.30"}
    assert await expected(database, other) == {"2026-03": "4.40", "2026-04": "4.20"}


async def test_a_split_that_leaves_its_person_nothing_deletes_the_original(call, planned, make, database):
    user, other = await planned(), await planned()
    made = (await call(CREATE, **given(user, await make.project())))["assignment"]
    part = {"userId": str(other.id), "rate": "50", "startDate": "2026-03-01", "endDate": "2026-04-30"}
    payload = await call(SPLIT, id=made["id"], parts=[part])
    assert payload["assignment"]["deletedAt"] is not None
    assert [each["deletedAt"] for each in payload["assignments"]] == [None]
    assert await expected(database, user) == {"2026-03": "0.00", "2026-04": "0.00"}
    assert await expected(database, other) == {"2026-03": "11.00", "2026-04": "10.50"}


async def test_a_split_that_does_not_add_up_is_refused(call, planned, make, database):
    user = await planned()
    made = (await call(CREATE, **given(user, await make.project())))["assignment"]
    whole = {"userId": str(user.id), "rate": "50", "startDate": "2026-03-01", "endDate": "2026-04-30"}
    before = await everything(database)

    async def refusal(**values):
        [(code, errors)] = codes(await call(SPLIT, id=made["id"], **values))
        assert code == "INVALID_INPUT"
        return errors

    assert await refusal() == [(["at"], "AT_OR_PARTS")]
    assert await refusal(at="2026-04-01", parts=[whole]) == [(["at"], "AT_OR_PARTS")]
    assert await refusal(at="2026-03-01") == [(["at"], "OUTSIDE_ASSIGNMENT")]
    assert await refusal(at="2026-05-01") == [(["at"], "OUTSIDE_ASSIGNMENT")]
    assert await refusal(parts=[]) == [(["parts"], "NO_PARTS")]
    assert await refusal(parts=[whole | {"rate": "40"}]) == [(["parts"], "SUM_NOT_CONSERVED")]
    assert await refusal(parts=[whole | {"rate": "0"}]) == [(["parts", "0", "rate"], "INVALID_RATE")]
    late = whole | {"endDate": "2026-05-01"}
    assert await refusal(parts=[late]) == [(["parts", "0", "startDate"], "OUTSIDE_ASSIGNMENT")]
    assert await refusal(parts=[whole, whole | {"endDate": "2026-02-01"}]) == [
        (["parts", "1", "endDate"], "EMPTY_PART")
    ]
    assert await refusal(parts=[whole] * 101) == [(["parts"], "TOO_MANY_PARTS")]
    assert codes(await call(SPLIT, id=made["id"], parts=[whole | {"userId": UNKNOWN}])) == [
        ("UNKNOWN_ID", [(["parts", "0", "userId"], "UNKNOWN_ID")])
    ]
    assert await everything(database) == before


async def test_two_assignments_made_at_once_for_one_person_both_count(call, planned, make, database):
    user, project = await planned(), await make.project()
    await asyncio.gather(*(call(CREATE, **given(user, project, rate=str(rate))) for rate in (10, 15, 20)))
    assert await expected(database, user) == {"2026-03": "9.90", "2026-04": "9.45"}


async def test_changes_are_audited_with_what_was_and_what_is(call, planned, make, audited):
    made = (await call(CREATE, **given(await planned(), await make.project())))["assignment"]
    await call(UPDATE, id=made["id"], rate="25")
    await call(SPLIT, id=made["id"], at="2026-04-01")
    await call(DELETE, id=made["id"])
    rows = await audited("assignment")
    assert [row.action.partition(".")[2] for row in rows] == ["created", "updated", "split", "deleted"]
    assert (rows[1].details["before"], rows[1].details["after"]) == ({"rate": "50.00"}, {"rate": "25.00"})


class TestListing:
    @pytest.fixture
    async def listed(self, make, company):
        unit = await make.unit()
        ada, bob = await make.user(business_unit_id=unit.id), await make.user()
        bridge, tunnel = await make.project(), await make.project()
        early = await make.assignment(ada, bridge, end_date=date(2026, 3, 31))
        late = await make.assignment(bob, tunnel, start_date=date(2026, 6, 1))
        deleted = await make.assignment(ada, tunnel, deleted_at=moment("2026-02-01"))
        return {"unit": unit, "ada": ada, "bob": bob, "bridge": bridge, "tunnel": tunnel}, early, late, deleted

    async def test_filters(self, graphql, planner, listed):
        of, early, late, deleted = listed

        async def found(**filter):
            data = await graphql(planner, LIST, filter=filter)
            assert data["assignments"]["total"] == len(data["assignments"]["items"])
            return [item["id"] for item in data["assignments"]["items"]]

        early, late, deleted = str(early.id), str(late.id), str(deleted.id)
        assert await found() == [early, late]
        assert await found(userIds=[str(of["ada"].id)]) == [early]
        assert await found(projectIds=[str(of["tunnel"].id)]) == [late]
        assert await found(businessUnitIds=[str(of["unit"].id)]) == [early]
        assert await found(activeFrom="2026-03-31") == [early, late]
        assert await found(activeFrom="2026-04-01") == [late]
        assert await found(activeTo="2026-05-31") == [early]
        assert sorted(await found(includeDeleted=True)) == sorted([early, late, deleted])
        assert sorted(await found(updatedAfter="2020-01-01T00:00:00Z")) == sorted([early, late, deleted])
        assert await found(updatedAfter="2090-01-01T00:00:00Z") == []
        assert await found(userIds=[]) == []

    async def test_the_order_that_is_asked_for(self, graphql, planner, make, company):
        user, project = await make.user(), await make.project()
        days = [(1, 31), (2, 20), (3, 10)]
        rows = [
            await make.assignment(user, project, start_date=date(2026, 1, first), end_date=date(2026, 1, last))
            for first, last in (days[1], days[0], days[2])
        ]
        middle, long, short = [str(row.id) for row in rows]

        async def ids(arguments):
            data = await graphql(planner, f"{{ assignments({arguments}) {{ items {{ id }} }} }}")
            return [item["id"] for item in data["assignments"]["items"]]

        assert await ids("page: 1") == await ids("orderBy: START_DATE") == [long, middle, short]
        assert await ids("orderBy: END_DATE") == [short, middle, long]
        assert await ids("orderBy: UPDATED_AT") == [middle, long, short]
        incremental = 'orderBy: END_DATE, filter: {updatedAfter: "2020-01-01T00:00:00Z"}'
        assert await ids(incremental) == [middle, long, short]

    async def test_reading_on_from_the_mark_misses_nothing(self, graphql, planner, call, listed):
        _, early, *_ = listed
        mark = (await graphql(planner, LIST))["assignments"]["nextUpdatedAfter"]
        await call(DELETE, id=str(early.id))
        data = await graphql(planner, LIST, filter={"updatedAfter": mark})
        changed = {item["id"]: item["deletedAt"] for item in data["assignments"]["items"]}
        assert changed[str(early.id)] is not None

    async def test_statements_do_not_grow_with_the_rows(self, graphql, planner, make, company, statements):
        counts = []
        for people in (10, 290):
            for _ in range(people):
                await make.assignment(await make.user(), await make.project())
            statements.clear()
            data = await graphql(planner, LIST)
            counts.append((len(statements), len(data["assignments"]["items"])))
        assert counts[0][1:] + counts[1][1:] == (10, 200)
        assert counts[0][0] == counts[1][0] == 5  # the mark, the page, the count, people, projects

    async def test_pages_have_bounds(self, graphql, planner, company):
        for page, size in ((0, 50), (1, 0), (1, 201), (51, 200)):
            [error] = await graphql(planner, LIST, errors=True, page=page, size=size)
            assert error["extensions"]["code"] == "BAD_REQUEST"


async def test_loaders_group_assignments_by_person_and_by_project(planned, make, database):
    user, idle, project = await planned(), await planned(), await make.project()
    row = await make.assignment(user, project, end_date=date(2026, 3, 31))
    loaders = Loaders(database.reads)
    spring = Period(date(2026, 4, 1), None)
    of_users = await loaders.assignments_of_user(Period()).load_all([user.id, idle.id])
    assert [[each.id for each in rows] for rows in of_users] == [[row.id], []]
    assert [each.id for each in await loaders.assignments_of_project(Period()).load(project.id)] == [row.id]
    assert await loaders.assignments_of_user(spring).load(user.id) == []
    assert row.rate == Decimal(50)
