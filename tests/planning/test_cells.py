"""Writing cells: what is accepted, what is refused and where, and that a refusal changes nothing."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlalchemy import select, text

from schema.context import Context
from server.actor import Permission, Scope, system_actor
from server.audit.models import AuditLogRow
from server.events import PlanningChanged
from server.ids import cell_id, month_id, new_id
from server.planning.domain.cells import CellKey, CellOutcome, CellWrite
from server.planning.models import CellSource, CompanySettingsRow, ForecastRow
from server.planning.repository import months as closing
from server.planning.repository import recomputation
from server.planning.service import cells
from server.planning.service.cells import WritePolicy
from server.planning.service.recompute import recompute
from server.projects.models import ProjectStatus
from tests.factories import actor

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)

WRITE = """
mutation ($input: ForecastsWriteInput!) {
  forecastsWrite(input: $input) {
    results {
      index outcome
      cell { id days source stated expected actual version user { id } project { code } }
      problem { code errors { path code } }
    }
    months { id month capacity load availability overallocated cells { days project { code } user { id } } }
    problems { code status detail errors { path code message } }
    warnings { code detail errors { path } }
  }
}
"""


@pytest.fixture(autouse=True)
async def company(database):
    await company_with(database)


async def company_with(database, **values):
    async with database.transaction(system_actor("test")) as tx:
        await tx.session.execute(text("DELETE FROM company_settings"))
        horizon = {"horizon_start": date(2025, 1, 1), "horizon_end": date(2027, 12, 1)}
        tx.session.add(CompanySettingsRow(**horizon, **values))


@pytest.fixture
async def plan(make):
    """A planner, a person with 20 days in January and 19 in February, and a project."""

    planner, user = await make.user(last_name="Planner"), await make.user(last_name="Worker")
    await make.capacity(user, JANUARY, "20.00")
    await make.capacity(user, FEBRUARY, "19.00")
    caller = actor(Permission.PLANNING_WRITE, Permission.PLANNING_READ, user=planner)
    return SimpleNamespace(
        planner=planner, user=user, project=await make.project(code="BRIDGE", name="Bridge"), caller=caller
    )


def cell(plan, days="5.00", month="2026-01", **values):
    return {"userId": str(plan.user.id), "projectId": str(plan.project.id), "month": month, "days": days, **values}


async def send(graphql, caller, *inputs, **options):
    data = await graphql(caller, WRITE, input={"cells": list(inputs), **options})
    return data["forecastsWrite"]


async def stored(database):
    """(stated, version) of every cell that there is, blank ones included."""
    async with database.reads.session() as session:
        rows = (await session.scalars(select(ForecastRow))).all()
        return {row.id: (row.stated if row.stated is None else str(row.stated), row.version) for row in rows}


async def audited(database):
    async with database.reads.session() as session:
        return (await session.scalars(select(AuditLogRow).order_by(AuditLogRow.id))).all()


def refusals(answer):
    return [(p["code"], p["errors"][0]["path"], p["errors"][0]["code"]) for p in answer["problems"]]


async def test_a_stated_value_wins_over_the_expected_one_and_the_answer_has_the_new_totals(graphql, make, plan):
    await make.cell(plan.user, plan.project, JANUARY, expected="10.00", actual="2.00")
    answer = await send(graphql, plan.caller, cell(plan, "12.5"))
    key = str(cell_id(plan.user.id, plan.project.id, JANUARY))
    assert answer["results"] == [
        {
            "index": 0,
            "outcome": "APPLIED",
            "cell": {
                "id": key,
                "days": "12.50",
                "source": "MANUAL",
                "stated": "12.50",
                "expected": "10.00",
                "actual": "2.00",
                "version": 1,
                "user": {"id": str(plan.user.id)},
                "project": {"code": "BRIDGE"},
            },
            "problem": None,
        }
    ]
    assert answer["months"] == [
        {
            "id": str(month_id(plan.user.id, JANUARY)),
            "month": "2026-01",
            "capacity": "20.00",
            "load": "12.50",
            "availability": "7.50",
            "overallocated": False,
            "cells": [{"days": "12.50", "project": {"code": "BRIDGE"}, "user": {"id": str(plan.user.id)}}],
        }
    ]
    assert (answer["problems"], answer["warnings"]) == ([], [])


async def test_nought_is_a_statement_and_null_clears_it_so_that_the_expected_days_count_again(
    graphql, database, make, plan
):
    row = await make.cell(plan.user, plan.project, JANUARY, expected="10.00")
    nought = await send(graphql, plan.caller, cell(plan, "0"))
    assert (nought["results"][0]["cell"]["days"], nought["months"][0]["load"]) == ("0.00", "0.00")
    cleared = await send(graphql, plan.caller, cell(plan, None))
    result = cleared["results"][0]["cell"]
    assert (result["days"], result["stated"], result["source"], result["version"]) == ("10.00", None, "ASSIGNMENT", 2)
    assert await stored(database) == {row.id: (None, 2)}


async def test_a_cleared_cell_without_expected_days_keeps_its_row_and_its_version(graphql, database, plan):
    await send(graphql, plan.caller, cell(plan))
    answer = await send(graphql, plan.caller, cell(plan, None))
    assert answer["results"][0]["cell"]["version"] == 2
    assert answer["months"][0]["cells"] == []
    assert list((await stored(database)).values()) == [(None, 2)]


async def test_stating_the_same_again_changes_nothing(graphql, database, plan):
    await send(graphql, plan.caller, cell(plan))
    answer = await send(graphql, plan.caller, cell(plan, "5"))
    assert (answer["results"][0]["outcome"], answer["results"][0]["cell"]["version"]) == ("UNCHANGED", 1)
    assert answer["months"][0]["load"] == "5.00"
    assert len(await audited(database)) == 1


async def test_clearing_what_was_never_stated_leaves_no_row(graphql, database, plan):
    answer = await send(graphql, plan.caller, cell(plan, None))
    assert (answer["results"][0]["outcome"], answer["results"][0]["cell"]) == ("UNCHANGED", None)
    assert await stored(database) == {}


async def test_a_tool_with_a_token_states_as_api(graphql, database, make, plan):
    async with database.transaction(system_actor("test")) as tx:
        token = new_id()
        await tx.session.execute(
            text(
                "INSERT INTO api_tokens (id, user_id, name, token_hash, hint, scopes, expires_at)"
                " VALUES (:id, :user, 'tool', 'hash', 'pdc_', '{planning:write}', now() + interval '1 day')"
            ),
            {"id": token, "user": plan.planner.id},
        )
    tool = actor(Permission.PLANNING_WRITE, Permission.PLANNING_READ, user=plan.planner, token_id=token)
    answer = await send(graphql, tool, cell(plan))
    assert answer["results"][0]["cell"]["source"] == "API"


async def test_overallocation_is_written_and_warned_about(graphql, plan):
    answer = await send(graphql, plan.caller, cell(plan, "25.00"))
    assert answer["results"][0]["outcome"] == "APPLIED"
    assert answer["warnings"] == [
        {
            "code": "OVERALLOCATED",
            "detail": "Ada Worker has more load than capacity in 2026-01: 5.00 days are missing, "
            "25.00 are asked for (Bridge 25.00) and 20.00 are there.",
            "errors": [{"path": ["cells", "0"]}],
        }
    ]


BAD_CELLS = [
    ({"days": "-0.01"}, ("INVALID_INPUT", "days", "INVALID_DAYS")),
    ({"days": "31.01"}, ("INVALID_INPUT", "days", "INVALID_DAYS")),
    ({"days": "1.005"}, ("INVALID_INPUT", "days", "TOO_PRECISE")),
    ({"month": "2024-12"}, ("INVALID_INPUT", "month", "OUTSIDE_HORIZON")),
    ({"month": "2028-01"}, ("INVALID_INPUT", "month", "OUTSIDE_HORIZON")),
    ({"month": "2025-06"}, ("MONTH_CLOSED", "month", "MONTH_CLOSED")),
    ({"userId": str(new_id())}, ("UNKNOWN_ID", "userId", "UNKNOWN_ID")),
    ({"projectId": str(new_id())}, ("UNKNOWN_ID", "projectId", "UNKNOWN_ID")),
    ({"expectedVersion": 7}, ("VERSION_CONFLICT", "expectedVersion", "VERSION_CONFLICT")),
]


@pytest.mark.parametrize(("values", "refusal"), BAD_CELLS)
async def test_one_bad_cell_refuses_the_call_and_nothing_is_written(graphql, database, make, plan, values, refusal):
    await make.closed(date(2025, 6, 1))
    good = cell(plan, month="2026-02")
    answer = await send(graphql, plan.caller, good, {**cell(plan), **values})
    code, field, field_code = refusal
    assert refusals(answer) == [(code, ["cells", "1", field], field_code)]
    assert [(r["outcome"], r["cell"], r["problem"]["code"]) for r in answer["results"]] == [
        ("REJECTED", None, "NOT_APPLIED"),
        ("REJECTED", None, code),
    ]
    assert answer["months"] == []
    assert await stored(database) == {}
    assert await audited(database) == []


@pytest.mark.parametrize(("values", "refusal"), BAD_CELLS)
async def test_or_the_good_ones_are_written_where_the_caller_wants_that(graphql, database, make, plan, values, refusal):
    await make.closed(date(2025, 6, 1))
    good, bad = cell(plan, month="2026-02"), {**cell(plan), **values}
    answer = await send(graphql, plan.caller, bad, good, policy="REJECT_FAILED")
    assert refusals(answer) == [(refusal[0], ["cells", "0", refusal[1]], refusal[2])]
    assert [r["outcome"] for r in answer["results"]] == ["REJECTED", "APPLIED"]
    assert [m["month"] for m in answer["months"]] == ["2026-02"]
    assert await stored(database) == {cell_id(plan.user.id, plan.project.id, FEBRUARY): ("5.00", 1)}


@pytest.mark.parametrize(("days", "accepted"), [("0.25", False), ("0.50", True), ("31", True), ("0.75", False)])
async def test_stated_days_are_multiples_of_the_companys_step(graphql, database, plan, days, accepted):
    await company_with(database, step=Decimal("0.5"))
    answer = await send(graphql, plan.caller, cell(plan, days))
    expected = [] if accepted else [("INVALID_INPUT", ["cells", "0", "days"], "STEP_VIOLATION")]
    assert refusals(answer) == expected
    assert len(await stored(database)) == accepted


async def test_each_duplicate_is_named_and_none_is_written(graphql, database, plan):
    inputs = (cell(plan, "1"), cell(plan, "2", "2026-02"), cell(plan, "3"))
    answer = await send(graphql, plan.caller, *inputs, policy="REJECT_FAILED")
    assert refusals(answer) == [
        ("INVALID_INPUT", ["cells", "0"], "DUPLICATE_CELL"),
        ("INVALID_INPUT", ["cells", "2"], "DUPLICATE_CELL"),
    ]
    assert [r["outcome"] for r in answer["results"]] == ["REJECTED", "APPLIED", "REJECTED"]
    assert await stored(database) == {cell_id(plan.user.id, plan.project.id, FEBRUARY): ("2.00", 1)}


async def test_501_cells_are_refused_before_anything_is_read(graphql, database, plan):
    answer = await send(graphql, plan.caller, *[cell(plan)] * 501)
    assert refusals(answer) == [("INVALID_INPUT", ["cells"], "TOO_MANY_CELLS")]
    assert (answer["results"], await stored(database)) == ([], {})


async def test_days_left_out_are_refused_rather_than_taken_for_clearing(graphql, database, make, plan):
    row = await make.cell(plan.user, plan.project, JANUARY, stated="5.00")
    forgotten = {name: value for name, value in cell(plan).items() if name != "days"}
    answer = await send(graphql, plan.caller, forgotten)
    assert refusals(answer) == [("INVALID_INPUT", ["cells", "0", "days"], "DAYS_MISSING")]
    assert await stored(database) == {row.id: ("5.00", 1)}


@pytest.mark.parametrize("status", [ProjectStatus.DONE, ProjectStatus.CANCELLED])
async def test_a_finished_project_takes_no_load_but_can_be_cleared(graphql, database, make, plan, status):
    done = await make.project(status=status)
    row = await make.cell(plan.user, done, JANUARY, stated="5.00")
    answer = await send(graphql, plan.caller, {**cell(plan), "projectId": str(done.id), "days": "6.00"})
    assert refusals(answer) == [("PROJECT_CLOSED", ["cells", "0", "projectId"], "PROJECT_CLOSED")]
    cleared = await send(graphql, plan.caller, {**cell(plan), "projectId": str(done.id), "days": None})
    assert cleared["results"][0]["outcome"] == "APPLIED"
    assert await stored(database) == {row.id: (None, 2)}


@pytest.mark.parametrize(
    ("stated", "version", "expected", "accepted"),
    [
        ("5.00", 1, None, False),  # null: nothing may be stated yet
        (None, 4, None, True),
        ("5.00", 3, 3, True),
        ("5.00", 3, 2, False),
        (None, 0, 0, True),
    ],
)
async def test_a_write_may_say_which_version_it_expects(
    graphql, database, make, plan, stated, version, expected, accepted
):
    values = {"stated": stated} if stated else {}
    row = await make.cell(plan.user, plan.project, JANUARY, expected="9.00", version=version, **values)
    answer = await send(graphql, plan.caller, cell(plan, "7.00", expectedVersion=expected))
    if accepted:
        assert await stored(database) == {row.id: ("7.00", version + 1)}
    else:
        assert answer["problems"][0]["code"] == "VERSION_CONFLICT"
        current = answer["results"][0]["cell"]
        assert (current["stated"], current["version"], current["expected"]) == (stated, version, "9.00")
        assert await stored(database) == {row.id: (stated, version)}


async def test_service_users_cannot_be_planned(graphql, database, make, plan):
    tool = await make.user(is_service=True)
    answer = await send(graphql, plan.caller, {**cell(plan), "userId": str(tool.id)})
    assert refusals(answer) == [("UNKNOWN_ID", ["cells", "0", "userId"], "UNKNOWN_ID")]


async def test_a_member_writes_own_cells_only(graphql, database, make, plan):
    member = actor(Permission.PLANNING_WRITE, user=plan.user, scope=Scope.OWN)
    other = await make.user()
    inputs = (cell(plan), {**cell(plan), "userId": str(other.id)})
    answer = await send(graphql, member, *inputs, policy="REJECT_FAILED")
    assert refusals(answer) == [("OUT_OF_SCOPE", ["cells", "1", "userId"], "OUT_OF_SCOPE")]
    assert list(await stored(database)) == [cell_id(plan.user.id, plan.project.id, JANUARY)]


async def test_a_manager_writes_cells_of_the_own_unit_on_any_project(graphql, database, make, plan):
    unit, other_unit = await make.unit(), await make.unit()
    manager, inside = await make.user(business_unit_id=unit.id), await make.user(business_unit_id=unit.id)
    outside = await make.user(business_unit_id=other_unit.id)
    foreign = await make.project(business_unit_id=other_unit.id)
    caller = actor(Permission.PLANNING_WRITE, user=manager, scope=Scope.UNIT)
    wanted = {**cell(plan), "projectId": str(foreign.id)}
    answer = await send(graphql, caller, {**wanted, "userId": str(inside.id)})
    assert answer["results"][0]["outcome"] == "APPLIED"
    answer = await send(graphql, caller, {**wanted, "userId": str(outside.id)}, wanted)
    assert [code for code, *_ in refusals(answer)] == ["OUT_OF_SCOPE", "OUT_OF_SCOPE"]
    assert list(await stored(database)) == [cell_id(inside.id, foreign.id, JANUARY)]
    refused = (await audited(database))[-1]
    assert (refused.action, len(refused.details["cells"])) == ("cells.refused", 2)


async def test_a_dry_run_answers_like_a_write_and_leaves_nothing(graphql, database, bus, plan, monkeypatch):
    def loaders(_context):
        raise AssertionError("a loader would read what is committed, not what the rehearsal wrote")

    with monkeypatch.context() as patched:
        patched.setattr(Context, "loaders", property(loaders))
        rehearsed = await send(graphql, plan.caller, cell(plan, "25.00"), dryRun=True)
    assert (await stored(database), await audited(database)) == ({}, [])
    assert rehearsed["results"][0]["outcome"] == "APPLIED"
    assert rehearsed["months"][0]["load"] == "25.00"
    async with bus.subscribe(PlanningChanged) as queue:
        written = await send(graphql, plan.caller, cell(plan, "25.00"))
        event = await asyncio.wait_for(queue.get(), 5)
        assert event.month_ids == (month_id(plan.user.id, JANUARY),)
        assert queue.empty()
    assert rehearsed == written


async def test_a_dry_run_explains_the_month_as_it_would_be(graphql, make, plan):
    await make.contract(plan.user)
    document = """mutation ($input: ForecastsWriteInput!) { forecastsWrite(input: $input) {
      months { ...why } } }
      fragment why on PlanningMonth { explanation { kind days } }"""
    data = await graphql(plan.caller, document, input={"cells": [cell(plan, "25.00")], "dryRun": True})
    lines = data["forecastsWrite"]["months"][0]["explanation"]
    assert [(line["kind"], line["days"]) for line in lines][-2:] == [("LOAD", "25.00"), ("MISSING", "5.00")]


async def test_one_audit_row_and_one_event_tell_of_the_whole_call(graphql, database, bus, make, plan):
    before = await make.cell(plan.user, plan.project, JANUARY, stated="3.00")
    async with bus.subscribe(PlanningChanged) as queue:
        await send(graphql, plan.caller, cell(plan, "5.00"), cell(plan, "6.00", "2026-02"))
        event = await asyncio.wait_for(queue.get(), 5)
    new = cell_id(plan.user.id, plan.project.id, FEBRUARY)
    assert (event.first_month, event.last_month, event.user_ids) == (JANUARY, FEBRUARY, (plan.user.id,))
    assert set(event.cell_ids) == {before.id, new}
    [row] = await audited(database)
    assert (row.action, row.actor_id, set(row.details["cells"])) == (
        "cells.written",
        plan.planner.id,
        {str(before.id), str(new)},
    )
    assert row.details["before"][str(before.id)] == {"stated": "3.00", "source": "MANUAL", "version": 1}
    assert row.details["after"][str(new)] == {"stated": "6.00", "source": "MANUAL", "version": 1}


async def test_a_call_costs_the_same_number_of_statements_for_10_and_for_300_cells(graphql, make, plan, statements):
    people = [await make.user() for _ in range(300)]
    counts = []
    for count, month in ((10, "2026-01"), (300, "2026-02")):
        inputs = [{**cell(plan, month=month), "userId": str(user.id)} for user in people[:count]]
        statements.clear()
        answer = await send(graphql, plan.caller, *inputs)
        assert {r["outcome"] for r in answer["results"]} == {"APPLIED"}
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 13, statements.texts


async def test_two_first_writes_of_one_cell_at_once_run_one_after_the_other(graphql, database, plan):
    answers = await asyncio.gather(
        *(send(graphql, plan.caller, cell(plan, f"{n}.00", expectedVersion=None)) for n in range(1, 6))
    )
    outcomes = sorted(answer["results"][0]["outcome"] for answer in answers)
    assert outcomes == ["APPLIED"] + ["REJECTED"] * 4
    winner = next(a["results"][0]["cell"] for a in answers if a["results"][0]["outcome"] == "APPLIED")
    for answer in answers:  # the losers see what the winner wrote
        assert answer["results"][0]["cell"]["stated"] == winner["stated"]
    assert list((await stored(database)).values()) == [(winner["stated"], 1)]


async def test_writers_of_the_same_cells_in_opposite_orders_never_wait_in_a_circle(graphql, database, make, plan):
    projects = [await make.project() for _ in range(20)]
    forward = [{**cell(plan), "projectId": str(p.id)} for p in projects]
    rounds = [
        send(graphql, plan.caller, *({**each, "days": str(n)} for each in order))
        for n, order in enumerate([forward, forward[::-1]] * 4, start=1)
    ]
    answers = await asyncio.gather(*rounds)
    assert all(r["outcome"] == "APPLIED" for answer in answers for r in answer["results"])
    values = set((await stored(database)).values())
    assert [version for _, version in values] == [8]
    assert len(values) == 1  # the last writer's days stand everywhere


async def test_cell_writes_and_recomputations_of_the_same_cells_never_wait_in_a_circle(graphql, database, make, plan):
    await make.contract(plan.user)
    projects = [await make.project() for _ in range(12)]
    for project in projects[::2]:  # half of the cells are there already, half are new to both
        await make.cell(plan.user, project, JANUARY, expected="1.00")
    for project in projects:
        await make.assignment(plan.user, project, rate=Decimal(5))

    async def recomputed():
        async with database.transaction(system_actor("test")) as tx:
            await recompute(tx, [plan.user.id], JANUARY, FEBRUARY)

    inputs = [{**cell(plan, "2.00"), "projectId": str(project.id)} for project in projects]
    writes = [send(graphql, plan.caller, *order) for order in (inputs, inputs[::-1], inputs)]
    answers = await asyncio.gather(recomputed(), *writes, recomputed())
    assert {r["outcome"] for answer in answers[1:-1] for r in answer["results"]} <= {"APPLIED", "UNCHANGED"}
    async with database.reads.session() as session:
        rows = (await session.scalars(select(ForecastRow).where(ForecastRow.month == JANUARY))).all()
    assert {(str(row.stated), str(row.expected), row.version) for row in rows} == {("2.00", "1.05", 1)}


async def test_a_write_waits_for_a_recomputation_of_the_same_person_before_it_locks_a_cell(graphql, database, plan):
    async with database.transaction(system_actor("test")) as recomputing:
        await recomputation.lock_users(recomputing.session, [plan.user.id])
        writing = asyncio.create_task(send(graphql, plan.caller, cell(plan)))
        await asyncio.sleep(0.2)
        assert not writing.done()
    assert (await writing)["results"][0]["outcome"] == "APPLIED"


async def test_a_write_waits_for_a_closing_under_way_and_is_then_refused(graphql, database, plan):
    async with database.transaction(plan.caller) as closing_tx:
        await closing.exclusive_lock(closing_tx.session)
        writing = asyncio.create_task(send(graphql, plan.caller, cell(plan)))
        await asyncio.sleep(0.2)
        assert not writing.done()
        await closing.close(closing_tx.session, JANUARY, None)
    answer = await writing
    assert refusals(answer) == [("MONTH_CLOSED", ["cells", "0", "month"], "MONTH_CLOSED")]
    assert await stored(database) == {}


async def test_the_service_has_no_limit_and_keeps_the_source_of_an_import(database, make, plan):
    projects = [await make.project() for _ in range(30)]
    months = [date(2025 + n // 12, n % 12 + 1, 1) for n in range(20)]
    keys = [CellKey(plan.user.id, project.id, month) for project in projects for month in months]
    writes = [CellWrite(index, key, Decimal("0.50")) for index, key in enumerate(keys)]
    async with database.transaction(plan.caller) as tx:
        written = await cells.write(tx, writes, WritePolicy.REJECT_EVERYTHING, source=CellSource.IMPORT)
    assert len(written.results) == 600
    assert {(r.outcome, r.cell.source) for r in written.results} == {(CellOutcome.APPLIED, CellSource.IMPORT)}


@pytest.mark.parametrize(("signed_in", "code"), [(False, "UNAUTHENTICATED"), (True, "FORBIDDEN")])
async def test_who_may_not_write_is_refused_and_nothing_is_written(graphql, database, plan, signed_in, code):
    caller = actor(Permission.PLANNING_READ, user=plan.planner) if signed_in else None
    [error] = await graphql(caller, WRITE, errors=True, input={"cells": [cell(plan)]})
    assert error["extensions"]["code"] == code
    assert await stored(database) == {}


FIGURES = """
mutation ($input: ForecastsWriteInput!) {
  forecastsWrite(input: $input) {
    months {
      id month capacity load availability utilisation overallocated override tentative capacityVersion closed
      recomputing
    }
  }
}
"""


@pytest.mark.parametrize("stale", [False, True])
async def test_figures_alone_are_those_of_months_with_their_cells(graphql, database, make, plan, stale):
    """A call that asks for nothing else has its months summed by PostgreSQL, which must not be seen."""
    other, unplanned, tunnel = await make.user(), await make.user(), await make.project()
    await make.capacity(other, JANUARY, "20.00", override=Decimal("8.50"), tentative=Decimal("1.50"))
    await make.capacity(other, FEBRUARY, "0.00")
    await make.cell(other, tunnel, JANUARY, expected="10.25", actual="3.00")
    await make.cell(plan.user, tunnel, FEBRUARY, stated="0.00", expected="4.00")
    await make.cell(plan.user, tunnel, JANUARY)  # without a value
    if stale:
        async with database.transaction(plan.caller) as tx:
            await recomputation.mark(tx.session, [plan.user.id, other.id, unplanned.id])
    inputs = [
        {**cell(plan, days, month), "userId": str(user.id)}
        for user, days, month in [
            (plan.user, "12.5", "2026-01"),
            (plan.user, None, "2026-02"),
            (other, "25", "2026-01"),
            (other, "0", "2026-02"),
            (unplanned, "1", "2026-01"),
            (unplanned, None, "2026-02"),  # neither a capacity nor a cell
        ]
    ]
    narrow, whole = [
        (await graphql(plan.caller, document, input={"cells": inputs, "dryRun": True}))["forecastsWrite"]["months"]
        for document in (FIGURES, FIGURES.replace("recomputing", "recomputing cells { days }"))
    ]
    for month in whole:
        del month["cells"]
    assert len(narrow) == 6
    assert narrow == whole
    assert sum(month["recomputing"] for month in narrow) == (5 if stale else 0)  # of the month of nothing, nothing
