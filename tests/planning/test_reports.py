"""Reports: sums and ratios by group with the formula they used, and who has days to spare."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlalchemy import insert, text

from schema.loaders import Loaders
from server.actor import Permission, system_actor
from server.ids import new_id
from server.planning.models import CapacityRow, CompanySettingsRow, ForecastRow
from server.projects.models import ProjectRow
from server.users.models import UserRow, UserStatus
from tests.factories import actor

JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
READER = actor(Permission.PLANNING_READ)

UTILISATION = """
query ($from: Month! = "2026-01", $to: Month! = "2026-02", $by: GroupBy!, $formula: UtilisationFormula!,
       $filter: PlanningFilter, $page: Int! = 1, $size: Int! = 50) {
  utilisation(from: $from, to: $to, groupBy: $by, formula: $formula, filter: $filter, page: $page, size: $size) {
    total formula definition
    items {
      user { lastName } businessUnit { code } project { code } month
      capacity load productiveDays workingDays leave value
      months { month capacity load productiveDays workingDays leave value }
    }
  }
}
"""

AVAILABILITY = """
query ($from: Month! = "2026-01", $to: Month! = "2026-02", $days: Decimal!, $filter: PlanningFilter,
       $page: Int! = 1, $size: Int! = 50) {
  availability(from: $from, to: $to, days: $days, filter: $filter, page: $page, size: $size) {
    total items { days user { lastName } months { month capacity load availability } }
  }
}
"""


@pytest.fixture(autouse=True)
async def company(database):
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text("DELETE FROM company_settings"))
        tx.session.add(CompanySettingsRow(horizon_start=date(2025, 1, 1), horizon_end=date(2027, 12, 1)))


@pytest.fixture
async def plan(make):
    """Ada and Bob of unit ONE, Cyd without a unit; BRIDGE is productive, OFFICE is not."""
    unit = await make.unit(code="ONE", name="One")
    bridge, office = await make.project(code="BRIDGE"), await make.project(code="OFFICE", productive=False)
    people = []
    for name, unit_id in (("Ada", unit.id), ("Bob", unit.id), ("Cyd", None)):
        people.append(await make.user(last_name=name, business_unit_id=unit_id))
    ada, bob, cyd = people
    days = {"working_days": Decimal(20), "leave": Decimal(4)}
    await make.capacity(ada, JANUARY, "16.00", **days)
    await make.capacity(ada, FEBRUARY, "20.00", override=Decimal("10.00"), working_days=Decimal(20))
    await make.capacity(bob, JANUARY, "20.00", working_days=Decimal(20))
    await make.capacity(cyd, FEBRUARY, "8.00", working_days=Decimal(10), leave=Decimal(2))
    await make.cell(ada, bridge, JANUARY, stated="12.00", expected="1.00")
    await make.cell(ada, office, JANUARY, expected="6.00")
    await make.cell(ada, bridge, FEBRUARY, expected="5.00", actual="9.00")
    await make.cell(bob, office, JANUARY, stated="15.00")
    await make.cell(cyd, bridge, MARCH, stated="7.00")
    return SimpleNamespace(unit=unit, ada=ada)


async def report(graphql, by, formula="UTILISATION", **variables):
    return (await graphql(READER, UTILISATION, by=by, formula=formula, **variables))["utilisation"]


def sums(row):
    return [row[name] for name in ("capacity", "load", "productiveDays", "workingDays", "leave", "value")]


async def test_by_person_with_the_months_that_make_it_up(graphql, plan):
    answer = await report(graphql, "USER")
    assert [(row["user"]["lastName"], *sums(row)) for row in answer["items"]] == [
        ("Ada", "26.00", "23.00", "17.00", "40.00", "4.00", "0.8846"),
        ("Bob", "20.00", "15.00", "0.00", "20.00", "0.00", "0.7500"),
        ("Cyd", "8.00", "0.00", "0.00", "10.00", "2.00", "0.0000"),
    ]
    assert [(m["month"], *sums(m)) for m in answer["items"][0]["months"]] == [
        ("2026-01", "16.00", "18.00", "12.00", "20.00", "4.00", "1.1250"),
        ("2026-02", "10.00", "5.00", "5.00", "20.00", "0.00", "0.5000"),
    ]
    assert (answer["total"], answer["formula"], answer["definition"]) == (3, "UTILISATION", "load / capacity")


async def test_by_business_unit_people_without_one_come_last(graphql, plan):
    answer = await report(graphql, "BUSINESS_UNIT")
    assert [(row["businessUnit"] and row["businessUnit"]["code"], *sums(row)) for row in answer["items"]] == [
        ("ONE", "46.00", "38.00", "17.00", "60.00", "4.00", "0.8261"),
        (None, "8.00", "0.00", "0.00", "10.00", "2.00", "0.0000"),
    ]
    assert answer["total"] == 2


async def test_by_month(graphql, plan):
    answer = await report(graphql, "MONTH")
    assert [(row["month"], *sums(row)) for row in answer["items"]] == [
        ("2026-01", "36.00", "33.00", "12.00", "40.00", "4.00", "0.9167"),
        ("2026-02", "18.00", "5.00", "5.00", "30.00", "2.00", "0.2778"),
    ]


async def test_by_project_the_capacity_is_that_of_its_people_in_the_months_of_their_load(graphql, plan):
    answer = await report(graphql, "PROJECT")
    assert [(row["project"]["code"], *sums(row)) for row in answer["items"]] == [
        ("BRIDGE", "26.00", "17.00", "17.00", "40.00", "4.00", "0.6538"),
        ("OFFICE", "36.00", "21.00", "0.00", "40.00", "4.00", "0.5833"),
    ]


@pytest.mark.parametrize(
    ("formula", "definition", "values"),
    [
        ("TACE", "productive days / (working days − predictable leave)", ["0.4722", "0.0000", "0.0000"]),
        ("TACI", "productive days / working days", ["0.4250", "0.0000", "0.0000"]),
    ],
)
async def test_the_formula_is_chosen_and_stated(graphql, plan, formula, definition, values):
    answer = await report(graphql, "USER", formula)
    assert answer["definition"] == definition
    assert [row["value"] for row in answer["items"]] == values


async def test_without_a_denominator_there_is_no_ratio(graphql, plan):
    answer = await report(graphql, "USER", **{"from": "2026-03", "to": "2026-03"})
    assert [(row["user"]["lastName"], row["capacity"], row["load"], row["value"]) for row in answer["items"]] == [
        ("Cyd", "0.00", "7.00", None)
    ]


async def test_a_report_is_filtered_and_paged(graphql, plan):
    answer = await report(graphql, "USER", filter={"businessUnitIds": [str(plan.unit.id)]}, page=2, size=1)
    assert ([row["user"]["lastName"] for row in answer["items"]], answer["total"]) == (["Bob"], 2)


async def free(graphql, days, **variables):
    answer = (await graphql(READER, AVAILABILITY, days=days, **variables))["availability"]
    return answer["total"], [(row["user"]["lastName"], row["days"]) for row in answer["items"]]


async def test_those_with_the_most_days_to_spare_come_first(graphql, plan):
    assert await free(graphql, "5") == (3, [("Cyd", "8.00"), ("Ada", "5.00"), ("Bob", "5.00")])
    assert await free(graphql, "5.01") == (1, [("Cyd", "8.00")])
    assert await free(graphql, "5", page=2, size=2) == (3, [("Bob", "5.00")])
    assert await free(graphql, "5", filter={"search": "bob"}) == (1, [("Bob", "5.00")])


async def test_the_months_that_make_up_the_free_days_are_shown_and_an_overallocated_one_takes_nothing(graphql, plan):
    answer = (await graphql(READER, AVAILABILITY, days="5", filter={"userIds": [str(plan.ada.id)]}))["availability"]
    assert answer["items"][0]["months"] == [
        {"month": "2026-02", "capacity": "10.00", "load": "5.00", "availability": "5.00"}
    ]


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (UTILISATION, {"from": "2026-02", "to": "2026-01", "by": "USER", "formula": "TACI"}),
        (UTILISATION, {"to": "2028-01", "by": "USER", "formula": "TACI"}),
        (AVAILABILITY, {"from": "2026-02", "to": "2026-01", "days": "1"}),
        (AVAILABILITY, {"days": "-1"}),
        (AVAILABILITY, {"days": "1", "size": 201}),
    ],
)
async def test_what_cannot_be_reported_is_refused(graphql, database, document, variables):
    [error] = await graphql(READER, document, errors=True, **variables)
    assert error["extensions"]["code"] == "BAD_REQUEST"


async def test_reports_cost_the_same_number_of_statements_for_10_and_for_300_people(
    graphql, database, make, statements
):
    unit = await make.unit()

    async def fill(count):
        """People with a project each, all in one transaction."""
        async with database.transaction(system_actor("test")) as tx:
            for _ in range(count):
                n = new_id()
                user = {"id": n, "first_name": "A", "last_name": str(n), "status": "ACTIVE", "is_active": True}
                await tx.session.execute(insert(UserRow).values(**user, business_unit_id=unit.id))
                project = {"id": n, "code": str(n), "name": str(n), "status": "ACTIVE"}
                await tx.session.execute(insert(ProjectRow).values(**project))
                row = {"id": n, "user_id": n, "month": JANUARY}
                await tx.session.execute(insert(CapacityRow).values(**row, computed=20))
                await tx.session.execute(insert(ForecastRow).values(**row, project_id=n, expected=1))

    counts = []
    for more in (10, 290):
        await fill(more)
        for by in ("USER", "BUSINESS_UNIT", "PROJECT", "MONTH"):
            statements.clear()
            await report(graphql, by, size=200)
            counts.append(len(statements))
        statements.clear()
        await free(graphql, "1", size=200)
        counts.append(len(statements))
    assert counts == [4, 4, 4, 3, 4] * 2  # settings, groups, total, and the groups' names but for months


async def test_the_months_of_people_and_of_projects_are_loaded_together(database, make, statements):
    """User.months and Project.months: every month of the range, in a constant number of statements."""
    users = [await make.user() for _ in range(3)]
    projects = [await make.project() for _ in range(2)]
    for user in users:
        await make.capacity(user, JANUARY, "20.00")
        await make.cell(user, projects[0], FEBRUARY, stated="2.50", expected="1.00")
    await make.cell(users[0], projects[0], JANUARY, expected="4.00", actual="3.00")
    loaders = Loaders(database.reads)
    statements.clear()
    of_users = await loaders.user_months(JANUARY, MARCH).load_all([user.id for user in users])
    assert [(m.month, str(m.capacity), str(m.load)) for m in of_users[0]] == [
        (JANUARY, "20.00", "4.00"),
        (FEBRUARY, "0.00", "2.50"),
        (MARCH, "0.00", "0.00"),
    ]
    assert len(statements) == 2
    busy, idle = await loaders.project_months(JANUARY, MARCH).load_all([project.id for project in projects])
    assert [(m.month, str(m.load), str(m.expected), str(m.stated), str(m.actual)) for m in busy] == [
        (JANUARY, "4.00", "4.00", "None", "3.00"),
        (FEBRUARY, "7.50", "3.00", "7.50", "None"),
        (MARCH, "0.00", "0.00", "None", "None"),
    ]
    assert [str(m.load) for m in idle] == ["0.00"] * 3
    assert len(statements) == 4
    cells = await loaders.project_cells.load((projects[0].id, FEBRUARY))
    assert [cell.user_id for cell in cells] == sorted(user.id for user in users)


async def test_shutting_someone_out_changes_no_figure_of_the_past_and_offers_them_no_more(graphql, make):
    user, project = await make.user(), await make.project()
    await make.contract(user)
    month = date(2026, 3, 1)
    await make.capacity(user, month, "22.00")
    await make.cell(user, project, month, stated="5.00")
    asked = """{ planning(from: "2026-03", to: "2026-03") { items { months { load } } }
                 utilisation(from: "2026-03", to: "2026-03", groupBy: MONTH) { items { load } }
                 availability(from: "2026-03", to: "2026-03", days: "1") { total } }"""
    caller = actor(Permission.PLANNING_READ)
    before = await graphql(caller, asked)
    async with make._database.transaction(system_actor("test")) as tx:
        row = await tx.session.get(UserRow, user.id)
        row.status, row.is_active = UserStatus.DEACTIVATED, False
    after = await graphql(caller, asked)
    assert (before["availability"], after["availability"]) == ({"total": 1}, {"total": 0})
    assert {**before, "availability": None} == {**after, "availability": None}
    assert after["planning"]["items"] == [{"months": [{"load": "5.00"}]}]
