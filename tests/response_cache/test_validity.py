"""A kept answer is never older than the last committed write, whoever wrote it and however."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from server.planning.repository import marks
from tests.access.people import run
from tests.factories import admin
from tests.response_cache.conftest import GRID, REPORT

WRITES = {
    "a cell": ("forecastsWrite", "ForecastsWriteInput", lambda plan: {"cells": [
        {"userId": str(plan.ada.id), "projectId": str(plan.engine.id), "month": "2026-02", "days": "6.00"}]}),
    "a capacity": ("capacitiesWrite", "CapacitiesWriteInput", lambda plan: {"capacities": [
        {"userId": str(plan.ada.id), "month": "2026-02", "override": "7.00"}]}),
    "an assignment": ("assignmentCreate", "AssignmentCreateInput", lambda plan: {
        "userId": str(plan.ada.id), "projectId": str(plan.loom.id), "rate": "20",
        "startDate": "2026-01-01", "endDate": "2026-03-31"}),
    "closing a month": ("monthClose", "MonthCloseInput", lambda plan: {"month": "2026-01"}),
    "a person's name": ("userUpdate", "UserUpdateInput", lambda plan: {"id": str(plan.ada.id), "lastName": "King"}),
    "a person's unit": ("userUpdate", "UserUpdateInput", lambda plan: {"id": str(plan.ada.id),
                                                                       "businessUnitId": None}),
    "a unit's name": ("businessUnitUpdate", "BusinessUnitUpdateInput",
                      lambda plan: {"id": str(plan.unit.id), "name": "Engines"}),
    "shutting someone out": ("userDeactivate", "UserDeactivateInput", lambda plan: {"id": str(plan.ada.id)}),
    "a project's name": ("projectUpdate", "ProjectUpdateInput", lambda plan: {"id": str(plan.engine.id),
                                                                              "name": "Difference engine"}),
    "a project's archive": ("projectDelete", "ProjectDeleteInput", lambda plan: {"id": str(plan.engine.id)}),
    "a contract": ("contractSet", "ContractSetInput", lambda plan: {
        "userId": str(plan.bob.id), "startDate": "2026-02-16", "fte": "0.5", "endPrevious": True}),
    "an absence": ("absenceCreate", "AbsenceCreateInput", lambda plan: {
        "userId": str(plan.ada.id), "startDate": "2026-02-02", "endDate": "2026-02-03", "type": "fr_rtt"}),
    "the settings": ("settingsUpdate", "SettingsUpdateInput", lambda plan: {
        "setCalendarDays": [{"day": "2026-01-02", "worked": False, "label": "Bridge"}]}),
}  # fmt: skip


@pytest.mark.parametrize("what", WRITES)
async def test_a_write_through_one_worker_is_seen_by_every_other(what, plan, worker, other, forgetful, graphql):
    mutation, kind, values = WRITES[what]
    boss = admin(plan.bob)
    before, outcome = await worker.answer(boss)
    assert outcome == "miss"
    assert await worker.answer(boss) == (before, "hit")
    document = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ problems {{ code detail }} }} }}"
    assert (await graphql(boss, document, input=values(plan)))[mutation] == {"problems": []}
    fresh, _ = await forgetful.answer(boss)
    assert fresh != before
    for each in (worker, other):
        assert await each.answer(boss) == (fresh, "miss")
        assert await each.answer(boss) == (fresh, "hit")


STATEMENTS = {
    "a report's project": "UPDATE projects SET productive = false WHERE code = 'ENG'",
    "a sync's actual days": "UPDATE forecasts SET actual = 9 WHERE month = '2026-01-01'",
    "a new cell": "INSERT INTO forecasts (id, user_id, project_id, month, expected) SELECT gen_random_uuid(), user_id,"
    " (SELECT id FROM projects WHERE code = 'LOOM'), month, 2 FROM forecasts WHERE month = '2026-02-01'",
    "cells that are gone": "DELETE FROM forecasts WHERE month = '2026-01-01'",
    "an emptied table": "TRUNCATE forecasts",
    "a truncation that spreads": "TRUNCATE projects CASCADE",
    "a person with what hangs on them": "DELETE FROM forecasts; DELETE FROM assignments; DELETE FROM users",
    "a change still to be worked in": "INSERT INTO stale_users (user_id) SELECT id FROM users",
    "a load without triggers": "SET LOCAL session_replication_role = replica; UPDATE forecasts SET stated = 8",
    "a writer without a search path": "SET LOCAL search_path = ''; UPDATE public.capacities SET computed = 8",
    "a writer with a table of that name": "CREATE TEMP TABLE plan_marks (LIKE public.plan_marks INCLUDING ALL);"
    " UPDATE forecasts SET stated = 8",
    "a repeatable read": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; UPDATE forecasts SET stated = 8",
    "a part that was kept": "SAVEPOINT a; DELETE FROM forecasts; ROLLBACK TO a; UPDATE forecasts SET stated = 8",
    "a part that was taken back": "UPDATE forecasts SET stated = 8; SAVEPOINT a; DELETE FROM forecasts; ROLLBACK TO a",
}


async def raw(settings: Any, user: str = "postgres") -> asyncpg.Connection:
    url = settings.database_url.replace("+asyncpg", "").replace("//plancharge:", f"//{user}:")
    return await asyncpg.connect(url)


@pytest.mark.parametrize("what", STATEMENTS)
async def test_plain_sql_is_seen_as_well(what, plan, worker, forgetful, settings):
    boss = admin(plan.bob)
    kept = {document: (await worker.answer(boss, document))[0] for document in (GRID, REPORT)}
    connection = await raw(settings)
    try:
        async with connection.transaction():
            await connection.execute(STATEMENTS[what])
            for document in (GRID, REPORT):
                assert await worker.answer(boss, document) == (kept[document], "hit"), "not committed yet"
    finally:
        await connection.close()
    fresh = {document: (await forgetful.answer(boss, document))[0] for document in (GRID, REPORT)}
    assert fresh != kept
    for document in (GRID, REPORT):
        assert await worker.answer(boss, document) == (fresh[document], "miss")


async def test_cells_copied_in_are_seen(plan, worker, settings):
    boss = admin(plan.bob)
    await worker.answer(boss)
    connection = await raw(settings)
    row = (plan.bob.id, plan.bob.id, plan.engine.id, date(2026, 3, 1), 4)
    await connection.copy_records_to_table(
        "forecasts", records=[row], columns=("id", "user_id", "project_id", "month", "expected")
    )
    await connection.close()
    data, outcome = await worker.answer(boss)
    assert (outcome, data.count(b'"expected":"4.00"')) == ("miss", 1)


async def state(database: Any) -> str:
    async with database.reads.session() as session:
        return await marks.state(session)


async def test_what_the_plan_is_not_read_from_leaves_answers_kept(plan, worker, database, graphql):
    boss = admin(plan.bob)
    await worker.answer(boss)
    await run(database, "UPDATE users SET last_login_at = now()")
    await run(database, "DELETE FROM refresh_tokens")
    await graphql(boss, 'mutation { roleCreate(input: {name: "R"}) { problems { code } } }')
    assert (await worker.answer(boss))[1] == "hit"


async def test_a_transaction_that_commits_late_is_seen_though_a_younger_one_was_first(plan, worker, settings):
    boss = admin(plan.bob)
    early, late = await raw(settings), await raw(settings)
    try:
        slow = early.transaction()
        await slow.start()
        await early.execute("UPDATE forecasts SET stated = 1 WHERE month = '2026-01-01'")
        await late.execute("UPDATE forecasts SET stated = 2 WHERE month = '2026-02-01'")
        between, outcome = await worker.answer(boss)
        assert outcome == "miss"
        await slow.commit()
        after, outcome = await worker.answer(boss)
        assert outcome == "miss"
        assert between.count(b'"stated":"1.00"') == 0
        assert after.count(b'"stated":"1.00"') == 2
    finally:
        await early.close()
        await late.close()


async def test_writers_do_not_wait_for_each_other(plan, settings, database):
    """Each with a transaction open, in both orders and on the tables that each other's cells hang on."""
    first, second = await raw(settings), await raw(settings)
    try:
        for connection in (first, second):
            await connection.execute("SET lock_timeout = '200ms'")
        ours, theirs = first.transaction(), second.transaction()
        await ours.start()
        await theirs.start()
        for month, connection in (("01", first), ("02", second), ("03", first)):
            await connection.execute(f"UPDATE forecasts SET stated = 2 WHERE month = '2026-{month}-01'")
        await second.execute("UPDATE capacities SET override = 9 WHERE month = '2026-02-01'")
        await first.execute("UPDATE capacities SET override = 9 WHERE month = '2026-01-01'")
        await theirs.commit()
        await ours.commit()
    finally:
        await first.close()
        await second.close()
    async with database.reads.session() as session:
        pids = (await session.scalars(text("SELECT count(*) FROM plan_marks"))).one()
    assert pids >= 2


async def test_a_transaction_writes_its_mark_once_however_many_statements_it_has(plan, settings):
    connection = await raw(settings)
    mine = "SELECT ctid::text FROM plan_marks WHERE backend = pg_backend_pid()"
    async with connection.transaction():
        await connection.execute("UPDATE forecasts SET stated = 1")
        place = await connection.fetchval(mine)
        for _ in range(50):
            await connection.execute("UPDATE forecasts SET stated = 2")
        assert await connection.fetchval(mine) == place
    async with connection.transaction():
        await connection.execute("UPDATE forecasts SET stated = 3")
        assert await connection.fetchval(mine) != place
    await connection.close()


async def until_gone(connection: asyncpg.Connection, pid: int) -> None:
    for _ in range(500):
        if not await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{pid} is still there")


async def test_marks_that_are_taken_away_leave_one_so_that_no_state_comes_back(plan, settings, database):
    """Else: what stood before a connection's write stands again once its mark is gone, and the old answer with it."""
    before = await state(database)
    writer = await raw(settings)
    await writer.execute("UPDATE forecasts SET stated = 1")
    pid = await writer.fetchval("SELECT pg_backend_pid()")
    await writer.close()
    observer = await raw(settings)
    await until_gone(observer, pid)
    written = await state(database)
    async with database.transaction(admin(plan.bob)) as tx:
        await marks.forget_gone(tx.session)
    after = await state(database)
    assert f" {pid}:" in written
    assert f" {pid}:" not in after
    assert len({before, written, after}) == 3
    for statement in ("DELETE FROM plan_marks", "TRUNCATE plan_marks"):
        await observer.execute(statement)
        assert await state(database) not in {before, written, after}
        assert await observer.fetchval("SELECT count(*) FROM plan_marks") == 1
    await observer.close()


async def test_marks_of_living_connections_stay(plan, settings, database):
    writer = await raw(settings)
    await writer.execute("UPDATE forecasts SET stated = 1")
    async with database.transaction(admin(plan.bob)) as tx:
        await marks.forget_gone(tx.session)
    assert await writer.fetchval("SELECT count(*) FROM plan_marks WHERE backend = pg_backend_pid()") == 1
    await writer.close()
