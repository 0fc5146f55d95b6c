"""The planning grid: right totals for every month, one picture, filters, pages and clear refusals."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from sqlalchemy import text

from server.actor import Permission, system_actor
from server.ids import cell_id, month_id
from server.planning.models import AbsenceStatus, CapacityRow, CompanySettingsRow, ForecastRow
from server.users.models import UserStatus
from tests.factories import actor

JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
LOAD_READER = actor(Permission.PLANNING_READ, Permission.PROJECTS_READ, Permission.USERS_READ)
READER = actor(
    Permission.PLANNING_READ,
    Permission.PROJECTS_READ,
    Permission.USERS_READ,
    Permission.ABSENCES_READ,
    Permission.CONTRACTS_READ,
)

GRID = """
query ($from: Month!, $to: Month!, $filter: PlanningFilter, $page: Int! = 1, $size: Int! = 50) {
  planning(from: $from, to: $to, filter: $filter, page: $page, size: $size) {
    total
    items {
      user { id lastName }
      months {
        id month capacity load availability utilisation overallocated closed override tentative capacityVersion
        recomputing cells { id project { id code } days source stated expected actual version updatedAt }
      }
    }
  }
}
"""


@pytest.fixture(autouse=True)
async def company(database):
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text("DELETE FROM company_settings"))
        tx.session.add(CompanySettingsRow(horizon_start=date(2024, 1, 1), horizon_end=date(2029, 12, 1)))


async def rows(graphql, first="2026-01", last="2026-01", **filter):
    return (await graphql(READER, GRID, **{"from": first, "to": last, "filter": filter}))["planning"]["items"]


async def names(graphql, **filter):
    return [row["user"]["lastName"] for row in await rows(graphql, **filter)]


async def test_a_month_shows_its_capacity_its_load_and_its_cells(graphql, make):
    user, bridge, tunnel = await make.user(), await make.project(), await make.project()
    await make.capacity(user, JANUARY, "20.00", tentative=Decimal("1.50"))
    await make.cell(user, bridge, JANUARY, stated="12.50", expected="10.00", actual="3.25")
    await make.cell(user, tunnel, JANUARY, expected="10.00")
    [row] = await rows(graphql)
    [month] = row["months"]
    cells = month.pop("cells")
    assert month == {
        "id": str(month_id(user.id, JANUARY)),
        "month": "2026-01",
        "capacity": "20.00",
        "load": "22.50",
        "availability": "-2.50",
        "utilisation": "1.1250",
        "overallocated": True,
        "closed": False,
        "override": None,
        "tentative": "1.50",
        "capacityVersion": 0,
        "recomputing": False,
    }
    by_project = {cell["project"]["id"]: cell for cell in cells}
    stated = by_project[str(bridge.id)]
    assert stated.pop("updatedAt").endswith("Z")
    assert stated == {
        "id": str(cell_id(user.id, bridge.id, JANUARY)),
        "project": {"id": str(bridge.id), "code": bridge.code},
        "days": "12.50",
        "source": "MANUAL",
        "stated": "12.50",
        "expected": "10.00",
        "actual": "3.25",
        "version": 1,
    }
    expected = by_project[str(tunnel.id)]
    assert (expected["days"], expected["source"], expected["stated"]) == ("10.00", "ASSIGNMENT", None)
    assert [cell["project"]["id"] for cell in cells] == sorted(by_project)


async def test_an_override_is_the_capacity(graphql, make):
    user = await make.user()
    await make.capacity(user, JANUARY, "20.00", override=Decimal("8.00"))
    [row] = await rows(graphql)
    assert (row["months"][0]["capacity"], row["months"][0]["override"]) == ("8.00", "8.00")


async def test_every_month_of_the_range_is_there_and_one_without_a_capacity_has_none(graphql, make):
    user, project = await make.user(), await make.project()
    await make.capacity(user, FEBRUARY, "20.00")
    await make.cell(user, project, MARCH, stated="1.00")
    await make.closed(FEBRUARY)
    [row] = await rows(graphql, "2026-01", "2026-03")
    facts = [
        (m["month"], m["capacity"], m["load"], m["availability"], m["utilisation"], m["overallocated"], m["closed"])
        for m in row["months"]
    ]
    assert facts == [
        ("2026-01", "0.00", "0.00", "0.00", None, False, False),
        ("2026-02", "20.00", "0.00", "20.00", "0.0000", False, True),
        ("2026-03", "0.00", "1.00", "-1.00", None, True, False),
    ]


async def test_a_cell_that_holds_nothing_is_not_listed_and_a_stated_nought_is(graphql, make):
    user, cleared, nought = await make.user(), await make.project(), await make.project()
    await make.cell(user, cleared, JANUARY, version=3)
    await make.cell(user, nought, JANUARY, stated="0.00", expected="5.00")
    [row] = await rows(graphql)
    assert [(c["project"]["id"], c["days"]) for c in row["months"][0]["cells"]] == [(str(nought.id), "0.00")]


async def test_people_come_by_last_name_then_first_name_without_regard_to_case(graphql, make):
    await make.user(last_name="martin", first_name="Zoe")
    await make.user(last_name="Martin", first_name="adam")
    await make.user(last_name="Abel", first_name="Yves")
    assert await names(graphql) == ["Abel", "Martin", "martin"]


async def test_a_page_continues_where_the_one_before_ended(graphql, make):
    for name in ("A", "B", "C"):
        await make.user(last_name=name)
    page = (await graphql(READER, GRID, **{"from": "2026-01", "to": "2026-01", "page": 2, "size": 2}))["planning"]
    assert ([row["user"]["lastName"] for row in page["items"]], page["total"]) == (["C"], 3)


async def test_service_users_are_never_planned(graphql, make):
    await make.user(is_service=True)
    assert await names(graphql, includeLeft=True) == []


async def test_people_who_left_are_shown_in_the_months_of_their_contracts_only(graphql, make):
    left = await make.user(last_name="Left", status=UserStatus.LEFT, is_active=False)
    await make.contract(left, end_date=date(2026, 1, 15))
    out = await make.user(last_name="Out", status=UserStatus.DEACTIVATED, is_active=False)
    await make.contract(out)
    assert await names(graphql, first="2026-01", last="2026-02") == ["Left"]
    assert await names(graphql, first="2026-02", last="2026-03") == []
    assert await names(graphql, first="2026-02", last="2026-03", includeLeft=True) == ["Left", "Out"]


async def test_filters_must_all_hold(graphql, make):
    unit, other = await make.unit(), await make.unit()
    project = await make.project()
    ada = await make.user(first_name="Ada", last_name="Lovelace", business_unit_id=unit.id)
    alan = await make.user(first_name="Alan", last_name="Turing_%", business_unit_id=other.id)
    grace = await make.user(first_name="Grace", last_name="Hopper", business_unit_id=unit.id)
    for user in (ada, alan, grace):
        await make.capacity(user, JANUARY, "20.00")
    await make.cell(ada, project, JANUARY, stated="21.00", expected="21.00")
    await make.cell(alan, project, JANUARY, stated="5.00", expected="6.00")
    await make.cell(grace, project, JANUARY, stated="0.00", expected="0.00", actual="1.00")
    assert await names(graphql, userIds=[str(ada.id), str(alan.id)]) == ["Lovelace", "Turing_%"]
    assert await names(graphql, businessUnitIds=[str(unit.id)]) == ["Hopper", "Lovelace"]
    assert await names(graphql, projectIds=[str(project.id)]) == ["Lovelace", "Turing_%"]
    assert await names(graphql, search="lovelace ada") == ["Lovelace"]
    assert await names(graphql, search=" GRACE  hop ") == ["Hopper"]
    assert await names(graphql, search="g_%") == ["Turing_%"]
    assert await names(graphql, search="\0") == []
    assert await names(graphql, overallocated=True) == ["Lovelace"]
    assert await names(graphql, overallocated=False) == ["Hopper", "Turing_%"]
    assert await names(graphql, hasConflict=True) == ["Turing_%"]
    assert await names(graphql, hasConflict=False) == ["Hopper", "Lovelace"]
    assert await names(graphql, hasConflict=True, overallocated=True) == []


@pytest.mark.parametrize(
    ("first", "last", "detail"),
    [
        ("2026-03", "2026-01", "`from` (2026-03) is after `to` (2026-01): exchange them."),
        ("2024-01", "2029-01", "61 months are too many: ask for at most 60 at once."),
        ("2023-12", "2024-01", "The plan covers 2024-01 to 2029-12: 2023-12 to 2024-01 is not within it."),
        ("2029-12", "2030-01", "The plan covers 2024-01 to 2029-12: 2029-12 to 2030-01 is not within it."),
    ],
)
async def test_a_range_that_cannot_be_shown_is_refused(graphql, make, first, last, detail):
    [error] = await graphql(READER, GRID, errors=True, **{"from": first, "to": last})
    assert (error["extensions"]["code"], error["path"], error["message"]) == ("BAD_REQUEST", ["planning"], detail)


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "2026", "january", "2026-01-01", "2026W01"])
async def test_what_is_not_a_month_is_refused(graphql, database, month):
    [error] = await graphql(READER, GRID, errors=True, **{"from": month, "to": "2026-01"})
    [place] = error["extensions"]["errors"]
    assert (error["extensions"]["code"], place["code"], place["path"]) == ("INVALID_MONTH", "INVALID_MONTH", ["from"])


@pytest.mark.parametrize(("page", "size"), [(0, 50), (1, 0), (1, 201), (51, 200)])
async def test_a_page_that_cannot_be_is_refused(graphql, database, page, size):
    variables = {"from": "2026-01", "to": "2026-01", "page": page, "size": size}
    [error] = await graphql(READER, GRID, errors=True, **variables)
    assert error["extensions"]["code"] == "BAD_REQUEST"


async def test_the_grid_costs_the_same_number_of_statements_for_10_and_for_300_people(
    graphql, database, make, statements
):
    async def fill(count):
        project = await make.project()
        async with database.transaction(system_actor("test")) as tx:
            for _ in range(count):
                user = await make.user()
                for month in (JANUARY, FEBRUARY):
                    tx.session.add(
                        CapacityRow(id=month_id(user.id, month), user_id=user.id, month=month, computed=Decimal(20))
                    )
                    key = cell_id(user.id, project.id, month)
                    tx.session.add(
                        ForecastRow(
                            id=key, user_id=user.id, project_id=project.id, month=month, expected=Decimal("30.00")
                        )
                    )

    document = GRID.replace("recomputing", "recomputing explanation { label days }")
    counts = []
    for more in (10, 290):
        await fill(more)
        statements.clear()
        data = await graphql(READER, document, **{"from": "2026-01", "to": "2026-02", "size": 200})
        counts.append((len(data["planning"]["items"]), len(statements)))
    # settings, people, the picture, total; projects; settings, calendar, contracts, absences, assignments
    assert counts == [(10, 10), (200, 10)]


async def test_the_total_is_counted_only_when_it_is_selected(graphql, make, statements):
    await make.user()
    counted = []
    for selected in ("items { user { id } }", "items { user { id } } total"):
        statements.clear()
        await graphql(READER, f'{{ planning(from: "2026-01", to: "2026-01") {{ {selected} }} }}')
        counted.append(sum(sql.startswith("SELECT count(") for sql in statements.texts))
    assert counted == [0, 1]


async def test_the_explanation_adds_up_to_the_capacity_and_names_what_makes_the_load(graphql, make):
    user = await make.user()
    bridge, tunnel = await make.project(name="Bridge"), await make.project(name="Tunnel")
    await make.contract(user, fte=Decimal("0.8"))
    absence = await make.absence(user, date(2026, 1, 5), date(2026, 1, 6))
    await make.capacity(user, JANUARY, "15.20")
    await make.cell(user, tunnel, JANUARY, stated="10.00")
    await make.cell(user, bridge, JANUARY, expected="7.50")
    document = """
    { planning(from: "2026-01", to: "2026-01") { items { months { capacity
      explanation { kind label days referenceId } } } } }
    """
    [month] = (await graphql(READER, document))["planning"]["items"][0]["months"]
    lines = month["explanation"]
    assert [(line["kind"], line["days"]) for line in lines] == [
        ("WEEKDAYS", "22.00"),
        ("HOLIDAY", "-1.00"),
        ("PART_TIME", "-4.20"),
        ("ABSENCE", "-1.60"),
        ("LOAD", "10.00"),
        ("LOAD", "7.50"),
        ("MISSING", "2.30"),
    ]
    assert sum(Decimal(line["days"]) for line in lines[:4]) == Decimal(month["capacity"])
    assert [line["label"] for line in lines[4:]] == ["Tunnel", "Bridge", "Missing: 2.30 days"]
    assert [line["referenceId"] for line in lines[3:6]] == [str(absence.id), str(tunnel.id), str(bridge.id)]


async def test_who_may_not_see_absences_and_contracts_is_told_their_days_and_no_particulars(graphql, make):
    user = await make.user()
    await make.contract(user, weekday_pattern=[Decimal(1)] * 4 + [Decimal(0)], fte=Decimal("0.8"))
    await make.absence(user, date(2026, 1, 5), date(2026, 1, 6))
    await make.absence(user, date(2026, 1, 12), date(2026, 1, 12))
    await make.absence(user, date(2026, 1, 20), date(2026, 1, 20), status=AbsenceStatus.PENDING)
    await make.capacity(user, JANUARY, "13.00")
    document = """
    { planning(from: "2026-01", to: "2026-01") { items { months { explanation { kind label days referenceId } } } } }
    """

    async def lines(caller):
        [month] = (await graphql(caller, document))["planning"]["items"][0]["months"]
        return [(line["kind"], line["label"], line["days"], line["referenceId"]) for line in month["explanation"][2:]]

    assert await lines(LOAD_READER) == [
        ("PART_TIME", "Part time", "-5.00", None),
        ("ABSENCE", "Absences", "-3.00", None),
    ]
    own = await lines(actor(Permission.PLANNING_READ, user=user))
    assert own == await lines(READER)
    assert [(kind, days) for kind, _, days, _ in own] == [
        ("PART_TIME", "-5.00"),
        ("ABSENCE", "-2.00"),
        ("ABSENCE", "-1.00"),
        ("PENDING_ABSENCE", "0.00"),
    ]
    assert own[0][1] == "Part time: Friday off"


async def test_the_explanation_of_a_closed_month_says_what_changed_since_and_adds_up_all_the_same(graphql, make):
    user = await make.user()
    await make.contract(user)
    await make.capacity(user, JANUARY, "19.00")  # 21 working days: two days of leave were cancelled since
    await make.closed(JANUARY)
    document = '{ planning(from: "2026-01", to: "2026-01") { items { months { explanation { kind label days } } } } }'
    [month] = (await graphql(READER, document))["planning"]["items"][0]["months"]
    assert month["explanation"][-1] == {
        "kind": "STALE",
        "label": "Contracts, absences or the calendar changed since the month was closed",
        "days": "-2.00",
    }
    assert sum(Decimal(line["days"]) for line in month["explanation"]) == Decimal("19.00")


async def test_months_are_read_again_by_id_and_unknown_ids_are_left_out(graphql, make):
    user, project = await make.user(), await make.project()
    january, february = await make.capacity(user, JANUARY, "20.00"), await make.capacity(user, FEBRUARY, "19.00")
    await make.cell(user, project, FEBRUARY, stated="4.00")
    await make.closed(FEBRUARY)
    ids = [str(february.id), str(project.id), str(january.id), str(february.id)]
    document = "query ($ids: [UUID!]!) { planningMonths(ids: $ids) { id month capacity load closed cells { days } } }"
    months = (await graphql(READER, document, ids=ids))["planningMonths"]
    assert [(m["id"], m["month"], m["capacity"], m["load"], m["closed"]) for m in months] == [
        (str(february.id), "2026-02", "19.00", "4.00", True),
        (str(january.id), "2026-01", "20.00", "0.00", False),
    ]


async def test_more_than_500_ids_are_refused(graphql, make):
    user = await make.user()
    document = "query ($ids: [UUID!]!) { planningMonths(ids: $ids) { id } }"
    [error] = await graphql(READER, document, errors=True, ids=[str(user.id)] * 501)
    assert error["extensions"]["code"] == "BAD_REQUEST"


PEOPLE_AND_PROJECTS = """
{
  users(size: 200) { items { months(from: "2026-01", to: "2026-02") { load capacity } } }
  projects(size: 200) { items { months(from: "2026-01", to: "2026-02") { load cells { user { id } } } } }
}
"""


async def test_months_of_people_and_of_projects_cost_the_same_for_10_and_for_300(graphql, make, statements):
    counts = []
    for more in (10, 290):
        for _ in range(more):
            await make.cell(await make.user(), await make.project(), JANUARY, stated="1.50")
        statements.clear()
        data = await graphql(READER, PEOPLE_AND_PROJECTS)
        assert [m["load"] for m in data["users"]["items"][0]["months"]] == ["1.50", "0.00"]
        assert [len(m["cells"]) for m in data["projects"]["items"][0]["months"]] == [1, 0]
        counts.append(len(statements))
    assert counts[0] == counts[1] == 8, statements.texts


days = strategies.decimals(min_value=0, max_value=31, places=2)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    capacity=strategies.none() | days,
    cells=strategies.lists(strategies.tuples(strategies.none() | days, days, strategies.none() | days), max_size=5),
)
async def test_load_is_the_sum_of_the_cells_days_and_availability_the_rest(graphql, make, capacity, cells):
    user = await make.user()
    if capacity is not None:
        await make.capacity(user, JANUARY, str(capacity))
    for stated, expected, actual in cells:
        values = {"stated": stated, "expected": expected, "actual": actual}
        given = {name: str(value) for name, value in values.items() if value is not None}
        await make.cell(user, await make.project(), JANUARY, **given)
    [row] = await rows(graphql, userIds=[str(user.id)])
    [month] = row["months"]
    assert Decimal(month["load"]) == sum((Decimal(c["days"]) for c in month["cells"]), Decimal(0))
    assert Decimal(month["availability"]) == Decimal(month["capacity"]) - Decimal(month["load"])
    assert month["overallocated"] == (Decimal(month["availability"]) < 0)
    assert {c["days"] for c in month["cells"]} == {
        f"{e if s is None else s:.2f}" for s, e, a in cells if s is not None or e or a is not None
    }


GLANCE = """
query ($from: Month!, $to: Month!, $full: Boolean!) {
  planning(from: $from, to: $to) {
    items {
      user { id email lastName }
      months {
        __typename id month capacity load availability utilisation overallocated
        cells { __typename id days project { id code } user { id } }
        ...Full
      }
    }
  }
}
fragment Full on PlanningMonth { tentative @include(if: $full) }
"""


async def test_figures_at_a_glance_are_those_of_the_whole_picture(graphql, make, statements):
    """A document that asks for nothing else reads fewer columns, which must not be seen."""
    both, bridge, tunnel = await make.user(), await make.project(), await make.project()
    idle, unplanned = await make.user(), await make.user()
    await make.capacity(both, JANUARY, "20.00", override=Decimal("8.50"))
    await make.capacity(both, FEBRUARY, "0.00")
    await make.capacity(idle, JANUARY, "19.00")
    await make.cell(both, bridge, JANUARY, stated="12.50", expected="10.00")
    await make.cell(both, tunnel, JANUARY, expected="10.25", actual="3.00")
    await make.cell(both, tunnel, FEBRUARY, stated="0.00", expected="4.00")
    await make.cell(unplanned, bridge, MARCH, stated="1.00")
    await make.cell(unplanned, tunnel, MARCH, expected="0.00")
    whole = GLANCE.replace("tentative @include(if: $full)", "closed tentative")
    whole = whole.replace(", $full: Boolean!", "")
    expected = (await graphql(READER, whole, **{"from": "2026-01", "to": "2026-03"}))["planning"]["items"]
    for row in expected:
        for month in row["months"]:
            del month["closed"], month["tentative"]
    statements.clear()
    glance = GLANCE.replace("...Full", "").partition("fragment")[0].replace(", $full: Boolean!", "")
    assert (await graphql(READER, glance, **{"from": "2026-01", "to": "2026-03"}))["planning"]["items"] == expected
    assert not any("tentative" in statement for statement in statements.texts)
    [january] = [row["months"][0] for row in expected if row["user"]["id"] == str(both.id)]
    assert (january["capacity"], january["load"], len(january["cells"])) == ("8.50", "22.75", 2)


async def test_a_condition_on_a_fragment_decides_what_is_read(graphql, make):
    user = await make.user()
    await make.capacity(user, JANUARY, "20.00", tentative=Decimal("1.50"))
    [row] = (await graphql(READER, GLANCE, **{"from": "2026-01", "to": "2026-01", "full": True}))["planning"]["items"]
    assert row["months"][0]["tentative"] == "1.50"
