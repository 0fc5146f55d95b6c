"""Gryzzly's projects, tasks and declarations: actual days, late ones, what is removed and what never is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from clients.simulator import Company
from clients.simulator.company import Declaration, Project, Task, User
from server.projects import service as projects
from server.projects.models import ProjectStatus
from server.projects.service import ProjectChange
from server.sync.models import Provider, SyncState
from tests.sync.conftest import SYSTEM

GRYZZLY = Provider.GRYZZLY
ADA = User("u1", "Ada Lovelace", "ada@example.test")
PROJECT = Project("g1", "Engine", "ENG")
TASK = Task("t1", "g1", "Build")
DAY = 25_200
NOVEMBER = date(2026, 11, 1)


def declared(day, seconds=DAY, name="d1", task="t1", user="u1"):
    return Declaration(name, user, task, day, seconds)


@pytest.fixture
def company() -> Company:
    return Company("co", "Company", users=[ADA], projects=[PROJECT], tasks=[TASK],
                   declarations={"u1": [declared(date(2026, 11, 3))]})  # fmt: skip


@pytest.fixture
async def ada(database, make):
    return await make.user(email="ada@example.test", first_name="Ada", last_name="Lovelace")


@pytest.fixture
def gryzzly(sync, ada):
    """Ada declared a day; calling it changes what Gryzzly holds and syncs."""

    async def run(**held):
        sync.simulated.serve(replace(sync.simulated.gryzzly.company, **held))
        done = await sync(GRYZZLY)
        assert done.state is SyncState.SUCCEEDED, done.message
        return done

    run.sync = sync
    return run


async def cells(sync):
    rows = await sync.rows("SELECT month, actual, expected, stated, late_actual, version FROM forecasts ORDER BY month")
    return [(f"{row.month:%Y-%m}", row.actual and str(row.actual), row.late_actual) for row in rows]


def by_user(*declarations):
    return {"declarations": {"u1": list(declarations)}}


async def test_seconds_are_kept_and_days_are_derived_with_the_companys_working_day(gryzzly):
    await gryzzly(**by_user(declared(date(2026, 11, 3), 12_600), declared(date(2026, 11, 4), 1_000, "d2")))
    assert await gryzzly.sync.one("SELECT sum(seconds) FROM time_entries") == 13_600
    assert await cells(gryzzly.sync) == [("2026-11", "0.54", False)]


async def test_actual_days_never_touch_what_is_stated(gryzzly, make, ada):
    project = await make.project(code="eng", name="Engine")
    await make.cell(ada, project, NOVEMBER, stated="4.00")
    await gryzzly()
    (row,) = await gryzzly.sync.rows("SELECT stated, source, actual, version FROM forecasts")
    assert (row.stated, row.source, row.actual, row.version) == (Decimal("4.00"), "MANUAL", Decimal("1.00"), 1)


async def test_a_project_is_found_by_its_code_without_regard_to_case(gryzzly, make):
    project = await make.project(code="eng", name="Engine")
    run = await gryzzly()
    assert (run.counts["PROJECT"]["created"], run.counts["PROJECT"]["updated"]) == (0, 1)
    assert await gryzzly.sync.one("SELECT project_id FROM external_projects") == project.id


async def test_a_project_without_a_code_gets_one_of_its_own(gryzzly):
    await gryzzly(projects=[replace(PROJECT, code=None)])
    assert await gryzzly.sync.one("SELECT code FROM projects") == "GZ-g1"


async def test_a_changed_declaration_moves_its_days(gryzzly):
    await gryzzly()
    run = await gryzzly(**by_user(declared(date(2026, 10, 6), 2 * DAY)))
    assert run.counts["DECLARATION"]["updated"] == 1
    assert await cells(gryzzly.sync) == [("2026-10", "2.00", False), ("2026-11", None, False)]


async def test_a_declaration_missing_from_the_window_goes(gryzzly):
    await gryzzly()
    run = await gryzzly(**by_user())
    assert run.counts["DECLARATION"]["removed"] == 1
    assert await cells(gryzzly.sync) == [("2026-11", None, False)]


async def test_a_declaration_before_the_window_stays(gryzzly):
    await gryzzly()
    gryzzly.sync.today = date(2027, 1, 4)  # the window begins 60 days before January: on 2 November
    await gryzzly(**by_user(declared(date(2026, 11, 2), name="d2")))
    gryzzly.sync.today = date(2027, 1, 31)
    await gryzzly()
    gryzzly.sync.today = date(2027, 2, 1)
    run = await gryzzly(**by_user())
    assert run.counts["DECLARATION"]["removed"] == 0
    assert await cells(gryzzly.sync) == [("2026-11", "1.00", False)]


async def test_a_list_that_changed_while_it_was_read_removes_nothing(gryzzly):
    many = [declared(date(2026, 11, 3), 600, f"d{n}") for n in range(20)]
    await gryzzly(**by_user(*many))
    sync = gryzzly.sync
    sync.simulated.limit, seen = 5, 0

    async def before(path):
        nonlocal seen
        seen += path.endswith("declarations.list")
        if seen == 2:  # one of the first page disappears, and the first of the second page slips through
            sync.simulated.serve(replace(sync.simulated.gryzzly.company, **by_user(*many[1:])))

    sync.simulated.before = before
    run = await gryzzly()
    assert run.counts["DECLARATION"]["removed"] == 0
    assert [row.code for row in await sync.refusals(run.id)] == ["LIST_CHANGED"]
    sync.simulated.before = None
    run = await gryzzly()
    assert run.counts["DECLARATION"]["removed"] == 1


async def test_users_whom_gryzzly_refuses_are_skipped_and_keep_what_they_declared(gryzzly, make):
    await make.user(email="bob@example.test", first_name="Bob", last_name="Byron")
    bob = User("u2", "Bob Byron", "bob@example.test")
    both = {"u1": [declared(date(2026, 11, 3))], "u2": [declared(date(2026, 11, 3), name="d2", user="u2")]}
    await gryzzly(users=[ADA, bob], declarations=both)
    gryzzly.sync.simulated.switch("disabled-users-refused")
    run = await gryzzly(users=[ADA, replace(bob, is_disabled=True)], declarations={})
    assert (run.counts["DECLARATION"]["skipped"], run.counts["DECLARATION"]["removed"]) == (1, 1)
    (refusal,) = await gryzzly.sync.refusals(run.id)
    assert (refusal.external_id, refusal.code) == ("u2", "USER_SKIPPED")
    assert await gryzzly.sync.one("SELECT external_id FROM time_entries") == "d2"


async def test_what_lands_in_a_closed_month_is_flagged_as_late(gryzzly, make):
    await gryzzly(**by_user(declared(date(2026, 10, 6))))
    await make.closed(date(2026, 10, 1))
    run = await gryzzly()
    assert run.counts["DECLARATION"]["updated"] == 0
    assert await cells(gryzzly.sync) == [("2026-10", "1.00", False)]
    await gryzzly(**by_user(declared(date(2026, 10, 6)), declared(date(2026, 10, 7), name="d2")))
    assert await cells(gryzzly.sync) == [("2026-10", "2.00", True)]
    late = await gryzzly.sync.rows("SELECT external_id, late FROM time_entries ORDER BY external_id")
    assert [tuple(row) for row in late] == [("d1", False), ("d2", True)]


async def test_time_of_somebody_unknown_waits_with_one_line_of_reason_and_lands_once_they_are_known(gryzzly, make):
    free = [declared(date(2026, 11, day), name=f"f{day}", user="u9") for day in (3, 4, 5)]
    held = {"u1": [], "u9": free}
    run = await gryzzly(users=[ADA, User("u9", "Indira Libre", "indira@libre.test")], declarations=held)
    assert run.counts["DECLARATION"]["skipped"] == 3
    people, time = await gryzzly.sync.refusals(run.id)
    assert (people.kind, people.external_id, people.code) == ("PERSON", "u9", "PERSON_NOT_MAPPED")
    assert (time.external_id, time.code, time.records) == ("u9", "PERSON_NOT_MAPPED", 3)
    await make.user(email="indira@libre.test", first_name="Indira", last_name="Libre")
    run = await gryzzly()
    assert run.counts["DECLARATION"]["created"] == 3


async def test_time_on_an_unknown_task_is_left_out_with_the_reason(gryzzly):
    run = await gryzzly(**by_user(declared(date(2026, 11, 3), task="gone")))
    (refusal,) = await gryzzly.sync.refusals(run.id)
    assert (refusal.external_id, refusal.code, refusal.records) == ("gone", "UNKNOWN_TASK", 1)


async def test_more_than_a_day_in_a_day_is_refused_and_no_time_is_nothing(gryzzly):
    run = await gryzzly(**by_user(declared(date(2026, 11, 3), 90_000), declared(date(2026, 11, 4), 0, "d2")))
    assert (run.counts["DECLARATION"]["refused"], run.counts["DECLARATION"]["created"]) == (1, 0)
    (refusal,) = await gryzzly.sync.refusals(run.id)
    assert (refusal.external_id, refusal.code) == ("d1", "TOO_LONG")


async def test_a_renamed_project_that_nobody_touched_is_followed(gryzzly):
    await gryzzly()
    await gryzzly(projects=[replace(PROJECT, name="Engine (lot 2)", status="done")])
    (row,) = await gryzzly.sync.rows("SELECT name, status FROM projects")
    assert tuple(row) == ("Engine (lot 2)", ProjectStatus.DONE)


async def test_a_project_that_somebody_changed_here_becomes_a_conflict(gryzzly):
    await gryzzly()
    sync = gryzzly.sync
    project_id = await sync.one("SELECT id FROM projects")
    async with sync.database.transaction(SYSTEM) as tx:
        await projects.update(tx, ProjectChange(project_id, {"name": "Our engine", "status": ProjectStatus.ON_HOLD}))
    await gryzzly(projects=[replace(PROJECT, name="Their engine")])
    (row,) = await sync.rows("SELECT name, status FROM projects")
    assert tuple(row) == ("Our engine", ProjectStatus.ON_HOLD)  # on hold is one of the ways of being active
    (conflict,) = await sync.rows("SELECT field, local_value, external_value, state FROM sync_conflicts")
    assert tuple(conflict) == ("name", "Our engine", "Their engine", "OPEN")


async def test_tasks_keep_their_tree(gryzzly):
    await gryzzly(tasks=[TASK, Task("t2", "g1", "Part", "t1")])
    rows = await gryzzly.sync.rows(
        "SELECT t.external_id, p.external_id FROM tasks t LEFT JOIN tasks p ON p.id = t.parent_id ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("t1", None), ("t2", "t1")]
